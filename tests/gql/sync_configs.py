"""What tests of sync configurations share: the operations, and how to wait for runs."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from tests.gql.tenants import Tenant

ERRORS = "errors { __typename code message path ... on AlreadyRunningError { job { id status } } }"
CONFIG = """syncConfig { id name sourcePath mode status isActive metadata pollingIntervalSeconds cron timeZone batchSize
  batchChunkSize maxObjectsPerRun checkpointFrequency skipDuplicates skipBatchSubmission requireConfirmation useBlobUrls
  onUpdate onDelete maxMissingFraction revision runNumber nextSyncAt lastSyncAt lastError consecutiveFailures
  fileFilters { regex extensions includePatterns minSizeBytes modifiedAfter }
  schemaMapping { mappings { target targetType source { type key } } } webhook { url events }
  pause { reason pausedBy { kind name } } currentJob { id status } lastJob { id status }
  createdBy { kind name } storage { id } project { id } resume { enabled } }"""
PAYLOAD = f"{{ {CONFIG} webhookSecret warnings {{ code message path }} {ERRORS} }}"
CREATE = f"mutation($input: CreateSyncConfigInput!) {{ createSyncConfig(input: $input) {PAYLOAD} }}"
UPDATE = f"mutation($input: UpdateSyncConfigInput!) {{ updateSyncConfig(input: $input) {PAYLOAD} }}"
DELETE = f"mutation($input: DeleteSyncConfigInput!) {{ deleteSyncConfig(input: $input) {{ deletedId {ERRORS} }} }}"
PAUSE = f"mutation($input: PauseSyncConfigInput!) {{ pauseSyncConfig(input: $input) {PAYLOAD} }}"
TRIGGER = f"""mutation($input: TriggerSyncInput!) {{ triggerSync(input: $input) {{
  job {{ id jobClass status priority dryRun trigger syncConfig {{ id }} }} {CONFIG} {ERRORS} }} }}"""
CONFIRM = f"""mutation($input: ConfirmSyncInput!) {{ confirmSync(input: $input) {{
  job {{ id jobClass status }} {CONFIG} {ERRORS} }} }}"""
STATES = {
    name: f"mutation($input: SyncConfigIdInput!) {{ {name}SyncConfig(input: $input) {PAYLOAD} }}"
    for name in ("activate", "resume", "archive", "unlock")
}
SHOW = f"query($id: ID!) {{ {CONFIG.replace('syncConfig {', 'syncConfig(id: $id) {', 1)} }}"
WATCH = """subscription($id: ID!) { syncConfig(id: $id) {
  status revision name runNumber lastJob { id status } lock { workerId }
  currentJob { id status revision sync { phase objectsFound objectsSynced } } } }"""


async def create(tenant: Tenant, storage: str, **more: Any) -> dict[str, Any]:
    """The answer of createSyncConfig; into a project of its own unless `projectId` is given, of the whole folder."""
    project = more.pop("projectId", None) or await tenant.project()
    given = {"projectId": project, "storageId": storage, "sourcePath": "", **more}
    return (await tenant.data(CREATE, input=given))["createSyncConfig"]


async def made(tenant: Tenant, storage: str, **more: Any) -> dict[str, Any]:
    """A new configuration."""
    answer = await create(tenant, storage, **more)
    assert answer["errors"] == [], answer["errors"]
    return answer["syncConfig"]


async def ask(tenant: Tenant, query: str, **given: Any) -> dict[str, Any]:
    """The payload of a mutation."""
    return next(iter((await tenant.data(query, input=given)).values()))


async def change(tenant: Tenant, query: str, **given: Any) -> dict[str, Any]:
    """The configuration after a mutation that goes well."""
    answer = await ask(tenant, query, **given)
    assert answer["errors"] == [], answer["errors"]
    return answer["syncConfig"]


async def refused(tenant: Tenant, query: str, **given: Any) -> dict[str, Any]:
    """The one error of a mutation that does nothing."""
    answer = await ask(tenant, query, **given)
    assert (answer.get("syncConfig"), answer.get("job")) == (None, None)
    (error,) = answer["errors"]
    return error


async def show(tenant: Tenant, config: str) -> dict[str, Any]:
    """A configuration as it is."""
    return (await tenant.data(SHOW, id=config))["syncConfig"]


async def until(tenant: Tenant, config: str, holds: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """Watches a configuration until a state of it `holds`."""
    states = tenant.subscribe(WATCH, id=config)
    try:
        async with asyncio.timeout(30):
            async for payload in states:
                state = payload["data"]["syncConfig"]
                if holds(state):
                    return state
    finally:
        await states.aclose()
    raise AssertionError("The configuration's states ended.")


async def settled(tenant: Tenant, config: str, runs: int = 1) -> dict[str, Any]:
    """A configuration when it has had so many runs and none waits or is under way."""
    await until(tenant, config, lambda state: state["runNumber"] >= runs and state["currentJob"] is None)
    return await show(tenant, config)


async def following(states: AsyncGenerator[dict[str, Any]]) -> dict[str, Any]:
    """The next state of a subscription."""
    async with asyncio.timeout(30):
        payload = await anext(states)
    assert "errors" not in payload, payload
    return next(iter(payload["data"].values()))
