"""The pace of a run: what the source says to one request, all of them hear."""

import asyncio

import pytest

from sluicegate.core.errors import RetriableError, SkippableError, ThrottledError
from sluicegate.sync import pace
from sluicegate.sync.pace import ATTEMPTS, GROW_AFTER, MAX_CONCURRENT, Pace


class Source:
    """Waits that are noted and end when they are let go, and requests that fail as told."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.hits = 0
        self.busy = self.most = 0
        self.faults: list[Exception] = []
        self.pace = Pace(self.wait, self.hit)

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def hit(self) -> None:
        self.hits += 1

    async def ask(self) -> str:
        self.busy += 1
        self.most = max(self.most, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if self.faults:
            raise self.faults.pop()
        return "answer"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the pace goes by: what its waits are for has passed after them."""
    times = [100.0]
    monkeypatch.setattr(pace, "monotonic", lambda: times[0])
    return times


async def test_no_more_at_once_than_allowed() -> None:
    source = Source()
    answers = await asyncio.gather(*(source.pace.call(source.ask) for _ in range(100)))
    assert answers == ["answer"] * 100
    assert source.most == MAX_CONCURRENT


async def test_told_together_it_halves_once_and_every_word_counts(clock: list[float]) -> None:
    source = Source()
    source.faults = [ThrottledError("slow down", retry_after=2.0) for _ in range(5)]

    async def wait(seconds: float) -> None:
        source.waits.append(seconds)
        await asyncio.sleep(0)
        clock[0] += seconds

    source.pace = Pace(wait, source.hit)
    await asyncio.gather(*(source.pace.call(source.ask) for _ in range(5)))
    assert source.hits == 5
    assert source.pace.limit == MAX_CONCURRENT // 2
    assert all(seconds >= 1.9 for seconds in source.waits[:5])


async def test_what_succeeds_brings_it_back_one_by_one(clock: list[float]) -> None:
    source = Source()
    source.pace.slow_down(ThrottledError("slow down"))
    assert source.pace.limit == MAX_CONCURRENT // 2
    clock[0] += 10
    for _ in range(GROW_AFTER):
        await source.pace.call(source.ask)
    assert source.pace.limit == MAX_CONCURRENT // 2 + 1
    clock[0] += 10
    for _ in range(10):
        source.pace.slow_down(ThrottledError("slow down"))
        clock[0] += 10
    assert source.pace.limit == 1


async def test_everyone_waits_until_the_source_has_had_its_silence(clock: list[float]) -> None:
    source = Source()
    source.pace.slow_down(ThrottledError("slow down", retry_after=30.0))
    asked = asyncio.Event()

    async def wait(seconds: float) -> None:
        source.waits.append(seconds)
        asked.set()
        clock[0] += seconds

    source.pace = Pace(wait, source.hit)
    source.pace.slow_down(ThrottledError("slow down", retry_after=30.0))
    await source.pace.call(source.ask)
    assert asked.is_set()
    assert source.waits == [30.0]


async def test_passing_faults_are_tried_again_and_others_are_not() -> None:
    source = Source()
    source.faults = [RetriableError("down")] * (ATTEMPTS - 1)
    assert await source.pace.call(source.ask) == "answer"
    source.faults = [RetriableError("down")] * ATTEMPTS
    with pytest.raises(RetriableError):
        await source.pace.call(source.ask)
    source.faults = [SkippableError("no")]
    with pytest.raises(SkippableError):
        await source.pace.call(source.ask)
    assert not source.faults


async def test_one_that_is_canceled_while_it_waits_for_its_turn_takes_nobody_s() -> None:
    source = Source()
    let_go = asyncio.Event()

    async def hold() -> None:
        async with source.pace.slot():
            await let_go.wait()

    holders = [asyncio.create_task(hold()) for _ in range(MAX_CONCURRENT)]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(source.pace.call(source.ask)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    let_go.set()
    await asyncio.gather(*holders)
    assert await asyncio.gather(*waiting[1:]) == ["answer", "answer"]
