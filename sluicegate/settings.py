"""All settings: environment variables `SLUICEGATE_*`. Only these choose between embedded and distributed parts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One installation's settings; defaults are the embedded mode."""

    model_config = SettingsConfigDict(env_prefix="SLUICEGATE_", extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: str | None = Field(default=None, description="postgresql://… ; none: SQLite in the data directory")
    events_url: str = Field(
        default="memory://", description="The event channel: memory://, redis://… or postgresql://…"
    )
    data_dir: Path = Field(default=Path("sluicegate-data"), description="SQLite, the secret key, exported files")
    bootstrap_key: SecretStr | None = Field(default=None, description="The first admin key, given rather than made")
    secret_key: SecretStr | None = Field(default=None, description="Fernet keys, comma separated, newest first")
    allowed_endpoints: str = Field(default="", description="Hosts or CIDRs that may be reached besides public ones")
    local_roots: str = Field(
        default="", description="namespace=path, comma separated: folders that LOCAL storages may read"
    )
    ambient_aws: bool = Field(
        default=False, description="Let the machine's own AWS credentials assume the roles of storages"
    )
    public_url: str | None = Field(
        default=None, description="Base of links to the gateway; none: as the request came in"
    )
    cors_origins: str = Field(default="", description="Origins of front ends, comma separated")
    introspection: bool = True
    max_body_bytes: int = Field(default=1_000_000, ge=1_000, description="Largest request body")
    request_timeout_seconds: float = Field(default=30.0, gt=0)
    content_streams: int = Field(
        default=64, ge=1, description="Objects whose content is sent through the gateway at a time"
    )
    worker_concurrency: int = Field(default=4, ge=1, le=64, description="Jobs that one process runs at a time")
    max_sync_configs: int = Field(
        default=10_000, ge=1, description="Sync configurations of a namespace, without archived ones"
    )
    job_retention_days: int = Field(default=30, ge=1, description="Finished jobs older than this are deleted")
    traces_url: str | None = Field(
        default=None, description="An OTLP/HTTP collector, http://…/v1/traces, that traces are sent to; none: no traces"
    )
    traces_ratio: float = Field(default=1.0, ge=0, le=1, description="How much of the traces that begin here is sent")
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
