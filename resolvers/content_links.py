"""Signed links to one thing: they work without a key's secret, for a while, and die with their key.

To the content of an object; or to the outcomes of a job, with the run in the place of the version, and another purpose.
A link is bound to the namespace, the object, the version of its content, the key that it was made for and its end.
Format, base64url without padding: version (1 byte), namespace, key and expiry (8 bytes each, big-endian, expiry in
seconds since the epoch), digest of the fingerprint (12 bytes), HMAC-SHA256 over these and the object's number (32).
"""

from __future__ import annotations

import binascii
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import NamedTuple

from sluicegate.core.crypto import SecretBox

PURPOSE = "content-link"
MAX_SECONDS = 7 * 24 * 3600
"""No link lives longer, whatever the storage's `presignTtl`."""

_VERSION = 1
_FIELDS = struct.Struct(">BQQQ12s")
_OBJECT = struct.Struct(">Q")
_MAC_BYTES = 32
_LENGTH = 92  # of the text: 69 bytes in base64


class ContentLink(NamedTuple):
    """What a genuine link says. `digest`: of the fingerprint, see `digest_of`. `expires`: seconds since the epoch."""

    namespace_id: int
    key_id: int
    expires: int
    digest: bytes


def digest_of(fingerprint: str) -> bytes:
    """12 bytes that tell one version of an object's content from another."""
    return sha256(fingerprint.encode()).digest()[:12]


def sign(secrets: SecretBox, object_id: int, link: ContentLink, *, purpose: str = PURPOSE) -> str:
    """The link's text, under the newest secret key. `purpose`: links of one are worth nothing for another."""
    body = _FIELDS.pack(_VERSION, link.namespace_id, link.key_id, link.expires, link.digest)
    return urlsafe_b64encode(body + _mac(secrets.derive(purpose)[0], object_id, body)).decode()


def verify(
    secrets: SecretBox, object_id: int, text: str, *, now_seconds: float, purpose: str = PURPOSE
) -> ContentLink | None:
    """What the text says, when one of the secret keys signed it for this object and it has not expired; else None."""
    if len(text) != _LENGTH or not text.isascii():
        return None
    try:
        raw = urlsafe_b64decode(text)
    except (ValueError, binascii.Error):
        return None
    body, mac = raw[: _FIELDS.size], raw[_FIELDS.size :]
    # Every key is compared, so that the time taken does not tell which one signed.
    genuine = [hmac.compare_digest(mac, _mac(key, object_id, body)) for key in secrets.derive(purpose)]
    if len(mac) != _MAC_BYTES or not any(genuine):
        return None
    version, *fields = _FIELDS.unpack(body)
    link = ContentLink(*fields)
    return link if version == _VERSION and link.expires > now_seconds else None


def _mac(key: bytes, object_id: int, body: bytes) -> bytes:
    return hmac.digest(key, body + _OBJECT.pack(object_id), "sha256")
