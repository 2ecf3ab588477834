"""The JSON of a message: `{"type", "timestamp", "data"}`, described in docs/webhooks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from models.deliveries import WebhookEvent
from models.delivery_attempts import Message
from models.delivery_payloads import BatchObject
from sluicegate.core.ids import encode_id

MAX_BODY_BYTES = 256 * 1024
TYPES: Mapping[WebhookEvent, str] = {
    WebhookEvent.SYNC_STARTED: "sync.started",
    WebhookEvent.SYNC_PROGRESS: "sync.progress",
    WebhookEvent.SYNC_COMPLETED: "sync.completed",
    WebhookEvent.SYNC_FAILED: "sync.failed",
    WebhookEvent.BATCH_READY: "batch.ready",
}
"""What each event is called on the wire."""


def sync_body(message: Message) -> bytes:
    """The body of a message about a run: at most a few kilobytes."""
    return _envelope(message, {**_places(message), **(message.body or {})})


def batch_body(message: Message, objects: Sequence[BatchObject]) -> bytes:
    """The body of a batch, at most 256 KiB.

    Where the paths would make it longer (names of control characters, which JSON writes six-fold), they are left out;
    the ids are enough to ask for them.
    """
    body = _envelope(message, _batch(message, objects, paths=True))
    return body if len(body) <= MAX_BODY_BYTES else _envelope(message, _batch(message, objects, paths=False))


def _batch(message: Message, objects: Sequence[BatchObject], *, paths: bool) -> dict[str, Any]:
    shown = [
        {
            "id": encode_id("SyncedObject", item.id),
            "path": item.path if paths else None,
            "row": item.row,
            "status": item.status,
        }
        for item in objects
    ]
    batch = {"id": encode_id("Batch", message.id), "number": message.batch_number}
    return {**batch, **_places(message), "objects": shown}


def _places(message: Message) -> dict[str, str]:
    return {"syncConfigId": encode_id("SyncConfig", message.config_id), "jobId": encode_id("Job", message.job_id)}


def _envelope(message: Message, data: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": TYPES[message.event], "timestamp": message.created_at, "data": data},
                        option=orjson.OPT_UTC_Z)  # fmt: skip
