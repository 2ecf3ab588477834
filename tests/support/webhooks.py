"""Configurations with webhooks on a database, a receiver that fails on demand, and the loop that delivers."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp.abc import AbstractResolver
from sqlalchemy import select

from models.database import ALL, Database
from models.deliveries import BatchStatus, Delivery, WebhookEvent
from models.delivery_queue import announce, new_message_id
from models.jobs import Job, JobStatus
from models.objects import SyncedObject
from models.sync_configs import SyncConfig
from sluicegate.core.crypto import SecretBox, new_secret_key
from sluicegate.core.net import Connector
from sluicegate.webhooks.delivery import Deliverer, DeliveryOptions
from sluicegate.webhooks.secrets import new_secret, seal_secret
from tests.support.jobs import PATIENCE_SECONDS, Clock, Tenant, make_schema, make_tenant
from tests.support.s3_responder import Drop, Fault, Reply, Request, S3Responder, Stall


class Receiver(S3Responder):
    """A server that takes every message with 204, unless `answers` has something else for the path.

    Several answers of a path are given in turn, the last one for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, list[Fault]] = {}
        self.taken: list[Request] = []
        self.always = self._take
        self._news = asyncio.Condition()

    def say(self, path: str, *answers: Fault) -> None:
        """What requests of this path get."""
        self.answers[path] = list(answers)

    def _take(self, request: Request) -> Reply | Drop | Stall:
        self.taken.append(request)
        asyncio.get_running_loop().create_task(self._tell())
        answers = self.answers.get(request.target)
        if not answers:
            return Reply(204)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        assert isinstance(answer, (Reply, Drop, Stall))
        return answer

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def of(self, path: str) -> list[Request]:
        """The requests of one path."""
        return [request for request in self.taken if request.target == path]

    async def wait(self, path: str, count: int = 1) -> list[Request]:
        """Waits for so many requests of the path."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: len(self.of(path)) >= count)
        return self.of(path)


def payload(request: Request) -> dict[str, Any]:
    """What a request told."""
    return json.loads(request.body)


@dataclass
class Hook:
    """A configuration with a webhook, and a job of it."""

    config_id: int
    job_id: int
    secret: str
    path: str


@dataclass
class Hooks:
    """Everything around the deliverer under test."""

    database: Database
    tenant: Tenant
    receiver: Receiver
    connector: Connector
    clock: Clock = field(default_factory=Clock)
    box: SecretBox = field(default_factory=lambda: SecretBox([new_secret_key()]))

    async def hook(self, path: str = "/hook", *, url: str | None = None, **columns: Any) -> Hook:
        """A configuration that is told of everything at `path` of the receiver."""
        secret = new_secret()
        async with self.database.write(ALL) as session:
            config = SyncConfig(
                namespace_id=self.tenant.namespace_id, project_id=self.tenant.project_id,
                storage_id=self.tenant.storage_id, source_path="bucket", range_low=b"", range_high=None, run_number=3,
                webhook_url=url or self.receiver.endpoint + path, webhook_events=list(WebhookEvent), **columns,
            )  # fmt: skip
            session.add(config)
            await session.flush()
            config.sealed_webhook_secret = seal_secret(
                self.box, secret, config_id=config.id, namespace_id=config.namespace_id
            )
            job = Job(
                namespace_id=config.namespace_id, job_class="SYNC_CONFIG", sync_config_id=config.id, run_id="run",
                status=JobStatus.COMPLETED,
                project_id=config.project_id, storage_id=config.storage_id,
            )  # fmt: skip
            session.add(job)
            await session.flush()
            return Hook(config.id, job.id, secret, path)

    async def batch(self, hook: Hook, *items: tuple[bytes, int], number: int = 1) -> int:
        """A batch of these objects, written as a run does. Returns the id of its row."""
        async with self.database.write(ALL) as session:
            row = Delivery(
                namespace_id=self.tenant.namespace_id, sync_config_id=hook.config_id, job_id=hook.job_id,
                event=WebhookEvent.BATCH_READY, batch_number=number, object_count=len(items),
                items=[[key.hex(), row] for key, row in items], message_id=new_message_id(),
                next_attempt_at=self.clock(), created_at=self.clock(),
            )  # fmt: skip
            session.add(row)
            await session.flush()
            announce(session)
            return row.id

    async def object(self, key: bytes, row: int = 0, *, path: str | None = None) -> int:
        """An object in the catalogue."""
        async with self.database.write(ALL) as session:
            found = SyncedObject(
                namespace_id=self.tenant.namespace_id, project_id=self.tenant.project_id,
                storage_id=self.tenant.storage_id, source_key=key, row=row, status="SYNCED",
                path=path or key.decode(), modality="OTHER", fingerprint="f", first_synced_at=self.clock(),
                synced_at=self.clock(),
            )  # fmt: skip
            session.add(found)
            await session.flush()
            return found.id

    async def row(self, delivery_id: int) -> Delivery:
        """The message as it is now."""
        async with self.database.read(ALL) as session:
            return await session.get_one(Delivery, delivery_id)

    async def rows(self, hook: Hook) -> list[Delivery]:
        """All messages of the configuration."""
        async with self.database.read(ALL) as session:
            found = select(Delivery).where(Delivery.sync_config_id == hook.config_id).order_by(Delivery.id)
            return list((await session.scalars(found)).all())

    async def change(self, hook: Hook, **columns: Any) -> None:
        """Changes the configuration."""
        async with self.database.write(ALL) as session:
            config = await session.get_one(SyncConfig, hook.config_id)
            for name, value in columns.items():
                setattr(config, name, value)

    def forward(self, seconds: float) -> None:
        """Lets time pass."""
        self.clock.forward(seconds)
        self.database.delivery_news.set()

    async def ended(self, delivery_id: int, status: BatchStatus = BatchStatus.DELIVERED) -> Delivery:
        """Waits until the message has this status."""
        return await self._until(delivery_id, lambda row: row.status == status)

    async def tried(self, delivery_id: int, attempts: int = 1) -> Delivery:
        """Waits until so many attempts have failed and been written down."""
        leased_until = self.clock() + timedelta(seconds=DeliveryOptions().lease)
        return await self._until(
            delivery_id,
            lambda row: row.attempts >= attempts and row.last_error is not None and row.next_attempt_at != leased_until,
        )

    async def _until(self, delivery_id: int, true: Callable[[Delivery], bool]) -> Delivery:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:  # another process may write it: there is no event to wait for
                row = await self.row(delivery_id)
                if true(row):
                    return row
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def delivering(self, *, database: Database | None = None, **options: Any) -> AsyncGenerator[Deliverer]:
        """The loop, running. `database`: another connection to the same, as another process has."""
        deliverer = Deliverer(
            database or self.database, self.box, self.connector, clock=self.clock, options=DeliveryOptions(**options)
        )
        task = asyncio.create_task(deliverer.run())
        try:
            yield deliverer
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def hooks_on(
    database_url: str, *, allowed: str = "127.0.0.1", resolver: AbstractResolver | None = None
) -> AsyncGenerator[Hooks]:
    """An empty database with one tenant, and a receiver."""
    async with AsyncExitStack() as stack:
        database = Database(database_url)
        stack.push_async_callback(database.close)
        await make_schema(database)
        receiver = await stack.enter_async_context(Receiver())
        connector = await stack.enter_async_context(Connector(allowed, resolver=resolver))
        yield Hooks(database, await make_tenant(database), receiver, connector)
