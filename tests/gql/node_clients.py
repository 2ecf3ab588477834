"""The npm clients of the protocols, installed from their lock file and run by Node."""

import asyncio
import fcntl
import json
import os
import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.node import node_path, npm_cli

DIRECTORY = Path(__file__).parent.parent / "node"
WAIT_SECONDS = 30.0


def install() -> None:
    """Installs what the lock file pins, unless it is there already."""
    pinned = DIRECTORY / "package-lock.json"
    done = DIRECTORY / "node_modules" / ".package-lock.json"
    with pinned.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the test processes come here at once
        if not done.exists() or done.stat().st_mtime < pinned.stat().st_mtime:
            _install()


def _install() -> None:
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(node_path()).parent), os.environ.get("PATH", "")])}
    command = [*npm_cli(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=DIRECTORY, env=environment, check=True, timeout=300)


@dataclass
class Client:
    """A running client: what it reports, line by line."""

    process: asyncio.subprocess.Process

    async def line(self) -> dict[str, Any]:
        """The next thing that it reports. Raises AssertionError at the end of its output."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_SECONDS):
            text = await self.process.stdout.readline()
        assert text, f"the client ended with {await self.process.wait()}"
        return json.loads(text)

    async def until(self, **wanted: Any) -> list[dict[str, Any]]:
        """The lines up to the first that has all that is wanted."""
        lines = [await self.line()]
        while not wanted.items() <= lines[-1].items():
            lines.append(await self.line())
        return lines

    async def rest(self) -> list[dict[str, Any]]:
        """All lines to its end."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_SECONDS):
            output = await self.process.stdout.read()
            assert await self.process.wait() == 0
        return [json.loads(text) for text in output.splitlines()]


@asynccontextmanager
async def running(script: str, *arguments: str) -> AsyncGenerator[Client]:
    """Node with one of the scripts in tests/node; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        node_path(), script, *arguments, cwd=DIRECTORY, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def client(protocol: str, url: str, params: Mapping[str, str], operations: Sequence[Mapping[str, Any]]) -> Any:
    """A client of one protocol ("ws", "sse") with its operations, as `running`."""
    asked = {"protocol": protocol, "url": f"{url}/graphql", "params": dict(params), "operations": list(operations)}
    return running("client.mjs", json.dumps(asked))


def of(lines: Sequence[Mapping[str, Any]], number: int = 0) -> list[tuple[str, Any]]:
    """What happened to one operation: ("next", value), ("error", …), ("complete", None)."""
    return [(line["event"], line.get("value")) for line in lines if line.get("id") == number]
