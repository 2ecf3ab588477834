"""What a caller may write into a storage, the registry, and the ceilings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sluicegate.core.errors import FatalError, InvalidError, NotFoundError
from sluicegate.core.net import Connector
from sluicegate.providers import local, registry, s3
from sluicegate.providers.base import Capability, MappingSource, ProviderContext, ProviderType
from sluicegate.providers.s3.target import target_of
from sluicegate.providers.throttle import Bucket

KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "hidden-secret"}
CONTEXT = ProviderContext(Connector(), "tenant", 1, {}, "")


def parse(**values: Any) -> Any:
    return s3.parse({"bucket": "bucket", **KEYS, **values}, context=CONTEXT)


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"bucket": None}, "bucket", "required"),
        ({"bucket": ""}, "bucket", "name"),
        ({"bucket": "s3://b/p"}, "bucket", "prefix"),
        ({"bucket": "b/p"}, "bucket", "prefix"),
        ({"bucket": "a..b"}, "bucket", "name"),
        ({"bucket": "arn:aws:s3:eu-west-1:1:accesspoint/x"}, "bucket", "prefix"),
        ({"bucket": 7}, "bucket", "text"),
        ({"prefix": "x" * 1025}, "prefix", "1,025 bytes"),
        ({"prefix": "\u00e9" * 513}, "prefix", "1,026 bytes"),
        ({"prefix": "a\x00"}, "prefix", "NUL"),
        ({"prefix": "\ud800"}, "prefix", "surrogate"),
        ({"region_name": "Frankfurt"}, "regionName", "eu-central-1"),
        ({"region_name": "x.evil.test#"}, "regionName", "eu-central-1"),
        ({"aws_sse_kms_key_id": "alias/key\r\nx-amz-acl: public-read"}, "awsSseKmsKeyId", "letters"),
        ({"s3_endpoint": "minio:9000"}, "s3Endpoint", "looks like"),
        ({"s3_endpoint": "ftp://minio"}, "s3Endpoint", "looks like"),
        ({"s3_endpoint": "http://minio/bucket"}, "s3Endpoint", "no path"),
        ({"s3_endpoint": "http://minio?x=1"}, "s3Endpoint", "no path"),
        ({"s3_endpoint": "http://user:pw@minio"}, "s3Endpoint", "looks like"),
        ({"s3_endpoint": "http://minio:99999"}, "s3Endpoint", "looks like"),
        ({"aws_secret_access_key": None}, "awsSecretAccessKey", "needs"),
        ({"aws_access_key_id": None}, "awsAccessKeyId", "needs"),
        ({"aws_secret_access_key": " hidden-secret"}, "awsSecretAccessKey", "copy it again"),
        ({"aws_secret_access_key": "hidden-secret\n"}, "awsSecretAccessKey", "copy it again"),
        ({"aws_secret_access_key": ""}, "awsSecretAccessKey", "at least 1"),
        ({**dict.fromkeys(KEYS), "aws_session_token": "hidden-token"}, "awsSessionToken", "missing"),
        (dict.fromkeys(KEYS), "awsAccessKeyId", "no credentials"),
        ({"role_arn": "reader"}, "roleArn", "arn:aws"),
        ({"external_id": "abc"}, None, "roleArn"),
        ({"role_arn": "arn:aws:iam::123456789012:role/r", "external_id": "a b"}, "externalId", "letters"),
        ({"event_queue_url": "my-queue"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "ftp://sqs.eu-west-1.amazonaws.com/1/q"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://sqs.eu-west-1.amazonaws.com"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://sqs.eu-west-1.amazonaws.com/"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://u:hidden@sqs.eu-west-1.amazonaws.com/1/q"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q?a=b"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q#f"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://sqs.eu-west-1.amazonaws.com/1/a b"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://sqs.eu-west-1.amazonaws.com:99999/1/q"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q\n"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https:///1/q"}, "eventQueueUrl", "looks like"),
        ({"event_queue_url": "https://mq.test/" + "q" * 2048}, "eventQueueUrl", "longer|at most"),
        ({"event_queue_url": "http://mq.example.com/1/q"}, "eventQueueUrl", "over https"),
        ({"colour": "red"}, "colour", "no such field"),
    ],
)
def test_the_first_problem_is_told_with_its_place(values: dict[str, Any], field: str | None, message: str) -> None:
    with pytest.raises(InvalidError, match=message) as caught:
        parse(**values)
    assert caught.value.path == ("provider", "s3", *([field] if field else []))
    assert (
        "hidden" not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r} {caught.value.__context__!r}"
    )


def test_a_queue_in_the_clear_is_one_that_the_operator_names() -> None:
    url = "http://mq.internal:9324/000000000000/queue"
    context = ProviderContext(Connector("mq.internal:9324"), "tenant", 1, {}, "")
    assert s3.parse({"bucket": "bucket", **KEYS, "event_queue_url": url}, context=context).event_queue_url == url
    with pytest.raises(InvalidError, match="over https"):
        s3.parse({"bucket": "bucket", **KEYS, "event_queue_url": url.replace("9324", "9325")}, context=context)


def test_the_gateways_own_credentials_ask_queues_of_aws_alone() -> None:
    context = ProviderContext(Connector("mq.internal"), "tenant", 1, {}, "", ambient_aws=True)
    role = {"bucket": "bucket", "role_arn": "arn:aws:iam::123456789012:role/r"}
    for url in ("https://sqs.eu-west-1.amazonaws.com/1/q", "https://mq.internal/1/q"):
        assert s3.parse({**role, "event_queue_url": url}, context=context).event_queue_url == url
    with pytest.raises(InvalidError, match="only at AWS") as caught:
        s3.parse({**role, "event_queue_url": "https://mq.example.com/1/q"}, context=context)
    assert caught.value.path == ("provider", "s3", "eventQueueUrl")


@pytest.mark.parametrize(("values", "expected"), [({}, False), ({"event_queue_url": "https://sqs/1/q"}, True)])
def test_a_storage_with_a_queue_has_events(values: dict[str, str], expected: bool) -> None:
    assert s3.has_events({"bucket": "bucket", **values}) is expected
    assert local.has_events({"path": ""}) is False


async def test_what_folders_lack_is_not_implemented(tmp_path: Path) -> None:
    context = ProviderContext(Connector(), "tenant", 1, {"tenant": str(tmp_path)}, "")
    async with local.open_provider(local.parse({"path": ""}, context=context), context) as provider:
        with pytest.raises(NotImplementedError):
            await provider.tags(b"a")
        with pytest.raises(NotImplementedError):
            provider.events()


def test_good_settings_keep_their_secrets_to_themselves() -> None:
    settings = parse(
        prefix="/data/\u00e9",
        region_name="eu-west-1",
        aws_session_token="hidden-token",
        s3_endpoint="HTTP://MinIO:9000/",
    )
    assert settings.s3_endpoint == "http://minio:9000"
    assert "hidden" not in f"{settings!r}{settings.model_dump()}{settings.model_dump_json()}"
    assert set(s3.Settings.model_fields) > s3.SECRETS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "https://bucket.s3.us-east-1.amazonaws.com/k"),
        ({"region_name": "cn-north-1"}, "https://bucket.s3.cn-north-1.amazonaws.com.cn/k"),
        ({"bucket": "with.dots"}, "https://s3.us-east-1.amazonaws.com/with.dots/k"),
        ({"bucket": "Old_Bucket"}, "https://s3.us-east-1.amazonaws.com/Old_Bucket/k"),
        ({"s3_endpoint": "http://minio:9000"}, "http://minio:9000/bucket/k"),
        ({"s3_endpoint": "http://minio:80"}, "http://minio/bucket/k"),
        ({"s3_endpoint": "https://[2001:db8::1]:9000"}, "https://[2001:db8::1]:9000/bucket/k"),
        ({"s3_endpoint": "https://[2001:db8::1]"}, "https://[2001:db8::1]/bucket/k"),
    ],
)
def test_addresses_are_virtual_at_aws_and_path_style_elsewhere(values: dict[str, str], expected: str) -> None:
    target = target_of(parse(**values))
    assert str(target.url(f"{target.base}/k", "")) == expected


def test_the_registry_lists_what_exists_and_loads_it_when_it_is_used() -> None:
    assert [item.type for item in registry.specs()] == [ProviderType.S3, ProviderType.LOCAL]
    for item in registry.specs():
        package = item.load()
        assert item.available
        assert item.install_hint is None
        assert set(package.Settings.model_fields) >= package.SECRETS
        assert {MappingSource.FILE, MappingSource.CONSTANT} <= item.mapping_sources
    bucket, folder = registry.spec(ProviderType.S3), registry.spec(ProviderType.LOCAL)
    assert bucket.capabilities >= {
        Capability.TAGS, Capability.METADATA, Capability.EVENTS, Capability.TEMPORARY_URL, Capability.CONTENT_HASH,
    }  # fmt: skip
    assert bucket.mapping_sources - folder.mapping_sources == {MappingSource.TAG, MappingSource.METADATA}
    assert folder.capabilities == frozenset()
    with pytest.raises(NotFoundError):
        registry.spec(ProviderType.SNOWFLAKE)


def test_a_provider_whose_extra_is_missing_says_how_to_install_it() -> None:
    absent = registry.ProviderSpec(
        ProviderType.SNOWFLAKE,
        "Snowflake",
        "none.at.all",
        "DB.SCHEMA.TABLE",
        frozenset(),
        extra="snowflake",
        needs=("no_such_module",),
    )
    assert not absent.available
    assert absent.install_hint == "pip install 'sluicegate[snowflake]'"
    with pytest.raises(FatalError) as caught:
        absent.load()
    assert caught.value.hint == absent.install_hint


def test_a_ceiling_lets_through_its_rate_and_pays_large_takes_later() -> None:
    time = [0.0]
    bucket = Bucket(10, clock=lambda: time[0])
    assert sum(bucket.delay(1) > 0 for _ in range(10)) == 0
    assert bucket.delay(1) == pytest.approx(0.1)
    time[0] += 1.1
    assert bucket.delay(30) == pytest.approx(2.0)
    time[0] += 100
    assert [bucket.delay(10), bucket.delay(1)] == [0, pytest.approx(0.1)]


def test_no_ceiling_never_waits() -> None:
    bucket = Bucket(None)
    assert bucket.delay(10**12) == 0
