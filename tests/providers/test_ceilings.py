"""The ceilings of a storage hold over all that the process has open of it, and change with it."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.providers.throttle import Bucket, Throttles
from tests.providers.conformance import body_of
from tests.support.sync_harness import harness


class Clock:
    """Time that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("sluicegate.providers.throttle.asyncio", clock)
    return clock


async def test_two_open_providers_of_a_storage_share_its_ceilings(tmp_path: Path, clock: Clock) -> None:
    async with harness(f"sqlite:///{tmp_path / 'a.db'}", max_requests_per_second=4.0) as made:
        made.s3.store.put(b"a", b"x" * 100)
        services = replace(made.services, throttles=Throttles(clock))
        async with services.open_provider(made.storage) as one, services.open_provider(made.storage) as other:
            await asyncio.gather(*(provider.stat(b"a") for provider in (one, other) for _ in range(2)))
            assert clock.slept == []
            for number in (1, 2, 3, 4):
                await (one if number % 2 else other).stat(b"a")
                assert clock.slept[-1] == pytest.approx(number / 4)


async def test_the_bytes_that_both_read_count_together(tmp_path: Path, clock: Clock) -> None:
    async with harness(f"sqlite:///{tmp_path / 'a.db'}", max_bytes_per_second=1000) as made:
        made.s3.store.put(b"a", b"x" * 1000)
        services = replace(made.services, throttles=Throttles(clock))
        async with services.open_provider(made.storage) as one, services.open_provider(made.storage) as other:
            await body_of(one, b"a")
            assert sum(clock.slept) == 0
            await body_of(other, b"a")
            assert max(clock.slept) == pytest.approx(1.0)


async def test_a_changed_ceiling_holds_for_what_is_already_open(tmp_path: Path, clock: Clock) -> None:
    async with harness(f"sqlite:///{tmp_path / 'a.db'}", max_requests_per_second=1.0) as made:
        made.s3.store.put(b"a", b"")
        services = replace(made.services, throttles=Throttles(clock))
        async with services.open_provider(made.storage) as one:
            await one.stat(b"a")
            await one.stat(b"a")
            before = clock.slept.pop()
            made.storage.max_requests_per_second = None
            async with services.open_provider(made.storage):
                await one.stat(b"a")
                assert clock.slept == []
            made.storage.max_requests_per_second = 0.1
            async with services.open_provider(made.storage):
                await one.stat(b"a")
                await one.stat(b"a")
                assert clock.slept[-1] > before


def test_storages_have_ceilings_of_their_own_and_closed_ones_are_forgotten(clock: Clock) -> None:
    throttles = Throttles(clock)
    one, two = throttles.of(1, 1.0, None), throttles.of(2, 1.0, None)
    assert one is not two
    assert throttles.of(1, 1.0, None) is one
    kept = len(throttles)
    del one
    gc.collect()
    assert (kept, len(throttles)) == (2, 1)


def test_a_debt_is_paid_at_the_new_rate(clock: Clock) -> None:
    bucket = Bucket(10, clock)
    assert bucket.delay(30) == pytest.approx(2.0)
    bucket.set_rate(20)
    assert bucket.delay(0) == pytest.approx(1.0)
    clock.time += 0.5
    assert bucket.delay(0) == pytest.approx(0.5)
    bucket.set_rate(None)
    assert bucket.delay(10**9) == 0
    bucket.set_rate(5)
    assert [bucket.delay(5), bucket.delay(1)] == [0, pytest.approx(0.2)]
