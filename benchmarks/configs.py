"""What filters and a mapping add to a sync: CPU an object of a configuration's runs beside a storage's own.

Run: python -m benchmarks.configs [--keys 100000] [--rounds 3]. Gateway and bucket as in benchmarks.sync. Baseline in
the same run: the storage's own sync, which has neither. Of each the best round counts: the machine's noise only adds.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import aclosing
from typing import Any

import psutil

from benchmarks.listing import responder
from benchmarks.sync import gateway, storage, sync
from tests.support.gateway import GatewayProcess

CREATE = """mutation($input: CreateSyncConfigInput!) { createSyncConfig(input: $input) {
  syncConfig { id } errors { message path } } }"""
ACTIVATE = "mutation($id: ID!) { activateSyncConfig(input: {id: $id}) { errors { message } } }"
STATE = "query($id: ID!) { syncConfig(id: $id) { currentJob { id } lastJob { id } } }"
PROJECT = "query($id: ID!) { storage(id: $id) { project { id } } }"
TRIGGER = "mutation($id: ID!) { triggerSync(input: {id: $id}) { job { id } errors { message } } }"
WATCH = """subscription($id: ID!) { job(id: $id) { status ... on SyncJob {
  sync { objectsFound objectsFiltered objectsSynced objectsUnchanged } } } }"""

FILTERS = {"includePatterns": ["data/**"], "extensions": ["json"], "minSizeBytes": 1}
MAPPINGS = [
    {"target": "number", "targetType": "FIELD", "source": {"type": "FILENAME_REGEX", "pattern": "([0-9]+)"}},
    {"target": "folder", "targetType": "FIELD", "source": {"type": "FOLDER_PATH", "segment": -1}},
    {"target": "kind", "targetType": "FIELD", "source": {"type": "CONSTANT", "value": "record"}},
]


async def runs(running: GatewayProcess, storage_id: str, more: dict[str, Any]) -> tuple[float, float]:
    """CPU microseconds an object of a configuration's first run and of an unchanged one."""
    project = (await running.data(PROJECT, {"id": storage_id}))["storage"]["project"]["id"]
    given = {
        "projectId": project,
        "storageId": storage_id,
        "sourcePath": "bucket",
        "draft": True,
        "mode": "ONE_TIME",
        **more,
    }
    made = (await running.data(CREATE, {"input": given | more}))["createSyncConfig"]
    assert not made["errors"], made
    config: str = made["syncConfig"]["id"]
    process = psutil.Process(running.process.pid)
    used = process.cpu_times()
    assert not (await running.data(ACTIVATE, {"id": config}))["activateSyncConfig"]["errors"]
    shown: dict[str, str] | None = None
    while shown is None:
        state = (await running.data(STATE, {"id": config}))["syncConfig"]
        shown = state["currentJob"] or state["lastJob"]
    first = await _cost(running, process, used, shown["id"])
    used = process.cpu_times()
    again = (await running.data(TRIGGER, {"id": config}))["triggerSync"]["job"]
    return first, await _cost(running, process, used, again["id"])


async def _cost(running: GatewayProcess, process: psutil.Process, used: Any, job: str) -> float:
    last: dict[str, Any] = {}
    async with aclosing(running.subscribe(WATCH, {"id": job})) as events:
        async for payload in events:
            last = payload["data"]["job"]
    assert last["status"] == "COMPLETED", last
    assert not last["sync"]["objectsFiltered"], last
    now = process.cpu_times()
    return (now.user + now.system - used.user - used.system) / last["sync"]["objectsFound"] * 1e6


async def measure(keys: int) -> dict[str, tuple[float, float]]:
    """One round, each on a gateway of its own."""
    found: dict[str, tuple[float, float]] = {}
    with responder(keys) as endpoint:
        async with gateway() as running:
            source = await storage(running, endpoint, blobs=True)
            first, again = await sync(running, source), await sync(running, source)
            found["storage"] = first.cpu / keys * 1e6, again.cpu / keys * 1e6
        options: dict[str, dict[str, Any]] = {
            "configuration": {},
            "3 filters": {"fileFilters": FILTERS},
            "3 filters, 3 mappings": {"fileFilters": FILTERS, "schemaMapping": {"mappings": MAPPINGS}},
        }
        for name, more in options.items():
            async with gateway() as running:
                found[name] = await runs(running, await storage(running, endpoint, blobs=True), more)
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds = [await measure(options.keys) for _ in range(options.rounds)]
    best = {name: tuple(min(each[name][run] for each in rounds) for run in (0, 1)) for name in rounds[0]}
    plain = best["storage"]
    print(f"{options.keys:,} objects, best of {options.rounds} rounds, CPU an object of the whole gateway")
    for name, (first, again) in best.items():
        print(
            f"{name:24} first sync {first:6.1f} µs ({first / plain[0]:.2f} times)"
            f"   unchanged {again:6.1f} µs ({again / plain[1]:.2f} times)"
        )


if __name__ == "__main__":
    asyncio.run(main())
