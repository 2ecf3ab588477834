"""What is said of a channel that fails: our own words alone, because a library's may quote parts of the URL."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence

from sluicegate.core.errors import SluicegateError

Failure = tuple[tuple[type[BaseException], ...], str, str]
"""Kinds of errors, and what is said of them: the message and the hint."""

_CHECK = "Check SLUICEGATE_EVENTS_URL, and that the server runs."

NO_ANSWER = "The event channel's server did not answer in time.", _CHECK
CUT = "The connection to the event channel's server failed.", _CHECK
NETWORK: tuple[Failure, ...] = (
    ((socket.gaierror,), "The host of the event channel has no address.", "Check the host in SLUICEGATE_EVENTS_URL."),
    (
        (ssl.SSLError,),
        "The event channel's server does not speak TLS, or its certificate is not trusted.",
        "redis:// has no TLS, rediss:// has (…?ssl_ca_certs=FILE); PostgreSQL takes …?sslmode=…&sslrootcert=FILE.",
    ),
    ((ConnectionRefusedError,), "Nothing listens at the address of the event channel.", _CHECK),
    ((TimeoutError, asyncio.CancelledError), *NO_ANSWER),
    ((OSError, EOFError), *CUT),
)
"""What connections of every kind suffer."""


class ChannelError(SluicegateError):
    """The channel cannot be used now."""


def named(error: BaseException, failures: Sequence[Failure]) -> ChannelError:
    """The error as the first failure that fits it, or one of those that it came from, is told."""
    if isinstance(error, ChannelError):
        return error
    chain = tuple(_chain(error))
    for kinds, message, hint in failures:
        if any(isinstance(each, kinds) for each in chain):
            return ChannelError(message, hint=hint)
    return ChannelError(f"The event channel failed: {type(error).__name__}.", hint=_CHECK)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
