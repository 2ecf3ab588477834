"""Settings of storages as callers give them: whole to create or test one, in part to change one."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import Maybe

from gql.inputs.given import given_fields
from sluicegate.providers.base import ProviderType

_KEY_ID = "Access key. Write-only."
_SECRET = "The access key's secret. Write-only."  # noqa: S105 - a description
_TOKEN = "Session token of temporary credentials. Write-only."  # noqa: S105 - a description
_BUCKET = "The bucket's name."
_PREFIX = "Only keys that start with this; any text up to 1,024 bytes, not only a folder."
_REGION = "The bucket's region, e.g. eu-central-1."
_ENDPOINT = "The server's address where it is not Amazon's, e.g. https://minio.example.com:9000."
_KMS = "The KMS key for what is written to the bucket."
_ROLE = "A role to assume, arn:aws:iam::…:role/…."
_EXTERNAL = "What the role's trust policy asks for."
_QUEUE = "The SQS queue that the bucket's event notifications go to, https://sqs.eu-central-1.amazonaws.com/…/…."
_PATH = "A folder, relative to the one that the operator gave to the namespace."


@strawberry.input(description="An S3 connection.")
class S3SettingsInput:
    """Of a bucket."""

    bucket: str = strawberry.field(description=_BUCKET)
    prefix: str = strawberry.field(default="", description=_PREFIX)
    region_name: str | None = strawberry.field(default=None, description=_REGION)
    s3_endpoint: str | None = strawberry.field(default=None, name="s3Endpoint", description=_ENDPOINT)
    aws_access_key_id: str | None = strawberry.field(default=None, description=_KEY_ID)
    aws_secret_access_key: str | None = strawberry.field(default=None, description=_SECRET)
    aws_session_token: str | None = strawberry.field(default=None, description=_TOKEN)
    aws_sse_kms_key_id: str | None = strawberry.field(default=None, description=_KMS)
    role_arn: str | None = strawberry.field(default=None, description=_ROLE)
    external_id: str | None = strawberry.field(default=None, description=_EXTERNAL)
    event_queue_url: str | None = strawberry.field(default=None, description=_QUEUE)


@strawberry.input(description="A folder of the gateway's own machine.")
class LocalSettingsInput:
    """Of a folder."""

    path: str = strawberry.field(description=_PATH)


@strawberry.input(one_of=True, description="The settings of one kind of storage: exactly one of these.")
class StorageSettingsInput:
    """Exactly one provider's settings."""

    s3: Maybe[S3SettingsInput] = strawberry.field(name="s3", description="S3.")
    local: Maybe[LocalSettingsInput] = strawberry.field(description="A local folder.")


@strawberry.input(description="Changes of an S3 connection. Only what is given changes; null removes.")
class S3SettingsPatchInput:
    """Of a bucket, in part."""

    bucket: Maybe[str | None] = strawberry.field(description=_BUCKET)
    prefix: Maybe[str | None] = strawberry.field(description=_PREFIX)
    region_name: Maybe[str | None] = strawberry.field(description=_REGION)
    s3_endpoint: Maybe[str | None] = strawberry.field(name="s3Endpoint", description=_ENDPOINT)
    aws_access_key_id: Maybe[str | None] = strawberry.field(description=_KEY_ID)
    aws_secret_access_key: Maybe[str | None] = strawberry.field(description=_SECRET)
    aws_session_token: Maybe[str | None] = strawberry.field(description=_TOKEN)
    aws_sse_kms_key_id: Maybe[str | None] = strawberry.field(description=_KMS)
    role_arn: Maybe[str | None] = strawberry.field(description=_ROLE)
    external_id: Maybe[str | None] = strawberry.field(description=_EXTERNAL)
    event_queue_url: Maybe[str | None] = strawberry.field(description=_QUEUE)


@strawberry.input(description="Changes of a local storage. Only what is given changes.")
class LocalSettingsPatchInput:
    """Of a folder, in part."""

    path: Maybe[str | None] = strawberry.field(description=_PATH)


@strawberry.input(one_of=True, description="Changes of one kind of storage: exactly one of these, the storage's own.")
class StorageSettingsPatchInput:
    """Exactly one provider's changes."""

    s3: Maybe[S3SettingsPatchInput] = strawberry.field(name="s3", description="S3.")
    local: Maybe[LocalSettingsPatchInput] = strawberry.field(description="A local folder.")


_PROVIDERS = {"s3": ProviderType.S3, "local": ProviderType.LOCAL}


def given_settings(given: StorageSettingsInput | StorageSettingsPatchInput) -> tuple[ProviderType, dict[str, Any]]:
    """Which provider, and what was given of its settings by the provider's names; None where null was given."""
    name, some = next((name, getattr(given, name)) for name in _PROVIDERS if getattr(given, name))
    return _PROVIDERS[name], given_fields(some.value)
