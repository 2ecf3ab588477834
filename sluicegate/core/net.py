"""The one guarded way out: every byte that Sluicegate sends to an endpoint a tenant gave goes through a `Connector`.

The guard stands where connections are made, three times: an IP literal before aiohttp (which looks literals up
nowhere), every answer of every look-up (nothing is cached, so a name that turns private at the second look-up is
refused then), and the address a socket is about to be opened for. No redirects, no cookies, no proxy or netrc from the
environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client import _RequestContextManager  # pyright: ignore[reportPrivateUsage]  # the type of session.request()
from yarl import URL

from sluicegate.core import tracing
from sluicegate.core.endpoints import EndpointPolicy, parse_address, refusal
from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, RunError
from sluicegate.core.resolving import ThreadsResolver

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
POOL_SECONDS = 60.0
POOL_SIZE = 100
PER_HOST = 64
_ONE_PIECE = 512 * 1024

_named: ContextVar[bool] = ContextVar("sluicegate_endpoint_named", default=False)


class FilteringResolver(AbstractResolver):
    """A resolver that answers only with addresses that may be reached. Raises FatalError when a name has another one.

    One refused address refuses the name: an answer that mixes public and private addresses is an attack or a mistake.
    """

    def __init__(self, policy: EndpointPolicy, inner: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises OSError when there is none within 5 seconds."""
        if self._inner is None:
            self._inner = ThreadsResolver()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await self._inner.resolve(host, port, family)
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "The name server did not answer in time") from None
        for result in found:
            self._policy.check_resolved(host, port, result["host"])
        return found

    async def close(self) -> None:
        """Closes the resolver beneath."""
        if self._inner is not None:
            await self._inner.close()


class GuardedConnector(aiohttp.TCPConnector):
    """aiohttp's connector with the policy at each connection, also those that are taken from the pool."""

    def __init__(self, policy: EndpointPolicy, resolver: AbstractResolver) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # aiohttp says `tuple` for a socket address
            resolver=resolver,
            use_dns_cache=False,
            family=socket.AF_UNSPEC,
            limit=POOL_SIZE,
            limit_per_host=PER_HOST,
            keepalive_timeout=15.0,
            socket_factory=self._open_socket,
        )
        self._policy = policy

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        """Refuses literals, and notes for the socket whether the operator allowed the host by its name."""
        host, port = req.url.raw_host or "", req.url.port or 0
        self._policy.check_literal(host, port)
        token = _named.set(self._policy.allows_name(host, port))
        try:
            return await super().connect(req, traces, timeout)
        finally:
            _named.reset(token)

    def _open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, target = info  # as getaddrinfo gives it
        address = parse_address(str(target[0]))
        port = int(target[1])
        if address is None or not (_named.get() or self._policy.allows_address(address, port)):
            raise refusal(str(target[0]), port)
        opened = socket.socket(family, kind, protocol)
        with contextlib.suppress(OSError):  # only a matter of latency
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened


class Connector:
    """The session of the process. `allowed`: the value of SLUICEGATE_ALLOWED_ENDPOINTS.

    Limits: 100 connections, 64 to one host; 5 s to connect, 30 s between two reads, 60 s for a free connection.
    Raises ConfigurationError for a bad `allowed`. `resolver`: what looks names up beneath the guard.
    """

    def __init__(self, allowed: str = "", *, resolver: AbstractResolver | None = None) -> None:
        self.policy = EndpointPolicy(allowed)
        self.resolver = FilteringResolver(self.policy, resolver)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Makes the session; belongs to the running event loop."""
        if self._session is not None:
            return
        self._session = aiohttp.ClientSession(
            connector=GuardedConnector(self.policy, self.resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=None, connect=POOL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS
            ),
            headers={"User-Agent": "Sluicegate", "Accept-Encoding": "identity"},
            skip_auto_headers=("Accept",),
            trace_configs=tracing.of_client(),
        )

    async def aclose(self) -> None:
        """Closes every connection."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
            await self.resolver.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The guarded session. Its callers pass `allow_redirects=False`, or use `request`."""
        if self._session is None:
            raise RuntimeError("The connector is not open.")
        return self._session

    def check_url(self, url: str | URL) -> None:
        """Refuses early what the connection would refuse: a scheme besides http(s), no host, a private literal.

        Names are looked up only when a connection is made. Raises FatalError.
        """
        try:
            parsed = URL(url)
            host, port = parsed.raw_host, parsed.port
        except (ValueError, TypeError):
            host, port, parsed = None, None, URL()
        if parsed.scheme not in ("http", "https") or not host or port is None or parsed.user or parsed.password:
            raise FatalError(
                "The endpoint is not an http:// or https:// address.",
                code=ErrorCode.PROVIDER_REFUSED,
                provider_code="ENDPOINT_INVALID",
                hint="Example: https://s3.eu-central-1.amazonaws.com",
            )
        if not self.policy.allows_name(host, port):
            self.policy.check_literal(host, port)

    def request(
        self, method: str, url: URL, *, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> _RequestContextManager:
        """A request that follows no redirect; use with `async with`. Map its errors with `transport_error`."""
        body = io.BytesIO(data) if data is not None and len(data) > _ONE_PIECE else data
        return self.session.request(method, url, headers=headers, data=body, allow_redirects=False)


def transport_error(error: BaseException, host: str) -> RunError:
    """The run error for what aiohttp raises before or during a response. Of the URL it contains the host alone."""
    if isinstance(error, RunError):
        return error
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError)):
        return FatalError(
            f"The TLS certificate of {host} is not valid for it.",
            provider_code="TLS_CERTIFICATE",
            hint="Check the endpoint's name, or install its certificate authority on the gateway's machine.",
        )
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return RetriableError(
            f"TLS with {host} failed.", provider_code="TLS", hint="Does the endpoint speak https, or plain http?"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return RetriableError(
            f"The name {host} cannot be resolved.", provider_code="DNS", hint="Check the endpoint's name."
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return RetriableError(
            f"No connection to {host} could be made.",
            provider_code="CONNECT",
            hint="Check the endpoint, and that the server is running and reachable from the gateway.",
        )
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return RetriableError(f"{host} did not answer in time.", provider_code="TIMEOUT")
    if isinstance(error, aiohttp.InvalidURL):
        return FatalError(
            f"The endpoint {host} is not an address.", code=ErrorCode.PROVIDER_REFUSED, provider_code="ENDPOINT_INVALID"
        )
    return RetriableError(f"The connection to {host} was cut.", provider_code="CONNECTION_RESET")


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises FatalError beyond; aiohttp's errors when it is cut."""
    declared = response.content_length
    if declared is None or declared <= limit:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > limit:
                break
            parts.append(part)
        else:
            return b"".join(parts)
    response.close()
    raise FatalError(
        f"{response.url.host} answered with more than {limit:,} bytes where a short answer was expected.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code="ANSWER_TOO_LONG",
    )
