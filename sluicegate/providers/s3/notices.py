"""Messages about a bucket's objects → events: S3's own form, also within an SNS notification, and EventBridge's.

Formats: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html and ev-events.html
there; https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html. MinIO and Ceph write S3's form with
an event source of their own, and `s3:` before the event's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from sluicegate.providers.base import ObjectEvent
from sluicegate.providers.s3.settings import MAX_KEY_BYTES

_KINDS = {"ObjectCreated": False, "ObjectRemoved": True, "LifecycleExpiration": True}
"""Event → whether the object is removed. Restores, tags, ACLs, transitions and replication change no content."""
_BRIDGE_KINDS = {"Object Created": False, "Object Deleted": True}
_SNS_KINDS = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})


def read_message(body: str, bucket: str, prefix: bytes) -> tuple[list[ObjectEvent], bool]:
    """The events of a message that concern keys of the bucket under the prefix, and whether all of it was understood.

    S3's test message, other buckets and other kinds of events are understood and give none.
    """
    try:
        document = _document(body)
        records = _records(document)
    except (ValueError, TypeError, KeyError, RecursionError):
        return [], False
    events: list[ObjectEvent] = []
    understood = True
    for record in records:
        try:
            found = record(bucket)
        except (ValueError, TypeError, KeyError):
            understood = False
            continue
        if found is not None and found.key.startswith(prefix):
            events.append(found)
    return events, understood


def _document(body: str) -> Mapping[str, Any]:
    document = _object(json.loads(body))
    if document.get("Type") == "Notification" and "TopicArn" in document:
        return _object(json.loads(document["Message"]))
    return document


def _records(document: Mapping[str, Any]) -> list[Callable[[str], ObjectEvent | None]]:
    """What reads each event of a document, given the bucket. Raises ValueError for a document of another kind."""
    if document.get("Event") == "s3:TestEvent" or document.get("Type") in _SNS_KINDS:
        return []
    if isinstance(records := document.get("Records"), list):
        return [lambda bucket, record=record: _native(record, bucket) for record in cast("list[Any]", records)]
    if document.get("source") == "aws.s3":
        return [lambda bucket: _bridged(document, bucket)]
    raise ValueError("not an event of S3")


def _native(record: Any, bucket: str) -> ObjectEvent | None:
    kind = str(_object(record)["eventName"]).removeprefix("s3:").partition(":")[0]
    if not str(record["eventSource"]).endswith(":s3") or kind not in _KINDS:
        return None
    detail = record["s3"]
    if detail["bucket"]["name"] != bucket:
        return None
    return ObjectEvent(_key(unquote_to_bytes(_text(detail["object"]["key"]).replace("+", " "))), _KINDS[kind])


def _bridged(document: Mapping[str, Any], bucket: str) -> ObjectEvent | None:
    """EventBridge writes keys as they are, not percent-encoded."""
    kind = document["detail-type"]
    if kind not in _BRIDGE_KINDS or document["detail"]["bucket"]["name"] != bucket:
        return None
    return ObjectEvent(_key(_text(document["detail"]["object"]["key"]).encode()), _BRIDGE_KINDS[kind])


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return cast("Mapping[str, Any]", value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _key(key: bytes) -> bytes:
    if not 0 < len(key) <= MAX_KEY_BYTES:
        raise ValueError("not a key")
    return key
