"""The channel over PostgreSQL: one connection that listens, one that notifies. Not through a pooler of transactions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, ClassVar

import asyncpg

from sluicegate.events.backend import CLOSE_SECONDS, ServerBackend
from sluicegate.events.failures import CUT, NETWORK, ChannelError, Failure
from sluicegate.events.messages import without_body

MAX_BYTES = 7_999
"""PostgreSQL refuses a longer payload. Of a longer message only the header is sent: readers look at the row."""

_driver: Any = asyncpg  # which has no types to speak of
_LOGIN = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidPasswordError)


class PostgresBackend(ServerBackend):
    """`postgresql://`, as for the database; it may be the same one."""

    _failures: ClassVar[tuple[Failure, ...]] = (
        (
            _LOGIN,
            "The event channel's PostgreSQL refused the user or the password.",
            "Check both in SLUICEGATE_EVENTS_URL; write @ : / ? # and % in them percent-encoded.",
        ),
        (
            (asyncpg.InvalidCatalogNameError,),
            "The event channel's PostgreSQL has no such database.",
            "Check the name at the end of SLUICEGATE_EVENTS_URL.",
        ),
        (
            (asyncpg.TooManyConnectionsError,),
            "The event channel's PostgreSQL takes no more connections.",
            "Each process holds two for the channel: raise max_connections.",
        ),
        *NETWORK,
        (
            (asyncpg.ClientConfigurationError, ValueError),
            "SLUICEGATE_EVENTS_URL is not an address of a PostgreSQL.",
            "Use postgresql://USER:PASSWORD@HOST:PORT/DATABASE; write @ : / ? # and % in its parts percent-encoded.",
        ),
        ((asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError), *CUT),
    )

    def __init__(self, url: str, channel: str) -> None:
        super().__init__(channel)
        self._url = url
        self._listener: Any = None
        self._notifier: Any = None

    async def _open(self) -> None:
        options: dict[str, Any] = {"server_settings": {"application_name": "sluicegate-events"}}
        self._listener = await _driver.connect(self._url, **options)
        self._listener.add_termination_listener(self._ended)
        await self._listener.add_listener(self._channel, self._arrived)
        self._notifier = await _driver.connect(self._url, **options)

    def _arrived(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        self._inbox.put(payload)

    def _ended(self, _connection: Any) -> None:
        self._inbox.lose(ChannelError(CUT[0], hint=CUT[1]))

    async def _send(self, channel: str, message: str) -> None:
        if len(message.encode()) > MAX_BYTES:
            message = without_body(message)
        await self._notifier.execute("SELECT pg_notify($1, $2)", channel, message)

    async def _close(self) -> None:
        await asyncio.gather(*(_end(each) for each in (self._listener, self._notifier) if each is not None))


async def _end(connection: Any) -> None:
    try:
        # Says good-bye, or the server logs a broken connection.
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=CLOSE_SECONDS / 2)
    finally:
        connection.terminate()
