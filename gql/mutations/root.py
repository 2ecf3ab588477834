"""The fields of Mutation."""

from __future__ import annotations

from typing import Any

import strawberry

from gql.mutations import (
    create_api_key,
    create_namespace,
    create_project,
    create_storage,
    delete_project,
    delete_storage,
    preview_storage,
    revoke_api_key,
    signal_job,
    sync_storage,
    update_project,
    update_storage,
    validate_storage,
)
from gql.permissions import Scope, requires


def _field(resolver: Any, scope: Scope, description: str) -> Any:
    return strawberry.mutation(resolver=resolver, extensions=requires(scope), description=description)


@strawberry.type(description="What can be changed. A mutation answers with what it changed, or with errors to act on.")
class Mutation:
    """The root of mutations."""

    create_project = _field(create_project.create_project, Scope.WRITE, "Makes a dataset.")
    update_project = _field(update_project.update_project, Scope.WRITE, "Changes a dataset.")
    delete_project = _field(
        delete_project.delete_project, Scope.WRITE, "Deletes a dataset: gone at once, removed by a background job."
    )
    create_storage = _field(create_storage.create_storage, Scope.WRITE, "Connects a source to a dataset.")
    update_storage = _field(update_storage.update_storage, Scope.WRITE, "Changes a storage.")
    delete_storage = _field(delete_storage.delete_storage, Scope.WRITE, "Archives a storage.")
    validate_storage = _field(validate_storage.validate_storage, Scope.WRITE, "Tries a connection, step by step.")
    preview_storage = _field(preview_storage.preview_storage, Scope.WRITE, "Shows what a sync would take.")
    sync_storage = _field(sync_storage.sync_storage, Scope.WRITE, "Starts a sync.")
    signal_job = _field(signal_job.signal_job, Scope.WRITE, "Cancels a job, or starts it again.")
    create_namespace = _field(create_namespace.create_namespace, Scope.ADMIN, "Makes a tenant.")
    create_api_key = _field(create_api_key.create_api_key, Scope.ADMIN, "Makes a key.")
    revoke_api_key = _field(
        revoke_api_key.revoke_api_key, Scope.ADMIN, "Ends a key; its open streams within 5 seconds."
    )
