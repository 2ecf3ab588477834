"""The first tables: tenants and keys, projects, storages, jobs, the catalogue.

Types are spelled out here, so that what this revision makes stays the same when `models.base` changes.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.Text().with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME = sa.BigInteger().with_variant(sa.DateTime(timezone=True), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.LargeBinary()
BIG, INT, REAL, BOOL = sa.BigInteger(), sa.Integer(), sa.Float(), sa.Boolean()
UNFINISHED = sa.text("status IN ('CANCELING', 'IN_PROGRESS', 'PAUSED', 'QUEUED', 'SCHEDULED')")


def upgrade() -> None:
    _create_namespace()
    _create_api_key()
    _create_api_key_namespace()
    _create_secret_check()
    _create_project()
    _create_storage()
    _create_job()
    _create_synced_object()
    _create_source_file()
    _create_checkpoint()
    _create_missing_candidate()


def downgrade() -> None:
    for table in (
        "missing_candidate",
        "checkpoint",
        "source_file",
        "synced_object",
        "job",
        "storage",
        "project",
        "secret_check",
        "api_key_namespace",
        "api_key",
        "namespace",
    ):
        op.drop_table(table)


def _create_namespace() -> None:
    op.create_table(
        "namespace",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_namespace"),
        sa.UniqueConstraint("name", name="uq_namespace_name"),
        sqlite_autoincrement=True,
    )


def _create_api_key() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("prefix", TEXT, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("secret_hash", name="uq_api_key_secret_hash"),
        sqlite_autoincrement=True,
    )


def _create_api_key_namespace() -> None:
    op.create_table(
        "api_key_namespace",
        sa.Column("api_key_id", ROW_ID, nullable=False),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_key.id"], name="fk_api_key_namespace_api_key_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespace.id"], name="fk_api_key_namespace_namespace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("api_key_id", "namespace_id", name="pk_api_key_namespace"),
    )


def _create_secret_check() -> None:
    op.create_table(
        "secret_check",
        sa.Column("id", INT, autoincrement=False, nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_secret_check"),
    )


def _create_project() -> None:
    op.create_table(
        "project",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("object_schema", JSON, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_project_namespace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_project_namespace_id_id", "project", ["namespace_id", "id"])


def _create_storage() -> None:
    op.create_table(
        "storage",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("sealed_secrets", TEXT, nullable=True),
        sa.Column("credentials_set", JSON, nullable=False),
        sa.Column("regex_filter", TEXT, nullable=True),
        sa.Column("recursive_scan", BOOL, nullable=False),
        sa.Column("use_blob_urls", BOOL, nullable=False),
        sa.Column("presign", BOOL, nullable=False),
        sa.Column("presign_ttl", INT, nullable=False),
        sa.Column("synchronizable", BOOL, nullable=False),
        sa.Column("max_requests_per_second", REAL, nullable=True),
        sa.Column("max_bytes_per_second", BIG, nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("last_sync", TIME, nullable=True),
        sa.Column("last_sync_count", BIG, nullable=True),
        sa.Column("last_sync_job_id", BIG, nullable=True),
        sa.Column("traceback", TEXT, nullable=True),
        sa.Column("meta", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("row_rev", BIG, nullable=False),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_storage_namespace_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_storage_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_storage"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_storage_namespace_id_id", "storage", ["namespace_id", "id"])
    op.create_index("ix_storage_project_id_id", "storage", ["project_id", "id"])


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("job_class", TEXT, nullable=False),
        sa.Column("priority", INT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("progress", REAL, nullable=True),
        sa.Column("retry_count", INT, nullable=False),
        sa.Column("max_retries", INT, nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("error_message", TEXT, nullable=True),
        sa.Column("unicity", TEXT, nullable=True),
        sa.Column("trigger", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("sync", JSON, nullable=True),
        sa.Column("storage_id", ROW_ID, nullable=True),
        sa.Column("project_id", ROW_ID, nullable=True),
        sa.Column("scheduled_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("created_by_kind", TEXT, nullable=False),
        sa.Column("created_by_id", BIG, nullable=True),
        sa.Column("created_by_name", TEXT, nullable=False),
        sa.Column("fence", BIG, nullable=False),
        sa.Column("worker_id", TEXT, nullable=True),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.Column("claimed_at", TIME),
        sa.Column("interruptions", INT, nullable=False),
        sa.Column("resume_point", TEXT),
        sa.Column("last_signal", JSON),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("row_rev", BIG, nullable=False),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_job_namespace_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_job_project_id"),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"], name="fk_job_storage_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_namespace_id_id", "job", ["namespace_id", "id"])
    op.create_index("ix_job_storage_id_id", "job", ["storage_id", "id"])
    op.create_index("ix_job_unfinished", "job", ["status"], sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)
    op.create_index(
        "uq_job_unfinished_unicity",
        "job",
        ["namespace_id", "unicity"],
        unique=True,
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    )


def _create_synced_object() -> None:
    op.create_table(
        "synced_object",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("storage_id", ROW_ID, nullable=False),
        sa.Column("source_key", KEY, nullable=False),
        sa.Column("row", INT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("size_bytes", BIG, nullable=True),
        sa.Column("mime_type", TEXT, nullable=True),
        sa.Column("modality", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("source_modified_at", TIME, nullable=True),
        sa.Column("data", JSON, nullable=True),
        sa.Column("fields", JSON, nullable=True),
        sa.Column("blobs", JSON, nullable=True),
        sa.Column("first_synced_at", TIME, nullable=False),
        sa.Column("synced_at", TIME, nullable=False),
        sa.Column("missing_since", TIME, nullable=True),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_synced_object_namespace_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_synced_object_project_id"),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"], name="fk_synced_object_storage_id"),
        sa.PrimaryKeyConstraint("id", name="pk_synced_object"),
        sa.UniqueConstraint("project_id", "storage_id", "source_key", "row", name="uq_synced_object_identity"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_synced_object_project_id_id", "synced_object", ["project_id", "id"])


def _create_source_file() -> None:
    op.create_table(
        "source_file",
        sa.Column("storage_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("source_key", KEY, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("failed_rows", BIG, nullable=False),
        sa.Column("namespace_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["namespace.id"], name="fk_source_file_namespace_id"),
        sa.ForeignKeyConstraint(["storage_id"], ["storage.id"], name="fk_source_file_storage_id"),
        sa.PrimaryKeyConstraint("storage_id", "source_key", name="pk_source_file"),
    )


def _create_checkpoint() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("job_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("state", JSON, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_checkpoint_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name="pk_checkpoint"),
    )


def _create_missing_candidate() -> None:
    op.create_table(
        "missing_candidate",
        sa.Column("job_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("source_key", KEY, nullable=False),
        sa.Column("row", INT, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_missing_candidate_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "source_key", "row", name="pk_missing_candidate"),
    )
