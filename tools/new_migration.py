"""Write the next migration from what changed in models/: `make migration MESSAGE='Add a colour to projects'`.

It brings an empty SQLite database to the newest revision, lets alembic compare, and writes what differs. Read it before
keeping it: alembic sees a renamed column as one that goes and one that comes.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

import models.migrations
from models import migrate
from models.database import Database


def _write(connection: Connection, message: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(models.migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.revision(config, message, autogenerate=True, rev_id=revision)


async def main(message: str) -> None:
    """Write the migration that `message` names; its number follows the newest."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/newest.db")
        try:
            await migrate.upgrade(database)
            head = (await migrate.state(database)).head
            async with database.writer.connect() as connection:
                await connection.run_sync(_write, message, f"{int(head) + 1:04}")
        finally:
            await database.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case [text] if text.strip():
            asyncio.run(main(text))
        case _:
            sys.exit("usage: make migration MESSAGE='what changes'")
