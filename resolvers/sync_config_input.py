"""What callers give of a sync configuration: checked, and turned into the columns of its row."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.deliveries import WebhookEvent
from models.sync_configs import OnDelete, OnUpdate, SyncMode
from resolvers import checks
from sluicegate.core.errors import InvalidError
from sluicegate.core.net import Connector
from sluicegate.core.schedules import check_cron, check_time_zone
from sluicegate.providers.parsing import camel
from sluicegate.sync.file_filters import FileFilters
from sluicegate.webhooks.secrets import check_secret, new_secret
from sluicegate.webhooks.targets import check_url

DEFAULTS: Mapping[str, Any] = {
    "name": "", "mode": SyncMode.CONTINUOUS, "file_filters": None, "schema_mapping": None, "custom_metadata": {},
    "webhook": None, "polling_interval_seconds": 300, "cron": None, "time_zone": "UTC", "batch_size": 50,
    "batch_chunk_size": 100, "max_objects_per_run": None, "checkpoint_frequency": 1_000, "skip_duplicates": False,
    "skip_batch_submission": False, "require_confirmation": False, "use_blob_urls": True,
    "on_update": OnUpdate.REPLACE, "on_delete": OnDelete.MARK, "max_missing_fraction": 0.5, "resume_enabled": True,
}  # fmt: skip
"""What a configuration is made with, and what null in an update goes back to."""

DEFAULT_EVENTS = tuple(event for event in WebhookEvent if event is not WebhookEvent.SYNC_PROGRESS)
"""What a webhook is told unless it says: progress is for those who ask for it."""

MAX_METADATA_KEYS = 50
MAX_METADATA_BYTES = 16 << 10
_LIMITS = {
    "polling_interval_seconds": (30, 900), "batch_size": (1, 100), "batch_chunk_size": (1, 1_000),
    "checkpoint_frequency": (100, 10_000), "max_objects_per_run": (1, 2**31 - 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GivenWebhook:
    """A webhook as a caller gave it."""

    url: str
    secret: str | None = field(default=None, repr=False)
    events: Sequence[WebhookEvent] | None = None


@dataclass(frozen=True, slots=True)
class CheckedWebhook:
    """The columns of a webhook. `secret`: a new one, None: the one that there is stays. `made`: by the gateway."""

    columns: Mapping[str, Any]
    secret: str | None = field(default=None, repr=False)
    made: bool = False


def checked_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that need no look at anything else; None is the default. Raises InvalidError."""
    columns = {name: DEFAULTS[name] if value is None else value for name, value in given.items()}
    if "name" in columns:
        checks.check_text(columns["name"], ("name",), longest=checks.MAX_TITLE)
    for name, (lowest, highest) in _LIMITS.items():
        if columns.get(name) is not None:
            checks.check_between(columns[name], lowest, highest, (camel(name),))
    fraction = columns.get("max_missing_fraction")
    if fraction is not None and not (math.isfinite(fraction) and 0 <= fraction <= 1):
        raise InvalidError("This must be 0 to 1: 0.5 is half.", path=("maxMissingFraction",))
    if "file_filters" in columns:
        columns["file_filters"] = _stored_filters(columns["file_filters"])
    if "custom_metadata" in columns:
        columns["custom_metadata"] = _metadata(columns["custom_metadata"])
    if "time_zone" in columns:
        check_time_zone(columns["time_zone"])
    return columns


def check_schedule(mode: str, cron: str | None, *, by_mode: bool = False) -> None:
    """Raises InvalidError for a cron that is none, or that belongs to a mode that has none.

    `by_mode`: it is the mode that was given, and the cron that was there.
    """
    if cron is None:
        return
    if mode != SyncMode.SCHEDULED:
        raise InvalidError(
            f"cron is for the mode SCHEDULED; this one is {mode}.",
            path=("mode",) if by_mode else ("cron",),
            hint="Give mode: SCHEDULED, or cron: null.",
        )
    check_cron(cron)


async def checked_webhook(
    given: GivenWebhook | None, connector: Connector, *, has_secret: bool = False
) -> CheckedWebhook:
    """A webhook's columns, with a new secret where one is given or there is none. Raises InvalidError."""
    if given is None:
        return CheckedWebhook({"webhook_url": None, "webhook_events": [], "sealed_webhook_secret": None})
    url = await check_url(given.url, connector)
    if given.events is not None and not given.events:
        raise InvalidError("A webhook without events is told nothing.", path=("webhook", "events"),
                           hint="Leave events out for all but SYNC_PROGRESS, or give webhook: null.")  # fmt: skip
    chosen = set(DEFAULT_EVENTS if given.events is None else given.events)
    columns = {"webhook_url": url, "webhook_events": [event.value for event in WebhookEvent if event in chosen]}
    if given.secret is not None:
        return CheckedWebhook(columns, check_secret(given.secret))
    return CheckedWebhook(columns) if has_secret else CheckedWebhook(columns, new_secret(), made=True)


def _stored_filters(given: FileFilters | None) -> dict[str, Any] | None:
    """Filters as the row has them; those that have no rule are none."""
    return (given.to_json() or None) if given is not None else None


def _metadata(value: Any) -> dict[str, Any]:
    path = ("metadata",)
    if not isinstance(value, dict):
        raise InvalidError("Metadata is a JSON object.", path=path, hint='Example: {"environment": "production"}')
    kept: dict[str, Any] = checks.check_json(value, path)
    if len(kept) > MAX_METADATA_KEYS:
        raise InvalidError(f"At most {MAX_METADATA_KEYS} keys; there are {len(kept):,}.", path=path)
    size = len(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_METADATA_BYTES:
        raise InvalidError(f"At most {MAX_METADATA_BYTES:,} bytes as JSON; this has {size:,}.", path=path)
    return kept
