"""Build the GraphiQL page into sluicegate/static/graphiql: `python web/build.py [--check]`.

With --check, fail when the committed files are not what the sources give.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
OUTPUT = ROOT / "sluicegate" / "static" / "graphiql"
sys.path.insert(0, str(ROOT))

from tests.support.node import node_path, npm_cli  # noqa: E402 - after the path above: this runs as a file


def _run(*command: str) -> None:
    # The node that was found comes first, so that npm's scripts run on it too.
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(node_path()).parent), os.environ.get("PATH", "")])}
    subprocess.run(command, cwd=WEB, env=environment, check=True, timeout=600)


def _contents() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in OUTPUT.glob("*")}


def _install() -> None:
    """Install what the lock file pins, unless node_modules has it already (npm keeps a copy of the lock there)."""
    done = WEB / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < (WEB / "package-lock.json").stat().st_mtime:
        _run(*npm_cli(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def main(arguments: list[str]) -> str | None:
    """Build, and with --check compare: a message when the committed build was stale (it is then the new one)."""
    before = _contents()
    _install()
    _run(*npm_cli(), "run", "--silent", "typecheck")
    _run(*npm_cli(), "run", "--silent", "build")
    after = _contents()
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if "--check" in arguments and changed:
        return f"The committed build is stale, commit the new one: {', '.join(changed)}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
