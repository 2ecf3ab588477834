"""A run and those who steer its configuration lock rows in one order: PostgreSQL would end one of them otherwise."""

import asyncio

from sqlalchemy import text

from models import config_transitions
from models.database import ALL, Database
from models.job_transitions import lock_job
from models.jobs import JobStatus
from tests.support.jobs import PATIENCE_SECONDS
from tests.support.sync_harness import harness

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_the_end_of_a_run_waits_for_its_configuration_with_nothing_locked(postgres_url: str) -> None:
    async with harness(postgres_url) as ready:
        ready.s3.store.put(b"a", b"x")
        config = await ready.configure()
        handle = await ready.start()
        async with ready.database.write(ALL) as session:
            assert await config_transitions.lock(session, config.id)
            run = asyncio.create_task(ready.run(handle))
            await somebody_waits(ready.database)
            assert await lock_job(session, handle.job.id)
        assert (await run).status == JobStatus.COMPLETED


async def somebody_waits(database: Database) -> None:
    """Until a statement waits for a row that another transaction has locked."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with database.read(ALL) as session:
                if await session.scalar(text(WAITS)):
                    return
            await asyncio.sleep(0.01)
