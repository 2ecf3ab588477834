"""The ASGI application of a gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from gql import content, http, outcomes
from sluicegate.app import health
from sluicegate.app.middleware import Observe
from sluicegate.app.parts import Gateway, running
from sluicegate.settings import Settings


def create_app(settings: Settings, *, worker: bool = True) -> Starlette:
    """A gateway as an application; its lifespan starts and closes all parts. `app.state.gateway` is the running one.

    The lifespan raises ConfigurationError when the installation is set up wrongly.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with running(settings, worker=worker) as gateway:
            app.state.gateway = gateway
            app.router.routes.extend(
                [
                    *http.routes(gateway.services),
                    *content.routes(gateway.services),
                    *outcomes.routes(gateway.services),
                    *health.routes(gateway),
                ]
            )
            yield

    return Starlette(lifespan=lifespan, middleware=[Middleware(Observe), *_cors(settings)])


def create_worker_app(gateway: Gateway) -> Starlette:
    """What a worker without an API answers: the routes of operators alone."""
    app = Starlette(routes=health.routes(gateway), middleware=[Middleware(Observe)])
    app.state.gateway = gateway
    return app


def _cors(settings: Settings) -> list[Middleware]:
    origins = [origin.strip().rstrip("/") for origin in settings.cors_origins.split(",") if origin.strip()]
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "OPTIONS"],
            allow_headers=["Authorization", "Content-Type", "X-Namespace", "X-Request-ID", "Range"],
            expose_headers=["X-Request-ID", "ETag", "Content-Range"],
            max_age=600,
        )
    ]
