"""`sluicegate serve` in a process of its own, on a temporary directory: what a user would start."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sluicegate.cli.output import CommandFailedError

START_SECONDS = 40.0
_END_SECONDS = 12.0
_COMMAND = "from sluicegate.cli import main; main()"
_LISTENING = re.compile(r"Listening on (http://[\w.:\[\]-]+)")


@asynccontextmanager
async def serving(data_dir: Path, *, port: int, key: str, allowed: str) -> AsyncGenerator[str]:
    """A gateway's address while it runs. `key`: its admin key. `allowed`: what storages may reach besides public hosts.

    Raises CommandFailedError, with its last words, when it does not start.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _COMMAND, "serve", "--port", str(port), "--data-dir", str(data_dir)),
        env=_environment(key, allowed),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for the demo, which then ends the gateway in order
    )
    said: deque[str] = deque(maxlen=20)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    reader = asyncio.create_task(_read(process, said, listening))
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                url = await listening
        except TimeoutError:
            raise CommandFailedError("The gateway did not start in time:\n" + "".join(said)) from None
        yield url
    finally:
        await _end(process)
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader


async def _read(process: asyncio.subprocess.Process, said: deque[str], listening: asyncio.Future[str]) -> None:
    """Reads what it logs to the end, so that its pipe never fills up."""
    assert process.stdout is not None
    async for line in process.stdout:
        text = line.decode(errors="replace")
        said.append(text)
        found = _LISTENING.search(text)
        if found and not listening.done():
            listening.set_result(found[1])
    if not listening.done():
        listening.set_exception(CommandFailedError("The gateway did not start:\n" + "".join(said)))


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _environment(key: str, allowed: str) -> dict[str, str]:
    """This environment without settings of an installation that the demo must not touch."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SLUICEGATE_")}
    return {
        **mine,
        "SLUICEGATE_BOOTSTRAP_KEY": key,
        "SLUICEGATE_ALLOWED_ENDPOINTS": allowed,
        "SLUICEGATE_LOG_LEVEL": "info",
    }
