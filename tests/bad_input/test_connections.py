"""Connections that do not work: told when the storage is made, when it is tried, looked into, and synced."""

from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.user import User, counts, made_up_secret, s3
from tests.core.test_net import FakeResolver
from tests.providers.s3_sources import Bucket
from tests.support.gateway import running_gateway
from tests.support.moto_server import MotoServer
from tests.support.processes import free_port
from tests.support.s3_responder import S3Responder
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY

GUESSED_ADDRESSES = [
    "http://10.0.0.1:9000", "http://169.254.169.254", "http://[::1]:9000", "http://167772161", "http://0xa.1:80",
    "http://0.0.0.0:9000", "http://[::ffff:169.254.169.254]",
]  # fmt: skip


async def refused_everywhere(user: User, provider: dict[str, Any]) -> dict[str, Any]:
    """What createStorage, validateStorage, previewStorage and the job of a sync say: the same four times."""
    made = await user.try_storage(provider)
    assert made["storage"] is None
    (error,) = made["errors"]
    assert (error["__typename"], error["provider"]) == ("ProviderError", "S3")

    tried = await user.validate(provider=provider)
    assert tried["ok"] is False
    failed = next(check for check in tried["checks"] if check["status"] == "FAILED")
    assert (failed["detail"], failed["providerCode"], failed["hint"]) == (
        error["message"],
        error["providerCode"],
        error["hint"],
    )

    storage = await user.storage(provider, validate=False)
    (seen,) = (await user.preview(storage))["errors"]
    assert (seen["__typename"], seen["code"], seen["hint"]) == ("ProviderError", error["code"], error["hint"])

    job = await user.sync(storage)
    assert (job["status"], job["sync"]["objectsFound"]) == ("FAILED", 0)
    assert job["error"] == {
        "type": error["code"],
        "message": error["message"],
        "providerCode": error["providerCode"],
        "hint": error["hint"],
    }
    assert job["storage"]["status"] == "FAILED"
    assert error["message"] in job["storage"]["traceback"]
    return error


async def test_a_wrong_bucket(user: User, moto: MotoServer) -> None:
    error = await refused_everywhere(user, s3(moto.endpoint, "no-such-bucket-anywhere"))
    assert (error["code"], error["providerCode"]) == ("PROVIDER_NOT_FOUND", "NoSuchBucket")
    assert "no-such-bucket-anywhere" in error["message"]
    assert error["hint"]


async def test_a_wrong_secret(user: User, owned: Bucket) -> None:
    await owned.put(b"a.png", b"png")
    user.secrets.add(SECRET_KEY)
    error = await refused_everywhere(user, s3(owned.endpoint, owned.bucket, awsAccessKeyId=ACCESS_KEY))
    assert (error["code"], error["providerCode"]) == ("PROVIDER_AUTH", "SignatureDoesNotMatch")
    assert "awsSecretAccessKey" in error["hint"]


async def test_a_wrong_key_id_and_a_wrong_session_token(user: User, owned: Bucket) -> None:
    error = await refused_everywhere(user, s3(owned.endpoint, owned.bucket, secret=SECRET_KEY))
    assert (error["code"], error["providerCode"]) == ("PROVIDER_AUTH", "InvalidAccessKeyId")
    assert "awsAccessKeyId" in error["hint"]
    made = await user.try_storage(
        s3(owned.endpoint, owned.bucket, awsAccessKeyId=ACCESS_KEY, awsSessionToken=made_up_secret())
    )
    (error,) = made["errors"]
    assert error["code"] == "PROVIDER_AUTH"


async def test_a_secret_that_is_mended_is_all_that_was_missing(user: User, owned: Bucket) -> None:
    await owned.put(b"a.png", b"png")
    storage = await user.storage(
        s3(owned.endpoint, owned.bucket, awsAccessKeyId=ACCESS_KEY), validate=False, useBlobUrls=True
    )
    job = await user.start(storage)
    assert (await user.until(job))["status"] == "FAILED"
    given = {"id": storage, "provider": {"s3": {"awsSecretAccessKey": SECRET_KEY}}}
    changed = await user.data(
        """mutation($input: UpdateStorageInput!) { updateStorage(input: $input) { errors { message } } }""", input=given
    )
    assert changed["updateStorage"]["errors"] == []
    assert (await user.signal(job, "RETRY"))["errors"] == []
    state = await user.until(job)
    assert (state["status"], counts(state), state["error"]) == ("COMPLETED", {"synced": 1}, None)
    assert state["storage"]["traceback"] is None


async def test_an_endpoint_that_nothing_listens_at_until_it_does(user: User) -> None:
    server = S3Responder()
    server.store.put(b"a.png", b"png")
    server.port = free_port()
    provider = s3(server.endpoint, server.bucket)
    (error,) = (await user.try_storage(provider))["errors"]
    assert (error["code"], error["providerCode"]) == ("PROVIDER_UNAVAILABLE", "CONNECT")
    assert "127.0.0.1" in error["message"]
    assert error["hint"]
    storage = await user.storage(provider, validate=False, useBlobUrls=True)
    job = await user.start(storage)
    async with server:
        state = await user.until(job)
    assert (state["status"], counts(state)) == ("COMPLETED", {"synced": 1})


@pytest.mark.parametrize("endpoint", GUESSED_ADDRESSES)
async def test_an_endpoint_that_may_not_be_reached(user: User, endpoint: str) -> None:
    error = await refused_everywhere(user, s3(endpoint, "bucket"))
    assert (error["code"], error["providerCode"]) == ("PROVIDER_REFUSED", "ENDPOINT_REFUSED")
    assert "SLUICEGATE_ALLOWED_ENDPOINTS" in error["hint"]


async def test_a_name_that_turns_private_at_the_second_look_up(tmp_path: Path, server: S3Responder) -> None:
    """The name server is the attacker's: it is asked at every step, and its first answers are innocent."""
    server.store.put(b"a.png", b"png")
    async with running_gateway(data_dir=tmp_path) as gateway:
        resolver = FakeResolver("93.184.216.34", "127.0.0.1")
        gateway.services.connector.resolver._inner = resolver
        user = User(gateway)
        provider = s3(f"http://rebind.test:{server.port}", server.bucket)
        tried = await user.validate(provider=provider)
        steps = {check["name"]: check for check in tried["checks"]}
        assert (steps["resolve"]["status"], steps["connect"]["status"]) == ("PASSED", "FAILED")
        assert steps["connect"]["providerCode"] == "ENDPOINT_REFUSED"
        assert "127.0.0.1" not in steps["connect"]["detail"]

        storage = await user.storage(provider, validate=False)
        job = await user.sync(storage)
        assert (job["status"], job["error"]["providerCode"]) == ("FAILED", "ENDPOINT_REFUSED")
        assert "127.0.0.1" not in "".join(user.heard)
        assert len(resolver.asked) >= 3
    assert not server.requests
    user.check_silence("")
