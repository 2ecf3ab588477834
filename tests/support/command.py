"""The command `sluicegate` to its end: as a user runs it, in a process of its own, or in this one, which is quicker."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.cli.commands import app
from sluicegate.cli.output import run
from sluicegate.core.logging import OURS
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


def invoke(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Ended:
    """Runs a command in this process, for tests without a running loop: prints and exits as the real one."""
    out, err = io.StringIO(), io.StringIO()
    with (
        _environment({**bare_environment(), **(env or {})}),
        restored_logging(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = run(lambda: app([str(argument) for argument in arguments]))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, out.getvalue(), err.getvalue())


@contextmanager
def _environment(values: Mapping[str, str]) -> Generator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def restored_logging() -> Generator[None]:
    """The product sets logging up for its whole process; after this it is as it was before."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in OURS)]
    handlers, levels = loggers[0].handlers[:], [logger.level for logger in loggers]
    try:
        yield
    finally:
        loggers[0].handlers[:] = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
