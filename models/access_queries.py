"""Reads and writes of namespaces and keys. Sessions are opened with the scope ALL: keys belong to no single tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from models.access import ApiKey, ApiKeyNamespace, Namespace
from sluicegate.core.errors import ConflictError, NotFoundError

_FIRST_KEY_LOCK = 0x51_01_CE_6A_7F  # beside the migrations' (models.migrate)


async def key_by_hash(session: AsyncSession, secret_hash: str) -> ApiKey | None:
    """The key of a secret's hash, with its namespaces."""
    return await session.scalar(
        select(ApiKey).where(ApiKey.secret_hash == secret_hash).options(selectinload(ApiKey.namespaces))
    )


async def key_by_id(session: AsyncSession, key_id: int) -> ApiKey | None:
    """The key of a row number, with its namespaces."""
    return await session.get(ApiKey, key_id, options=[selectinload(ApiKey.namespaces)])


async def keys(session: AsyncSession, *, namespace_id: int | None = None) -> Sequence[ApiKey]:
    """All keys, or those that open a namespace, oldest first, with their namespaces."""
    query = select(ApiKey).order_by(ApiKey.id).options(selectinload(ApiKey.namespaces))
    if namespace_id is not None:
        opened = select(ApiKeyNamespace.api_key_id).where(ApiKeyNamespace.namespace_id == namespace_id)
        query = query.where(ApiKey.id.in_(opened))
    return (await session.scalars(query)).all()


async def one_at_a_time(session: AsyncSession) -> None:
    """Until the transaction ends no other one passes here: of gateways that start at once, one makes the first key.

    On SQLite there is only ever one writer.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(_FIRST_KEY_LOCK)))


async def any_key_exists(session: AsyncSession) -> bool:
    """Whether the installation has had a key already, revoked ones included."""
    return await session.scalar(select(ApiKey.id).limit(1)) is not None


async def namespace_named(session: AsyncSession, name: str, *, create: bool = False) -> Namespace:
    """The namespace of a name. Raises NotFoundError, unless it may be created."""
    found = await session.scalar(select(Namespace).where(Namespace.name == name))
    if found is not None:
        return found
    if not create:
        raise NotFoundError(f"No namespace is named {name!r}.")
    return await insert_namespace(session, name)


async def insert_namespace(session: AsyncSession, name: str, *, for_key: int | None = None) -> Namespace:
    """A new namespace, opened by the key `for_key`. Raises ConflictError for a name that is taken."""
    namespace = Namespace(name=name)
    session.add(namespace)
    try:
        await session.flush()
    except IntegrityError:
        raise ConflictError(f"A namespace named {name!r} exists.", path=("name",)) from None
    if for_key is not None:
        session.add(ApiKeyNamespace(api_key_id=for_key, namespace_id=namespace.id))
        await session.flush()
    return namespace


async def insert_key(session: AsyncSession, key: ApiKey) -> ApiKey:
    """Saves a new key. Raises ConflictError where another has the same secret; then nothing is kept."""
    session.add(key)
    try:
        await session.flush()
    except IntegrityError:
        raise ConflictError("This key exists already.") from None
    return key


async def mark_used(session: AsyncSession, key_id: int, at: datetime, *, unless_after: datetime) -> None:
    """Notes the use of a key, unless that was done after `unless_after` (by this or another process)."""
    await session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= unless_after))
        .values(last_used_at=at)
        .execution_options(synchronize_session=False)
    )
