"""The settings of an S3 storage and what is wrong with them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator
from yarl import URL

from sluicegate.core.endpoints import SETTING
from sluicegate.core.errors import InvalidError
from sluicegate.providers.base import ProviderContext
from sluicegate.providers.parsing import StrictSettings, camel, parse_settings

ROOT = ("provider", "s3")
MAX_KEY_BYTES = 1024
SECRETS = frozenset({"aws_access_key_id", "aws_secret_access_key", "aws_session_token"})

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,600}", re.ASCII)
_KMS_KEY = re.compile(r"[A-Za-z0-9:/._-]{1,2048}")
_QUEUE_PATH = re.compile(r"(?:/[A-Za-z0-9_.-]+)+")
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)

Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096)]


class Settings(StrictSettings):
    """One bucket, or a part of it. Names are those of the public schema in snake case."""

    bucket: str
    prefix: str = ""
    region_name: str | None = None
    s3_endpoint: str | None = None
    aws_access_key_id: Secret | None = None
    aws_secret_access_key: Secret | None = None
    aws_session_token: Annotated[SecretStr, Field(min_length=1, max_length=16_384)] | None = None
    aws_sse_kms_key_id: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    event_queue_url: Annotated[str, Field(max_length=2048)] | None = None

    @field_validator("bucket")
    @classmethod
    def _bucket(cls, value: str) -> str:
        if value.startswith("s3://") or "/" in value:
            raise ValueError("Give the bucket's name alone; what follows the first / belongs into prefix.")
        if value.startswith("arn:"):
            raise ValueError("Give the bucket's name; access point ARNs are not supported.")
        if not _BUCKET.fullmatch(value) or ".." in value:
            raise ValueError("A bucket's name is 2 to 255 letters, digits, dots, hyphens or underscores.")
        return value

    @field_validator("prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise ValueError("The prefix has a lone surrogate; keys are UTF-8.") from None
        if size > MAX_KEY_BYTES:
            raise ValueError(f"The prefix is {size:,} bytes long; a key has at most {MAX_KEY_BYTES:,}.")
        if "\x00" in value:
            raise ValueError("The prefix must not contain a NUL character.")
        return value

    @field_validator("region_name")
    @classmethod
    def _region(cls, value: str) -> str:
        if not _REGION.fullmatch(value):
            raise ValueError("A region is written like eu-central-1.")
        return value

    @field_validator("s3_endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        return _base_url(value, "https://minio.example.com:9000")

    @field_validator("event_queue_url")
    @classmethod
    def _queue(cls, value: str) -> str:
        try:
            url = URL(value)
            valid = url.scheme in ("http", "https") and url.host and not (url.user or url.password)
            valid = valid and not (url.query_string or url.fragment) and _QUEUE_PATH.fullmatch(url.raw_path)
        except ValueError:
            valid = False
        if not valid or not (value.isascii() and value.isprintable()):
            raise ValueError("A queue's URL looks like https://sqs.eu-central-1.amazonaws.com/123456789012/name.")
        return value

    @field_validator("role_arn")
    @classmethod
    def _role(cls, value: str) -> str:
        if not _ROLE.fullmatch(value):
            raise ValueError("A role's ARN looks like arn:aws:iam::123456789012:role/name.")
        return value

    @field_validator("aws_sse_kms_key_id")
    @classmethod
    def _kms_key(cls, value: str) -> str:
        # It goes out in a header.
        if not _KMS_KEY.fullmatch(value):
            raise ValueError("A KMS key is named by its id, its ARN or an alias: letters, digits and :/._- .")
        return value

    @field_validator("external_id")
    @classmethod
    def _external(cls, value: str) -> str:
        if not _EXTERNAL_ID.fullmatch(value):
            raise ValueError("An external id has 2 to 1,224 letters, digits and _+=,.@:/- .")
        return value

    @field_validator("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    @classmethod
    def _secret(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError("This has a space or another character that no such key has; copy it again.")
        return value

    @model_validator(mode="after")
    def _frozen_pairs(self) -> Settings:
        if self.external_id and not self.role_arn:
            raise ValueError("externalId is only used with roleArn.")
        return self


def parse(values: Mapping[str, Any], *, context: ProviderContext) -> Settings:
    """Checked settings. Raises InvalidError for the first problem."""
    settings = parse_settings(Settings, values, ROOT)
    key, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    if key and not secret:
        raise _invalid("aws_secret_access_key", "awsAccessKeyId needs its awsSecretAccessKey.")
    if secret and not key:
        raise _invalid("aws_access_key_id", "awsSecretAccessKey needs its awsAccessKeyId.")
    _check_queue(settings, context)
    if settings.aws_session_token and not key:
        raise _invalid("aws_session_token", "awsSessionToken belongs to an awsAccessKeyId, which is missing.")
    if key:
        return settings
    if not settings.role_arn:
        raise _invalid(
            "aws_access_key_id",
            "This storage has no credentials.",
            "Give awsAccessKeyId and awsSecretAccessKey (and awsSessionToken where they are temporary).",
        )
    if not context.ambient_aws:
        raise _invalid(
            "aws_access_key_id",
            "A role needs keys that may assume it: this gateway does not lend its own.",
            "Give awsAccessKeyId and awsSecretAccessKey; or the operator sets SLUICEGATE_AMBIENT_AWS=1.",
        )
    if not _is_trusted(settings.s3_endpoint, context):
        raise _invalid(
            "s3_endpoint",
            "The gateway's own credentials are used only at AWS, and at endpoints that its operator names.",
            f"Leave s3Endpoint out, give keys, or let the operator add the endpoint to {SETTING}.",
        )
    if settings.external_id:
        raise _invalid(
            "external_id",
            "With the gateway's own credentials the external id is made by the gateway.",
            f"Leave externalId out, and let the role's trust policy require {namespace_external_id(context)}.",
        )
    return settings


def namespace_external_id(context: ProviderContext) -> str:
    """The external id under which the gateway's own credentials assume a namespace's roles.

    Made by the gateway, one for each namespace, so that no tenant can name another's role and be let in: the confused
    deputy.
    """
    return "sluicegate-" + hashlib.sha256(f"{context.namespace_id}:{context.namespace}".encode()).hexdigest()[:32]


# S3: https://docs.aws.amazon.com/general/latest/gr/s3.html, queues: …/sqs-service.html and …/rande.html, endpoints of
# a VPC: https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html. What stands before
# the service's name is a bucket, a VPC endpoint or, of a queue of old, the region.
_AWS = re.compile(
    r"(?:[a-z0-9._-]+\.)?"
    r"(?:(?:s3|s3-fips|s3-accelerate|s3-accesspoint|s3-accesspoint-fips|sqs|sqs-fips)"
    r"(?:\.dualstack)?(?:\.[a-z]{2,4}(?:-[a-z]+)+-[0-9]+)?(?:\.vpce)?"
    r"|s3-(?:fips-)?[a-z]{2,4}(?:-[a-z]+)+-[0-9]+|s3-external-1"
    r"|queue)"
    r"\.amazonaws\.com(?:\.cn)?"
    r"|sqs(?:-fips)?\.[a-z]{2,4}(?:-[a-z]+)+-[0-9]+\.api\.aws"
)


def is_aws(host: str) -> bool:
    """Whether a host is S3's or SQS's of AWS: under the same domain are many that serve whatever a customer runs."""
    return _AWS.fullmatch(host.lower()) is not None


def _is_trusted(endpoint: str | None, context: ProviderContext) -> bool:
    # What asks for a role's keys shows the machine's key id and session token to whoever is there.
    if endpoint is None:
        return True
    url = URL(endpoint)
    return is_aws(url.host or "") or context.connector.policy.names(url.raw_host or "", url.port or 0)


def _check_queue(settings: Settings, context: ProviderContext) -> None:
    """Raises InvalidError for a queue that is asked in the clear, or with a role that the gateway's own keys assume."""
    if settings.event_queue_url is None:
        return
    url = URL(settings.event_queue_url)
    if url.scheme == "http" and not context.connector.policy.names(url.raw_host or "", url.port or 0):
        raise _invalid(
            "event_queue_url",
            "A queue is asked over https.",
            f"Write https://, or let the operator add the host to {SETTING}.",
        )
    if settings.aws_access_key_id is None and not _is_trusted(settings.event_queue_url, context):
        raise _invalid(
            "event_queue_url",
            "A role of the gateway's own credentials is used only at AWS, and at endpoints that its operator names.",
            f"Name a queue of AWS, give keys, or let the operator add the host to {SETTING}.",
        )


def _invalid(field: str, message: str, hint: str | None = None) -> InvalidError:
    return InvalidError(message, path=(*ROOT, camel(field)), hint=hint)


def _base_url(value: str, example: str) -> str:
    try:
        url = URL(value)
        valid = url.scheme in ("http", "https") and url.host and not (url.user or url.password)
    except ValueError:
        valid, url = False, URL()
    if not valid:
        raise ValueError(f"An endpoint looks like {example}.")
    if url.path not in ("", "/") or url.query_string or url.fragment:
        raise ValueError(f"An endpoint has no path: bucket and prefix are fields of their own. Example: {example}")
    return str(url.origin())
