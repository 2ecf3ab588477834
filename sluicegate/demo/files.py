"""Real files that are on every machine that can run the demo: those of Python and of the packages installed here."""

from __future__ import annotations

import json
import os
import sysconfig
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

_KINDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "images": (300, (".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".bmp", ".tiff")),
    "audio": (40, (".wav", ".au", ".aiff", ".aifc", ".mp3")),
    "tables": (200, (".csv", ".tsv")),
    "JSON": (900, (".json", ".jsonl", ".json.gz")),
    "text": (500, (".txt", ".md", ".rst", ".toml", ".xml", ".html", ".cfg")),
    "code": (10_000, (".py", ".pyi")),
}
"""Kind → how many at most, and by which endings. What there is of the rarer kinds comes first, code fills up."""

FILES = "files/"
RECORDS = "records/"

_LARGEST = 512_000
_SKIPPED = frozenset({"__pycache__", "site-packages", "dist-packages", "lib2to3"})


class RealFile(NamedTuple):
    """A file of this machine and the key that it gets in the bucket."""

    key: str
    path: Path
    kind: str


def collect(number: int) -> list[RealFile]:
    """So many files, the same ones in each run on the same installation. Fewer only where there are not as many."""
    found: dict[str, list[RealFile]] = {kind: [] for kind in _KINDS}
    for root in _roots():
        for path in _walk(root):
            kind = _kind(path.name)
            if kind is not None and len(found[kind]) < _KINDS[kind][0]:
                found[kind].append(RealFile(f"{FILES}{root.name}/{path.relative_to(root).as_posix()}", path, kind))
    return [file for kind in _KINDS for file in found[kind]][:number]


def records_of(files: Iterable[RealFile], number: int) -> list[RealFile]:
    """So many of the JSON files once more, under the prefix of those whose content is read."""
    readable = (file for file in files if file.path.suffix == ".json" and _has_records(file.path))
    return [file._replace(key=RECORDS + file.key.removeprefix(FILES)) for file in islice(readable, number)]


def _has_records(path: Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict)


def _roots() -> list[Path]:
    return list(dict.fromkeys(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "stdlib")))


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - _SKIPPED)
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= _LARGEST:
                yield path


def _kind(name: str) -> str | None:
    lower = name.lower()
    return next((kind for kind, (_, endings) in _KINDS.items() if lower.endswith(endings)), None)
