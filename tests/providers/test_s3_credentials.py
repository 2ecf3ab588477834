"""Where keys come from, how long they live, and where they never come from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sluicegate.core.clock import now
from sluicegate.core.errors import ErrorCode, FatalError, InvalidError, RetriableError, RunError, ThrottledError
from sluicegate.providers.base import CheckStatus
from sluicegate.providers.s3.ambient import AmbientCredentials
from sluicegate.providers.s3.credentials import RefreshingCredentials
from sluicegate.providers.s3.settings import Settings, is_aws, namespace_external_id
from sluicegate.providers.s3.signing import Credentials
from sluicegate.providers.s3.sts import sts_endpoint
from tests.providers.conformance import body_of, checks_of, entries_of
from tests.providers.s3_sources import Bucket
from tests.support import moto_server
from tests.support.moto_server import MotoServer
from tests.support.s3_responder import Reply, S3Responder, error

ROLE = "arn:aws:iam::123456789012:role/reader"
NOTHING = {"aws_access_key_id": None, "aws_secret_access_key": None}


@pytest.fixture
async def server() -> AsyncIterator[S3Responder]:
    async with S3Responder() as responder:
        yield responder


@pytest.fixture
async def source(server: S3Responder) -> AsyncIterator[Bucket]:
    async with Bucket(server.endpoint, "bucket", "AKIDEXAMPLE", "secret-of-a-test") as bucket:
        yield bucket


def assumed(lives: timedelta = timedelta(hours=1)) -> Reply:
    """STS's answer."""
    text = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        "<AccessKeyId>ASIATEMPORARY</AccessKeyId><SecretAccessKey>temporary-secret</SecretAccessKey>"
        "<SessionToken>temporary/token+=</SessionToken>"
        f"<Expiration>{(now() + lives).strftime('%Y-%m-%dT%H:%M:%SZ')}</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    return Reply(200, text.encode())


async def test_a_role_is_assumed_once_and_its_keys_are_used(server: S3Responder, source: Bucket) -> None:
    await source.put(b"a", b"1")
    server.requests.clear()
    server.faults.append(assumed())
    async with source.open(role_arn=ROLE, external_id="their-id") as provider:
        await asyncio.gather(entries_of(provider), body_of(provider, b"a"))
        link = await provider.temporary_url(b"a", seconds=60)
    sts, *rest = server.requests
    form = {name: values[0] for name, values in parse_qs(sts.body.decode()).items()}
    assert (sts.method, sts.target) == ("POST", "/")
    assert form["RoleArn"] == ROLE
    assert form["ExternalId"] == "their-id"
    assert "AKIDEXAMPLE" in sts.headers["authorization"]
    assert "/sts/aws4_request" in sts.headers["authorization"]
    assert len(rest) == 2
    for request in rest:
        assert "ASIATEMPORARY" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "temporary/token+="
    assert parse_qs(urlsplit(link or "").query)["X-Amz-Security-Token"] == ["temporary/token+="]


@pytest.mark.parametrize(
    ("asked", "lives", "expected"),
    [
        (60, timedelta(hours=1), 60),
        (7200, timedelta(hours=1), 3600),
        (10**9, timedelta(days=30), 604_800),
        (0, timedelta(hours=1), 1),
    ],
)
async def test_a_link_does_not_outlive_the_credentials(
    server: S3Responder, source: Bucket, asked: int, lives: timedelta, expected: int
) -> None:
    server.faults.append(assumed(lives))
    async with source.open(role_arn=ROLE) as provider:
        link = await provider.temporary_url(b"a", seconds=asked)
    seconds = int(parse_qs(urlsplit(link or "").query)["X-Amz-Expires"][0])
    assert expected - 2 <= seconds <= expected


async def test_keys_are_renewed_before_they_expire() -> None:
    made: list[Credentials] = []

    async def fetch() -> Credentials:
        await asyncio.sleep(0)
        made.append(Credentials("A", "B", "C", now() + timedelta(minutes=(4, 60)[len(made)])))
        return made[-1]

    source = RefreshingCredentials(fetch)
    assert (await source.get()) is made[0]
    found = await asyncio.gather(*(source.get() for _ in range(5)))
    assert len(made) == 2
    assert all(item is made[1] for item in found)


def refused(code: str, namespace: str = "") -> Reply:
    """STS's form of an error."""
    text = f"<ErrorResponse{namespace}><Error><Code>{code}</Code></Error></ErrorResponse>"
    return Reply(403, text.encode())


STS: list[tuple[Reply, type[RunError], ErrorCode]] = [
    (refused("AccessDenied", " xmlns='https://sts.amazonaws.com/'"), FatalError, ErrorCode.PROVIDER_AUTH),
    (refused("InvalidClientTokenId"), FatalError, ErrorCode.PROVIDER_AUTH),
    (error(400, "Throttling"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE),
    (Reply(500, b""), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE),
    (Reply(200, b"<html/>"), FatalError, ErrorCode.PROVIDER_REFUSED),
    (Reply(200, b"{}"), FatalError, ErrorCode.PROVIDER_REFUSED),
    (Reply(302, b"", {"Location": "http://169.254.169.254/"}), FatalError, ErrorCode.PROVIDER_REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "kind", "code"), STS)
async def test_a_role_that_cannot_be_assumed(
    server: S3Responder, source: Bucket, reply: Reply, kind: type[RunError], code: ErrorCode
) -> None:
    server.always = reply
    async with source.open(role_arn=ROLE) as provider:
        with pytest.raises(RunError) as caught:
            await entries_of(provider)
        checks = await checks_of(provider)
    assert (type(caught.value), caught.value.code) == (kind, code)
    if b"<ErrorResponse" in reply.body:
        assert (caught.value.provider_code or "").encode() in reply.body
    assert "secret-of-a-test" not in f"{caught.value!r}{caught.value.hint}"
    assert checks["authenticate"].status is CheckStatus.FAILED


async def test_a_role_on_moto(moto: MotoServer) -> None:
    bucket = moto.create_bucket()
    moto.put(bucket, {"a": b"1"})
    async with (
        Bucket(moto.endpoint, bucket, moto_server.ACCESS_KEY, moto_server.SECRET_KEY) as source,
        source.open(role_arn=ROLE, external_id="x-1") as provider,
    ):
        assert await body_of(provider, b"a") == b"1"
        assert (await checks_of(provider))["authenticate"].status is CheckStatus.PASSED


async def test_the_machines_keys_are_never_used_by_themselves(
    source: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(monkeypatch, tmp_path)
    for ambient in (False, True):
        with pytest.raises(InvalidError) as caught:
            async with source.open(**NOTHING, ambient_aws=ambient):
                pass
        assert caught.value.path == ("provider", "s3", "awsAccessKeyId")
    with pytest.raises(InvalidError, match="does not lend its own") as refused:
        async with source.open(**NOTHING, role_arn=ROLE):
            pass
    assert "SLUICEGATE_AMBIENT_AWS" in (refused.value.hint or "")


async def test_nothing_of_the_environment_is_used_beside_given_keys(
    server: S3Responder, source: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(monkeypatch, tmp_path)
    async with source.open() as provider:
        await entries_of(provider)
        link = await provider.temporary_url(b"a", seconds=60)
    sent = f"{server.requests[-1].headers}{link}"
    assert "AKIDEXAMPLE" in sent
    for foreign in ("AKIDMACHINE", "machine-token", "eu-north-1", "AKIDPROFILE"):
        assert foreign not in sent


def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials in every place where a machine has them."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDMACHINE", "AWS_SECRET_ACCESS_KEY": "machine-secret",
        "AWS_SESSION_TOKEN": "machine-token",
        "AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-north-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    profile = tmp_path / "credentials"
    profile.write_text("[default]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = profile-secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))


async def test_where_allowed_the_machines_keys_assume_a_role_with_an_external_id_of_the_gateways(
    server: S3Responder, source: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(monkeypatch, tmp_path)
    server.faults.append(assumed())
    async with source.open(**NOTHING, role_arn=ROLE, ambient_aws=True) as provider:
        await entries_of(provider)
    sts, listing = server.requests
    form = parse_qs(sts.body.decode())
    assert form["ExternalId"] == [namespace_external_id(source.context())]
    assert "AKIDMACHINE" in sts.headers["authorization"]
    assert "ASIATEMPORARY" in listing.headers["authorization"]
    assert "AKIDMACHINE" not in listing.headers["authorization"]
    with pytest.raises(InvalidError) as caught:
        async with source.open(**NOTHING, role_arn=ROLE, ambient_aws=True, external_id="of-another-tenant"):
            pass
    assert caught.value.path == ("provider", "s3", "externalId")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://attacker.example",
        "https://8.8.8.8",
        "https://x.amazonaws.com.evil.example",
        # Hosts of AWS that serve what any customer runs there.
        "https://abc123.execute-api.eu-west-1.amazonaws.com",
        "https://lb-1.elb.eu-west-1.amazonaws.com",
        "https://ec2-203-0-113-1.eu-west-1.compute.amazonaws.com",
        "https://ap-1.s3-object-lambda.eu-west-1.amazonaws.com",
        "https://s3.lb-1.elb.eu-west-1.amazonaws.com",
    ],
)
async def test_the_machines_keys_are_never_shown_to_an_endpoint_of_the_tenants_choice(
    source: Bucket, endpoint: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        async with source.open(**NOTHING, role_arn=ROLE, ambient_aws=True, s3_endpoint=endpoint):
            pass
    assert caught.value.path == ("provider", "s3", "s3Endpoint")
    for trusted in (None, "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com"):
        async with source.open(**NOTHING, role_arn=ROLE, ambient_aws=True, s3_endpoint=trusted):
            pass


@pytest.mark.parametrize(
    "host",
    [
        "s3.amazonaws.com",
        "S3.EU-West-1.amazonaws.com",
        "s3.dualstack.eu-west-1.amazonaws.com",
        "s3-fips.us-east-2.amazonaws.com",
        "s3-fips.dualstack.us-gov-west-1.amazonaws.com",
        "s3-fips-us-gov-west-1.amazonaws.com",
        "s3-eu-west-1.amazonaws.com",
        "bucket.s3-accelerate.dualstack.amazonaws.com",
        "ap-1.s3-accesspoint.ap-southeast-2.amazonaws.com",
        "s3.cn-north-1.amazonaws.com.cn",
        "my.bucket.s3.us-west-2.amazonaws.com",
        "vpce-0a-1b.sqs.us-east-2.vpce.amazonaws.com",
        "sqs-fips.us-gov-west-1.amazonaws.com",
        "sqs.cn-north-1.amazonaws.com.cn",
        "eu-west-2.queue.amazonaws.com",
        "queue.amazonaws.com",
        "sqs.eu-west-1.api.aws",
    ],
)
def test_the_hosts_of_s3_and_its_queues_are_aws(host: str) -> None:
    assert is_aws(host)


async def test_each_namespace_has_its_own_external_id(source: Bucket) -> None:
    made = {
        namespace_external_id(source.context(namespace=name, namespace_id=number)) for name in "ab" for number in (1, 2)
    }
    assert len(made) == 4
    assert all(item.startswith("sluicegate-") for item in made)


async def test_a_machine_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(FatalError) as caught:
        await AmbientCredentials().get()
    assert caught.value.provider_code == "NO_AMBIENT_CREDENTIALS"


@pytest.mark.parametrize(
    ("endpoint", "region", "expected"),
    [
        (None, None, ("https://sts.us-east-1.amazonaws.com/", "us-east-1")),
        (None, "cn-north-1", ("https://sts.cn-north-1.amazonaws.com.cn/", "cn-north-1")),
        (
            "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com",
            "eu-west-1",
            ("https://sts.eu-west-1.amazonaws.com/", "eu-west-1"),
        ),
        ("http://minio.test:9000", None, ("http://minio.test:9000/", "us-east-1")),
        ("https://notamazonaws.com", None, ("https://notamazonaws.com/", "us-east-1")),
    ],
)
def test_where_sts_is(endpoint: str | None, region: str | None, expected: tuple[str, str]) -> None:
    values = {"s3_endpoint": endpoint, "region_name": region}
    given: dict[str, Any] = {name: value for name, value in values.items() if value}
    url, signed_for = sts_endpoint(Settings(bucket="bucket", **given))
    assert (str(url), signed_for) == expected
