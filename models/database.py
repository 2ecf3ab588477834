"""Engines and sessions: one way to read, one way to write, on SQLite and PostgreSQL.

- `read(scope)` and `write(scope)` open a session for one namespace, or for ALL (jobs, commands). A scoped session adds
  the namespace to every ORM query, whatever the caller wrote, refuses statements that are none (tables, text), and
  refuses to flush a row of another.
- `write` commits at its end, rolls back on any exception, and only then runs what `after_commit` was given.
- SQLite has one writer: writes queue for one connection, so they never fail with "database is locked".
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, Final, cast

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_only

from models.base import Scoped
from models.driver_errors import hide_values, name_lost_connections
from models.sqlite_driver import driver
from sluicegate.core.errors import ConfigurationError


class AllNamespaces(Enum):
    """The scope of work that belongs to no tenant."""

    ALL = "all"


ALL: Final = AllNamespaces.ALL
Scope = int | AllNamespaces
AfterCommit = Callable[[], Awaitable[None]]

NAMES_NAMESPACE: Final = "names_namespace"
"""The execution option of a statement over tables that has the namespace among its own conditions."""


IDLE_TRANSACTION_SECONDS = 10.0
"""After so long PostgreSQL ends a session whose transaction is left alone: less than a lease."""
POOL_SIZE: Final = 8

SQLITE_PRAGMAS = (
    "busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-16384",
)  # fmt: skip
_PRAGMA_ATTEMPTS, _PRAGMA_PAUSE_SECONDS = 200, 0.05


def dumps(value: Any) -> str:
    """JSON for a column: compact, any integer, never NaN."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class Database:
    """The database behind one URL (`sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`).

    `pool_size`: the most connections to PostgreSQL.
    """

    def __init__(
        self, url: str | URL, *, pool_size: int = POOL_SIZE, idle_seconds: float = IDLE_TRANSACTION_SECONDS
    ) -> None:
        self.url = _async_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"json_serializer": dumps, "json_deserializer": json.loads, "pool_timeout": 30}
        # An error of the driver would print the statement's values, a tenant's data, into the log.
        options["hide_parameters"] = True
        if self.is_sqlite:
            options["poolclass"] = AsyncAdaptedQueuePool
            self._reader = _sqlite_engine(self.url, read_only=True, pool_size=4, max_overflow=0, **options)
            self._writer = _sqlite_engine(self.url, read_only=False, pool_size=1, max_overflow=0, **options)
        else:
            self._reader = self._writer = create_async_engine(
                self.url, pool_size=pool_size, max_overflow=0, pool_pre_ping=True, **options
            )
            hide_values(self._writer.sync_engine)
            name_lost_connections(self._writer.sync_engine)
            _end_idle_transactions(self._writer.sync_engine, idle_seconds)
        self.delivery_news = asyncio.Event()
        """Set after a commit that wrote messages to webhooks, for whoever delivers them here."""
        kind: dict[str, Any] = {"expire_on_commit": False, "sync_session_class": _ScopedSession}
        self._read_sessions = async_sessionmaker(self._reader, **kind)
        self._write_sessions = async_sessionmaker(self._writer, **kind)

    @property
    def writer(self) -> AsyncEngine:
        """The engine that migrations and the catalogue write with."""
        return self._writer

    @property
    def reader(self) -> AsyncEngine:
        """The engine that reading sessions use; on PostgreSQL the same as `writer`."""
        return self._reader

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncGenerator[AsyncSession]:
        """A session for reading; rows stay usable after it closes."""
        async with self._read_sessions(info={"scope": scope}) as session:
            yield session

    @asynccontextmanager
    async def write(self, scope: Scope) -> AsyncGenerator[AsyncSession]:
        """A session in one transaction: committed at the end, rolled back on an exception."""
        info: dict[str, Any] = {"scope": scope, "after_commit": [], "delivery_news": self.delivery_news}
        async with self._write_sessions(info=info) as session:
            async with session.begin():
                yield session
            for announce in session.info["after_commit"]:
                await announce()

    async def close(self) -> None:
        """Closes every connection."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def after_commit(session: AsyncSession, announce: AfterCommit) -> None:
    """Runs `announce` once the session's transaction is committed; never after a rollback."""
    session.info["after_commit"].append(announce)


class _ScopedSession(Session):
    """Adds the namespace of its scope to every query. A session without a scope is a programming error."""


@event.listens_for(_ScopedSession, "do_orm_execute")
def _scope_queries(state: ORMExecuteState) -> None:
    scope = state.session.info["scope"]
    if scope is ALL or state.is_column_load or state.is_relationship_load:
        return
    if not state.is_orm_statement:
        # The criteria below reach entities alone: such a statement would see every tenant's rows.
        if state.execution_options.get(NAMES_NAMESPACE):
            return
        raise PermissionError("A statement without ORM entities in a scoped session.")
    criteria = with_loader_criteria(Scoped, lambda row: row.namespace_id == scope, include_aliases=True)
    state.statement = state.statement.options(criteria)


@event.listens_for(_ScopedSession, "before_flush")
def _scope_flushes(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    scope = session.info["scope"]
    if scope is ALL:
        return
    for row in [*session.new, *session.dirty, *session.deleted]:
        if isinstance(row, Scoped):
            owner = cast("int | None", row.namespace_id)  # not set yet on a new row
            if owner is None:
                row.namespace_id = scope
            elif owner != scope:
                raise PermissionError(f"A {type(row).__name__} of another namespace in a scoped session.")


def _async_url(url: str | URL) -> URL:
    parsed = make_url(url)
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    backend = parsed.get_backend_name()
    if backend not in drivers:
        raise ConfigurationError(
            f"SLUICEGATE_DATABASE_URL names {backend!r}.", hint="Use postgresql://… or leave it unset for SQLite."
        )
    return parsed.set(drivername=drivers[backend])


def _sqlite_engine(url: URL, *, read_only: bool, **options: Any) -> AsyncEngine:
    engine = create_async_engine(url, module=driver(), **options)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The driver's own transactions start late and DEFERRED; ours start when we say.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in SQLITE_PRAGMAS:
            _set(cursor, pragma)
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _end_idle_transactions(engine: Engine, seconds: float) -> None:
    """Has PostgreSQL end a session that leaves its transaction alone for so long.

    What a machine that was lost, or a process that is stopped, had locked would else stay locked until someone finds
    out: a run that is taken over waits for it. Said in the session, for poolers refuse what they don't know.
    """

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {round(seconds * 1000)}")
        cursor.close()
        connection.commit()


def _set(cursor: Any, pragma: str) -> None:
    """Sets a pragma of a new connection.

    SQLite does not wait, whatever its time-out, where two make a new database's journal WAL at once: each would wait
    for the other (https://www.sqlite.org/c3ref/busy_handler.html). So it is tried again, for 10 seconds at most.
    """
    for attempt in range(_PRAGMA_ATTEMPTS):
        try:
            cursor.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == _PRAGMA_ATTEMPTS - 1:
                raise
            await_only(asyncio.sleep(_PRAGMA_PAUSE_SECONDS))
        else:
            return
