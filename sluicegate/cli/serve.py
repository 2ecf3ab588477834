"""`sluicegate serve`: the gateway in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from sluicegate.app.factory import create_app
from sluicegate.app.parts import Gateway
from sluicegate.app.server import GatewayServer, base_url, bind
from sluicegate.cli.config import configure_logging, load_settings, run_async
from sluicegate.cli.output import stdout
from sluicegate.core.datadir import FIRST_LINK_FILE
from sluicegate.settings import Settings

logger = logging.getLogger(__name__)


def serve(*, host: str, port: int, data_dir: Path | None, worker: bool) -> None:
    """Runs until it is told to end. Raises ConfigurationError when the installation is set up wrongly."""
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings)
    run_async(_serve(settings, host, port, worker=worker))


async def _serve(settings: Settings, host: str, port: int, *, worker: bool) -> None:
    with bind(host, port) as listener:
        app = create_app(settings, worker=worker)
        async with app.router.lifespan_context(app):
            server = GatewayServer(app)
            url = base_url(listener)
            announcing = asyncio.create_task(_announce(server, app.state.gateway, settings.public_url or url, url))
            try:
                await server.serve(sockets=[listener])
            finally:
                announcing.cancel()
    logger.info("Ended in order.")


async def _announce(server: GatewayServer, gateway: Gateway, public_url: str, url: str) -> None:
    await server.listening.wait()
    logger.info("Listening on %s", url)
    link = f"{public_url.rstrip('/')}/graphql"
    if gateway.first_key is None:
        if sys.stdout.isatty():
            stdout().print(f"GraphiQL: {link}", markup=False)
        return
    # After `#`, a key is neither sent to a server nor kept in its logs.
    link = f"{link}#key={gateway.first_key}"
    if sys.stdout.isatty():
        stdout().print(f"GraphiQL, with the admin key, shown this once:\n  {link}", markup=False)
        return
    gateway.directory.create()
    path = gateway.directory.write_private(FIRST_LINK_FILE, link + "\n")
    logger.info("The link to GraphiQL with the admin key is in %s; delete the file once you have it.", path)
