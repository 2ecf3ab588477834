"""`sluicegate keys`: for the operator, who holds the database, so it needs no key and no running gateway.

A gateway that runs notices within seconds: it believes a key for 2 s without asking the database.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from models.access import ApiKey
from resolvers import operator_keys
from sluicegate.cli.config import configure_logging, load_settings, open_database, run_async
from sluicegate.cli.output import print_json, stderr, stdout
from sluicegate.core.actors import Scope
from sluicegate.core.clock import now
from sluicegate.core.errors import InvalidError
from sluicegate.settings import Settings


def create(
    *,
    name: str,
    scopes: Sequence[str],
    namespaces: Sequence[str],
    expires_in_days: int | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Makes a key. Its secret alone goes to standard output, so that a script can keep it."""
    settings = _settings(data_dir)
    wanted = [_scope(scope) for scope in scopes]
    expires_at = now() + timedelta(days=expires_in_days) if expires_in_days is not None else None

    async def work() -> operator_keys.IssuedKey:
        async with open_database(settings) as database:
            return await operator_keys.issue_key(
                database,
                name=name,
                scopes=wanted,
                namespaces=namespaces or [operator_keys.DEFAULT_NAMESPACE],
                expires_at=expires_at,
                create_namespaces=True,
            )

    issued = run_async(work())
    if as_json:
        print_json({**_described(issued.key), "secret": issued.secret})
        return
    sys.stdout.write(issued.secret + "\n")
    stderr().print(f"Key {issued.key.id} ({', '.join(issued.key.scopes)}). It is shown this once.", markup=False)


def show(*, data_dir: Path | None, as_json: bool) -> None:
    """Lists all keys, oldest first."""
    from rich.table import Table

    settings = _settings(data_dir)

    async def work() -> Sequence[ApiKey]:
        async with open_database(settings) as database:
            return await operator_keys.all_keys(database)

    found = [_described(key) for key in run_async(work())]
    if as_json:
        print_json(found)
        return
    table = Table("Id", "Prefix", "Name", "Scopes", "Namespaces", "State", "Last used")
    for key in found:
        lists = ", ".join(key["scopes"]), ", ".join(key["namespaces"])
        table.add_row(str(key["id"]), key["prefix"], key["name"], *lists, key["state"], key["lastUsedAt"] or "never")
    stdout().print(table)


def revoke(*, key: str, data_dir: Path | None, as_json: bool) -> None:
    """Revokes a key. Raises NotFoundError, ConflictError."""
    settings = _settings(data_dir)

    async def work() -> ApiKey:
        async with open_database(settings) as database:
            return await operator_keys.withdraw_key(database, int(key) if key.isdecimal() else key)

    revoked = run_async(work())
    if as_json:
        print_json(_described(revoked))
    else:
        stdout().print(f"Key {revoked.id} ({revoked.name}) is revoked.", markup=False)


def _settings(data_dir: Path | None) -> Settings:
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings, quiet=True)
    return settings


def _scope(name: str) -> Scope:
    try:
        return Scope(name.upper())
    except ValueError:
        raise InvalidError(f"{name!r} is no scope.", hint=f"There are {', '.join(Scope)}.") from None


def _described(key: ApiKey) -> dict[str, Any]:
    if key.revoked_at is not None:
        state = "revoked"
    elif key.expires_at is not None and key.expires_at <= now():
        state = "expired"
    else:
        state = "active"
    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "scopes": key.scopes,
        "namespaces": [namespace.name for namespace in key.namespaces],
        "state": state,
        "createdAt": _iso(key.created_at),
        "expiresAt": _iso(key.expires_at),
        "lastUsedAt": _iso(key.last_used_at),
        "revokedAt": _iso(key.revoked_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
