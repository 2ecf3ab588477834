"""The catalogue: what syncs have found, and the state of the runs that write it.

Written by `models.catalogue` with plain SQL: the ORM has no place in that loop.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TABLE_ARGS, Base, Json, Scoped, row_id

MAX_KEY_BYTES = 2_048
"""A longer key fits no PostgreSQL index; S3 allows 1,024."""


class ObjectStatus(StrEnum):
    """STAGED until confirmed, SYNCED, MISSING from the source."""

    STAGED = "STAGED"
    SYNCED = "SYNCED"
    MISSING = "MISSING"


_HASHED = text("content_hash IS NOT NULL")


class SyncedObject(Scoped, Base):
    """One record: a file (BLOB mode, `row` 0) or one row of a file (READ mode, `row` counts from 0).

    `fingerprint`: the file's in BLOB mode, the row's hash in READ mode. `data`: the record read (READ mode).
    `fields` and `blobs`: what a mapping made; None is the default: the file is blob `content`, no fields.
    `sync_config_id`: the configuration that wrote it last, None for a storage's own sync. `content_hash`: only where
    a sync that skips duplicates needed it.
    """

    __tablename__ = "synced_object"
    __table_args__ = (
        UniqueConstraint("project_id", "storage_id", "source_key", "row", name="uq_synced_object_identity"),
        Index(None, "project_id", "id"),
        Index("ix_synced_object_content_hash", "project_id", "content_hash",
              sqlite_where=_HASHED, postgresql_where=_HASHED),
        TABLE_ARGS,
    )  # fmt: skip

    id: Mapped[int] = row_id()
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    storage_id: Mapped[int] = mapped_column(ForeignKey("storage.id"))
    source_key: Mapped[bytes]
    row: Mapped[int] = mapped_column(default=0)
    status: Mapped[str]
    path: Mapped[str]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    mime_type: Mapped[str | None]
    modality: Mapped[str]
    fingerprint: Mapped[str]
    source_modified_at: Mapped[datetime | None]
    data: Mapped[Any | None] = mapped_column(Json)
    fields: Mapped[dict[str, Any] | None] = mapped_column(Json)
    blobs: Mapped[list[Any] | None] = mapped_column(Json)
    first_synced_at: Mapped[datetime]
    synced_at: Mapped[datetime]
    missing_since: Mapped[datetime | None]
    sync_config_id: Mapped[int | None] = mapped_column(BigInteger)
    content_hash: Mapped[str | None]


STAGED_MARK = "staged:"
"""What the fingerprint of a file begins with whose rows were staged; see `SourceFile`."""


class StagedObject(Scoped, Base):
    """A new version of an object that is shown already, until someone confirms it; the columns of `SyncedObject`."""

    __tablename__ = "staged_object"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True, autoincrement=False)
    storage_id: Mapped[int] = mapped_column(ForeignKey("storage.id"), primary_key=True, autoincrement=False)
    source_key: Mapped[bytes] = mapped_column(primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sync_config_id: Mapped[int] = mapped_column(BigInteger)
    path: Mapped[str]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    mime_type: Mapped[str | None]
    modality: Mapped[str]
    fingerprint: Mapped[str]
    source_modified_at: Mapped[datetime | None]
    data: Mapped[Any | None] = mapped_column(Json)
    fields: Mapped[dict[str, Any] | None] = mapped_column(Json)
    blobs: Mapped[list[Any] | None] = mapped_column(Json)
    synced_at: Mapped[datetime]
    content_hash: Mapped[str | None]


class SourceFile(Scoped, Base):
    """READ mode: what was read of one file, so that an unchanged file costs one comparison however many rows it has.

    Written when the file was read to its end, or to the error that ends it; `failed_rows` bad rows were left out. The
    fingerprint begins with STAGED_MARK where its rows may wait for confirmation: only a run that waits too takes them
    for known.
    """

    __tablename__ = "source_file"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True, autoincrement=False)
    storage_id: Mapped[int] = mapped_column(ForeignKey("storage.id"), primary_key=True, autoincrement=False)
    source_key: Mapped[bytes] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    rows: Mapped[int] = mapped_column(BigInteger)
    failed_rows: Mapped[int] = mapped_column(BigInteger)


class Checkpoint(Base):
    """Where an unfinished run goes on: the listing's cursor and the counters up to it, written with the objects."""

    __tablename__ = "checkpoint"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    state: Mapped[dict[str, Any]] = mapped_column(Json)
    updated_at: Mapped[datetime]


class MissingCandidate(Base):
    """Objects that a run did not find. Applied together at its end, after the mass-missing guard."""

    __tablename__ = "missing_candidate"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    source_key: Mapped[bytes] = mapped_column(primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
