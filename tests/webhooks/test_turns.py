"""Nobody's messages wait for another's receiver."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.delivery_attempts import Waiting
from sluicegate.core.clock import now
from sluicegate.webhooks.schedule import AT_A_TIME, IN_TROUBLE, PER_CONFIG, Turns
from tests.support.jobs import until
from tests.support.s3_responder import Reply, Stall
from tests.support.webhooks import Hooks, payload

START = now()


def due(*config_ids: int) -> list[Waiting]:
    """All due; the first has waited longest."""
    return [Waiting(config_id, START + timedelta(seconds=place)) for place, config_id in enumerate(config_ids)]


def test_one_configuration_gets_at_most_its_share() -> None:
    assert Turns().share(due(7)) == {7: PER_CONFIG}


def test_the_places_go_round() -> None:
    assert Turns().share(due(*range(8))) == dict.fromkeys(range(8), 2)
    assert list(Turns().share(due(*range(50)))) == list(range(AT_A_TIME))


def test_dead_receivers_leave_places_to_the_others() -> None:
    turns = Turns()
    dead = range(100, 140)
    for config_id in dead:
        turns.begin(config_id)
        turns.end(config_id, well=False)
    shares = turns.share(due(*dead, 1, 2))
    assert shares == {**dict.fromkeys(dead[:IN_TROUBLE], 1), 1: PER_CONFIG, 2: PER_CONFIG}


def test_a_receiver_that_is_well_again_gets_its_whole_share() -> None:
    turns = Turns()
    for well, share in ((False, 1), (True, PER_CONFIG)):
        turns.begin(1)
        turns.end(1, well=well)
        assert turns.share(due(1)) == {1: share}


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["begin", "well", "bad", "share"])), max_size=60))
def test_the_limits_hold_whatever_happens(steps: list[tuple[int, str]]) -> None:
    turns, busy = Turns(), dict.fromkeys(range(10), 0)
    for config_id, step in steps:
        if step == "begin" and busy[config_id] < PER_CONFIG and turns.busy < AT_A_TIME:
            turns.begin(config_id)
            busy[config_id] += 1
        elif step in ("well", "bad") and busy[config_id]:
            turns.end(config_id, well=step == "well")
            busy[config_id] -= 1
        elif step == "share":
            for one, share in turns.share(due(*range(10))).items():
                assert share > 0
                for _ in range(share):
                    turns.begin(one)
                busy[one] += share
        assert turns.busy == sum(busy.values()) <= AT_A_TIME
        assert max(busy.values()) <= PER_CONFIG


async def test_a_receiver_that_hangs_holds_up_nobody_else(hooks: Hooks) -> None:
    hanging, well = await hooks.hook("/hanging"), await hooks.hook("/well")
    hooks.receiver.say("/hanging", Stall())
    for number in range(1, 31):
        await hooks.batch(hanging, number=number)
    async with hooks.delivering(close=0.01):
        await hooks.receiver.wait("/hanging", PER_CONFIG)
        for number in range(1, 11):
            await hooks.ended(await hooks.batch(well, number=number))
        assert len(hooks.receiver.of("/hanging")) == PER_CONFIG


async def test_the_oldest_messages_of_a_configuration_go_first(local_hooks: Hooks) -> None:
    hooks = local_hooks
    hook = await hooks.hook()
    hooks.receiver.say("/hook", Reply(500), Reply(204))
    async with hooks.delivering():
        await hooks.tried(await hooks.batch(hook, number=1))
    for number in range(2, 9):  # in trouble, so one at a time
        hooks.clock.forward(0.001)
        await hooks.batch(hook, number=number)
    async with hooks.delivering():
        await hooks.receiver.wait("/hook", 8)
        await until(lambda: len(hooks.receiver.taken) == 8)
    told = [payload(request)["data"]["number"] for request in hooks.receiver.taken]
    assert told[0] == 1
    assert set(told[1:5]) == {2, 3, 4, 5}


async def test_an_idle_loop_asks_the_database_next_to_nothing(local_hooks: Hooks) -> None:
    looks = 0
    read = local_hooks.database.read

    def counting(scope: object) -> object:
        nonlocal looks
        looks += 1
        return read(scope)  # pyright: ignore[reportArgumentType]

    local_hooks.database.read = counting  # pyright: ignore[reportAttributeAccessIssue]
    async with local_hooks.delivering():
        await until(lambda: looks == 1)
        await asyncio.sleep(0.2)
        assert looks == 1
