"""Sync configurations: what they are, what their runs leave behind, and files read by project."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.Text().with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME = sa.BigInteger().with_variant(sa.DateTime(timezone=True), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.LargeBinary()
BIG, INT, REAL, BOOL = sa.BigInteger(), sa.Integer(), sa.Float(), sa.Boolean()
PENDING = sa.text("status = 'PENDING'")
DUE = sa.text("next_sync_at IS NOT NULL")
HASHED = sa.text("content_hash IS NOT NULL")
AUTOINCREMENT = {"sqlite_autoincrement": True}  # SQLite alters a table by copying it


def upgrade() -> None:
    _create_sync_config()
    _alter_job()
    _create_dead_letter()
    _create_source_event()
    _create_staged_object()
    _create_delivery()
    _create_outcome()
    _alter_synced_object()
    _replace_source_file(
        by_project=True,
        rows="s.project_id, f.storage_id, f.source_key, f.fingerprint, f.rows, f.failed_rows, f.namespace_id",
    )


def downgrade() -> None:
    _replace_source_file(
        by_project=False, rows="f.storage_id, f.source_key, f.fingerprint, f.rows, f.failed_rows, f.namespace_id"
    )
    op.drop_index("ix_synced_object_content_hash", "synced_object")
    with op.batch_alter_table("synced_object", table_kwargs=AUTOINCREMENT) as batch_op:
        batch_op.drop_column("content_hash")
        batch_op.drop_column("sync_config_id")
    for table in ("outcome", "delivery", "staged_object", "source_event", "dead_letter"):
        op.drop_table(table)
    op.drop_index("ix_job_sync_config_id_id", "job")
    with op.batch_alter_table("job", table_kwargs=AUTOINCREMENT) as batch_op:
        for column in ("counted", "range_high", "range_low", "sync_config_id"):
            batch_op.drop_column(column)
    op.drop_table("sync_config")


def _replace_source_file(*, by_project: bool, rows: str) -> None:
    """A file is known for each project that has it. Going back keeps what the storage's own project has."""
    op.execute("CREATE TABLE source_file_copy AS SELECT * FROM source_file")
    op.drop_table("source_file")
    project = sa.Column("project_id", ROW_ID, autoincrement=False, nullable=False)
    project_key = sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_source_file_project_id")
    op.create_table(
        "source_file",
        *([project] if by_project else []),
        sa.Column("storage_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("source_key", KEY, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("failed_rows", BIG, nullable=False),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_source_file_namespace_id"),
        *([project_key] if by_project else []),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"], name="fk_source_file_storage_id"),
        sa.PrimaryKeyConstraint(
            *(["project_id"] if by_project else []), "storage_id", "source_key", name="pk_source_file"
        ),
    )
    own = "" if by_project else " AND f.project_id = s.project_id"
    op.execute(
        f"INSERT INTO source_file ({rows.replace('s.', '').replace('f.', '')})"
        f" SELECT {rows} FROM source_file_copy f JOIN storage s ON s.id = f.storage_id{own}"
    )
    op.drop_table("source_file_copy")


def _create_dead_letter() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("storage_id", ROW_ID, nullable=False),
        sa.Column("sync_config_id", BIG, nullable=True),
        sa.Column("job_id", BIG, nullable=True),
        sa.Column("source_key", KEY, nullable=False),
        sa.Column("row", BIG, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("error_type", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("attempts", INT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("row_rev", BIG, nullable=False),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_dead_letter_namespace_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_dead_letter_project_id"),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"], name="fk_dead_letter_storage_id"),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter"),
        sa.UniqueConstraint("project_id", "storage_id", "source_key", "row", name="uq_dead_letter_identity"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dead_letter_config", "dead_letter", ["sync_config_id", "status"])
    op.create_index("ix_dead_letter_namespace_id_id", "dead_letter", ["namespace_id", "id"])
    op.create_index("ix_dead_letter_storage", "dead_letter", ["storage_id", "status"])


def _create_source_event() -> None:
    op.create_table(
        "source_event",
        sa.Column("storage_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("sync_config_id", BIG, autoincrement=False, nullable=False),
        sa.Column("source_key", KEY, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"], name="fk_source_event_storage_id"),
        sa.PrimaryKeyConstraint("storage_id", "sync_config_id", "source_key", name="pk_source_event"),
    )


def _create_staged_object() -> None:
    op.create_table(
        "staged_object",
        sa.Column("project_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("storage_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("source_key", KEY, nullable=False),
        sa.Column("row", INT, autoincrement=False, nullable=False),
        sa.Column("sync_config_id", BIG, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("size_bytes", BIG, nullable=True),
        sa.Column("mime_type", TEXT, nullable=True),
        sa.Column("modality", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("source_modified_at", TIME, nullable=True),
        sa.Column("data", JSON, nullable=True),
        sa.Column("fields", JSON, nullable=True),
        sa.Column("blobs", JSON, nullable=True),
        sa.Column("synced_at", TIME, nullable=False),
        sa.Column("content_hash", TEXT, nullable=True),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_staged_object_namespace_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_staged_object_project_id"),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"], name="fk_staged_object_storage_id"),
        sa.PrimaryKeyConstraint("project_id", "storage_id", "source_key", "row", name="pk_staged_object"),
    )


def _create_sync_config() -> None:
    op.create_table(
        "sync_config",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("storage_id", ROW_ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("source_path", TEXT, nullable=False),
        sa.Column("range_low", KEY, nullable=False),
        sa.Column("range_high", KEY, nullable=True),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("file_filters", JSON, nullable=True),
        sa.Column("schema_mapping", JSON, nullable=True),
        sa.Column("custom_metadata", JSON, nullable=False),
        sa.Column("webhook_url", TEXT, nullable=True),
        sa.Column("webhook_events", JSON, nullable=False),
        sa.Column("sealed_webhook_secret", TEXT, nullable=True),
        sa.Column("polling_interval_seconds", INT, nullable=False),
        sa.Column("cron", TEXT, nullable=True),
        sa.Column("time_zone", TEXT, nullable=False),
        sa.Column("batch_size", INT, nullable=False),
        sa.Column("batch_chunk_size", INT, nullable=False),
        sa.Column("max_objects_per_run", BIG, nullable=True),
        sa.Column("checkpoint_frequency", INT, nullable=False),
        sa.Column("skip_duplicates", BOOL, nullable=False),
        sa.Column("skip_batch_submission", BOOL, nullable=False),
        sa.Column("require_confirmation", BOOL, nullable=False),
        sa.Column("use_blob_urls", BOOL, nullable=False),
        sa.Column("on_update", TEXT, nullable=False),
        sa.Column("on_delete", TEXT, nullable=False),
        sa.Column("max_missing_fraction", REAL, nullable=False),
        sa.Column("resume_enabled", BOOL, nullable=False),
        sa.Column("total_found", BIG, nullable=False),
        sa.Column("total_synced", BIG, nullable=False),
        sa.Column("total_failed", BIG, nullable=False),
        sa.Column("total_bytes", BIG, nullable=False),
        sa.Column("total_batches", BIG, nullable=False),
        sa.Column("rate_limit_hits", BIG, nullable=False),
        sa.Column("duration_seconds", REAL, nullable=False),
        sa.Column("skipped_runs", BIG, nullable=False),
        sa.Column("pause_reason", TEXT, nullable=True),
        sa.Column("paused_at", TIME, nullable=True),
        sa.Column("paused_by", JSON, nullable=True),
        sa.Column("run_number", BIG, nullable=False),
        sa.Column("current_job_id", BIG, nullable=True),
        sa.Column("last_job_id", BIG, nullable=True),
        sa.Column("last_sync_at", TIME, nullable=True),
        sa.Column("next_sync_at", TIME, nullable=True),
        sa.Column("listed_at", TIME, nullable=True),
        sa.Column("rescan", BOOL, nullable=False),
        sa.Column("mapping_digest", TEXT, nullable=True),
        sa.Column("last_error", TEXT, nullable=True),
        sa.Column("consecutive_failures", INT, nullable=False),
        sa.Column("created_by_kind", TEXT, nullable=False),
        sa.Column("created_by_id", BIG, nullable=True),
        sa.Column("created_by_name", TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("row_rev", BIG, nullable=False),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_sync_config_namespace_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_sync_config_project_id"),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"], name="fk_sync_config_storage_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sync_config"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sync_config_due", "sync_config", ["next_sync_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_index("ix_sync_config_namespace_id_id", "sync_config", ["namespace_id", "id"])
    op.create_index("ix_sync_config_project_id_id", "sync_config", ["project_id", "id"])
    op.create_index("ix_sync_config_storage_id_id", "sync_config", ["storage_id", "id"])


def _create_delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("sync_config_id", ROW_ID, nullable=False),
        sa.Column("job_id", ROW_ID, nullable=False),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("batch_number", BIG, nullable=True),
        sa.Column("object_count", INT, nullable=False),
        sa.Column("items", JSON, nullable=True),
        sa.Column("body", JSON, nullable=True),
        sa.Column("message_id", TEXT, nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("attempts", INT, nullable=False),
        sa.Column("next_attempt_at", TIME, nullable=True),
        sa.Column("last_error", TEXT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("delivered_at", TIME, nullable=True),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_delivery_job_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_delivery_namespace_id"),
        sa.ForeignKeyConstraint(
            ["sync_config_id"], ["sync_config.id"], name="fk_delivery_sync_config_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_job_id_id", "delivery", ["job_id", "id"])
    op.create_index(
        "ix_delivery_pending",
        "delivery",
        ["sync_config_id", "next_attempt_at"],
        sqlite_where=PENDING,
        postgresql_where=PENDING,
    )
    op.create_index("ix_delivery_sync_config_id_id", "delivery", ["sync_config_id", "id"])


def _create_outcome() -> None:
    op.create_table(
        "outcome",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", ROW_ID, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("row", BIG, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_outcome_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_outcome"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outcome_job_id_id", "outcome", ["job_id", "id"])


def _alter_job() -> None:
    with op.batch_alter_table("job", table_kwargs=AUTOINCREMENT) as batch_op:
        batch_op.add_column(sa.Column("sync_config_id", BIG, nullable=True))
        batch_op.add_column(sa.Column("range_low", KEY, nullable=True))
        batch_op.add_column(sa.Column("range_high", KEY, nullable=True))
        batch_op.add_column(sa.Column("counted", JSON, nullable=True))
        batch_op.create_index("ix_job_sync_config_id_id", ["sync_config_id", "id"])


def _alter_synced_object() -> None:
    with op.batch_alter_table("synced_object", table_kwargs=AUTOINCREMENT) as batch_op:
        batch_op.add_column(sa.Column("sync_config_id", BIG, nullable=True))
        batch_op.add_column(sa.Column("content_hash", TEXT, nullable=True))
        batch_op.create_index(
            "ix_synced_object_content_hash",
            ["project_id", "content_hash"],
            sqlite_where=HASHED,
            postgresql_where=HASHED,
        )
