"""The channel over Redis or Valkey: one connection that is subscribed, one that publishes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sluicegate.core.errors import ConfigurationError
from sluicegate.events.backend import CONNECT_SECONDS, ServerBackend
from sluicegate.events.failures import CUT, NETWORK, NO_ANSWER, Failure

_driver: Any = Redis  # whose types leave most open
_FORM = "redis://USER:PASSWORD@HOST:PORT (no USER: for a password alone), rediss://… or unix:///PATH"
_ESCAPE = "In a user or password write @ : / ? # and % percent-encoded."


class RedisBackend(ServerBackend):
    """`redis://`, `rediss://` or `unix://`. Raises ConfigurationError for an address that cannot be one."""

    _failures: ClassVar[tuple[Failure, ...]] = (
        (
            (exceptions.AuthenticationError,),
            "The event channel's server refused the user or the password.",
            f"SLUICEGATE_EVENTS_URL is {_FORM}. {_ESCAPE}",
        ),
        (
            (exceptions.NoPermissionError,),
            "The user of SLUICEGATE_EVENTS_URL may not use the event channel.",
            "Allow it, for example: ACL SETUSER USER &sluicegate +publish +subscribe +client +select",
        ),
        *NETWORK,
        ((exceptions.TimeoutError,), *NO_ANSWER),
        ((exceptions.ConnectionError,), *CUT),
    )

    def __init__(self, url: str, channel: str) -> None:
        super().__init__(channel)
        self._redis = _client(url)
        self._pubsub: Any = self._redis.pubsub()
        self._reader: asyncio.Task[None] | None = None

    async def _open(self) -> None:
        await self._pubsub.subscribe(self._channel)
        # The server's answer, or its refusal.
        if await self._pubsub.get_message(timeout=CONNECT_SECONDS) is None:
            raise TimeoutError
        self._reader = asyncio.create_task(self._read(), name="events-redis")

    async def _read(self) -> None:
        try:
            while True:
                message = await self._pubsub.get_message(timeout=None)
                if message is not None and message["type"] == "message":
                    # Bytes that are no UTF-8 are not from us: they become a text that cannot be parsed either.
                    self._inbox.put(message["data"].decode(errors="replace"))
        except (exceptions.RedisError, OSError) as error:
            self._inbox.lose(self._named(error))

    async def _send(self, channel: str, message: str) -> None:
        await self._redis.publish(channel, message)

    async def _close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        for part in (self._pubsub, self._redis):
            with suppress(exceptions.RedisError, OSError):
                await part.aclose()


def _client(url: str) -> Any:
    """A client that fails at the first error: trying again, and telling of what was missed, is the hub's."""
    hint = f"Use {_FORM}. {_ESCAPE}"
    try:
        unknown = [
            name for name, _ in parse_qsl(urlsplit(url).query) if name != "db" and not name.startswith("ssl_")
        ]  # others would change how connections behave, which the hub relies on
        if unknown:
            raise ConfigurationError(
                f"SLUICEGATE_EVENTS_URL has an option that is not known: {unknown[0]}.",
                hint="Known are channel, db and those of TLS, ssl_….",
            )
        client = _driver.from_url(
            url,
            protocol=2,  # what every server and proxy speaks; version 3 brings nothing here
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=CONNECT_SECONDS,
            max_connections=4,
            client_name="sluicegate-events",
        )
        client.connection_pool.make_connection()  # not connected: only to find options that it does not take
    except (ValueError, TypeError, exceptions.RedisError):
        # Not the library's text, and not as a cause: it may quote a part of the password.
        raise ConfigurationError("SLUICEGATE_EVENTS_URL is not an address of a Redis.", hint=hint) from None
    return client
