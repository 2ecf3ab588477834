"""Watching lists: a snapshot, then changes of what is in them, the newest of each row, whatever is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from sluicegate.events import Change, ChangeKind, Hub, ListWatch
from sluicegate.events import lists as lists_module
from sluicegate.events.messages import Update
from tests.events.rows import Counter, Table, Wire, running_hub, turns

K = ChangeKind


class Source:
    """The rows of a table whose label meets a condition."""

    def __init__(self, table: Table, selects: Callable[[Counter], bool] = lambda row: row.label != "out") -> None:
        self.table = table
        self.selects = selects
        self.reads = 0

    async def first(self) -> Sequence[Counter]:
        self.reads += 1
        return [row for row in self.table.rows.values() if self.selects(row)]

    async def read(self, ids: Sequence[int]) -> Sequence[Counter]:
        return [self.table.rows[number] for number in ids if number in self.table.rows]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are read anew without a pause, but where a test says so."""
    monkeypatch.setattr(lists_module, "REREAD_SECONDS", 0.0)


@pytest.fixture
def table() -> Table:
    return Table(*(Counter(number, 1) for number in (1, 2, 3)))


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def hub(table: Table, wire: Wire) -> AsyncIterator[Hub]:
    async with running_hub(table, wire) as hub:
        yield hub


async def take(watch: ListWatch[Counter], count: int) -> list[tuple[str, int, str | None]]:
    """(kind, id, label) of the next changes."""
    found: list[Change] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found.append(await anext(watch))
    return [(change.kind, change.id, change.state.label if change.state else None) for change in found]


async def test_a_snapshot_then_what_changes(hub: Hub, table: Table) -> None:
    async with hub.watch_list("counter", Source(table)) as watch:
        assert await take(watch, 4) == [
            (K.SNAPSHOT, 1, ""), (K.SNAPSHOT, 2, ""), (K.SNAPSHOT, 3, ""), (K.SNAPSHOT_END, 0, None),
        ]  # fmt: skip
        await hub.publish("counter", table.advance(1, label="changed"))
        assert await take(watch, 1) == [(K.UPDATED, 1, "changed")]
        await hub.publish("counter", table.advance(1, label="out"))
        assert await take(watch, 1) == [(K.LEFT, 1, "out")]
        # It is out: what becomes of it there is nobody's business, until it is back.
        await hub.publish("counter", table.advance(1, label="out"))
        await hub.publish("counter", table.advance(1, label="back"))
        assert await take(watch, 1) == [(K.CREATED, 1, "back")]
        await hub.publish("counter", table.advance(2, finished=True))
        assert await take(watch, 1) == [(K.FINISHED, 2, "")]
        table.rows[4] = Counter(4, 1, label="new")
        await hub.publish("counter", table.rows[4])
        assert await take(watch, 1) == [(K.CREATED, 4, "new")]
        del table.rows[3]
        await hub.publish_deleted("counter", 3)
        assert await take(watch, 1) == [(K.DELETED, 3, None)]


async def test_what_is_not_in_the_list_is_not_told(hub: Hub, table: Table) -> None:
    table.rows[9] = Counter(9, 1, label="out")
    async with hub.watch_list("counter", Source(table)) as watch:
        await take(watch, 4)
        await hub.publish("counter", table.advance(9, label="out"))
        await hub.publish_deleted("counter", 9)
        await hub.publish("counter", table.advance(1, label="seen"))
        assert await take(watch, 1) == [(K.UPDATED, 1, "seen")]


async def test_a_slow_reader_gets_the_newest_of_each(hub: Hub, table: Table) -> None:
    async with hub.watch_list("counter", Source(table)) as watch:
        await take(watch, 4)
        for step in range(50):
            await hub.publish("counter", table.advance(1, label=f"one {step}"))
            await hub.publish("counter", table.advance(2, label=f"two {step}"))
            await asyncio.sleep(0)
        await turns()
        assert sorted(await take(watch, 2)) == [(K.UPDATED, 1, "one 49"), (K.UPDATED, 2, "two 49")]
        # A row that came and left while nobody looked was never there.
        table.rows[5] = Counter(5, 1)
        await hub.publish("counter", table.rows[5])
        await hub.publish("counter", table.advance(5, label="out"))
        await hub.publish("counter", table.advance(3, label="then"))
        await turns()
        assert await take(watch, 1) == [(K.UPDATED, 3, "then")]


async def test_old_states_are_left_out(hub: Hub, table: Table) -> None:
    async with hub.watch_list("counter", Source(table)) as watch:
        await take(watch, 4)
        old, new = table.advance(1, label="old"), table.advance(1, label="new")
        await hub.publish("counter", new)
        assert await take(watch, 1) == [(K.UPDATED, 1, "new")]
        watch.offer(1, update(table, old))
        watch.offer(2, update(table, table.advance(2, label="next")))
        assert await take(watch, 1) == [(K.UPDATED, 2, "next")]


def update(table: Table, row: Counter) -> Update[Counter]:
    return Update(row.revision, row, last=False, decode=table.topic.decode)


async def test_too_many_changes_are_read_instead(hub: Hub, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists_module, "MAX_PENDING", 2)
    source = Source(table)
    async with hub.watch_list("counter", source) as watch:
        await take(watch, 4)
        for number in (1, 2, 3):
            await hub.publish("counter", table.advance(number, label="read"))
        await turns()
        assert sorted(await take(watch, 3)) == [(K.UPDATED, number, "read") for number in (1, 2, 3)]
        assert source.reads == 2


async def test_what_a_lost_message_hides_is_told_when_the_rows_are_read(hub: Hub, table: Table) -> None:
    async with hub.watch_list("counter", Source(table)) as watch:
        await take(watch, 4)
        table.advance(1, label="out")
        table.advance(2, label="lost")
        del table.rows[3]
        table.rows[4] = Counter(4, 1, label="new")
        await hub.publish_stale("counter", 0)
        assert sorted(await take(watch, 4)) == [
            (K.CREATED, 4, "new"), (K.DELETED, 3, None), (K.LEFT, 1, "out"), (K.UPDATED, 2, "lost"),
        ]  # fmt: skip


async def test_changes_of_another_scope_have_nothing_read(hub: Hub, table: Table) -> None:
    mine, other = Source(table), Source(table)
    async with (
        hub.watch_list("counter", mine, scope=1) as watch,
        hub.watch_list("counter", other, scope=2) as others,
    ):
        await take(watch, 4)
        await take(others, 4)
        table.advance(1, label="many")
        await hub.publish_stale("counter", 1)
        assert await take(watch, 1) == [(K.UPDATED, 1, "many")]
        await hub.publish("counter", table.advance(2, label="one"))
        assert await take(others, 1) == [(K.UPDATED, 2, "one")]
    assert (mine.reads, other.reads) == (2, 1)


async def test_a_list_that_changes_again_and_again_is_read_once_in_a_while(
    hub: Hub, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists_module, "REREAD_SECONDS", 0.2)
    source = Source(table)
    async with hub.watch_list("counter", source) as watch:
        await take(watch, 4)
        change = asyncio.create_task(take(watch, 1))
        for step in range(20):
            table.advance(1, label=f"step {step}")
            await hub.publish_stale("counter", 0)
            await turns()
        assert source.reads == 1
        assert await change == [(K.UPDATED, 1, "step 19")]
        assert source.reads == 2


async def test_a_channel_that_is_cut_costs_no_change(hub: Hub, table: Table, wire: Wire) -> None:
    async with hub.watch_list("counter", Source(table)) as watch:
        await take(watch, 4)
        wire.refuse = True
        wire.inject("cut")
        table.advance(1, label="meanwhile")
        assert await take(watch, 1) == [(K.UPDATED, 1, "meanwhile")]


async def test_what_is_remembered_is_bounded(hub: Hub, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists_module, "MAX_KNOWN", 2)
    async with hub.watch_list("counter", Source(table)) as watch:
        await take(watch, 4)
        await hub.publish("counter", table.advance(1, label="out"))
        await hub.publish("counter", table.advance(3, label="out"))
        assert await take(watch, 1) == [(K.LEFT, 3, "out")]


async def test_a_message_of_another_version_has_the_rows_read(hub: Hub, table: Table, wire: Wire) -> None:
    async with hub.watch_list("counter", Source(table)) as watch:
        await take(watch, 4)
        table.advance(2, label="understood")
        wire.inject('counter:2:7:s:{"unheard": "of"}')
        assert await take(watch, 1) == [(K.UPDATED, 2, "understood")]


async def test_a_reader_that_fails_to_read_reads_again(hub: Hub, table: Table) -> None:
    source = Source(table)
    broken = True
    original = source.first

    async def first() -> Sequence[Counter]:
        if broken:
            raise ConnectionError("away")
        return await original()

    source.first = first
    async with hub.watch_list("counter", source) as watch:
        with pytest.raises(ConnectionError):
            await take(watch, 1)
        broken = False
        assert (await take(watch, 4))[-1] == (K.SNAPSHOT_END, 0, None)


async def test_closing_ends_the_list_and_nobody_listens_then(hub: Hub, table: Table) -> None:
    async with hub.watch_list("counter", Source(table)) as watch:
        assert hub.heard("counter")
        await take(watch, 4)
        await hub.close()
        assert [change async for change in watch] == []
    assert not hub.heard("counter")
    assert hub.stats.watchers == 0
