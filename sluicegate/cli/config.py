"""Settings and the database as commands use them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sluicegate.core.errors import ConfigurationError

if TYPE_CHECKING:
    from models.database import Database
    from sluicegate.settings import Settings

T = TypeVar("T")


def load_settings(*, data_dir: Path | None = None) -> Settings:
    """The settings of the environment; the command line's data directory wins.

    Raises ConfigurationError that names each variable and what it must be, never what it is: it may be a secret.
    """
    from pydantic import ValidationError

    from sluicegate.settings import Settings

    try:
        return Settings() if data_dir is None else Settings(data_dir=data_dir)
    except ValidationError as error:
        problems = [
            f"SLUICEGATE_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}."
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise ConfigurationError("\n".join(problems), hint="docs/operations.md lists every setting.") from None


def configure_logging(settings: Settings, *, quiet: bool = False) -> None:
    """Logs as the settings say; when they don't, lines for people on a terminal. `quiet`: warnings and worse alone."""
    import sys

    from sluicegate.core import logging

    people = "log_format" not in settings.model_fields_set and sys.stderr.isatty()
    logging.configure(
        form="console" if people else settings.log_format,
        level="warning" if quiet and settings.log_level in ("debug", "info") else settings.log_level,
    )


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncGenerator[Database]:
    """The installation's database at this version's schema, whether a gateway runs on it or not.

    Raises ConfigurationError when its schema is another's.
    """
    from models import migrate
    from models.database import Database
    from sluicegate.app.parts import database_url, uses_sqlite
    from sluicegate.core.datadir import DataDirectory

    directory = DataDirectory(settings.data_dir)
    database = Database(database_url(settings, directory))
    try:
        if uses_sqlite(settings) and directory.holder() is None:
            with directory:
                directory.make_database()
                await migrate.upgrade(database)
        else:
            await migrate.require(database)
        yield database
    finally:
        await database.close()
