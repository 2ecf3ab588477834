"""Sync configurations as callers give them."""

from __future__ import annotations

from typing import Any

import strawberry

from gql.inputs.file_filters import FileFiltersInput, file_filters_of
from gql.inputs.given import given_fields
from gql.inputs.schema_mapping import SchemaMappingInput, schema_mapping_of
from gql.types.sync_enums import WebhookEvent
from resolvers.sync_config_input import GivenWebhook


@strawberry.input(
    description="Where events are sent: each is a POST, signed as Standard Webhooks says, at least once, retried."
)
class WebhookInput:
    """A webhook."""

    url: str = strawberry.field(
        description="An https:// address of at most 2,048 characters without user and password; http:// only to hosts "
        "that the gateway's operator names."
    )
    secret: str | None = strawberry.field(
        default=None,
        description="What to sign with: whsec_ and the base64 of 24 to 64 bytes. None: one is made, and shown once in "
        "the payload's webhookSecret; an update keeps the one that there is.",
    )
    events: list[WebhookEvent] | None = strawberry.field(
        default=None, description="Which events; null: all but SYNC_PROGRESS."
    )


@strawberry.input(description="Which configuration.")
class SyncConfigIdInput:
    """A configuration's id."""

    id: strawberry.ID = strawberry.field(description="Which configuration.")


_NAMES = {"metadata": "custom_metadata"}


def given_options(value: Any, *, besides: tuple[str, ...]) -> dict[str, Any]:
    """What was given of a configuration, by column; filters and mapping as the rows have them, the webhook checked."""
    options: dict[str, Any] = {}
    for name, given in given_fields(value, besides=besides).items():
        options[_NAMES.get(name, name)] = _plain(given)
    return options


def _plain(given: Any) -> Any:
    if isinstance(given, FileFiltersInput):
        return file_filters_of(given)
    if isinstance(given, SchemaMappingInput):
        return schema_mapping_of(given)
    if isinstance(given, WebhookInput):
        return GivenWebhook(given.url, given.secret, given.events)
    return given
