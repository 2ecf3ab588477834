"""What the guarded connector lets out and what not, proved at real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sluicegate.core import net
from sluicegate.core.endpoints import EndpointPolicy, is_public, parse_address
from sluicegate.core.errors import ConfigurationError, ErrorCode, FatalError, RetriableError
from sluicegate.core.net import Connector, read_bounded, transport_error
from tests.support.s3_responder import Drop, Reply, S3Responder, Stall


class FakeResolver(AbstractResolver):
    """Answers in the order given, the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]).split()
        return [
            ResolveResult(hostname=host, host=item, port=port, family=socket.AF_INET, proto=0, flags=0)
            for item in found
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def server() -> AsyncIterator[S3Responder]:
    async with S3Responder() as responder:
        responder.always = Reply(200, b"hello")
        yield responder


async def get(connector: Connector, url: str) -> bytes:
    async with connector.request("GET", URL(url)) as response:
        return await response.read()


PRIVATE = [
    "127.0.0.1", "127.255.1.2", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::",
    "2001:db8::1", "3fff::1", "100::1", "5f00::1", "168.63.129.16", "::ffff:168.63.129.16", "192.0.0.192",
    "192.88.99.1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "52.219.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_of_a_special_range_is_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


LOOPBACK_SPELLINGS = [
    "127.0.0.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "0", "localhost", "localhost.",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
async def test_no_spelling_of_loopback_reaches_a_server(server: S3Responder, host: str) -> None:
    async with Connector() as connector:
        with pytest.raises((FatalError, aiohttp.InvalidURL, aiohttp.ClientConnectorDNSError)) as caught:
            await get(connector, f"http://{host}:{server.port}/")
    if isinstance(caught.value, FatalError):
        assert caught.value.code is ErrorCode.PROVIDER_REFUSED
        assert caught.value.provider_code == "ENDPOINT_REFUSED"
        assert "SLUICEGATE_ALLOWED_ENDPOINTS" in (caught.value.hint or "")
    assert not server.requests


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS[:-2])
def test_every_spelling_of_loopback_is_refused_early(host: str) -> None:
    with pytest.raises(FatalError) as caught:
        Connector().check_url(f"http://{host}:9000")
    assert caught.value.provider_code == "ENDPOINT_REFUSED"


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "file:///etc/passwd", "//example.com", "http://", "", "http://u:p@e.com"]
)
def test_what_is_no_http_address_is_refused_early(url: str) -> None:
    with pytest.raises(FatalError) as caught:
        Connector().check_url(url)
    assert caught.value.provider_code == "ENDPOINT_INVALID"
    assert "u:p" not in caught.value.message


@pytest.mark.parametrize(
    "allowed", ["127.0.0.1", "127.0.0.0/8", "127.0.0.1:{port}", "storage.test", "Storage.Test.:{port}"]
)
async def test_what_the_operator_allows_is_reached(server: S3Responder, allowed: str) -> None:
    resolver = FakeResolver("127.0.0.1")
    async with Connector(allowed.format(port=server.port), resolver=resolver) as connector:
        assert await get(connector, f"http://storage.test:{server.port}/") == b"hello"


@pytest.mark.parametrize(
    "allowed", ["", "other.test", "10.0.0.0/8", "127.0.0.1:1", "storage.test:1", "test", "[::1]:80"]
)
async def test_what_the_operator_does_not_allow_is_not_reached(server: S3Responder, allowed: str) -> None:
    async with Connector(allowed, resolver=FakeResolver("127.0.0.1")) as connector:
        with pytest.raises(FatalError):
            await get(connector, f"http://storage.test:{server.port}/")
    assert not server.requests


async def test_a_name_that_turns_private_at_the_second_look_up_is_refused_then(server: S3Responder) -> None:
    """DNS rebinding: the check and the connection see the same answer, because there is only one."""
    resolver = FakeResolver("93.184.216.34", "127.0.0.1")
    async with Connector(resolver=resolver) as connector:
        found = await connector.resolver.resolve("rebind.test", server.port)  # as `validate` does
        assert [item["host"] for item in found] == ["93.184.216.34"]
        with pytest.raises(FatalError) as caught:
            await get(connector, f"http://rebind.test:{server.port}/")
    assert caught.value.provider_code == "ENDPOINT_REFUSED"
    assert len(resolver.asked) == 2
    assert not server.requests


async def test_each_connection_asks_again(server: S3Responder) -> None:
    server.always = Reply(200, b"hello", {"Connection": "close"})
    resolver = FakeResolver("127.0.0.1", "127.0.0.1", "10.0.0.1")
    async with Connector("127.0.0.1", resolver=resolver) as connector:
        for _ in range(2):
            assert await get(connector, f"http://rebind.test:{server.port}/") == b"hello"
        with pytest.raises(FatalError):
            await get(connector, f"http://rebind.test:{server.port}/")


async def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    async with Connector(resolver=FakeResolver("93.184.216.34 10.0.0.1")) as connector:
        with pytest.raises(FatalError):
            await connector.resolver.resolve("mixed.test", 443)


async def test_the_socket_is_checked_even_when_a_resolver_is_fooled(
    server: S3Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EndpointPolicy, "check_resolved", lambda *_: None)
    async with Connector(resolver=FakeResolver("127.0.0.1")) as connector:
        with pytest.raises(FatalError) as caught:
            await get(connector, f"http://fooled.test:{server.port}/")
    assert caught.value.provider_code == "ENDPOINT_REFUSED"
    assert not server.requests


async def test_a_literal_is_refused_before_a_socket_is_thought_of(
    server: S3Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(_: object, info: tuple[socket.AddressFamily, socket.SocketKind, int, str, object]) -> socket.socket:
        return socket.socket(*info[:3])

    monkeypatch.setattr(net.GuardedConnector, "_open_socket", unguarded)
    async with Connector() as connector:
        with pytest.raises(FatalError) as caught:
            await get(connector, f"http://127.0.0.1:{server.port}/")
    assert caught.value.provider_code == "ENDPOINT_REFUSED"
    assert not server.requests


async def test_the_refusal_does_not_say_what_the_name_resolves_to() -> None:
    async with Connector(resolver=FakeResolver("10.11.12.13")) as connector:
        with pytest.raises(FatalError) as caught:
            await get(connector, "http://inner.test/")
    assert "10.11.12.13" not in caught.value.message + (caught.value.hint or "")


async def test_redirects_are_not_followed(server: S3Responder) -> None:
    server.always = Reply(302, b"", {"Location": "http://127.0.0.1:1/secret"})
    async with (
        Connector("127.0.0.1") as connector,
        connector.request("GET", URL(f"{server.endpoint}/")) as response,
    ):
        assert response.status == 302
    assert len(server.requests) == 1


async def test_neither_proxies_nor_netrc_of_the_environment_are_used(
    server: S3Responder, monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with Connector("127.0.0.1") as connector:
        assert await get(connector, f"{server.endpoint}/") == b"hello"
    assert server.requests[0].target == "/"
    assert "authorization" not in server.requests[0].headers


async def test_cookies_are_not_kept(server: S3Responder) -> None:
    server.always = Reply(200, b"hello", {"Set-Cookie": "session=1"})
    async with Connector("storage.test", resolver=FakeResolver("127.0.0.1")) as connector:
        for _ in range(2):
            await get(connector, f"http://storage.test:{server.port}/")
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    "allowed", ["http://x", "*", "*.internal", "10.0.0.0/33", "10.0.0.1/8", "a:b", "a:0", "a:70000", "a b", "u@h"]
)
def test_a_bad_setting_is_named(allowed: str) -> None:
    with pytest.raises(ConfigurationError, match="SLUICEGATE_ALLOWED_ENDPOINTS"):
        Connector(allowed)


def test_names_are_no_addresses() -> None:
    for name in ("example.com", "1.2.3.4.5", "s3.eu-central-1.amazonaws.com", "0x", "dead.beef", ""):
        assert parse_address(name) is None


async def test_errors_of_the_network_say_what_happened(server: S3Responder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "READ_SECONDS", 0.2)
    monkeypatch.setattr(net, "CONNECT_SECONDS", 0.5)

    async def code(url: str) -> str | None:
        try:
            await get(connector, url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            found = transport_error(error, "the.host")
            assert isinstance(found, RetriableError)
            assert "secret" not in found.message
            return found.provider_code
        return None

    async with Connector("127.0.0.1") as connector:
        server.always = Drop()
        assert await code(f"{server.endpoint}/?secret") == "CONNECTION_RESET"
        server.always = Stall()
        assert await code(f"{server.endpoint}/?secret") == "TIMEOUT"
        assert await code(f"https://127.0.0.1:{server.port}/?secret") in (
            "TLS",
            "TIMEOUT",
            "CONNECT",
            "CONNECTION_RESET",
        )
        await server.stop()
        assert await code(f"{server.endpoint}/?secret") == "CONNECT"


async def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing(FakeResolver):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async with Connector(resolver=Nothing()) as connector:
        with pytest.raises(aiohttp.ClientConnectorDNSError) as caught:
            await get(connector, "http://nowhere.test/")
    assert transport_error(caught.value, "nowhere.test").provider_code == "DNS"


async def test_a_name_server_that_does_not_answer_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(FakeResolver):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(net, "CONNECT_SECONDS", 0.05)
    async with Connector(resolver=Silent()) as connector:
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await get(connector, "http://silent.test/")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_is_read_up_to_its_limit_and_no_further(server: S3Responder, chunked: bool) -> None:
    plain = b"x" * 20_000
    framed = Reply(200, b"4e20\r\n" + plain + b"\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"})
    server.always = framed if chunked else Reply(200, plain)
    async with Connector("127.0.0.1") as connector:
        async with connector.request("GET", URL(server.endpoint)) as response:
            assert await read_bounded(response, 20_000) == plain
        async with connector.request("GET", URL(server.endpoint)) as response:
            with pytest.raises(FatalError, match="more than 19,999 bytes"):
                await read_bounded(response, 19_999)
