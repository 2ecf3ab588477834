"""The loop that delivers: takes due messages, sends each in a task of its own, writes down how it went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from models import delivery_attempts, delivery_payloads
from models.database import ALL, Database
from models.deliveries import WebhookEvent
from models.delivery_attempts import Message
from sluicegate.core.clock import now
from sluicegate.core.crypto import SecretBox
from sluicegate.core.errors import ConfigurationError
from sluicegate.core.metrics import WEBHOOK_ATTEMPTS
from sluicegate.core.net import Connector
from sluicegate.webhooks.payloads import batch_body, sync_body
from sluicegate.webhooks.schedule import MAX_ATTEMPTS, Turns, wait_after
from sluicegate.webhooks.secrets import open_secret
from sluicegate.webhooks.sending import TIMEOUT_SECONDS, Verdict, send
from sluicegate.webhooks.signing import signed_headers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """Times in seconds.

    `lease`: after an attempt that never ended another process makes the next, so it is longer than any attempt.
    `slow`: a receiver that takes longer gets one message at a time, as one that fails. `look`: the longest time between
    two looks: other processes write messages too. `close`: for the attempts under way when the process ends.
    """

    timeout: float = TIMEOUT_SECONDS
    lease: float = 60.0
    slow: float = 5.0
    look: float = 10.0
    close: float = 0.6


class Deliverer:
    """Delivers the messages of all configurations.

    `connector`: one of its own, so that slow receivers hold up no sync.
    """

    def __init__(
        self,
        database: Database,
        secrets: SecretBox,
        connector: Connector,
        *,
        clock: Callable[[], datetime] = now,
        options: DeliveryOptions | None = None,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._connector = connector
        self._clock = clock
        self._options = options or DeliveryOptions()
        self._turns = Turns()
        self._attempts: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Delivers until it is canceled; then waits shortly for the attempts under way. Raises what the database does.

        After an error it can be run again; attempts that were under way went on.
        """
        news = self._database.delivery_news
        try:
            while True:
                news.clear()
                wait = await self._look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await news.wait()
        except asyncio.CancelledError:
            await self._finish_attempts()
            raise

    async def _look(self) -> float:
        """Begins the attempts that there is room for. Returns in how many seconds the next look is worth it."""
        at = self._clock()
        async with self._database.read(ALL) as session:
            waiting = await delivery_attempts.waiting(session)
        shares = self._turns.share(item for item in waiting if item.due_at <= at)
        following = min((item.due_at for item in waiting if item.due_at > at), default=None)
        wait = self._options.look
        if following is not None:
            wait = min(wait, (following - at).total_seconds() + 0.001)
        if not shares:
            return wait  # what is due and has no room is looked at when an attempt ends
        async with self._database.write(ALL) as session:
            taken = await delivery_attempts.take(session, shares, at=at, lease_seconds=self._options.lease)
        for message in taken:
            self._begin(message)
        # Nothing: in the hands of another process, or put off behind an earlier message.
        return 0.0 if taken else min(wait, 1.0)

    def _begin(self, message: Message) -> None:
        self._turns.begin(message.config_id)
        task = asyncio.create_task(self._attempt(message), name=f"webhook-{message.id}")
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)

    async def _attempt(self, message: Message) -> None:
        well = False
        time = asyncio.get_running_loop().time
        began = time()
        try:
            verdict = await self._verdict(message)
            well = verdict.error is None and time() - began < self._options.slow
            await self._write_down(message, verdict)
        except Exception as error:  # noqa: BLE001 - logged below
            # By its lease it is taken again; that too ends, for the attempts were counted before.
            self._log_unexpected(message, error, "how it went could not be written down")
        finally:
            self._turns.end(message.config_id, well=well)
            self._database.delivery_news.set()

    async def _verdict(self, message: Message) -> Verdict:
        """What became of an attempt, whatever happens in it: an error of ours is a failure like the receiver's."""
        if message.attempts > MAX_ATTEMPTS:
            return Verdict("The gateway could not end any of its last attempts.")
        try:
            # The time for the body is the database's; without a bound the attempt could outlive its lease.
            async with asyncio.timeout(self._options.lease / 2):
                return await self._send(message)
        except Exception as error:  # noqa: BLE001 - logged below
            self._log_unexpected(message, error, "it could not be sent")
            return Verdict("An unexpected error of the gateway.", logged=True)

    @staticmethod
    def _log_unexpected(message: Message, error: Exception, what: str) -> None:
        # Where it happened, without its text: that may hold the URL, and whoever has that may send to the receiver.
        place = (type(error), Exception(type(error).__name__), error.__traceback__)
        logger.error(
            "Message %s to the webhook of config %s, attempt %s: %s",
            message.id, message.config_id, message.attempts, what, exc_info=place,
        )  # fmt: skip

    async def _send(self, message: Message) -> Verdict:
        try:
            if message.sealed_secret is None:
                raise ConfigurationError("The webhook has no secret.")
            secret = open_secret(
                self._secrets, message.sealed_secret, config_id=message.config_id, namespace_id=message.namespace_id
            )
        except ConfigurationError as error:
            return Verdict(error.message)
        body = await self._body(message)
        at = self._clock()
        headers = signed_headers(secret, message.message_id, at, body)
        return await send(self._connector, message.url, headers, body, at=at, timeout=self._options.timeout)

    async def _body(self, message: Message) -> bytes:
        if message.event is not WebhookEvent.BATCH_READY:
            return sync_body(message)
        async with self._database.read(ALL) as session:
            objects = await delivery_payloads.batch_objects(session, message.config_id, message.items or [])
        return batch_body(message, objects)

    async def _write_down(self, message: Message, verdict: Verdict) -> None:
        at = self._clock()
        wait = None if verdict.final else wait_after(message.attempts, verdict.retry_after)
        async with self._database.write(ALL) as session:
            if verdict.error is None:
                outcome = "delivered"
                await delivery_attempts.delivered(session, message, at=at)
            elif wait is None:
                outcome = "failed"
                await delivery_attempts.give_up(session, message, verdict.error, at=at)
            else:
                outcome = "retried"
                await delivery_attempts.try_again(session, message, verdict.error, at=at + timedelta(seconds=wait))
        WEBHOOK_ATTEMPTS.labels(outcome).inc()
        if verdict.error is not None and not verdict.logged:
            logger.warning(
                "Webhook of config %s, message %s, attempt %s: %s",
                message.config_id, message.id, message.attempts, verdict.error,
            )  # fmt: skip

    async def _finish_attempts(self) -> None:
        tasks = set(self._attempts)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._options.close)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks, timeout=self._options.close)
