"""Structured logs: one JSON object a line, or lines for people. What looks like a secret never leaves the process.

Every logger of the standard library, ours and the libraries', goes the same way. `bind` adds fields (request, job) to
all that is logged in the same task.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Mapping
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.contextvars import bound_contextvars
from structlog.typing import EventDict, Processor

from sluicegate.core import tracing
from sluicegate.core.redact import MARK, is_secret_name, redact

bind = bound_contextvars
"""`with bind(job_id=7):` adds fields to what is logged inside."""

_MAX_TEXT = 16_384
_MAX_DEPTH = 6
_SECOND_FORMS = frozenset({"color_message", "message", "asctime"})  # what libraries say a second time

OURS = ("sluicegate", "gql", "models", "resolvers", "uvicorn.error")
"""What logs at the level of the settings; libraries only warn: drivers would log every statement with its values."""

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    lambda _logger, _method, event: {**tracing.ids(), **event},
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

# On import, not in `configure`: structlog on its own would print to standard output, tracebacks with every variable.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=False,
)


def configure(
    *, form: Literal["json", "console"] = "json", level: str = "info", stream: TextIO | None = None
) -> logging.Handler:
    """Sends all logs of the process to `stream` (standard error). Replaces what an earlier call set up."""
    target = stream or sys.stderr
    if form == "json":
        render: Processor = structlog.processors.JSONRenderer(sort_keys=False, default=_as_text)
    else:
        render = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact_event,
                render,
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(wanted, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(wanted)
    return handler


def redact_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: hides fields with secret names, and what looks like a secret in every other."""
    return {name: _clean(name, value, 0) for name, value in event.items() if name not in _SECOND_FORMS}


def _clean(name: str, value: Any, depth: int) -> Any:
    if name and is_secret_name(name):
        return MARK
    if isinstance(value, str):
        return redact(value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        fields = cast("Mapping[Any, Any]", value)
        return {str(key): _clean(str(key), item, depth + 1) for key, item in fields.items()}
    if depth < _MAX_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
        return [_clean("", item, depth + 1) for item in cast("Collection[Any]", value)]
    return redact(_as_text(value)[:_MAX_TEXT])


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
