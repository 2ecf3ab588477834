"""A folder's files in ascending byte order of their path, from any key on.

One folder's names are held at a time for each level, so memory follows the largest folder and not the number of files.
Hidden files count; links, pipes, devices and sockets do not. A folder that cannot be read ends the walk with an error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.providers.local.files import NOT_THERE, Folder, fingerprint_of, folder_error

MAX_NAMES = 1_000_000
MAX_DEPTH = 512


class _Name(NamedTuple):
    """`order`: the name as it sorts, which for a folder has a slash at its end."""

    order: bytes
    entry: Entry | None


def walk(folder: Folder, *, recursive: bool, after: bytes | None, prefix: bytes = b"") -> Iterator[Entry]:
    """The entries after the key `after` that start with `prefix`, from the deepest folder on that it names.

    Raises RunError.
    """
    base = prefix[: prefix.rfind(b"/") + 1]
    if not _can_hold(base) or (base and not recursive):
        with folder.open():  # that it is there at all
            return
    start = prefix[len(base) :]
    pending = [iter([name for name in _names(folder, base, after) if name.order.startswith(start)])]
    prefixes = [base]
    while pending:
        name = next(pending[-1], None)
        if name is None:
            pending.pop()
            prefixes.pop()
        elif name.entry is not None:
            yield name.entry
        elif recursive:
            path = prefixes[-1] + name.order
            if len(pending) >= MAX_DEPTH:
                raise _too_much(f"Folders are nested deeper than {MAX_DEPTH} levels at {text_of_key(path[:200])}.")
            pending.append(iter(_names(folder, path, after)))
            prefixes.append(path)


def _can_hold(base: bytes) -> bool:
    """Whether files can have paths that begin so: `..` would lead out of the folder, and no file is called that."""
    return b"\x00" not in base and {b"", b".", b".."}.isdisjoint(base.split(b"/")[:-1])


def _names(folder: Folder, prefix: bytes, after: bytes | None) -> list[_Name]:
    """What is in one folder, in order, without what is not after `after`."""
    found: list[_Name] = []
    try:
        with folder.open(prefix.split(b"/")[:-1]) as descriptor, os.scandir(descriptor) as entries:
            for item in entries:
                raw = os.fsencode(item.name)
                if item.is_dir(follow_symlinks=False):
                    order = raw + b"/"
                    path = prefix + order
                    if after is None or path > after or after.startswith(path):
                        found.append(_Name(order, None))
                elif after is None or prefix + raw > after:
                    entry = _entry(item, prefix + raw)
                    if entry is not None:
                        found.append(_Name(raw, entry))
                if len(found) > MAX_NAMES:
                    raise _too_much(f"The folder {text_of_key(prefix) or '.'} holds more than {MAX_NAMES:,} names.")
    except OSError as error:
        if prefix and error.errno in NOT_THERE:
            return []  # removed since its parent was read, and everything in it with it
        raise folder_error(error, prefix) from None
    found.sort()
    return found


def _entry(item: os.DirEntry[str], key: bytes) -> Entry | None:
    try:
        state = item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(state.st_mode):
        return None
    return entry_of(key, state)


def entry_of(key: bytes, state: os.stat_result) -> Entry:
    """A regular file as an entry."""
    return Entry(key, state.st_size, state.st_mtime_ns // 1000, fingerprint_of(state))


def _too_much(message: str) -> FatalError:
    return FatalError(message, code=ErrorCode.LIMIT, provider_code="FOLDER_LIMIT", hint="Split the folder.")
