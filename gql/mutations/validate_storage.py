"""validateStorage."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.inputs.storages import StorageSettingsInput, given_settings
from gql.types.enums import CheckStatus
from gql.types.errors import UserError
from gql.types.warnings import Notice, warning_of
from resolvers import probes


@strawberry.input(description="A stored connection by its id, or one that is not stored: one of the two.")
class ValidateStorageInput:
    """What to try."""

    id: strawberry.ID | None = strawberry.field(default=None, description="A stored one.")
    provider: StorageSettingsInput | None = strawberry.field(default=None, description="One that is not stored.")
    write: bool = strawberry.field(
        default=False, description="Also write a small object and delete it, as exports need it."
    )


@strawberry.type(description="One step of a validation.")
class ValidationCheck:
    """One step."""

    name: str = strawberry.field(description="resolve, connect, authenticate, list, read, cors, write or events.")
    status: CheckStatus = strawberry.field(description="How it ended.")
    detail: str = strawberry.field(description="What was found.")
    provider_code: str | None = strawberry.field(description="The provider's own code, e.g. NoSuchBucket.")
    hint: str | None = strawberry.field(description="What may help.")
    milliseconds: float = strawberry.field(description="How long it took.")


@strawberry.type(description="Whether the connection works, step by step.")
class ValidateStoragePayload:
    """The answer of validateStorage."""

    ok: bool = strawberry.field(default=False, description="Whether no step failed.")
    checks: list[ValidationCheck] = strawberry.field(
        default_factory=list[ValidationCheck], description="The steps in their order."
    )
    warnings: list[Notice] = strawberry.field(default_factory=list[Notice], description="What will surprise.")
    errors: list[UserError] = strawberry.field(
        default_factory=list[UserError], description="What is wrong with the input: nothing was tried then."
    )


@payload(ValidateStoragePayload)
async def validate_storage(info: Info, input: ValidateStorageInput) -> ValidateStoragePayload:
    """Tries a connection."""
    kind, settings = given_settings(input.provider) if input.provider else (None, {})
    found = await probes.validate_storage(
        info.context.services,
        info.context.viewer,
        global_id=input.id,
        kind=kind,
        settings=settings,
        write=input.write,
    )
    return ValidateStoragePayload(
        ok=found.ok,
        checks=[
            ValidationCheck(
                name=check.name,
                status=check.status,
                detail=check.detail,
                provider_code=check.provider_code,
                hint=check.hint,
                milliseconds=check.milliseconds,
            )
            for check in found.checks
        ],
        warnings=list(map(warning_of, found.warnings)),
    )
