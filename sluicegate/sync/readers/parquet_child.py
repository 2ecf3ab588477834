"""The process that reads the Parquet files of one run: `python -m sluicegate.sync.readers.parquet_child`.

Only another process holds what a hostile file can do: a page of a kilobyte may unpack to gigabytes, decoding can't be
interrupted, and a fault of the decoder would take the gateway with it. This one may have MEMORY_BYTES more than it
begins with (RLIMIT_AS, which Linux and the BSDs enforce and macOS does not), knows no credentials, gets the file's
bytes from the gateway, opens nothing itself (no file, no connection), and ends with the gateway, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from sluicegate.core.errors import ErrorCode, SkippableError
from sluicegate.sync.readers import frames

MEMORY_BYTES = 640 << 20
"""What one file may need at a time. The process itself, with its libraries, takes some 60 MiB besides."""
Lines = Callable[["_Remote", int], Iterator[bytes]]
_FLUSH_BYTES = 256 << 10
_PR_SET_PDEATHSIG = 1
"""Of Linux's <sys/prctl.h>."""


class _Link:
    """The two pipes."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def send(self, kind: bytes, payload: bytes | bytearray = b"") -> None:
        """Writes a frame; waits while the gateway takes none."""
        self._outgoing.write(frames.HEADER.pack(kind, len(payload)))
        self._outgoing.write(payload)
        self._outgoing.flush()

    def receive(self, kind: bytes) -> bytes:
        """The next frame, which is of this kind. Ends the process when there is no gateway any more."""
        header = self._incoming.read(frames.HEADER.size)
        if len(header) < frames.HEADER.size:
            raise SystemExit
        found, length = frames.HEADER.unpack(header)
        payload = self._incoming.read(length)
        if found != kind or len(payload) < length:
            raise SystemExit
        return payload


class _Remote:
    """The file as pyarrow wants files: its bytes come from the gateway, but for those that are held."""

    closed = False

    def __init__(self, link: _Link, size: int) -> None:
        self.size = size
        self._link = link
        self._position = 0
        self._held = b""
        self._held_from = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    def flush(self) -> None: ...

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self.size)[whence]
        return self._position

    def read(self, length: int = -1) -> bytes:
        data = self.read_at(self._position, self.size if length < 0 else length)
        self._position += len(data)
        return data

    def read_at(self, start: int, length: int) -> bytes:
        """These bytes, less where the file ends."""
        length = min(length, self.size - start)
        offset = start - self._held_from
        if length <= 0 or start < 0:
            return b""
        if offset >= 0 and offset + length <= len(self._held):
            return self._held[offset : offset + length]
        parts = bytearray()
        while len(parts) < length:
            wanted = min(frames.MAX_GET, length - len(parts))
            self._link.send(frames.GET, frames.RANGE.pack(start + len(parts), wanted))
            parts += self._link.receive(frames.DATA)
        return bytes(parts)

    def fetch(self, start: int, end: int) -> None:
        """Holds these bytes from now on, in place of those before."""
        self._held = b""
        self._held, self._held_from = self.read_at(start, end - start), start


def _give_rows(link: _Link, lines: Iterator[bytes]) -> None:
    waiting: list[bytes] = []
    size = 0
    try:
        for line in lines:
            waiting.append(line)
            size += len(line) + 1
            if size >= _FLUSH_BYTES:
                link.send(frames.ROWS, b"\n".join(waiting))
                waiting, size = [], 0
    finally:
        # What came before a fault counts.
        if waiting:
            link.send(frames.ROWS, b"\n".join(waiting))


def _serve(link: _Link, lines_of: Lines) -> None:
    while True:
        size, first = frames.OPENING.unpack(link.receive(frames.OPEN))
        try:
            _give_rows(link, lines_of(_Remote(link, size), first))
        except SkippableError as error:
            code, message = error.code, error.message
        except MemoryError:
            code, message = ErrorCode.LIMIT, f"Reading it takes more than {MEMORY_BYTES >> 20} MiB of memory."
        except RecursionError:
            code, message = ErrorCode.LIMIT, "It is nested too deeply."
        except Exception as error:  # noqa: BLE001 - whatever the decoder makes of a broken file is that file's fault
            code, message = ErrorCode.INVALID, f"Not readable as Parquet: {_line(error)}"
        else:
            link.send(frames.END)
            continue
        link.send(frames.FAULT, f"{code} {message}".encode("utf-8", "replace"))


def _line(error: Exception) -> str:
    """What a library says, short, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"


def _limit_memory() -> None:
    """From here on MEMORY_BYTES more and no core dump; and should the machine run short, this process goes first."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        taken = 1 << 30
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_BYTES, taken + MEMORY_BYTES))


def _open_nothing() -> None:
    """From here on no file and no connection: those that are open, the pipes, are all that there is."""
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (0, 0))


def _end_with_gateway() -> None:
    """A gateway that is killed takes this process along, also in the middle of a page that takes minutes to decode."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main() -> None:
    """Reads one file after the other until the gateway closes the pipe."""
    _end_with_gateway()
    # A gateway that is told to end drains its runs first; it ends this process by closing the pipe, or kills it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with os.fdopen(os.dup(0), "rb") as incoming, os.fdopen(os.dup(1), "wb") as outgoing:
        # Should a library ever print something: not between the frames.
        os.dup2(2, 1)
        # Now, so that what it loads does not count as the file's doing, and while files can still be opened.
        import pyarrow.compute  # pyright: ignore[reportUnusedImport]  # noqa: F401 - conversions load it when they begin

        from sluicegate.sync.readers.parquet_rows import lines_of

        _limit_memory()
        _open_nothing()
        with suppress(BrokenPipeError):
            _serve(_Link(incoming, outgoing), lines_of)
        # Closing would flush what nobody reads.
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
