"""Tenants and the keys that open them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import TABLE_ARGS, Base, created_at, row_id


class Namespace(Base):
    """A tenant. `name`: unique in the installation."""

    __tablename__ = "namespace"
    __table_args__ = TABLE_ARGS

    id: Mapped[int] = row_id()
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = created_at()


class ApiKey(Base):
    """A key: only the SHA-256 of its secret is kept; `prefix` (`sg_` and 6 characters) tells it from others."""

    __tablename__ = "api_key"
    __table_args__ = TABLE_ARGS

    id: Mapped[int] = row_id()
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = created_at()
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    namespaces: Mapped[list[Namespace]] = relationship(
        secondary="api_key_namespace", lazy="raise", order_by="Namespace.id"
    )


class ApiKeyNamespace(Base):
    """Which namespaces a key opens."""

    __tablename__ = "api_key_namespace"

    api_key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True)
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"), primary_key=True)


class SecretCheck(Base):
    """One row: a value sealed with the secret key, so that a wrong key is found at start and not at the first sync."""

    __tablename__ = "secret_check"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[str]
