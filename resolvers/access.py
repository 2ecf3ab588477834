"""Who is calling, and the keys and namespaces that they may make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from models.access import ApiKey, Namespace
from models.access_queries import insert_key, insert_namespace, key_by_id, keys
from models.database import ALL
from resolvers.keys import is_usable
from sluicegate.core.actors import Actor, ActorKind, Scope, in_order, with_included
from sluicegate.core.clock import now
from sluicegate.core.crypto import hash_api_secret, new_api_secret
from sluicegate.core.errors import ForbiddenError, InvalidError, LimitError, NotFoundError, UnauthenticatedError
from sluicegate.core.ids import encode_id, split_id

if TYPE_CHECKING:
    from resolvers.services import Services

DEFAULT_NAMESPACE = "default"
"""The operator's: of the first key."""

SCHEMES = ("bearer", "token")
PREFIX_LENGTH = 9
"""How much of a key is shown: `sg_` and 6 characters."""

MAX_NAMESPACES_OF_A_KEY = 1_000
_MAX_SECRET = 256
_MAX_NAME = 256
_NAMESPACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_NO_KEY = "Send an API key: Authorization: Bearer sg_…"
_BAD_KEY = "The API key is unknown, expired or revoked."


@dataclass(frozen=True, slots=True)
class Viewer:
    """The caller: a key, what it allows, and the namespace that this request is about."""

    namespace: Namespace
    namespaces: list[Namespace]
    scopes: frozenset[Scope]
    actor: Actor
    key_id: int
    expires_at: datetime | None
    key_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key. `secret` is known only now: its hash is all that is kept."""

    key: ApiKey
    secret: str = field(repr=False)


async def authenticate(services: Services, authorization: str | None, x_namespace: str | None) -> Viewer:
    """The caller of a request. `x_namespace`: a name or a global id; needed where the key opens several.

    Raises UnauthenticatedError without a usable key, InvalidError when the namespace is not named or not opened by it.
    """
    secret_hash = hash_api_secret(_secret(authorization))
    key = await services.keys.find(services.database, secret_hash)
    if key is None or not key.namespaces:
        raise UnauthenticatedError(_BAD_KEY)
    services.keys.note_use(services.database, key)
    return Viewer(
        namespace=_select(key.namespaces, x_namespace),
        namespaces=list(key.namespaces),
        scopes=with_included(key.scopes),
        actor=Actor(ActorKind.API_KEY, key.id, key.name),
        key_id=key.id,
        expires_at=key.expires_at,
        key_hash=secret_hash,
    )


async def check_still_valid(services: Services, viewer: Viewer) -> None:
    """For what stays open. Raises UnauthenticatedError once the key is expired, revoked or out of the namespace."""
    key = await services.keys.find(services.database, viewer.key_hash)
    if key is None or all(namespace.id != viewer.namespace.id for namespace in key.namespaces):
        raise UnauthenticatedError("The API key has expired or was revoked.")


async def list_keys(services: Services, viewer: Viewer) -> list[ApiKey]:
    """The keys that open the current namespace and no namespace that the caller's key does not open."""
    async with services.database.read(ALL) as session:
        return [key for key in await keys(session, namespace_id=viewer.namespace.id) if _is_within(viewer, key)]


async def create_key(
    services: Services,
    viewer: Viewer,
    *,
    name: str,
    scopes: Sequence[Scope],
    namespace_ids: Sequence[int] | None = None,
    expires_at: datetime | None = None,
) -> IssuedKey:
    """A new key, which allows no more than the caller's: its scopes, its namespaces, its end.

    `namespace_ids`: None is the current one. Raises InvalidError, ForbiddenError, NotFoundError.
    """
    if not scopes:
        raise InvalidError("A key needs at least one scope.", path=("scopes",))
    wanted = with_included(scopes)
    if not wanted <= viewer.scopes:
        lacking = ", ".join(in_order(wanted - viewer.scopes))
        raise ForbiddenError(f"A key can grant only the scopes that it holds; yours lacks {lacking}.", path=("scopes",))
    opened = _opened(viewer, namespace_ids)
    if expires_at is None:
        expires_at = viewer.expires_at
    elif viewer.expires_at is not None and expires_at > viewer.expires_at:
        raise ForbiddenError("A key cannot outlive the key that makes it.", path=("expiresAt",))
    issued = new_key(name=name, scopes=wanted, expires_at=expires_at)
    async with services.database.write(ALL) as session:
        issued.key.namespaces = [await session.merge(namespace, load=False) for namespace in opened]
        await insert_key(session, issued.key)
    return issued


async def revoke_key(services: Services, viewer: Viewer, key_id: int) -> ApiKey:
    """Ends a key now; its open streams within 5 s. A revoked key stays revoked and as it was. Raises NotFoundError."""
    async with services.database.write(ALL) as session:
        key = await key_by_id(session, key_id)
        if key is None or not _is_within(viewer, key) or viewer.namespace.id not in {ns.id for ns in key.namespaces}:
            raise NotFoundError(f"No API key has the id {encode_id('ApiKey', key_id)!r}.", path=("id",))
        if key.revoked_at is None:
            key.revoked_at = now()
    services.keys.forget(key.secret_hash)
    return key


async def create_namespace(services: Services, viewer: Viewer, *, name: str) -> Namespace:
    """A new namespace, opened by the key that makes it.

    Raises InvalidError, ConflictError, LimitError, and ForbiddenError for a name that stands for a folder of the
    machine (SLUICEGATE_LOCAL_ROOTS), unless the key opens the operator's own namespace.
    """
    if _NAMESPACE_NAME.fullmatch(name) is None:
        raise InvalidError(
            "A namespace's name is 1 to 63 letters, digits, dots, dashes and underscores, the first a letter or digit.",
            path=("name",),
        )
    if len(viewer.namespaces) >= MAX_NAMESPACES_OF_A_KEY:
        raise LimitError(f"A key opens at most {MAX_NAMESPACES_OF_A_KEY} namespaces.", path=("name",))
    if name in services.sync.local_roots and all(each.name != DEFAULT_NAMESPACE for each in viewer.namespaces):
        raise ForbiddenError(
            "This name is kept for a namespace of the operator's.",
            path=("name",),
            hint="The operator makes it with: sluicegate keys create --namespace NAME",
        )
    async with services.database.write(ALL) as session:
        namespace = await insert_namespace(session, name, for_key=viewer.key_id)
    services.keys.forget(viewer.key_hash)
    return namespace


def new_key(
    *, name: str, scopes: frozenset[Scope], expires_at: datetime | None = None, secret: str | None = None
) -> IssuedKey:
    """A key that is not saved yet, with a new secret unless one is given. Raises InvalidError."""
    title = name.strip()
    if not 1 <= len(title) <= _MAX_NAME or not title.isprintable():
        raise InvalidError(f"A key's name is 1 to {_MAX_NAME} printable characters.", path=("name",))
    if expires_at is not None and expires_at <= now():
        raise InvalidError("The expiry has passed already.", path=("expiresAt",))
    secret = secret or new_api_secret()
    key = ApiKey(
        name=title,
        prefix=secret[:PREFIX_LENGTH],
        secret_hash=hash_api_secret(secret),
        scopes=[scope.value for scope in in_order(scopes)],
        expires_at=expires_at,
    )
    return IssuedKey(key, secret)


def _secret(authorization: str | None) -> str:
    scheme, _, secret = (authorization or "").strip().partition(" ")
    secret = secret.strip()
    if not secret or scheme.lower() not in SCHEMES:
        raise UnauthenticatedError(_NO_KEY)
    if not secret.startswith("sg_") or len(secret) > _MAX_SECRET or not secret.isascii():
        raise UnauthenticatedError(_BAD_KEY)
    return secret


def _select(namespaces: Sequence[Namespace], wanted: str | None) -> Namespace:
    wanted = (wanted or "").strip()
    if not wanted:
        if len(namespaces) > 1:
            raise InvalidError("This key opens several namespaces: name one in X-Namespace.", path=("X-Namespace",))
        return namespaces[0]
    found = split_id(wanted)
    number = found[1] if found is not None and found[0] == "Namespace" else None
    for namespace in namespaces:
        if namespace.name == wanted or namespace.id == number:
            return namespace
    raise InvalidError("This key opens no such namespace.", path=("X-Namespace",))


def _opened(viewer: Viewer, namespace_ids: Sequence[int] | None) -> list[Namespace]:
    if namespace_ids is None:
        return [viewer.namespace]
    if not namespace_ids:
        raise InvalidError("A key needs at least one namespace.", path=("namespaceIds",))
    held = {namespace.id: namespace for namespace in viewer.namespaces}
    for number in namespace_ids:
        if number not in held:
            raise NotFoundError(f"No namespace has the id {encode_id('Namespace', number)!r}.", path=("namespaceIds",))
    return [held[number] for number in dict.fromkeys(namespace_ids)]


def _is_within(viewer: Viewer, key: ApiKey) -> bool:
    """Whether the caller's key holds all that `key` opens: otherwise it is another tenant's, and does not exist."""
    return {namespace.id for namespace in key.namespaces} <= {namespace.id for namespace in viewer.namespaces}


__all__ = [
    "IssuedKey",
    "Scope",
    "Viewer",
    "authenticate",
    "check_still_valid",
    "create_key",
    "create_namespace",
    "is_usable",
    "list_keys",
    "new_key",
    "revoke_key",
]
