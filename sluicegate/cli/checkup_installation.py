"""The doctor's look at what is installed: Python, packages, providers, the page, the settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec

from sluicegate.cli.findings import Finding, bad, good, warning
from sluicegate.cli.guard import foreign_gql, owners
from sluicegate.settings import Settings

_OLDEST_PYTHON = (3, 11)
_CLIENT_VARIABLES = {"SLUICEGATE_URL", "SLUICEGATE_KEY"}  # of commands that act on a running gateway


def python(_settings: Settings) -> Iterator[Finding]:
    """The interpreter, and the parts that make the server quick."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < _OLDEST_PYTHON:
        yield bad("python", f"Python {version} is too old.", "Use Python 3.11 or later.")
        return
    missing = [name for name in ("uvloop", "httptools", "websockets") if find_spec(name) is None]
    if missing:
        yield warning("python", f"Python {version} without {', '.join(missing)}.", "Install Sluicegate anew.")
    else:
        yield good("python", f"Python {version} with uvloop, httptools and websockets.")


def import_name(_settings: Settings) -> Iterator[Finding]:
    """Whether `gql` is ours alone."""
    problem = foreign_gql()
    if problem is not None:
        yield bad("import name", problem.message, problem.hint)
        return
    others = owners()
    if others:
        yield bad("import name", f"{', '.join(others)} has files in the package `gql` too.", "Uninstall it here.")
    else:
        yield good("import name", "The package `gql` is Sluicegate's alone.")


def settings(current: Settings) -> Iterator[Finding]:
    """Variables that look like settings and are none."""
    known = {f"SLUICEGATE_{name.upper()}" for name in Settings.model_fields} | _CLIENT_VARIABLES
    unknown = sorted(name for name in os.environ if name.startswith("SLUICEGATE_") and name not in known)
    for name in unknown:
        near = get_close_matches(name, known, n=1)
        yield warning("settings", f"{name} is not a setting.", f"Did you mean {near[0]}?" if near else "Remove it.")
    if not unknown:
        given = len(current.model_fields_set)
        yield good("settings", f"{given} of {len(Settings.model_fields)} are given, the others have their defaults.")


def providers(_settings: Settings) -> Iterator[Finding]:
    """Which kinds of storage can be read, and how to get the others."""
    from sluicegate.providers import registry

    for spec in registry.specs():
        if spec.available:
            yield good("providers", f"{spec.name} is available.")
        else:
            yield warning("providers", f"{spec.name} is not installed.", spec.install_hint)


def graphiql(_settings: Settings) -> Iterator[Finding]:
    """Whether the page and all that it loads are there."""
    import re
    from importlib.resources import files

    folder = files("sluicegate").joinpath("static", "graphiql")
    page = folder.joinpath("index.html")
    if not page.is_file():
        yield bad("graphiql", "The page of GraphiQL is not in the installation.", "Install Sluicegate anew.")
        return
    wanted = set(re.findall(r"static/graphiql/([\w.-]+)", page.read_text()))
    missing = sorted(name for name in wanted if not folder.joinpath(name).is_file())
    if missing or not wanted:
        yield bad("graphiql", f"GraphiQL lacks {', '.join(missing) or 'its files'}.", "Install Sluicegate anew.")
    else:
        yield good("graphiql", f"The page and the {len(wanted)} files that it begins with are there.")
