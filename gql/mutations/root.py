"""The fields of Mutation."""

from __future__ import annotations

from typing import Any

import strawberry

from gql.mutations import (
    activate_sync_config,
    archive_sync_config,
    confirm_sync,
    create_api_key,
    create_namespace,
    create_project,
    create_storage,
    create_sync_config,
    delete_project,
    delete_storage,
    delete_sync_config,
    discard_dead_letters,
    pause_sync_config,
    preview_storage,
    resume_sync_config,
    retry_dead_letters,
    revoke_api_key,
    signal_job,
    sync_storage,
    trigger_sync,
    unlock_sync_config,
    update_project,
    update_storage,
    update_sync_config,
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
    create_sync_config = _field(
        create_sync_config.create_sync_config, Scope.WRITE, "Keeps a part of a storage in sync with a dataset."
    )
    update_sync_config = _field(update_sync_config.update_sync_config, Scope.WRITE, "Changes a configuration.")
    delete_sync_config = _field(delete_sync_config.delete_sync_config, Scope.WRITE, "Deletes a configuration.")
    activate_sync_config = _field(
        activate_sync_config.activate_sync_config,
        Scope.WRITE,
        "Lets a DRAFT run; one that the gateway has SUSPENDED, or that has ended (ONE_TIME), again.",
    )
    pause_sync_config = _field(
        pause_sync_config.pause_sync_config, Scope.WRITE, "Stops a configuration until someone resumes it."
    )
    resume_sync_config = _field(
        resume_sync_config.resume_sync_config,
        Scope.WRITE,
        "Lets a PAUSED or SUSPENDED configuration run again: its paused run goes on, else the next one is due.",
    )
    archive_sync_config = _field(
        archive_sync_config.archive_sync_config,
        Scope.WRITE,
        "Puts a configuration away for good: its run is canceled, its objects stay.",
    )
    unlock_sync_config = _field(
        unlock_sync_config.unlock_sync_config,
        Scope.WRITE,
        "Takes the lease away from a worker that holds a run: another goes on from the checkpoint.",
    )
    trigger_sync = _field(trigger_sync.trigger_sync, Scope.WRITE, "Starts a run of a configuration.")
    confirm_sync = _field(
        confirm_sync.confirm_sync, Scope.WRITE, "Takes over what a run with requireConfirmation has staged."
    )
    retry_dead_letters = _field(
        retry_dead_letters.retry_dead_letters, Scope.WRITE, "Has dead letters looked at again, changed or not."
    )
    discard_dead_letters = _field(
        discard_dead_letters.discard_dead_letters, Scope.WRITE, "Gives dead letters up: nobody has to decide any more."
    )
    sync_storage = _field(sync_storage.sync_storage, Scope.WRITE, "Starts a sync.")
    signal_job = _field(signal_job.signal_job, Scope.WRITE, "Cancels, pauses or resumes a job, or starts it.")
    create_namespace = _field(create_namespace.create_namespace, Scope.ADMIN, "Makes a tenant.")
    create_api_key = _field(create_api_key.create_api_key, Scope.ADMIN, "Makes a key.")
    revoke_api_key = _field(
        revoke_api_key.revoke_api_key, Scope.ADMIN, "Ends a key; its open streams within 5 seconds."
    )
