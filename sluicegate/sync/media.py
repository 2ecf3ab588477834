"""MIME types and modalities by file extension: the same on every machine, so the system's own table is not read."""

from __future__ import annotations

import mimetypes
from functools import lru_cache

_TYPES = mimetypes.MimeTypes(filenames=())
_EXTRA = {
    ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson", ".parquet": "application/vnd.apache.parquet",
    ".md": "text/markdown", ".yaml": "application/yaml", ".yml": "application/yaml", ".toml": "application/toml",
    ".webp": "image/webp", ".avif": "image/avif", ".heic": "image/heic", ".flac": "audio/flac", ".ogg": "audio/ogg",
    ".opus": "audio/ogg", ".m4a": "audio/mp4", ".mkv": "video/x-matroska", ".zst": "application/zstd",
    ".gz": "application/gzip", ".tsv": "text/tab-separated-values", ".epub": "application/epub+zip",
}  # fmt: skip
_TABULAR = frozenset({
    "text/csv", "text/tab-separated-values", "application/vnd.apache.parquet", "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.spreadsheet",
})  # fmt: skip
_DOCUMENTS = frozenset({
    "application/pdf", "application/msword", "application/rtf", "application/epub+zip", "application/postscript",
    "application/vnd.ms-powerpoint", "application/vnd.oasis.opendocument.text",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
})  # fmt: skip
_TEXT = frozenset({
    "application/json", "application/x-ndjson", "application/xml", "application/javascript", "application/yaml",
    "application/toml", "application/x-sh",
})  # fmt: skip
_MEDIA = {"image": "IMAGE", "video": "VIDEO", "audio": "AUDIO", "text": "TEXT"}
_MAX_EXTENSION = 16


def mime_and_modality(path: str) -> tuple[str | None, str]:
    """(MIME type or None, modality) of a file by the extension of its name."""
    dot = path.rfind(".")
    if dot < 0 or len(path) - dot > _MAX_EXTENSION or path.find("/", dot) >= 0:
        return None, "OTHER"
    return _by_extension(path[dot:].lower())


@lru_cache(maxsize=4_096)
def _by_extension(extension: str) -> tuple[str | None, str]:
    mime = _EXTRA.get(extension) or _TYPES.guess_type("x" + extension)[0]
    return mime, modality_of(mime)


@lru_cache(maxsize=4_096)
def modality_of(mime: str | None) -> str:
    """What kind of data a MIME type is."""
    if mime is None:
        return "OTHER"
    if mime in _TABULAR:
        return "TABULAR"
    if mime in _DOCUMENTS:
        return "DOCUMENT"
    if mime in _TEXT or (mime.endswith(("+json", "+xml")) and not mime.startswith("image/")):
        return "TEXT"
    return _MEDIA.get(mime.partition("/")[0], "OTHER")
