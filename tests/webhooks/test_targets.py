"""Where a webhook may point: checked when it is saved, and again where the connection is made."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from aiohttp.abc import ResolveResult

from sluicegate.core.errors import InvalidError
from sluicegate.core.net import Connector
from sluicegate.webhooks.targets import MAX_URL_LENGTH, check_url
from tests.core.test_net import LOOPBACK_SPELLINGS, FakeResolver
from tests.support.webhooks import hooks_on

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "url", ["https://hooks.test/a?token=b", "https://hooks.test:8443", "https://1.1.1.1/x", " https://bücher.test/x\n"]
)
async def test_public_https_addresses_are_kept_as_they_are(url: str) -> None:
    async with Connector(resolver=FakeResolver(PUBLIC)) as connector:
        assert await check_url(url, connector) == url.strip()


@pytest.mark.parametrize("allowed", ["hooks.test", "hooks.test:8080"])
async def test_plain_http_is_for_hosts_that_the_operator_named(allowed: str) -> None:
    async with Connector(allowed, resolver=FakeResolver("10.0.0.1")) as connector:
        assert await check_url("http://hooks.test:8080/x", connector)
    async with Connector(resolver=FakeResolver(PUBLIC)) as connector:
        with pytest.raises(InvalidError, match="not https://"):
            await check_url("http://hooks.test:8080/x", connector)


BAD = [
    "", "hooks.test/x", "ftp://hooks.test/x", "https://", "https:///x", "https://user:secret@hooks.test/secret",
    "https://secret@hooks.test/", "https://hooks.test/secret#part", "https://hooks.test/a secret",
    "https://hooks.test/\x00secret", "https://hooks.test/\nsecret", "https://hooks.test:99999/secret",
    "https://hooks.test/secret" + "x" * MAX_URL_LENGTH, "https://[::1/secret", "file:///secret",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
async def test_what_no_message_could_be_sent_to_is_refused_and_not_repeated(url: str) -> None:
    async with Connector("hooks.test", resolver=FakeResolver(PUBLIC)) as connector:
        with pytest.raises(InvalidError) as caught:
            await check_url(url, connector)
    assert caught.value.path == ("webhook", "url")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("host", [*LOOPBACK_SPELLINGS[:-1], "169.254.169.254", "10.0.0.8", "[fd00::1]"])
async def test_addresses_of_the_inside_are_refused(host: str) -> None:
    async with Connector() as connector:
        with pytest.raises(InvalidError):
            await check_url(f"https://{host}/x", connector)


async def test_a_name_that_leads_inside_is_refused() -> None:
    async with Connector(resolver=FakeResolver("10.1.2.3")) as connector:
        with pytest.raises(InvalidError) as caught:
            await check_url("https://inner.test/x", connector)
    assert "10.1.2.3" not in caught.value.message + (caught.value.hint or "")


async def test_a_name_that_does_not_exist_yet_is_taken() -> None:
    class Nothing(FakeResolver):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async with Connector(resolver=Nothing()) as connector:
        assert await check_url("https://later.test/x", connector)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_that_turns_private_after_it_was_saved_is_not_contacted(tmp_path: Path, scheme: str) -> None:
    """DNS rebinding: public when the webhook was saved, the gateway's own machine when a message is sent."""
    resolver = FakeResolver(PUBLIC, "127.0.0.1")
    async with hooks_on(f"sqlite:///{tmp_path / 'a.db'}", allowed="", resolver=resolver) as hooks:
        url = f"{scheme}://rebind.test:{hooks.receiver.port}/hook"
        if scheme == "https":
            await check_url(url, hooks.connector)
        else:
            await hooks.connector.resolver.resolve("rebind.test")
        hook = await hooks.hook(url=url)
        async with hooks.delivering():
            row = await hooks.tried(await hooks.batch(hook))
        assert not hooks.receiver.taken
    assert row.last_error == "The endpoint rebind.test is not a public address, so it was not contacted."
    assert len(resolver.asked) == 2
