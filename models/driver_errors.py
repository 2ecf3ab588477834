"""What PostgreSQL and its driver say of a failure, made fit for those who log it and judge it.

Tenants' values are taken out: `hide_parameters` of SQLAlchemy leaves out what SQLAlchemy itself adds, but the driver's
own words name the value that it could not send, the server's the row that it refused. And a server that cannot be
reached is an error of the database like others: the driver raises the bare errors of the socket then.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine, ExceptionContext

_VALUES = re.compile(
    # The server's second line: `Key (name)=(…) already exists.`, `Failing row contains (…).`
    r"(\s*\bDETAIL:).*"
    # The driver's: `invalid input for query argument $1: '…' (an integer is required)`.
    r"|(invalid input for query argument \$\d+):.*"
    # The server's first line: `invalid input syntax for type integer: "…"`, `value "…" is out of range`.
    r"|(invalid input (?:syntax for|value for) [^:\n]+):.*"
    r"|(\b(?:value|date/time field value):?) \".*",
    re.DOTALL,
)
_MAX_CHAIN = 8


def without_values(text: str) -> str:
    """The text up to where a value begins."""
    return _VALUES.sub(lambda found: f"{next(group for group in found.groups() if group)} [hidden]", text)


def hide_values(engine: Engine) -> None:
    """Has every error of the engine's statements tell what is wrong, and not with which values."""
    event.listen(engine, "handle_error", _hide)


def name_lost_connections(engine: Engine) -> None:
    """Has a server that cannot be reached raise OperationalError, which `models.outages` knows."""
    event.listen(engine, "do_connect", _connect)


def _connect(dialect: Dialect, _record: object, arguments: list[Any], named: dict[str, Any]) -> Any:
    try:
        return dialect.connect(*arguments, **named)
    except OSError as error:
        dbapi: Any = dialect.loaded_dbapi
        raise dbapi.OperationalError(f"The server cannot be reached: {type(error).__name__}") from error


def _hide(context: ExceptionContext) -> None:
    error: BaseException | None = context.sqlalchemy_exception or context.original_exception
    for _ in range(_MAX_CHAIN):
        if error is None:
            break
        error.args = tuple(without_values(each) if isinstance(each, str) else each for each in error.args)
        if getattr(error, "detail", None):
            error.detail = None  # pyright: ignore[reportAttributeAccessIssue]  # asyncpg's, which it prints
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
