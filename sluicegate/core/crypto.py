"""Secrets at rest: Fernet (AES-128-CBC with HMAC-SHA256), keys rotated with MultiFernet.

A sealed payload names the table, row and namespace that it belongs to, so a copy in another row does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from sluicegate.core.errors import ConfigurationError


class SecretBox:
    """Seals and opens the secrets of rows. `keys`: Fernet keys, newest first; the first seals, all open.

    Raises ConfigurationError for a malformed key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key.encode()) for key in keys])
            self._keys = [key.encode() for key in keys]
        except (ValueError, TypeError):
            raise ConfigurationError(
                "SLUICEGATE_SECRET_KEY is not a Fernet key (32 bytes, base64url).",
                hint="Make one with: sluicegate secrets new-key",
            ) from None

    def seal(self, values: Mapping[str, str], *, table: str, row: int, namespace: int) -> str:
        """The encrypted form of `values`, bound to one row."""
        payload = {"table": table, "row": row, "namespace": namespace, "values": dict(values)}
        return self._fernet.encrypt(orjson.dumps(payload)).decode()

    def open(self, sealed: str, *, table: str, row: int, namespace: int) -> dict[str, str]:
        """The values sealed for this row. Raises ConfigurationError when the key or the row is another."""
        try:
            payload = orjson.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise ConfigurationError(
                "Stored credentials cannot be decrypted with this secret key.",
                hint="Set SLUICEGATE_SECRET_KEY to the key that they were saved under.",
            ) from None
        if (payload["table"], payload["row"], payload["namespace"]) != (table, row, namespace):
            raise ConfigurationError("Stored credentials belong to another row.")
        return payload["values"]

    def rotate(self, sealed: str) -> str:
        """The same payload under the newest key. Raises InvalidToken when no key opens it."""
        return self._fernet.rotate(sealed.encode()).decode()

    def derive(self, purpose: str) -> list[bytes]:
        """For each key, newest first, 32 bytes that only its holders can make: HMAC-SHA256 of the purpose's name."""
        return [hmac.digest(key, purpose.encode(), "sha256") for key in self._keys]


def new_secret_key() -> str:
    """A fresh Fernet key."""
    return Fernet.generate_key().decode()


def new_api_secret() -> str:
    """A fresh API key: `sg_` and 256 random bits."""
    return "sg_" + secrets.token_urlsafe(32)


def hash_api_secret(secret: str) -> str:
    """How an API key is stored: SHA-256 in hex. 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
