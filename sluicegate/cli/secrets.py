"""`sluicegate secrets`: the key that stored credentials are encrypted with."""

from __future__ import annotations

import sys
from pathlib import Path

from sluicegate.cli.config import configure_logging, load_settings, open_database, run_async
from sluicegate.cli.output import print_json, stdout
from sluicegate.core.crypto import SecretBox, new_secret_key
from sluicegate.core.datadir import DataDirectory, split_keys
from sluicegate.core.errors import ConfigurationError
from sluicegate.settings import Settings


def new_key() -> None:
    """Prints a fresh Fernet key."""
    sys.stdout.write(new_secret_key() + "\n")


def rotate(*, data_dir: Path | None, as_json: bool) -> None:
    """Seals everything with the newest key. Raises ConfigurationError, and then has changed nothing.

    Embedded: makes the new key too; the gateway must not be running, because it would go on with the old one. With
    SLUICEGATE_SECRET_KEY="new,old" every process must have been started with both before this.
    """
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings, quiet=True)
    if settings.secret_key is None:
        storages = _rotate_file(settings)
        advice = "The old key is gone from the key file; backups of before need the old one."
    else:
        keys = split_keys(settings.secret_key.get_secret_value())
        storages = run_async(_reseal(settings, keys))
        advice = "The older keys can be taken out of SLUICEGATE_SECRET_KEY now."
    if as_json:
        print_json({"storages": storages})
    else:
        stdout().print(f"Encrypted again with the newest key: {storages} storages' credentials. {advice}")


def _rotate_file(settings: Settings) -> int:
    from sluicegate.app.parts import uses_sqlite

    directory = DataDirectory(settings.data_dir)
    if not uses_sqlite(settings) or not directory.key_file.exists():
        raise ConfigurationError(
            f"There is no key to rotate: SLUICEGATE_SECRET_KEY is not set, and {directory.key_file} does not exist.",
            hint="Give the directory of the installation with --data-dir.",
        )
    with directory:
        old = directory.read_keys()
        new = new_secret_key()
        # Whatever moment the power fails at: the file holds every key that a row may be sealed with.
        directory.write_keys([new, *old])
        storages = run_async(_reseal(settings, [new, *old], directory=directory))
        directory.write_keys([new])
    return storages


async def _reseal(settings: Settings, keys: list[str], *, directory: DataDirectory | None = None) -> int:
    from models import migrate, sealing
    from models.database import ALL, Database

    if directory is None:
        async with open_database(settings) as database, database.write(ALL) as session:
            return await sealing.reseal_all(session, SecretBox(keys))
    database = Database(settings.database_url or directory.database_url)
    try:
        await migrate.upgrade(database)
        async with database.write(ALL) as session:
            return await sealing.reseal_all(session, SecretBox(keys))
    finally:
        await database.close()
