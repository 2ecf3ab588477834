"""The command `sluicegate`. Starting it must be quick: each command imports what it needs when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """What the command runs. First it makes sure that the package `gql` is ours."""
    from sluicegate.cli.guard import foreign_gql
    from sluicegate.cli.output import EXIT_CONFIGURATION, complain, run

    problem = foreign_gql()
    if problem is not None:
        complain(problem.message, problem.hint)
        sys.exit(EXIT_CONFIGURATION)
    from sluicegate.cli.commands import app

    sys.exit(run(app))
