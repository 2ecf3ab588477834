"""`sluicegate sync`: asks a running gateway to sync a storage and, with --watch, shows its progress to the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from sluicegate.cli.client import GatewayClient
from sluicegate.cli.output import EXIT_FAILED, EXIT_WITH_ERRORS, CommandFailedError, print_json, stderr, stdout
from sluicegate.cli.progress import JOB_FIELDS, ProgressView, describe, shorten

START = f"""
mutation Sync($input: SyncStorageInput!) {{
  syncStorage(input: $input) {{
    job {{ {JOB_FIELDS} }}
    errors {{
      ... on UserError {{ code message path }}
      ... on ProviderError {{ hint }}
      ... on AlreadyRunningError {{ job {{ {JOB_FIELDS} }} }}
    }}
  }}
}}
"""
WATCH = f"subscription Watch($id: ID!) {{ job(id: $id) {{ {JOB_FIELDS} }} }}"

_EXIT_CODES = {"COMPLETED": 0, "COMPLETED_WITH_ERRORS": EXIT_WITH_ERRORS}


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for."""

    storage_id: str
    full: bool
    dry_run: bool
    watch: bool
    as_json: bool


def sync(request: Request, *, url: str, key: str | None, namespace: str | None) -> None:
    """Starts the sync, or joins the one that runs. Raises CommandFailedError when it does not end well."""
    job = asyncio.run(_sync(request, url, key, namespace))
    if request.as_json:
        print_json(job)
    elif not request.watch:
        stdout().print(f"Job {job['id']} is {job['status']}.", markup=False)
    if not request.watch:
        return
    code = _EXIT_CODES.get(job["status"], EXIT_FAILED)
    if code:
        raise _failure(job, code)
    if not request.as_json:
        stdout().print(f"Done: {describe(job)}.", markup=False)


async def _sync(request: Request, url: str, key: str | None, namespace: str | None) -> dict[str, Any]:
    async with GatewayClient(url, key, namespace) as client:
        job = await _start(client, request)
        if not request.watch:
            return job
        with ProgressView(stderr(), f"Storage {request.storage_id}") as view:
            view.show(job)
            async for data in client.subscribe(WATCH, {"id": job["id"]}):
                job = data["job"]
                view.show(job)
        return job


async def _start(client: GatewayClient, request: Request) -> dict[str, Any]:
    wanted = {"id": request.storage_id, "fullSync": request.full, "dryRun": request.dry_run}
    payload = (await client.execute(START, {"input": wanted}))["syncStorage"]
    for error in payload["errors"]:
        if error["code"] == "ALREADY_RUNNING" and error.get("job"):
            stderr().print(f"{error['message']} Its job is {error['job']['id']}.", markup=False)
            return error["job"]
        raise CommandFailedError(error["message"], hint=error.get("hint"))
    return payload["job"]


def _failure(job: dict[str, Any], code: int) -> CommandFailedError:
    error: dict[str, Any] = job.get("error") or {}
    sync: dict[str, Any] = job.get("sync") or {}
    lines = [f"The job ended {job['status']}: {error.get('message') or describe(job)}"]
    lines += [f"  {shorten(each['path'], 80)}: {each['message']}" for each in sync.get("lastErrors") or ()]
    return CommandFailedError("\n".join(lines), hint=error.get("hint"), exit_code=code)
