"""The blobs that a mapping gives an object: its file, and files elsewhere that it names by URL."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from sluicegate.core.errors import ErrorCode, InvalidError, SkippableError
from sluicegate.core.text import clean_text
from sluicegate.providers.base import MappingSource
from sluicegate.sync.mapping_form import BlobType, Rule
from sluicegate.sync.mapping_values import Reader, Texts, reader
from sluicegate.sync.media import mime_and_modality, modality_of

MAX_URL = 8_192
DEFAULT_NAME = "content"
"""Of the blob that an object's file is when no mapping says otherwise."""

# RFC 3986: a scheme, an authority, and no character that has to be encoded where it matters to us.
_URL = re.compile(r"(?:https?|s3|gs)://[^\s/?#\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*", re.IGNORECASE)


class BlobMapper:
    """Makes the blobs of an object, as JSON text in the form that the catalogue keeps."""

    __slots__ = ("_made", "_rules", "_urls", "targets")

    def __init__(self, rules: Sequence[Rule], base: str) -> None:
        self._rules = [(rule, _url_reader(rule, base)) for rule in rules]
        self._urls = any(read is not None for _, read in self._rules)
        self._made: dict[str, str | None] = {}
        self.targets: dict[str, None] = dict.fromkeys(rule.target for rule, read in self._rules if read is None)
        """Of the file: blobs that every object has."""

    def of_file(self, path: str, mime: str | None) -> str | None:
        """The blobs, when they are all of the file; None is its one blob of the usual name and type."""
        modality = mime_and_modality(path)[1] if mime is None else modality_of(mime)
        if modality not in self._made:
            blobs = [_blob(rule, modality, None) for rule, _ in self._rules]
            usual = [{"name": DEFAULT_NAME, "type": modality, "uri": None}]
            self._made[modality] = None if blobs == usual else _text(blobs)
        return self._made[modality]

    def of_object(
        self, path: str, record: Any, tags: Texts, metadata: Texts, mime: str | None
    ) -> tuple[str | None, dict[str, None]]:
        """The blobs, and the targets that have one. Raises SkippableError for what is no URL or is missing."""
        if not self._urls:
            return self.of_file(path, mime), self.targets
        modality = mime_and_modality(path)[1] if mime is None else modality_of(mime)
        blobs: list[dict[str, Any]] = []
        targets = dict(self.targets)
        for rule, read in self._rules:
            if read is None:
                blobs.append(_blob(rule, modality, None))
            elif (value := read(path, record, tags, metadata)) is not None:
                url = checked_url(value, rule.name)
                targets[rule.target] = None
                blobs.append(_blob(rule, modality_of(mime_of_url(url)), url))
        return _text(blobs), targets


def checked_url(value: Any, name: str) -> str:
    """`value`, a URL of another file. Raises SkippableError."""
    if not isinstance(value, str) or len(value) > MAX_URL or not _URL.fullmatch(value):
        message = (
            f"The value of {name!r} is no URL of at most {MAX_URL:,} characters that starts with http, https, s3 or gs."
        )
        raise SkippableError(message, code=ErrorCode.INVALID)
    return clean_text(value, "URL")


def mime_of_url(url: str) -> str | None:
    """The MIME type by the extension in the path of a URL."""
    path = re.split(r"[?#]", url.partition("://")[2], maxsplit=1)[0].partition("/")[2]
    return mime_and_modality(unquote(path))[0]


def _url_reader(rule: Rule, base: str) -> Reader | None:
    if rule.source is MappingSource.FILE:
        return None
    if rule.default is not None:
        try:
            checked_url(rule.default, rule.name)
        except SkippableError as error:
            raise InvalidError(error.message, path=(*rule.path, "default")) from None
    return reader(rule, base)


def _blob(rule: Rule, modality: str, uri: str | None) -> dict[str, Any]:
    kind = modality if rule.blob_type is BlobType.AUTO else rule.blob_type.value
    return {"name": rule.name, "type": kind, "uri": uri}


def _text(blobs: list[dict[str, Any]]) -> str:
    return json.dumps(blobs, ensure_ascii=False, separators=(",", ":"))
