"""The gateway's side of reading Parquet: a process of its own for each run that meets such files."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import suppress

from sluicegate.core.errors import ErrorCode, SkippableError
from sluicegate.sync.readers import frames
from sluicegate.sync.readers.base import BadRow, bad
from sluicegate.sync.readers.random_access import RandomAccess

SILENCE_SECONDS = 120.0
"""A file at which the process works so long without a word is given up."""
_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "TZDIR")
_SET = {
    # The system's allocator reserves no address space ahead, of which the process has little, and gives memory back.
    "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
    "ARROW_IO_THREADS": "1", "OMP_NUM_THREADS": "1",
}  # fmt: skip


class JsonText(str):
    """A record that is JSON text already: compact, and such that both databases can hold it."""

    __slots__ = ()


class ParquetReader:
    """Reads the Parquet files of one run. A process begins with the first of them and ends with `close`.

    Small files, of which many are under way at once, take turns at a process of their own: they hold what the writing
    of a large file's rows may wait for, and so must not wait for its end.
    """

    def __init__(self) -> None:
        self._small, self._large = _OneAtATime(), _OneAtATime()

    def rows(
        self, source: RandomAccess, first: int = 0, *, small: bool = False
    ) -> AsyncGenerator[JsonText | BadRow, None]:
        """The rows from number `first` on; row groups before it are not read. Use with `contextlib.aclosing`.

        `small`: it is one of many, and read without waiting for anything but its bytes. Raises SkippableError where the
        file can't be read on, and what `source` raises. A file that does not end well ends the process: closing the
        generator, or cancelling, stops it at once.
        """
        return (self._small if small else self._large).rows(source, first)

    async def close(self) -> None:
        """Ends the processes."""
        await self._small.close()
        await self._large.close()


class _OneAtATime:
    """A process that reads one file after the other."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def rows(self, source: RandomAccess, first: int) -> AsyncGenerator[JsonText | BadRow]:
        """The rows from number `first` on."""
        async with self._turn:
            process = self._process = self._process or await _start()
            usable = False
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await _send(process, frames.OPEN, frames.OPENING.pack(source.size, first))
                while True:
                    kind, payload = await _receive(process)
                    if kind == frames.GET:
                        await _send(process, frames.DATA, await _range(source, payload))
                    elif kind == frames.ROWS:
                        for line in payload.split(b"\n"):
                            if line.startswith(frames.BAD):
                                yield BadRow(line[1:].decode())
                            else:
                                yield JsonText(line, "utf-8")
                    else:
                        break
                # What needed much memory may have left it in pieces.
                fault = _fault(payload) if kind == frames.FAULT else None
                usable = fault is None or fault.code != ErrorCode.LIMIT
                if fault is not None:
                    raise fault
            except (asyncio.IncompleteReadError, ConnectionError):
                raise await _died(process) from None
            except TimeoutError:
                raise bad(f"Nothing came of reading it for {SILENCE_SECONDS:.0f} s.", ErrorCode.LIMIT) from None
            finally:
                if not usable:
                    await self.close()

    async def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _start() -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "sluicegate.sync.readers.parquet_child",
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        limit=1 << 20,
        env={**{name: os.environ[name] for name in _KEPT if name in os.environ}, **_SET},
        # Ctrl-C in a terminal is for the gateway alone.
        start_new_session=True,
    )


async def _send(process: Process, kind: bytes, payload: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(frames.HEADER.pack(kind, len(payload)) + payload)
    await process.stdin.drain()


async def _receive(process: Process) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    async with asyncio.timeout(SILENCE_SECONDS):
        kind, length = frames.HEADER.unpack(await process.stdout.readexactly(frames.HEADER.size))
        if length > frames.MAX_FRAME:
            raise bad("The reader lost its way.")
        return kind, await process.stdout.readexactly(length)


async def _range(source: RandomAccess, payload: bytes) -> bytes:
    start, length = frames.RANGE.unpack(payload)
    if not 0 < length <= min(frames.MAX_GET, source.size - start):
        raise bad("The reader lost its way.")
    return await source.read(start, length)


def _fault(payload: bytes) -> SkippableError:
    code, _, message = payload.decode().partition(" ")
    return bad(message, ErrorCode(code))


async def _died(process: Process) -> SkippableError:
    """The file's fault, unless it was killed from outside: then the next run may read it."""
    async with asyncio.timeout(SILENCE_SECONDS):
        status = await process.wait()
    if status == -signal.SIGKILL:
        return SkippableError("The process that read it was killed.", code=ErrorCode.LIMIT, provider_code="SIGKILL")
    return bad(f"Reading it takes too much memory, or breaks the reader ({_how(status)}).", ErrorCode.LIMIT)


def _how(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
