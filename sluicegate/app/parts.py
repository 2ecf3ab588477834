"""The parts of a gateway, started in order and closed in reverse: nothing is left half started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from models import migrate, sealing
from models.database import ALL, POOL_SIZE, Database
from resolvers import live
from resolvers.keys import KeyRing
from resolvers.operator_keys import ensure_bootstrap_key
from resolvers.services import Services
from sluicegate.core import tracing
from sluicegate.core.crypto import SecretBox
from sluicegate.core.datadir import DataDirectory, split_keys
from sluicegate.core.errors import ConfigurationError
from sluicegate.core.net import Connector
from sluicegate.events.hub import Hub
from sluicegate.jobs.confirm_sync import ConfirmSync
from sluicegate.jobs.removal import RemoveObjects, RemoveProject, RemoveSyncConfig
from sluicegate.jobs.service import JobsService
from sluicegate.jobs.sync_config import SyncConfigRun
from sluicegate.jobs.sync_storage import SyncStorage
from sluicegate.settings import Settings
from sluicegate.sync.services import SyncServices
from sluicegate.webhooks.delivery import Deliverer

_BESIDE_RUNS = 4
"""PostgreSQL connections for what a process does beside its runs, which may each want one at a time."""


@dataclass(slots=True)
class Gateway:
    """One running gateway. `worker`: it runs jobs too. `first_key`: the admin key that this start made, if it did.

    `draining`: it has been told to end and is handing its work over; it is not ready for more.
    """

    services: Services
    directory: DataDirectory
    worker: bool
    first_key: str | None = None
    draining: bool = False


@asynccontextmanager
async def running(
    settings: Settings, *, worker: bool = True, serves: bool = True, only: Collection[str] | None = None
) -> AsyncGenerator[Gateway]:
    """Starts every part. `worker`: also run jobs in this process; `only`: those of these classes.

    `serves`: it is a gateway, which brings the schema up to date and makes the first key; else both must be there.

    Raises ConfigurationError, before anything outside is touched that a next start would not find in order.
    """
    directory = DataDirectory(settings.data_dir)
    async with AsyncExitStack() as stack:
        if settings.traces_url is not None:
            end = tracing.configure(settings.traces_url, settings.traces_ratio)
            stack.push_async_callback(asyncio.to_thread, end)
        embedded = uses_sqlite(settings)
        if embedded:
            stack.enter_context(directory)
        pool_size = max(POOL_SIZE, settings.worker_concurrency + _BESIDE_RUNS) if worker else POOL_SIZE
        database = Database(settings.database_url or directory.make_database(), pool_size=pool_size)
        stack.push_async_callback(database.close)
        if serves:
            await migrate.upgrade(database)
        else:
            await migrate.require(database)
        secrets = await open_secrets(settings, directory, database)
        connector = await stack.enter_async_context(Connector(settings.allowed_endpoints))
        hub = Hub(settings.events_url, live.topics(database))
        await hub.start()
        stack.push_async_callback(hub.close)
        sync = SyncServices(
            database=database,
            secrets=secrets,
            connector=connector,
            local_roots=parse_local_roots(settings.local_roots, directory.path),
            data_dir=str(directory.path),
            ambient_aws=settings.ambient_aws,
        )
        classes = [
            SyncStorage(sync), SyncConfigRun(sync), ConfirmSync(sync),
            RemoveObjects(database), RemoveSyncConfig(database), RemoveProject(database),
        ]  # fmt: skip
        # Connections of its own: receivers that don't answer must not take those of syncs.
        to_webhooks = await stack.enter_async_context(Connector(settings.allowed_endpoints))
        webhooks = Deliverer(database, secrets, to_webhooks)
        jobs = JobsService(database, hub, classes, settings, only=only, loops={"webhooks": webhooks.run})
        jobs.watch_sources(sync.open_provider)
        keys = KeyRing()
        stack.push_async_callback(keys.close)
        first_key = await ensure_bootstrap_key(database, settings) if serves else None
        if worker:
            await jobs.start()
            stack.push_async_callback(jobs.close)
        services = Services(settings, database, secrets, hub, connector, jobs, sync, keys)
        yield Gateway(services, directory, worker=worker, first_key=first_key)


def uses_sqlite(settings: Settings) -> bool:
    """Whether the database is a file of this machine, so that the data directory has one gateway."""
    return settings.database_url is None or settings.database_url.startswith("sqlite")


def database_url(settings: Settings, directory: DataDirectory) -> str:
    """The address of the database: the setting, or the file in the data directory."""
    return settings.database_url or directory.database_url


async def open_secrets(settings: Settings, directory: DataDirectory, database: Database) -> SecretBox:
    """The secret key: the setting, or embedded the file in the data directory, made at the first start.

    Raises ConfigurationError when there is none, or when it is not the one that this database was used with.
    """
    async with database.write(ALL) as session:
        if settings.secret_key is not None:
            keys = split_keys(settings.secret_key.get_secret_value())
        elif not uses_sqlite(settings):
            raise ConfigurationError(
                "With PostgreSQL the secret key must be given: SLUICEGATE_SECRET_KEY is not set.",
                hint="Make one with `sluicegate secrets new-key`, and give the same one to every process.",
            )
        else:
            keys = directory.read_keys()
            if not keys and await sealing.has_check(session):
                raise ConfigurationError(
                    f"The secret key {directory.key_file} is missing, but the database was used with one.",
                    hint="Put the file back, or give its content as SLUICEGATE_SECRET_KEY.",
                )
            keys = keys or directory.make_key()
        secrets = SecretBox(keys)
        await sealing.check_key(session, secrets)
    return secrets


def parse_local_roots(text: str, data_dir: Path) -> Mapping[str, str]:
    """Folders by namespace: namespace → absolute path of SLUICEGATE_LOCAL_ROOTS.

    Raises ConfigurationError for an entry that is none, and for a folder that holds the data directory: a storage
    would read the gateway's own secrets.
    """
    roots: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        namespace, separator, folder = (part.strip() for part in entry.partition("="))
        path = Path(folder).resolve()
        if not (separator and namespace and folder) or not Path(folder).is_absolute():
            raise ConfigurationError(
                f"SLUICEGATE_LOCAL_ROOTS has an entry that is not namespace=/absolute/path: {entry!r}.",
                hint="Example: default=/srv/media",
            )
        if namespace in roots:
            raise ConfigurationError(f"SLUICEGATE_LOCAL_ROOTS names the namespace {namespace!r} twice.")
        if data_dir.resolve().is_relative_to(path):
            raise ConfigurationError(
                f"SLUICEGATE_LOCAL_ROOTS: {folder} contains the data directory, which no storage may read.",
                hint="Move the data directory elsewhere with SLUICEGATE_DATA_DIR.",
            )
        roots[namespace] = str(path)
    return roots
