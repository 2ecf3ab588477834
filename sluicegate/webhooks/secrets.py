"""The secrets that webhooks are signed with, as Standard Webhooks writes them (https://www.standardwebhooks.com).

`whsec_` and the base64 of 24 to 64 random bytes: whoever receives puts it into any library of that specification.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Sequence

from sluicegate.core.crypto import SecretBox
from sluicegate.core.errors import InvalidError

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64
_NEW_BYTES = 32
_TABLE, _NAME = "sync_config", "webhook_secret"


def new_secret() -> str:
    """A fresh one of 256 random bits. It is shown once, to whoever made the webhook."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def check_secret(secret: str, *, path: Sequence[str] = ("webhook", "secret")) -> str:
    """The secret as it is kept. Raises InvalidError, which does not repeat it, for one that no library would take."""
    key = _decode(secret.strip())
    if key is None or not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise InvalidError(
            f"The webhook secret is not {PREFIX} and the base64 of {MIN_BYTES} to {MAX_BYTES} bytes.",
            path=path,
            hint="Leave it out: a good one is made, and shown once in the answer.",
        )
    return PREFIX + base64.b64encode(key).decode()


def signing_key(secret: str) -> bytes:
    """The bytes that sign, of a secret that `check_secret` or `new_secret` gave."""
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def seal_secret(box: SecretBox, secret: str, *, config_id: int, namespace_id: int) -> str:
    """How the secret is stored (`sync_config.sealed_webhook_secret`): encrypted, bound to the configuration's row."""
    return box.seal({_NAME: secret}, table=_TABLE, row=config_id, namespace=namespace_id)


def open_secret(box: SecretBox, sealed: str, *, config_id: int, namespace_id: int) -> str:
    """The secret that `seal_secret` sealed. Raises ConfigurationError when the key or the row is another."""
    return box.open(sealed, table=_TABLE, row=config_id, namespace=namespace_id)[_NAME]


def _decode(secret: str) -> bytes | None:
    if not secret.startswith(PREFIX):
        return None
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
