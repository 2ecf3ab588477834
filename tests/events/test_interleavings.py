"""Whatever the order of commits, events, losses, repeats, resyncs and reads: newer states only, the last at the end."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.events import End, Hub, Watch
from tests.events.rows import Counter, Table, Wire, running_hub, turns

STEPS = st.one_of(
    st.tuples(st.just("commit"), st.booleans()),  # published?
    st.tuples(st.just("tick"), st.integers(1, 3)),
    st.tuples(st.just("repeat"), st.integers(0, 200)),
    st.tuples(st.just("read"), st.just(0)),
    st.tuples(st.just("turns"), st.integers(1, 12)),
    st.tuples(st.just("resync"), st.just(0)),
    st.tuples(st.just("cut"), st.just(0)),
)


class World:
    """One row, everything that was ever said of it, and one reader."""

    def __init__(self) -> None:
        self.table = Table(Counter(1, 100))
        self.wire = Wire()
        self.states = {100: self.table.rows[1]}
        self.tick = 0
        self.seen: list[Counter] = []

    async def step(self, hub: Hub, changes: Watch[Counter], name: str, value: int) -> None:
        """Does one thing that can happen."""
        revision = self.table.rows[1].revision
        match name:
            case "commit":
                await self.commit(hub, published=bool(value))
            case "tick":
                self.tick += value
                state = self.states[revision + self.tick] = Counter(1, revision + self.tick, label="tick")
                await hub.publish("counter", state)
            case "repeat":
                await hub.publish("counter", self.states[sorted(self.states)[value % len(self.states)]])
            case "read":
                await self.take(changes)
            case "turns":
                await turns(value)
            case "resync":
                await hub.resync()
            case _:
                if hub.stats.connected:
                    self.wire.inject("cut")
                    await turns(2)

    async def commit(self, hub: Hub, *, published: bool, finished: bool = False) -> Counter:
        """Changes the row: its revision passes every tick of the state before."""
        row = self.table.advance(by=100, finished=finished, label="row")
        self.tick = 0
        self.states[row.revision] = row
        if published:
            await hub.publish("counter", row)
        return row

    async def take(self, changes: Watch[Counter]) -> None:
        """Reads a state if there is one, and gives up waiting if not."""
        read = asyncio.ensure_future(anext(changes))
        await turns(3)
        if not read.done():
            read.cancel()
        result = (await asyncio.gather(read, return_exceptions=True))[0]
        if isinstance(result, Counter):
            self.seen.append(result)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=40), last_is_lost=st.booleans())
async def test_states_only_grow_and_the_last_one_arrives(steps: list[tuple[str, int]], last_is_lost: bool) -> None:
    world = World()
    async with running_hub(world.table, world.wire, poll_seconds=0.001) as hub, hub.watch("counter", 1) as changes:
        for name, value in steps:
            await world.step(hub, changes, name, value)
        world.wire.deaf = last_is_lost
        last = await world.commit(hub, published=True, finished=True)
        if last_is_lost:
            await turns()
            await hub.resync()
        async with asyncio.timeout(5):
            world.seen += [state async for state in changes]
        assert changes.end is End.FINISHED
    revisions = [state.revision for state in world.seen]
    assert revisions == sorted(set(revisions))
    assert world.seen[-1] == last
    assert all(world.states[state.revision] == state for state in world.seen)
