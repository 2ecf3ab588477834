"""`sluicegate migrate` and `sluicegate schema`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from sluicegate.cli.config import configure_logging, load_settings, run_async
from sluicegate.cli.output import print_json, stdout
from sluicegate.settings import Settings


def migrate(*, data_dir: Path | None, as_json: bool) -> None:
    """Upgrades the database. Raises ConfigurationError when a gateway runs on it, or a newer version wrote it."""
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings, quiet=True)
    before, head = run_async(_migrate(settings))
    if as_json:
        print_json({"from": before, "to": head, "changed": before != head})
    elif before == head:
        stdout().print(f"The schema is at revision {head}: nothing to do.")
    else:
        stdout().print(f"The schema went from revision {before or '(none)'} to {head}.", markup=False)


def print_schema() -> None:
    """Prints the public schema."""
    from gql.schema import schema

    sys.stdout.write(schema.as_str().rstrip() + "\n")


async def _migrate(settings: Settings) -> tuple[str | None, str]:
    from models import migrate as migrations
    from models.database import Database
    from sluicegate.app.parts import uses_sqlite
    from sluicegate.core.datadir import DataDirectory

    directory = DataDirectory(settings.data_dir)
    with directory if uses_sqlite(settings) else nullcontext():
        database = Database(settings.database_url or directory.make_database())
        try:
            state = await migrations.upgrade(database)
        finally:
            await database.close()
    return state.current, state.head
