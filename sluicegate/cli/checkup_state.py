"""The doctor's look at what an installation keeps: data directory, secret key, database; and what it reaches."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from models import migrate, sealing, stats
from models.database import ALL, Database
from sluicegate.app.parts import database_url, parse_local_roots, uses_sqlite
from sluicegate.cli.findings import Finding, bad, good, warning
from sluicegate.core.crypto import SecretBox
from sluicegate.core.datadir import DATABASE_FILE, DataDirectory, split_keys
from sluicegate.core.endpoints import EndpointPolicy
from sluicegate.events.channel import open_channel
from sluicegate.events.echo import Echo
from sluicegate.settings import Settings

_SECONDS = 5.0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


async def data_directory(settings: Settings) -> AsyncGenerator[Finding]:
    """Whether it can be used, and by nobody else."""
    directory = DataDirectory(settings.data_dir)
    if not directory.path.exists():
        yield good("data directory", f"{directory.path} is made at the first start.")
        return
    directory.create()
    opened = [path for path in _private_paths(directory) if path.exists() and path.stat().st_mode & _OTHERS]
    for path in opened:
        yield warning("data directory", f"Other users may open {path}.", f"chmod go-rwx {path}")
    if not opened:
        yield good("data directory", f"{directory.path} is closed to other users.")
    pid = directory.holder()
    yield good("data directory", "No gateway runs on it." if pid is None else f"A gateway runs on it: pid {pid}.")


async def database(settings: Settings) -> AsyncGenerator[Finding]:
    """Whether it answers, and at which schema it is."""
    if _not_made_yet(settings):
        yield good("database", "SQLite; it is made at the first start.")
        return
    async with _opened(settings) as opened:
        try:
            async with asyncio.timeout(_SECONDS), opened.read(ALL) as session:
                await stats.ping(session)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises is the finding
            yield bad("database", f"It does not answer: {type(error).__name__}.", "Check SLUICEGATE_DATABASE_URL.")
            return
        yield good("database", f"{'SQLite' if opened.is_sqlite else 'PostgreSQL'} answers.")
        state = await migrate.state(opened)
        if state.up_to_date:
            yield good("migrations", f"The schema is at this version's revision, {state.head}.")
        else:
            yield warning(
                "migrations",
                f"The schema is at {state.current or 'no revision'}, this version's is {state.head}.",
                "`sluicegate serve` upgrades it, and so does `sluicegate migrate`.",
            )


async def secret_key(settings: Settings) -> AsyncGenerator[Finding]:
    """Whether there is one, and whether it is the one that this database was used with."""
    directory = DataDirectory(settings.data_dir)
    given = settings.secret_key is not None
    keys = split_keys(settings.secret_key.get_secret_value()) if settings.secret_key else directory.read_keys()
    if not keys and not uses_sqlite(settings):
        yield bad(
            "secret key", "With PostgreSQL SLUICEGATE_SECRET_KEY must be given.", "Make one: sluicegate secrets new-key"
        )
        return
    secrets = SecretBox(keys) if keys else None
    if not _not_made_yet(settings):
        async with _opened(settings) as opened:
            if (await migrate.state(opened)).current is not None:
                async with opened.read(ALL) as session:
                    used = await sealing.has_check(session)
                    if used and secrets is None:
                        yield bad("secret key", f"{directory.key_file} is missing.", "Put the file back.")
                        return
                    if used and secrets is not None:
                        await sealing.check_key(session, secrets)
    if secrets is None:
        yield good("secret key", "It is made at the first start.")
    else:
        where = "SLUICEGATE_SECRET_KEY" if given else str(directory.key_file)
        yield good("secret key", f"{len(keys)} in {where}; the database was used with no other.")


async def events(settings: Settings) -> AsyncGenerator[Finding]:
    """Sends a message through the channel and waits for it."""
    channel = open_channel(settings.events_url)
    text = Echo().next().encoded()  # which every process of the installation ignores
    try:
        async with asyncio.timeout(_SECONDS), channel.subscribe() as messages:
            await channel.publish(text)
            async for message in messages:
                if message == text:
                    break
    except TimeoutError:
        yield bad("events", f"A message did not come back within {_SECONDS:.0f} s.", "Check SLUICEGATE_EVENTS_URL.")
        return
    yield good("events", "A message went through the channel and came back.")
    if channel.local and not uses_sqlite(settings):
        yield warning(
            "events",
            "Updates of other processes on this database are not shown live.",
            "With more than one process set SLUICEGATE_EVENTS_URL, to the PostgreSQL itself or to a Redis.",
        )


def reach(settings: Settings) -> Iterator[Finding]:
    """What storages may reach on this network and on this machine."""
    EndpointPolicy(settings.allowed_endpoints)
    allowed = settings.allowed_endpoints.strip()
    yield good("endpoints", f"Besides public ones: {allowed}." if allowed else "Public ones alone.")
    roots = parse_local_roots(settings.local_roots, settings.data_dir.absolute())
    for namespace, folder in roots.items():
        if Path(folder).is_dir():
            yield good("local roots", f"{namespace} reads below {folder}.")
        else:
            yield warning("local roots", f"{folder} of {namespace} is not a folder.", "Check SLUICEGATE_LOCAL_ROOTS.")
    if not roots:
        yield good("local roots", "None: LOCAL storages are off.")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[Database]:
    opened = Database(database_url(settings, DataDirectory(settings.data_dir)))
    try:
        yield opened
    finally:
        await opened.close()


def _not_made_yet(settings: Settings) -> bool:
    return settings.database_url is None and not (settings.data_dir / DATABASE_FILE).exists()


def _private_paths(directory: DataDirectory) -> list[Path]:
    return [directory.path, directory.key_file, directory.path / DATABASE_FILE]
