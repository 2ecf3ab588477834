"""Reading projects. Every session is scoped to a namespace, so no query here names one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.objects import ObjectStatus, SyncedObject
from models.pagination import Order, Page, PageRequest, fetch_page
from models.projects import Project
from sluicegate.core.errors import NotFoundError

_ORDER = Order("projects", (), Project.id)


@dataclass(slots=True)
class ModalityTotal:
    """How much of one modality a project has. `size`: bytes."""

    modality: str
    objects: int = 0
    size: int = 0


@dataclass(slots=True)
class ProjectTotals:
    """What a project has, without what waits for confirmation. `objects` and `size` (bytes): what is not missing."""

    objects: int = 0
    size: int = 0
    missing: int = 0
    modalities: list[ModalityTotal] = field(default_factory=list[ModalityTotal])


async def projects_by_id(session: AsyncSession, ids: Sequence[int]) -> list[Project | None]:
    """The projects with these ids, also those that are being deleted; None for those that are not there."""
    found = {row.id: row for row in await session.scalars(select(Project).where(Project.id.in_(ids)))}
    return [found.get(number) for number in ids]


async def lock_project(session: AsyncSession, project_id: int) -> Project | None:
    """A project's row for changing it, None where there is none: nobody else changes it until the transaction ends."""
    return await session.scalar(select(Project).where(Project.id == project_id).with_for_update())


def present(project: Project | None, global_id: str, *, path: tuple[str, ...] = ("id",)) -> Project:
    """The project. Raises NotFoundError when there is none or it is being deleted."""
    if project is None or project.deleted_at is not None:
        raise NotFoundError(f"No project has the id {global_id!r}.", path=path)
    return project


async def list_projects(session: AsyncSession, request: PageRequest) -> Page[Project]:
    """A page of projects, oldest first."""
    return await fetch_page(session, select(Project).where(Project.deleted_at.is_(None)), _ORDER, request)


async def count_projects(session: AsyncSession) -> int:
    """How many projects there are."""
    return await session.scalar(select(func.count(Project.id)).where(Project.deleted_at.is_(None))) or 0


async def project_totals(session: AsyncSession, ids: Sequence[int]) -> list[ProjectTotals]:
    """What each of these projects has, in one statement."""
    missing = SyncedObject.status == ObjectStatus.MISSING
    rows = await session.execute(
        select(SyncedObject.project_id, SyncedObject.modality, missing, func.count(), func.sum(SyncedObject.size_bytes))
        .where(SyncedObject.project_id.in_(ids), SyncedObject.status != ObjectStatus.STAGED)
        .group_by(SyncedObject.project_id, SyncedObject.modality, missing)
        .order_by(SyncedObject.modality)
    )
    totals = {number: ProjectTotals() for number in ids}
    for number, modality, is_missing, objects, size in rows:
        total = totals[number]
        if is_missing:
            total.missing += objects
            continue
        total.objects += objects
        total.size += int(size or 0)
        total.modalities.append(ModalityTotal(modality, objects, int(size or 0)))
    return [totals[number] for number in ids]
