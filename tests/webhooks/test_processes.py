"""Several processes deliver beside one another, and one that dies leaves nothing undelivered."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from models.database import ALL, Database
from models.deliveries import Delivery
from models.delivery_attempts import take
from models.migrate import upgrade
from sluicegate.core.crypto import SecretBox, new_api_secret, new_secret_key
from sluicegate.core.datadir import DataDirectory
from sluicegate.webhooks.delivery import DeliveryOptions
from tests.support.gateway import gateway_process
from tests.support.s3_responder import Stall
from tests.support.webhooks import Hooks, hooks_on


async def test_two_workers_send_each_message_once(postgres_url: str) -> None:
    async with hooks_on(postgres_url) as hooks:
        found = [await hooks.hook(f"/{number}") for number in range(3)]
        batches = [await hooks.batch(hook, number=number) for number in range(1, 21) for hook in found]
        second = Database(postgres_url)
        try:
            async with hooks.delivering(), hooks.delivering(database=second):
                for batch in batches:
                    await hooks.ended(batch)
        finally:
            await second.close()
        sent = Counter(request.headers["webhook-id"] for request in hooks.receiver.taken)
    assert len(sent) == len(batches)
    assert set(sent.values()) == {1}


async def test_what_one_process_has_in_its_hands_another_leaves_alone(postgres_url: str) -> None:
    async with hooks_on(postgres_url) as hooks:
        hook = await hooks.hook()
        for number in range(1, 5):
            await hooks.batch(hook, number=number)
        wanted = {hook.config_id: 2}
        async with hooks.database.write(ALL) as one, hooks.database.write(ALL) as other:
            first = await take(one, wanted, at=hooks.clock(), lease_seconds=60)
            second = await take(other, wanted, at=hooks.clock(), lease_seconds=60)
        numbers = [message.batch_number for message in (*first, *second)]
        assert sorted(number for number in numbers if number is not None) == [1, 2, 3, 4]


async def test_an_attempt_that_never_ended_is_made_again_after_its_lease(hooks: Hooks) -> None:
    hook = await hooks.hook()
    batch = await hooks.batch(hook)
    async with hooks.database.write(ALL) as session:  # by a process that is killed then
        assert await take(session, {hook.config_id: 4}, at=hooks.clock(), lease_seconds=DeliveryOptions().lease)
    async with hooks.delivering():
        hooks.forward(DeliveryOptions().lease - 0.01)
        other = await hooks.hook("/other")
        await hooks.ended(await hooks.batch(other))
        assert not hooks.receiver.of("/hook")
        hooks.forward(0.02)
        row = await hooks.ended(batch)
    assert row.attempts == 2


async def test_the_answer_to_an_old_attempt_does_not_undo_a_later_one(local_hooks: Hooks) -> None:
    hooks = local_hooks
    hook = await hooks.hook()
    batch = await hooks.batch(hook)
    hooks.receiver.say("/hook", Stall())
    async with hooks.delivering(timeout=0.2):
        await hooks.receiver.wait("/hook")
        async with hooks.database.write(ALL) as session:  # another process has made the next attempt meanwhile
            row = await session.get_one(Delivery, batch)
            row.attempts = 2
            until = row.next_attempt_at = hooks.clock() + timedelta(hours=1)
        await hooks.ended(await hooks.batch(await hooks.hook("/other")))
    row = await hooks.row(batch)
    assert (row.attempts, row.next_attempt_at) == (2, until)


@pytest.mark.slow
async def test_a_killed_gateway_delivers_after_its_next_start(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    url = directory.make_database()
    database = Database(url)
    await upgrade(database)
    await database.close()
    secret_key, key = new_secret_key(), new_api_secret()
    env = {"SLUICEGATE_SECRET_KEY": secret_key, "SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1"}
    async with hooks_on(url) as hooks:
        hooks.box = SecretBox([secret_key])
        hook = await hooks.hook()
        hooks.receiver.say("/hook", Stall())
        batch = await hooks.batch(hook)
        async with gateway_process(directory.path, env, key=key) as gateway:
            await hooks.receiver.wait("/hook")
            gateway.process.kill()
        row = await hooks.row(batch)
        assert (row.status, row.attempts) == ("PENDING", 1)
        async with hooks.database.write(ALL) as session:  # its lease runs out
            (await session.get_one(Delivery, batch)).next_attempt_at = hooks.clock()
        hooks.receiver.say("/hook")
        async with gateway_process(directory.path, env, key=key):
            row = await hooks.ended(batch)
        assert row.attempts == 2
        first, second = hooks.receiver.of("/hook")
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
