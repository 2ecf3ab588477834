"""Column types and the declarative base that every table shares.

SQLite and PostgreSQL must behave alike: times are aware UTC on both, text sorts by bytes, JSON null is
SQL NULL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from sluicegate.core.clock import from_micros, now, to_micros


class UtcDateTime(TypeDecorator[datetime]):
    """timestamptz on PostgreSQL, INTEGER microseconds since the epoch on SQLite: exact, compact, ordered."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type on each database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """What is written."""
        if value is None or dialect.name == "postgresql":
            return value
        return to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's
        """What is read: aware, UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if isinstance(value, datetime) else from_micros(value)


class JsonText(JSON):
    """JSON that SQLite keeps as TEXT: a column declared JSON there makes the text 5 a number, and 30 digits a float."""


@compiles(JsonText, "sqlite")
def _json_text(*_: Any, **__: Any) -> str:
    return "TEXT"


Json = JsonText(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""JSON text on SQLite, jsonb on PostgreSQL; None is SQL NULL."""

ByteText = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte, as SQLite does anyway."""

Key = LargeBinary()
"""A source key: bytes, so that any name fits and both databases order as S3 lists."""

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""A row number; on SQLite INTEGER, which alone can be the rowid."""


class Base(DeclarativeBase):
    """All tables. Ids are never reused, so an old link can't lead to a new row."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        str: ByteText,
        bytes: Key,
        dict[str, Any]: Json,
        list[str]: Json,
        Any: Json,
    }


class Scoped:
    """A row of one namespace. Sessions opened for a namespace see and touch no others (models.database)."""

    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespace.id"), index=False)


def row_id() -> Mapped[int]:
    """The primary key column of a table."""
    return mapped_column(RowId, primary_key=True, autoincrement=True, sort_order=-1)


def created_at() -> Mapped[datetime]:
    """When the row was made."""
    return mapped_column(default=now)


TABLE_ARGS = {"sqlite_autoincrement": True}
