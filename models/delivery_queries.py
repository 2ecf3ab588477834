"""Reading batches: the deliveries that have a number. Delivering them is `models.delivery_attempts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from models.deliveries import Delivery
from models.pagination import Children, Order, Page, PageRequest, SortKey, count_children, fetch_children

COUNT_LIMIT = 1_000_000
"""Counting stops here: on a longer list the answer is null rather than slow."""

_NEWEST_FIRST = (SortKey(Delivery.id, int, descending=True),)


async def batches_by_id(session: AsyncSession, ids: Sequence[int]) -> list[Delivery | None]:
    """The batches with these ids, None for those that are not there."""
    query = select(Delivery).where(Delivery.id.in_(ids), Delivery.batch_number.is_not(None))
    found = {row.id: row for row in await session.scalars(query)}
    return [found.get(number) for number in ids]


async def batches_of_jobs(session: AsyncSession, jobs: Sequence[int], request: PageRequest) -> list[Page[Delivery]]:
    """The same page of each job's batches, by number."""
    return await fetch_children(session, _children(Delivery.job_id, ()), jobs, request)


async def count_batches_of_jobs(session: AsyncSession, jobs: Sequence[int]) -> list[int | None]:
    """How many batches each job has, None above COUNT_LIMIT."""
    return await count_children(session, _children(Delivery.job_id, ()), jobs, limit=COUNT_LIMIT)


async def batches_of_configs(
    session: AsyncSession, configs: Sequence[int], request: PageRequest
) -> list[Page[Delivery]]:
    """The same page of each configuration's batches, newest first."""
    return await fetch_children(session, _children(Delivery.sync_config_id, _NEWEST_FIRST), configs, request)


async def count_batches_of_configs(session: AsyncSession, configs: Sequence[int]) -> list[int | None]:
    """How many batches each configuration has, None above COUNT_LIMIT."""
    children = _children(Delivery.sync_config_id, _NEWEST_FIRST)
    return await count_children(session, children, configs, limit=COUNT_LIMIT)


def _children(parent: InstrumentedAttribute[Any], keys: tuple[SortKey, ...]) -> Children[Delivery]:
    return Children(
        parent,
        lambda number: select(Delivery).where(parent == number, Delivery.batch_number.is_not(None)),
        lambda number: Order("batches", keys, Delivery.id, (parent.key, number)),
    )
