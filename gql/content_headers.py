"""The HTTP headers of an object's content: what a browser may do with it, ranges, and whether it changed."""

from __future__ import annotations

import re
import unicodedata
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import quote

ALWAYS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""On every answer. A file of a tenant never runs in our origin, a browser never guesses what it is, the link never
leaks by Referer, and any page may show it as an image."""

OCTETS = "application/octet-stream"
MAX_NAME = 200

_RASTER = frozenset(f"image/{kind}" for kind in ("png", "jpeg", "gif", "webp", "avif", "bmp"))
_MIME_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}", re.ASCII)  # RFC 6838, 4.2
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)  # RFC 9110, 14.1.2
_TAG = re.compile(r'(?:W/)?("[^"]*")')
_ATTR_CHARS = "!#$&+-.^_`|~"  # RFC 8187, 3.2.1, besides letters and digits


def content_type(mime_type: str | None) -> str:
    """The MIME type as a header, without parameters; octets where it is none."""
    bare = (mime_type or "").partition(";")[0].strip().lower()
    return bare if _MIME_TYPE.fullmatch(bare) else OCTETS


def is_inline(kind: str) -> bool:
    """Whether a browser may show a content type itself: raster images, audio and video, which hold no scripts."""
    return kind in _RASTER or kind.startswith(("audio/", "video/"))


def disposition(kind: str, path: str, fallback: str) -> str:
    """Content-Disposition (RFC 6266) with the file's name: in ASCII for old programs, in full as RFC 8187 writes it."""
    name = file_name(path) or fallback
    plain = re.sub(r"[^ !#$&-.0-;=@-Z\[\]-~]", "_", name).strip() or fallback
    word = "inline" if is_inline(kind) else "attachment"
    return f"{word}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def file_name(path: str) -> str:
    """The last part of a path, without what no file name should have: control characters, marks that turn text."""
    last = re.split(r"[/\\]", path)[-1]
    kept = "".join(char for char in last if not _is_hidden(char)).strip()
    if kept.strip(".") == "":
        return ""
    if len(kept) > MAX_NAME:
        stem, dot, extension = kept.rpartition(".")
        ending = f".{extension}" if dot and stem and len(extension) <= 16 else ""
        kept = kept[: MAX_NAME - len(ending)] + ending
    return kept


def _is_hidden(char: str) -> bool:
    # Cc, Cs and unassigned; of the format characters (Cf) those that reorder text: gpj.exe must not look like exe.jpg.
    # Other format characters stay: emoji are joined by one.
    if unicodedata.category(char) in ("Cc", "Cs", "Cn", "Zl", "Zp"):
        return True
    return unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI") or (
        char in "\u200e\u200f\u061c\ufeff"
    )


def etag(fingerprint: str) -> str:
    """A strong entity tag. Hashed: a fingerprint may hold what a header cannot, and is the provider's business."""
    return f'"{urlsafe_b64encode(sha256(fingerprint.encode()).digest()[:16]).decode().rstrip("=")}"'


def none_match(header: str | None, tag: str) -> bool:
    """Whether If-None-Match names this version, so that the client has it already (RFC 9110, 13.1.2)."""
    if header is None:
        return False
    return header.strip() == "*" or tag in _TAG.findall(header)


class UnsatisfiableRangeError(Exception):
    """The range lies beyond the end."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last of a single range; None where the whole is to be sent.

    That is so for several ranges and for what is no range. Raises UnsatisfiableRangeError.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        count = int(found[2])
        if count == 0:
            raise UnsatisfiableRangeError
        return (max(0, size - count), size) if size else None
    first = int(found[1])
    last = int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    if first >= size:
        raise UnsatisfiableRangeError
    return first, min(last + 1, size)
