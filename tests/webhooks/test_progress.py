"""How often a run tells of its progress."""

from __future__ import annotations

import itertools

from models.database import ALL
from sluicegate.sync.progress_news import NEWS_SECONDS, ProgressNews
from tests.support.webhooks import Hooks


async def test_progress_is_told_at_most_every_ten_seconds(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    at = 0.0
    news = ProgressNews(hook.config_id, hook.job_id, clock=lambda: at)
    told: list[int] = []
    for step in range(1, 26):
        at += 1
        async with local_hooks.database.write(ALL) as session:
            await news.tell(session, {"objectsFound": step}, None)
        rows = await local_hooks.rows(hook)
        told.append(rows[-1].body["counters"]["objectsFound"] if rows and rows[-1].body else 0)
        assert len(rows) <= 1
    assert told == [0] * 9 + [10] * 10 + [20] * 6
    assert NEWS_SECONDS == 10


async def test_a_run_of_a_storage_tells_nobody(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    moments = itertools.count(step=60.0)
    news = ProgressNews(None, hook.job_id, clock=lambda: next(moments))
    async with local_hooks.database.write(ALL) as session:
        await news.tell(session, {}, None)
    assert await local_hooks.rows(hook) == []
