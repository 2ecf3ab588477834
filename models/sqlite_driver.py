"""SQLite's driver with one trip to the connection's thread for a statement, where SQLAlchemy's own makes four.

A trip (queue, thread, event loop) costs more than most statements: making a cursor, running it, fetching and closing
each being one, they were half of what a run of a configuration costs. Here the thread does all of it and hands back the
rows. Statements are not streamed: nobody asks for a server-side cursor.
"""

# What is private here is SQLAlchemy's and aiosqlite's, whose versions are pinned; the tests of the models prove it.
# ruff: noqa: SLF001

from __future__ import annotations

import sqlite3
from collections import deque
from typing import Any, NamedTuple

from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)


class _Done(NamedTuple):
    """What is left of a cursor once its statement has run."""

    rows: list[Any]
    description: Any
    rowcount: int
    lastrowid: int | None


def _run(connection: sqlite3.Connection, statement: str, values: Any, many: bool) -> _Done:  # noqa: FBT001
    """Runs a statement to its end; in the connection's thread."""
    cursor = connection.cursor()
    try:
        if many:
            cursor.executemany(statement, values)
        else:
            cursor.execute(statement, () if values is None else values)
        rows = cursor.fetchall() if cursor.description else []
        return _Done(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """Has no cursor of the driver beneath it between two statements."""

    __slots__ = ("_done",)

    def __init__(self, adapt_connection: AsyncAdapt_aiosqlite_connection) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection  # pyright: ignore[reportPrivateUsage]
        self._rows = deque[Any]()
        self._done = _Done([], None, -1, None)

    @property
    def description(self) -> Any:
        """The columns of the last statement; None where it gives no rows."""
        return self._done.description

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        return self._done.rowcount

    @property
    def lastrowid(self) -> Any:
        """The row that the last statement inserted."""
        return self._done.lastrowid

    async def _async_soft_close(self) -> None:
        """The thread has closed it already."""

    def close(self) -> None:
        """Drops what was not fetched."""
        self._rows.clear()

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        await self._trip(operation, parameters, many=False)

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        await self._trip(operation, seq_of_parameters, many=True)

    async def _trip(self, statement: str, values: Any, *, many: bool) -> None:
        connection: Any = self._connection
        async with self._adapt_connection._execute_mutex:  # pyright: ignore[reportPrivateUsage]
            self._done = await connection._execute(_run, connection._conn, statement, values, many)
            self._rows = deque(self._done.rows)
            self._done = self._done._replace(rows=[])


class _Connection(AsyncAdapt_aiosqlite_connection):
    """A connection whose cursors are these."""

    __slots__ = ()
    _cursor_cls = _Cursor


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """What `create_async_engine(module=…)` takes."""

    def connect(self, *arg: Any, **kw: Any) -> AsyncAdapt_aiosqlite_connection:
        """A new connection."""
        return _Connection(self, super().connect(*arg, **kw)._connection)  # pyright: ignore[reportPrivateUsage]


def driver() -> Driver:
    """The driver over aiosqlite."""
    return Driver(__import__("aiosqlite"), sqlite3)
