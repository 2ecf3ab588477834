"""The command `sluicegate` as a user runs it: a process of its own, to its end."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateway import bare_environment

COMMAND = Path(sys.executable).parent / "sluicegate"
SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, which is JSON."""
        return json.loads(self.out)


def sluicegate(*arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Ended:
    """Runs `sluicegate` with these arguments in a bare environment."""
    ended = subprocess.run(
        [COMMAND, *(str(argument) for argument in arguments)],
        env={**bare_environment(), **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


async def sluicegate_async(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Ended:
    """The same in a thread, for tests whose gateway runs in this loop."""
    return await asyncio.to_thread(sluicegate, *arguments, env=env)
