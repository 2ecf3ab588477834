"""One attempt: the request, and what its answer means."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from yarl import URL

from sluicegate.core.errors import RunError
from sluicegate.core.net import Connector, transport_error

TIMEOUT_SECONDS = 15.0
MAX_RETRY_AFTER = 24 * 3600.0
_DRAINED_BYTES = 4_096
_DRAIN_SECONDS = 1.0
_SLOW_DOWN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended: `error` None is delivered. `final`: don't try again. `retry_after`: seconds asked for.

    `error` is in our words: nothing in it comes from the receiver but the number of its status. `logged`: more than it
    says is in the log already.
    """

    error: str | None = None
    final: bool = False
    retry_after: float | None = None
    logged: bool = False


async def send(
    connector: Connector,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    at: datetime,
    timeout: float = TIMEOUT_SECONDS,
) -> Verdict:
    """POSTs the body. `timeout`: seconds from the look-up of the name to the answer's status. Never raises RunError."""
    target = URL(url)
    try:
        async with (
            asyncio.timeout(timeout),
            connector.request(
                "POST", target, headers={"Content-Type": "application/json", **headers}, data=body
            ) as reply,
        ):
            await _drain(reply)
            return judge(reply.status, reply.headers.get("Retry-After"), at)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RunError) as error:
        return Verdict(transport_error(error, target.raw_host or "the receiver").message)


def judge(status: int, retry_after: str | None, at: datetime) -> Verdict:
    """What an answer of this status means; the specification's section on success and failure."""
    if 200 <= status < 300:
        return Verdict()
    error = f"The receiver answered {_named(status)}."
    if status == HTTPStatus.GONE:
        return Verdict(f"{error} It wants no more messages.", final=True)
    if 300 <= status < 400:
        return Verdict(f"{error} Redirects are not followed: give the webhook the URL that it leads to.")
    return Verdict(error, retry_after=_seconds(retry_after, at) if status in _SLOW_DOWN else None)


async def _drain(reply: aiohttp.ClientResponse) -> None:
    """Reads a short body to its end, so that the connection can be used again. It is not kept: it may hold anything."""
    if reply.content_length is None or reply.content_length > _DRAINED_BYTES:
        reply.close()
        return
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            await reply.content.read()


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _seconds(value: str | None, at: datetime) -> float | None:
    """The wait that a Retry-After asks for: seconds or a date (RFC 9110, section 10.2.3); None for anything else."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - at).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if math.isfinite(seconds) else None
