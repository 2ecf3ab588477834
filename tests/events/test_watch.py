import asyncio
import tracemalloc

import pytest

from sluicegate.events import End, Hub
from tests.events.rows import Counter, Table, Wire, running_hub, turns


async def test_the_state_comes_first_then_every_change_until_the_last() -> None:
    table = Table(Counter(1, 10))
    seen: list[int] = []
    async with running_hub(table) as hub, hub.watch("counter", 1) as changes:
        async for state in changes:
            seen.append(state.revision)
            if state.revision < 14:
                await hub.publish("counter", table.advance(finished=state.revision == 13))
        assert changes.end is End.FINISHED
    assert seen == [10, 11, 12, 13, 14]
    assert hub.stats.watchers == hub.stats.keys == 0
    assert hub.stats.delivered == 5


async def test_a_change_between_the_subscription_and_the_read_is_seen() -> None:
    table = Table(Counter(1, 1))
    async with running_hub(table) as hub:

        async def change_after_reading() -> None:
            table.before_read = None
            await hub.publish("counter", table.advance())
            await turns()

        table.before_read = change_after_reading
        async with hub.watch("counter", 1) as changes:
            assert (await anext(changes)).revision == 2
            await hub.publish("counter", table.advance(finished=True))
            assert [state.revision async for state in changes] == [3]


async def test_old_and_repeated_states_are_dropped() -> None:
    table = Table(Counter(1, 5))
    async with running_hub(table) as hub, hub.watch("counter", 1) as changes:
        assert (await anext(changes)).revision == 5
        for revision in (4, 5, 7, 6, 7):
            await hub.publish("counter", Counter(1, revision))
            await turns()
        await hub.publish("counter", Counter(1, 8, finished=True))
        await turns()
        assert [state.revision async for state in changes] == [8]


async def test_a_slow_reader_gets_fewer_states_and_the_newest() -> None:
    table = Table(Counter(1, 0))
    async with running_hub(table) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        for _ in range(50):
            await hub.publish("counter", table.advance())
            await turns(10)
        assert (await anext(changes)).revision == 50
        assert hub.stats.coalesced == 49


async def test_a_last_state_waits_for_its_reader_whatever_comes_after() -> None:
    table = Table(Counter(1, 0))
    async with running_hub(table) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        await hub.publish("counter", Counter(1, 1, finished=True))
        await hub.publish("counter", Counter(1, 2))
        await turns()
        await hub.publish_deleted("counter", 1)
        await turns()
        assert [state.revision async for state in changes] == [1]
        assert changes.end is End.FINISHED


async def test_a_deleted_row_ends_its_watches() -> None:
    table = Table(Counter(1, 0), Counter(2, 0))
    async with running_hub(table) as hub, hub.watch("counter", 1) as changes, hub.watch("counter", 2) as other:
        await anext(changes)
        await anext(other)
        del table.rows[1]
        await hub.publish_deleted("counter", 1)
        assert [state async for state in changes] == []
        assert changes.end is End.DELETED
        assert other.end is None


async def test_a_row_that_does_not_exist_ends_the_watch_at_once() -> None:
    async with running_hub(Table()) as hub, hub.watch("counter", 404) as changes:
        assert [state async for state in changes] == []
        assert changes.end is End.DELETED


async def test_a_finished_row_is_delivered_once() -> None:
    async with running_hub(Table(Counter(1, 3, finished=True))) as hub, hub.watch("counter", 1) as changes:
        assert [state.revision async for state in changes] == [3]
        assert changes.end is End.FINISHED


async def test_closing_the_hub_ends_waiting_readers() -> None:
    table = Table(Counter(1, 0))
    hub = Hub("memory://", [table.topic])
    await hub.start()
    async with hub.watch("counter", 1) as changes:
        await anext(changes)
        reader = asyncio.ensure_future(anext(changes, None))
        await turns(2)
        await hub.close()
        assert await reader is None
        assert changes.end is End.CLOSED
    with pytest.raises(RuntimeError, match="not running"):
        async with hub.watch("counter", 1):
            pass
    await hub.publish("counter", Counter(1, 1))  # a job that ends while the process shuts down
    await hub.close()


async def test_what_was_published_is_sent_before_the_hub_closes() -> None:
    wire = Wire(local=False)
    async with running_hub(Table(), wire) as hub:
        await hub.publish("counter", Counter(1, 1, finished=True))
    assert [text.split(":")[:4] for text in wire.sent] == [["counter", "1", "1", "f"]]


async def test_one_decode_serves_all_watchers() -> None:
    table = Table(Counter(1, 0))
    async with running_hub(table) as hub, asyncio.TaskGroup() as group:
        ready = asyncio.Semaphore(0)

        async def read() -> list[int]:
            async with hub.watch("counter", 1) as changes:
                seen = [(await anext(changes)).revision]
                ready.release()
                return seen + [state.revision async for state in changes]

        readers = [group.create_task(read()) for _ in range(1_000)]
        for _ in readers:
            await ready.acquire()
        assert hub.stats.watchers == 1_000
        assert hub.stats.keys == 1
        await hub.publish("counter", table.advance(finished=True))
        assert await asyncio.gather(*readers) == [[0, 1]] * 1_000
        assert table.decoded == 1


async def test_nothing_is_encoded_or_decoded_for_rows_that_nobody_watches() -> None:
    table = Table(Counter(1, 0), Counter(2, 0))
    async with running_hub(table) as hub, hub.watch("counter", 2) as changes:
        await anext(changes)
        await hub.publish("counter", table.advance(1))
        await hub.publish("counter", table.advance(2))
        assert (await anext(changes)).revision == 1
        assert (hub.stats.published, hub.stats.received, table.decoded) == (1, 1, 1)


@pytest.mark.parametrize("breathe", [True, False])
async def test_a_reader_that_stops_costs_one_state_however_much_is_published(breathe: bool) -> None:
    table = Table(Counter(1, 0))
    label = "x" * 1_000
    async with running_hub(table) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        tracemalloc.start()
        for revision in range(1, 100_001):
            await hub.publish("counter", Counter(1, revision, label=label))
            if breathe and revision % 10 == 0:
                await asyncio.sleep(0)
        await turns()
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 200_000
        assert peak < 1_000_000
        assert table.decoded == 0
        assert (await anext(changes)).revision == 100_000


async def test_a_reader_that_is_always_served_leaves_the_loop_to_others() -> None:
    table = Table(Counter(1, 0))
    others = 0
    async with running_hub(table) as hub, hub.watch("counter", 1) as changes:

        async def other() -> None:
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        async for state in changes:
            if state.revision == 1_000:
                break
            await hub.publish("counter", table.advance())
        task.cancel()
    assert others >= 1_000


async def test_a_watch_has_one_reader() -> None:
    async with running_hub(Table(Counter(1, 0))) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        first = asyncio.ensure_future(anext(changes))
        await turns(2)
        with pytest.raises(RuntimeError, match="one reader"):
            await anext(changes)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await hub.publish("counter", Counter(1, 1))
        assert (await anext(changes)).revision == 1  # a canceled read loses nothing
