"""Tells a database that cannot be used just now from a statement that is wrong."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# SQLSTATE classes: connection exception, insufficient resources (disk full), operator intervention, system error; of
# class 40, serialization failure and deadlock; of 25, a session that was ended because it left its transaction alone.
_PASSING_STATES = ("08", "25P03", "53", "57", "58", "40001", "40P01")


def is_outage(error: BaseException) -> bool:
    """Whether the same statement may work later: connection lost or refused, disk full, locked, no free connection."""
    if isinstance(error, PoolTimeoutError | OperationalError | InterfaceError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or str(state).startswith(_PASSING_STATES)
