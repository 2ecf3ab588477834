"""`/healthz`: the process lives. `/readyz`: it can do its work. `/metrics`: its numbers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from models import migrate, stats
from models.database import ALL
from resolvers import access
from sluicegate.app.exposition import render
from sluicegate.app.parts import Gateway
from sluicegate.core.actors import Scope
from sluicegate.core.errors import SluicegateError

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_TOLERATED = frozenset({"events"})
"""What may fail while the gateway does its work: without the event channel it reads the watched rows each second."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def routes(gateway: Gateway) -> list[BaseRoute]:
    """The three routes of operators."""

    async def readyz(_request: Request) -> Response:
        checks = await readiness(gateway)
        failing = {name for name, state in checks.items() if state != "ok"}
        ready = failing <= _TOLERATED
        status = ("degraded" if failing else "ready") if ready else "not ready"
        body = {"status": status, "checks": checks}
        return JSONResponse(body, 200 if ready else 503, headers={"Cache-Control": "no-store"})

    async def metrics(request: Request) -> Response:
        if not is_direct_loopback(request):
            try:
                viewer = await access.authenticate(
                    gateway.services, request.headers.get("authorization"), request.headers.get("x-namespace")
                )
            except SluicegateError as error:
                return PlainTextResponse(error.message + "\n", 401, headers={"WWW-Authenticate": "Bearer"})
            if Scope.ADMIN not in viewer.scopes:
                return PlainTextResponse("The key lacks the scope ADMIN.\n", 403)
        body, content_type = await render(gateway, request.headers.get("accept", ""))
        return Response(body, media_type=content_type)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


async def healthz(_request: Request) -> Response:
    """Answers as long as the event loop runs; asks nothing of anyone."""
    return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})


async def readiness(gateway: Gateway) -> dict[str, str]:
    """Each part's state, `ok` or a word that tells what is wrong, never a detail of the installation."""
    services = gateway.services
    checks: dict[str, Callable[[], Awaitable[str]]] = {
        "database": lambda: _database(gateway),
        "migrations": lambda: _migrations(gateway),
    }
    results = await asyncio.gather(*(_checked(name, check) for name, check in checks.items()))
    found = dict(zip(checks, results, strict=True))
    found["events"] = "ok" if services.hub.stats.connected else "disconnected"
    if gateway.worker:
        jobs = services.jobs.readiness()
        found["jobs"] = "ok" if jobs.ready else jobs.detail
    found["gateway"] = "draining" if gateway.draining else "ok"
    return found


def is_direct_loopback(request: Request) -> bool:
    """Whether a program on this machine asks, straight, by a name of this machine.

    Not when a proxy passed the request on, and not when a browser was led here by a name that resolves to us.
    """
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        if not ip_address(request.client.host).is_loopback:
            return False
    except ValueError:
        return False
    return request.url.hostname in _LOCAL_NAMES


async def _checked(name: str, check: Callable[[], Awaitable[str]]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return "timeout"
    except Exception:
        logger.warning("The readiness check of the %s failed.", name, exc_info=True)
        return "failed"


async def _database(gateway: Gateway) -> str:
    async with gateway.services.database.read(ALL) as session:
        await stats.ping(session)
    return "ok"


async def _migrations(gateway: Gateway) -> str:
    return "ok" if (await migrate.state(gateway.services.database)).up_to_date else "pending"
