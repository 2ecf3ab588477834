"""Keys in memory for a moment, so that a request costs no query and a revoked key still stops within seconds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from logging import getLogger
from time import monotonic

from models.access import ApiKey
from models.access_queries import key_by_hash, mark_used
from models.database import ALL, Database
from sluicegate.core.clock import now

FRESH_SECONDS = 2.0
"""How long a key is believed without asking the database. With the checks of open streams (each second) below 5 s."""

USE_NOTED_EVERY = timedelta(minutes=1)
_MAX_KEYS = 1_024

_log = getLogger(__name__)


@dataclass(slots=True)
class _Held:
    key: ApiKey
    read_at: float
    used_at: datetime | None


class KeyRing:
    """The keys in use. One a process; holds at most 1,024 and forgets the least recently used."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._asking: dict[str, asyncio.Task[ApiKey | None]] = {}
        self._noting: dict[int, asyncio.Task[None]] = {}

    async def find(self, database: Database, secret_hash: str) -> ApiKey | None:
        """The usable key of a hash: not revoked, not expired. At most 2 s old."""
        held = self._held.get(secret_hash)
        if held is None or monotonic() - held.read_at > FRESH_SECONDS:
            key = await self._ask(database, secret_hash)
        else:
            self._held.move_to_end(secret_hash)
            key = held.key
        return key if key is not None and is_usable(key) else None

    def note_use(self, database: Database, key: ApiKey) -> None:
        """Writes `last_used_at` in the background, at most once a minute for a key; nobody waits for it."""
        held = self._held.get(key.secret_hash)
        moment = now()
        if held is None or key.id in self._noting or (held.used_at and moment - held.used_at < USE_NOTED_EVERY):
            return
        held.used_at = moment
        self._noting[key.id] = asyncio.create_task(self._note(database, key.id, moment))

    def forget(self, secret_hash: str) -> None:
        """The next request asks the database: the key has changed."""
        self._held.pop(secret_hash, None)

    async def close(self) -> None:
        """Waits for the notes that are being written."""
        await asyncio.gather(*self._noting.values(), *self._asking.values(), return_exceptions=True)

    async def _ask(self, database: Database, secret_hash: str) -> ApiKey | None:
        # Requests that come at once share one query, and a caller that gives up does not take it from the others.
        task = self._asking.get(secret_hash)
        if task is None:
            task = asyncio.create_task(self._read(database, secret_hash))
            self._asking[secret_hash] = task
            task.add_done_callback(lambda _: self._asking.pop(secret_hash, None))
        return await asyncio.shield(task)

    async def _read(self, database: Database, secret_hash: str) -> ApiKey | None:
        asked_at = monotonic()
        async with database.read(ALL) as session:
            key = await key_by_hash(session, secret_hash)
        if key is None or not is_usable(key):
            self._held.pop(secret_hash, None)
            return None
        before = self._held.get(secret_hash)
        used_at = max(filter(None, (key.last_used_at, before.used_at if before else None)), default=None)
        self._held[secret_hash] = _Held(key, asked_at, used_at)
        self._held.move_to_end(secret_hash)
        while len(self._held) > _MAX_KEYS:
            self._held.popitem(last=False)
        return key

    async def _note(self, database: Database, key_id: int, moment: datetime) -> None:
        try:
            async with database.write(ALL) as session:
                await mark_used(session, key_id, moment, unless_after=moment - USE_NOTED_EVERY)
        except Exception as error:  # noqa: BLE001 - a full disk must not end requests that only read
            _log.warning("The use of a key could not be noted.", extra={"key": key_id, "error": type(error).__name__})
        finally:
            self._noting.pop(key_id, None)


def is_usable(key: ApiKey) -> bool:
    """Whether the key opens anything now."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now())
