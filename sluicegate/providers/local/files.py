"""Opening files below a folder so that no link, however it is placed or swapped meanwhile, leads out of it.

Every component is opened by itself, relative to the one before (openat) and without following links (O_NOFOLLOW). Only
regular files are opened: never a pipe, a device or a socket.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, RunError, SkippableError
from sluicegate.core.text import text_of_key

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
NOT_THERE = GONE | {errno.ENAMETOOLONG}
_DENIED = frozenset({errno.EACCES, errno.EPERM})


class Folder:
    """The folder of a storage: a real path of the operator, and components below it that a tenant named."""

    def __init__(self, root: bytes, parts: Sequence[bytes]) -> None:
        self._root = root
        self._parts = tuple(parts)

    @contextmanager
    def open(self, below: Sequence[bytes] = ()) -> Generator[int, None, None]:
        """A descriptor of the folder, or of one `below` it. Raises OSError for what is below, FatalError for itself."""
        try:
            current = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _missing(error) from None
        try:
            for place, part in enumerate((*self._parts, *below)):
                try:
                    following = os.open(part, _FOLDER, dir_fd=current)
                except OSError as error:
                    if place < len(self._parts):
                        raise _missing(error) from None
                    raise
                os.close(current)
                current = following
            yield current
        finally:
            os.close(current)

    def open_file(self, key: bytes) -> int:
        """A descriptor of a regular file. Raises SkippableError when there is none or it is refused, RetriableError."""
        *below, name = _parts(key)
        try:
            with self.open(below) as folder:
                if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise _gone(key)
                opened = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            raise file_error(error, key) from None
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise _gone(key)
        return opened

    def state_of(self, key: bytes) -> os.stat_result:
        """A regular file's state, unopened. Raises SkippableError when there is none or it is refused, RetriableError.

        FatalError when the folder itself is gone.
        """
        *below, name = _parts(key)
        try:
            with self.open(below) as folder:
                state = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            raise file_error(error, key) from None
        if not stat.S_ISREG(state.st_mode):
            raise _gone(key)
        return state


def fingerprint_of(found: os.stat_result) -> str:
    """Changes when a file is rewritten: modification time in nanoseconds, size, inode.

    Not told apart: an in-place rewrite to the same size that puts the old time back, or that comes within one tick of
    the file system's clock.
    """
    return f"{found.st_mtime_ns:x}-{found.st_size}-{found.st_ino:x}"


def folder_error(error: OSError, path: bytes) -> RunError:
    """For a folder whose content cannot be known: the run must stop there, or all beneath would count as missing."""
    shown = text_of_key(path) or "."
    if error.errno in _DENIED:
        return FatalError(
            f"The folder {shown} may not be read.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code="EACCES",
            hint="Give the gateway's user the right to read it, or move it out of the storage's folder.",
        )
    return RetriableError(f"The folder {shown} cannot be read.", provider_code=errno.errorcode.get(error.errno or 0))


def file_error(error: OSError, key: bytes) -> RunError:
    """For one file that cannot be opened or read."""
    if error.errno in NOT_THERE:
        return _gone(key)
    if error.errno in _DENIED:
        return SkippableError(
            "The file may not be read.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code="EACCES",
            hint="Give the gateway's user the right to read it.",
        )
    return RetriableError("The file cannot be read.", provider_code=errno.errorcode.get(error.errno or 0))


def _parts(key: bytes) -> list[bytes]:
    """The components of a key. Raises SkippableError for what no file's path is: `..` would lead out of the folder."""
    parts = key.split(b"/")
    if b"\x00" in key or not {b"", b".", b".."}.isdisjoint(parts):
        raise _gone(key)
    return parts


def _gone(key: bytes) -> SkippableError:
    del key  # the caller knows it; a message must not say where a link leads
    return SkippableError("The file is gone.", code=ErrorCode.PROVIDER_NOT_FOUND, provider_code="ENOENT")


def _missing(error: OSError) -> RunError:
    if error.errno in _DENIED:
        return FatalError(
            "The storage's folder may not be read.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code="EACCES",
            hint="Give the gateway's user the right to read it.",
        )
    if error.errno in GONE:
        return FatalError(
            "There is no such folder; links are not followed.",
            code=ErrorCode.PROVIDER_NOT_FOUND,
            provider_code="ENOENT",
            hint="Check the path. It is relative to the folder that SLUICEGATE_LOCAL_ROOTS gives this namespace.",
        )
    return RetriableError("The storage's folder cannot be opened.", provider_code=errno.errorcode.get(error.errno or 0))
