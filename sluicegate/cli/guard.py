"""PyPI has a client library that is also imported as `gql`. Where it is installed, ours cannot be relied on."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from importlib import util
from pathlib import Path
from typing import NamedTuple

_OURS = "sluicegate"
_METADATA = re.compile(r"(gql-[^-]+)\.(?:dist|egg)-info", re.IGNORECASE)
_HINT = (
    "Sluicegate is an application: give it an environment of its own, for example with `uv tool install sluicegate` or "
    "`pipx install sluicegate`, or remove the other one here with `pip uninstall gql` and install Sluicegate again."
)


class Problem(NamedTuple):
    """What is wrong, and what to do about it."""

    message: str
    hint: str


def foreign_gql() -> Problem | None:
    """What stands against importing our `gql`; None when nothing does. Imports no `gql` to find out."""
    other = _installed_gql()
    if other is not None:
        return Problem(f"Another distribution, {other}, owns the import name `gql` in this environment.", _HINT)
    ours = Path(__file__).resolve().parents[2] / "gql" / "__init__.py"
    spec = util.find_spec("gql")
    found = Path(spec.origin).resolve() if spec is not None and spec.origin is not None else None
    if found != ours:
        where = f"is taken from {found}" if found is not None else "is not found"
        return Problem(f"The import name `gql` {where}, which is not Sluicegate's ({ours}).", _HINT)
    if not ours.with_name("graphiql.py").exists():
        return Problem(f"Sluicegate's package {ours.parent} is incomplete.", _HINT)
    return None


def owners() -> list[str]:
    """The distributions, besides ours, that say they own the import name `gql`. Reads every one's file list: slow."""
    from importlib import metadata

    return sorted(set(metadata.packages_distributions().get("gql", [])) - {_OURS})


def _installed_gql() -> str | None:
    """Name and version of the distribution `gql`, found by its metadata's name: reading metadata takes 50 ms."""
    for entry in sys.path:
        with suppress(OSError), os.scandir(entry or ".") as found:
            for item in found:
                match = _METADATA.fullmatch(item.name)
                if match:
                    return match[1]
    return None
