"""Keyset pages against a sorted list, for any keys, directions, nulls and page sizes, on both databases."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from models import migrate
from models.access import Namespace
from models.database import ALL, Database
from models.job_queries import SORTS, JobCriteria, list_jobs
from models.jobs import Job
from models.pagination import Order, Page, PageRequest, SortKey
from sluicegate.core.errors import InvalidError

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = {
    "JOB_CLASS": "job_class", "PRIORITY": "priority", "PROGRESS": "progress", "SCHEDULED_AT": "scheduled_at",
    "CREATED_AT": "created_at",
}  # fmt: skip

texts = st.text(st.sampled_from(["a", "B", "é", "￿", "🎈", "_", "%", "Z"]), max_size=3)
times = st.integers(0, 3).map(lambda micros: START + timedelta(microseconds=micros))
rows_of_jobs = st.lists(
    st.fixed_dictionaries(
        {
            "job_class": texts,
            "priority": st.integers(-2, 2),
            "progress": st.none() | st.sampled_from([0.0, 0.1, 1 / 3, 1.0]),
            "scheduled_at": st.none() | times,
            "created_at": times,
        }
    ),
    max_size=9,
)
orders = st.lists(st.tuples(st.sampled_from(sorted(COLUMNS)), st.booleans()), max_size=3)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    found = Database(database_url)
    await migrate.upgrade(found)
    async with found.write(ALL) as session:
        session.add(Namespace(id=1, name="one"))
    yield found
    await found.close()


async def insert(database: Database, values: Sequence[dict[str, Any]]) -> list[Job]:
    async with database.write(1) as session:
        await session.execute(delete(Job))
        jobs = [Job(run_id="run", **value) for value in values]
        session.add_all(jobs)
    return jobs


def keys_of(order: Sequence[tuple[str, bool]]) -> tuple[SortKey, ...]:
    return tuple(
        SortKey(SORTS[name].column, SORTS[name].kind, descending, SORTS[name].nullable) for name, descending in order
    )


def expected(jobs: Sequence[Job], order: Sequence[tuple[str, bool]]) -> list[int]:
    """The ids in order: nulls last, text by bytes, ties by id in the direction of the first key."""
    found = sorted(jobs, key=lambda job: job.id, reverse=order[0][1] if order else True)
    for name, descending in reversed(order):
        column = COLUMNS[name]

        def value(job: Job, column: str = column) -> Any:
            return getattr(job, column).encode() if column == "job_class" else getattr(job, column)

        present = [job for job in found if getattr(job, column) is not None]
        absent = [job for job in found if getattr(job, column) is None]
        found = [*sorted(present, key=value, reverse=descending), *absent]
    return [job.id for job in found]


async def page_of(database: Database, order: Sequence[tuple[str, bool]], **request: Any) -> Page[Job]:
    async with database.read(1) as session:
        return await list_jobs(session, PageRequest(**request), criteria=JobCriteria(), keys=keys_of(order))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=rows_of_jobs, order=orders, size=st.integers(1, 4))
async def test_pages_are_slices_of_the_sorted_list(
    database: Database, values: list[dict[str, Any]], order: list[tuple[str, bool]], size: int
) -> None:
    wanted = expected(await insert(database, values), order)

    forward: list[int] = []
    after: str | None = None
    while True:
        page = await page_of(database, order, first=size, after=after)
        assert page.has_previous is (after is not None)
        forward += [job.id for job in page.rows]
        if not page.has_next:
            break
        assert len(page.rows) == size
        after = page.order.cursor(page.rows[-1])
    assert forward == wanted

    backward: list[int] = []
    before: str | None = None
    while True:
        page = await page_of(database, order, last=size, before=before)
        assert page.has_next is (before is not None)
        backward = [*(job.id for job in page.rows), *backward]
        if not page.has_previous:
            break
        before = page.order.cursor(page.rows[0])
    assert backward == wanted


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=rows_of_jobs, order=orders, ends=st.tuples(st.integers(0, 8), st.integers(0, 8)))
async def test_after_and_before_together_cut_both_ends(
    database: Database, values: list[dict[str, Any]], order: list[tuple[str, bool]], ends: tuple[int, int]
) -> None:
    jobs = await insert(database, values)
    wanted = expected(jobs, order)
    if not wanted:
        return
    low, high = (min(end, len(wanted) - 1) for end in ends)
    whole = await page_of(database, order)
    cursors = [whole.order.cursor(job) for job in whole.rows]
    for request in ({"first": 1_000}, {"last": 1_000}):
        page = await page_of(database, order, after=cursors[low], before=cursors[high], **request)
        assert [job.id for job in page.rows] == wanted[low + 1 : high]


async def test_rows_written_meanwhile_move_no_other(database: Database) -> None:
    order = [("PRIORITY", False), ("SCHEDULED_AT", True)]
    jobs = await insert(
        database, [{"job_class": "x", "priority": n % 3, "scheduled_at": None if n % 2 else START} for n in range(12)]
    )
    wanted = expected(jobs, order)
    seen: list[int] = []
    after: str | None = None
    while True:
        page = await page_of(database, order, first=2, after=after)
        seen += [job.id for job in page.rows if job.job_class == "x"]
        if not page.has_next:
            break
        after = page.order.cursor(page.rows[-1])
        async with database.write(1) as session:
            for priority in range(3):
                session.add(Job(run_id="run", job_class="new", priority=priority))
            gone = next((job for job in page.rows if job.job_class == "x"), None)
            if gone is not None:  # what was sent already may go
                await session.execute(delete(Job).where(Job.id == gone.id))
        assert len(seen) <= len(wanted)
        if len(seen) == len(wanted):
            break
    assert seen == wanted


@pytest.mark.parametrize(
    "request_", [{"first": 1, "last": 1}, {"first": -1}, {"last": -1}, {"first": 1_001}, {"last": 1_001}]
)
async def test_sizes_that_are_not_allowed(database: Database, request_: dict[str, int]) -> None:
    with pytest.raises(InvalidError):
        await page_of(database, [], **request_)


async def test_nothing_but_its_own_cursors_opens_a_list(database: Database) -> None:
    await insert(database, [{"job_class": "x"}, {"job_class": "y"}])
    page = await page_of(database, [("PRIORITY", False)], first=1)
    cursor = page.order.cursor(page.rows[0])
    for other in ([("PRIORITY", True)], [("CREATED_AT", False)], []):
        with pytest.raises(InvalidError, match="another list, filter or order"):
            await page_of(database, other, after=cursor)
    async with database.read(1) as session:
        with pytest.raises(InvalidError, match="another list, filter or order"):
            await list_jobs(
                session,
                PageRequest(after=cursor),
                criteria=JobCriteria(status=("QUEUED",)),
                keys=keys_of([("PRIORITY", False)]),
            )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_forged_cursor_is_refused_or_harmless(database: Database, data: st.DataObject) -> None:
    """Whatever stands in a cursor, the database never sees a value that it could choke on."""
    from models.cursors import encode_cursor

    order = [("JOB_CLASS", False), ("PROGRESS", False), ("SCHEDULED_AT", True)]
    whole = (await page_of(database, order)).order
    assert isinstance(whole, Order)
    digest = whole.digest
    junk = (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats()
        | st.text(st.characters(codec="utf-8"), max_size=4)
    )
    cursor = data.draw(
        st.text(max_size=40)
        | st.lists(junk, min_size=4, max_size=4).map(lambda values: encode_cursor(digest, values))
        | st.lists(junk, max_size=6).map(lambda values: encode_cursor(digest, values))
    )
    refusal = await refused(database, order, cursor)
    assert refusal is None or refusal.path == ("after",)


async def refused(database: Database, order: Sequence[tuple[str, bool]], cursor: str) -> InvalidError | None:
    try:
        await page_of(database, order, after=cursor)
    except InvalidError as error:
        return error
    return None
