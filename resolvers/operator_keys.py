"""Keys as the operator of an installation handles them: at the first start and on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from models.access import ApiKey
from models.access_queries import (
    any_key_exists,
    insert_key,
    key_by_hash,
    key_by_id,
    keys,
    namespace_named,
    one_at_a_time,
)
from models.database import ALL, Database
from resolvers.access import DEFAULT_NAMESPACE, IssuedKey, Scope, new_key
from sluicegate.core.actors import with_included
from sluicegate.core.clock import now
from sluicegate.core.crypto import hash_api_secret
from sluicegate.core.errors import ConfigurationError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from sluicegate.settings import Settings

_SHORTEST_SECRET = 20


async def ensure_bootstrap_key(database: Database, settings: Settings) -> str | None:
    """Sees to it that the installation can be opened; gives the secret of a key that it made up, None otherwise.

    `SLUICEGATE_BOOTSTRAP_KEY`: that key exists afterwards, for all scopes of the namespace `default` (one that was
    revoked stays revoked). Without it: a new installation gets one made-up key. Raises ConfigurationError for a key
    that is too weak.
    """
    given = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key is not None else None
    if given is not None and (not given.startswith("sg_") or len(given) < _SHORTEST_SECRET or not given.isascii()):
        raise ConfigurationError(
            f"SLUICEGATE_BOOTSTRAP_KEY is not a key: `sg_` and at least {_SHORTEST_SECRET - 3} ASCII characters."
        )
    return await _bootstrap(database, given)


async def issue_key(
    database: Database,
    *,
    name: str,
    scopes: Sequence[Scope],
    namespaces: Sequence[str] = (DEFAULT_NAMESPACE,),
    expires_at: datetime | None = None,
    create_namespaces: bool = False,
) -> IssuedKey:
    """A new key for the named namespaces. Raises NotFoundError for a name that is none, unless it may be created."""
    issued = new_key(name=name, scopes=with_included(scopes), expires_at=expires_at)
    async with database.write(ALL) as session:
        issued.key.namespaces = [await namespace_named(session, each, create=create_namespaces) for each in namespaces]
        await insert_key(session, issued.key)
    return issued


async def all_keys(database: Database) -> Sequence[ApiKey]:
    """Every key of the installation, revoked ones included, oldest first."""
    async with database.read(ALL) as session:
        return await keys(session)


async def withdraw_key(database: Database, key: int | str) -> ApiKey:
    """Revokes a key by its row number or its prefix. Running gateways notice within 2 s.

    Raises NotFoundError, and ConflictError when several keys have the prefix.
    """
    async with database.write(ALL) as session:
        if isinstance(key, int):
            found = await key_by_id(session, key)
            matching = [found] if found is not None else []
        else:
            matching = [each for each in await keys(session) if each.prefix == key]
        if not matching:
            raise NotFoundError(f"No API key is {key!r}.")
        if len(matching) > 1:
            raise ConflictError(f"Several API keys begin with {key!r}: name one by its id.")
        if matching[0].revoked_at is None:
            matching[0].revoked_at = now()
        return matching[0]


async def _bootstrap(database: Database, given: str | None) -> str | None:
    async with database.write(ALL) as session:
        await one_at_a_time(session)
        if given is not None:
            if await key_by_hash(session, hash_api_secret(given)) is not None:
                return None
        elif await any_key_exists(session):
            return None
        issued = new_key(name="bootstrap", scopes=frozenset(Scope), secret=given)
        issued.key.namespaces = [await namespace_named(session, DEFAULT_NAMESPACE, create=True)]
        await insert_key(session, issued.key)
    return None if given is not None else issued.secret
