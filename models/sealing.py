"""What is sealed with the secret key: the check value that finds a wrong key at start, and moving all to a new key."""

from __future__ import annotations

from cryptography.fernet import InvalidToken
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.access import SecretCheck
from models.storages import Storage
from models.sync_configs import SyncConfig
from sluicegate.core.crypto import SecretBox
from sluicegate.core.errors import ConfigurationError

_ROW = 1
_TABLE = "secret_check"
_VALUES = {"check": "sluicegate"}


async def has_check(session: AsyncSession) -> bool:
    """Whether a secret key was ever used on this database."""
    return await session.get(SecretCheck, _ROW) is not None


async def check_key(session: AsyncSession, secrets: SecretBox) -> None:
    """Keeps a value sealed with the key, or proves with the one kept that this is the key.

    Raises ConfigurationError when it is another.
    """
    row = await session.get(SecretCheck, _ROW)
    if row is None:
        session.add(SecretCheck(id=_ROW, sealed=secrets.seal(_VALUES, table=_TABLE, row=_ROW, namespace=0)))
        return
    try:
        secrets.open(row.sealed, table=_TABLE, row=_ROW, namespace=0)
    except ConfigurationError:
        raise ConfigurationError(
            "The secret key is not the one that this database's credentials were saved under.",
            hint="Set SLUICEGATE_SECRET_KEY to that key, or put the secret.key file of then into the data directory.",
        ) from None


async def reseal_all(session: AsyncSession, secrets: SecretBox) -> int:
    """Seals everything with the newest key, in the session's transaction. Returns how many rows of storages there were.

    Raises ConfigurationError when a row opens with none of the keys.
    """
    check = await session.get(SecretCheck, _ROW)
    try:
        if check is not None:
            check.sealed = secrets.rotate(check.sealed)
        storages = (await session.scalars(select(Storage).where(Storage.sealed_secrets.is_not(None)))).all()
        for storage in storages:
            assert storage.sealed_secrets is not None
            storage.sealed_secrets = secrets.rotate(storage.sealed_secrets)
        signing = await session.scalars(select(SyncConfig).where(SyncConfig.sealed_webhook_secret.is_not(None)))
        for config in signing.all():
            assert config.sealed_webhook_secret is not None
            config.sealed_webhook_secret = secrets.rotate(config.sealed_webhook_secret)
    except InvalidToken:
        raise ConfigurationError(
            "Some credentials open with none of the keys given; nothing was changed.",
            hint="Give every key that was in use, newest first, comma separated, in SLUICEGATE_SECRET_KEY.",
        ) from None
    return len(storages)
