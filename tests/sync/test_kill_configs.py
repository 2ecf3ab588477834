"""The gateway or the S3 server dies in the middle of a configuration's runs: the catalogue is what a model says.

`SLUICEGATE_KILL_SEEDS` is the number of runs of the campaign (default 26).
"""

import json
import os
import random
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import websockets

from sluicegate.core.crypto import new_api_secret
from tests.support.gateway import GatewayProcess, gateway_process
from tests.support.s3_responder import Drop, Request, S3Responder
from tests.sync.test_kill import ENV, create_storage, last_state

SEEDS = int(os.environ.get("SLUICEGATE_KILL_SEEDS", "26"))
COUNTS = ("Found", "Filtered", "Duplicate", "Unchanged", "Synced", "Failed", "Missing")
WATCHED = """subscription($id: ID!) { job(id: $id) { status revision error { message }
  ... on SyncJob { sync { batchesCreated objectsFound objectsFiltered objectsDuplicate objectsUnchanged objectsSynced
  objectsFailed objectsMissing } } } }"""
BATCH = 7


async def create_config(gateway: GatewayProcess, storage: str, *, blobs: bool) -> str:
    """A draft with filters, a mapping and batches; over files, duplicates are skipped."""
    project = (await gateway.data("query($id: ID!) { storage(id: $id) { project { id } } }", {"id": storage}))[
        "storage"
    ]
    mappings = [
        {"target": "id", "targetType": "FIELD", "required": True,
         "source": {"type": "FILENAME_REGEX", "pattern": r"([0-8]+)\.json"}},
        {"target": "folder", "targetType": "FIELD", "source": {"type": "FOLDER_PATH", "segment": 0}},
        {"target": "kind", "targetType": "FIELD", "source": {"type": "CONSTANT", "value": "x"}},
    ]  # fmt: skip
    answer = await gateway.data(
        """mutation($input: CreateSyncConfigInput!) {
        createSyncConfig(input: $input) { syncConfig { id } errors { message path } } }""",
        {"input": {
            "projectId": project["project"]["id"], "storageId": storage, "sourcePath": "bucket/data", "draft": True,
            "mode": "ONE_TIME", "fileFilters": {"excludePatterns": ["*7.json"], "extensions": ["json"]},
            "schemaMapping": {"mappings": mappings}, "skipDuplicates": blobs, "useBlobUrls": blobs,
            "batchSize": BATCH, "checkpointFrequency": 100,
        }},
    )  # fmt: skip
    assert not answer["createSyncConfig"]["errors"], answer
    config = answer["createSyncConfig"]["syncConfig"]["id"]
    await gateway.data(
        "mutation($id: ID!) { activateSyncConfig(input: {id: $id}) { errors { message } } }", {"id": config}
    )
    return config


async def start_run(gateway: GatewayProcess, config: str) -> str:
    """The id of the job: of the run that has begun by itself, or of one that is made to."""
    answer = await gateway.data(
        "mutation($id: ID!) { triggerSync(input: {id: $id, allowMassMissing: true}) { job { id } errors { code } } }",
        {"id": config},
    )
    if answer["triggerSync"]["job"] is not None:
        return answer["triggerSync"]["job"]["id"]
    assert answer["triggerSync"]["errors"][0]["code"] == "ALREADY_RUNNING"
    found = await gateway.data(
        "query($id: ID!) { syncConfig(id: $id) { currentJob { id } lastJob { id } } }", {"id": config}
    )
    return (found["syncConfig"]["currentJob"] or found["syncConfig"]["lastJob"])["id"]


class Model:
    """What the catalogue should hold, and the counters of the last run."""

    def __init__(self, *, blobs: bool) -> None:
        self.blobs = blobs
        self.shown: dict[tuple[bytes, int], str] = {}
        self.read: dict[bytes, str] = {}
        self.counts: dict[str, int] = {}

    def run(self, s3: S3Responder) -> None:
        """A run over the bucket as it is."""
        self.counts = dict.fromkeys(COUNTS, 0)
        there: set[tuple[bytes, int]] = set()
        for key in list(s3.store.keys):
            stored = s3.store.get(key)
            assert stored is not None
            if key.endswith(b"7.json"):
                self.counts["Filtered"] += 1
                continue
            records = [f"{stored.etag}-{len(stored.body)}"] if self.blobs else map(json.dumps, json.loads(stored.body))
            for row, value in enumerate(records):
                there.add((key, row))
                if not self.blobs and self.read.get(key) == stored.etag:
                    # A file that has not changed is not read again, whatever of it failed.
                    self.counts["Unchanged"] += 1
                else:
                    self._take((key, row), value)
            self.read[key] = stored.etag
        gone = self.shown.keys() - there
        self.counts["Missing"] = len(gone)
        for place in gone:
            del self.shown[place]
        self.read = {key: tag for key, tag in self.read.items() if s3.store.get(key) is not None}
        self.counts["Found"] = sum(count for name, count in self.counts.items() if name != "Missing")

    def _take(self, place: tuple[bytes, int], value: str) -> None:
        if self.shown.get(place) == value:
            self.counts["Unchanged"] += 1
        elif self.blobs and any(held == value for other, held in self.shown.items() if other != place):
            self.counts["Duplicate"] += 1
        elif place[0].endswith(b"9.json"):
            self.counts["Failed"] += 1
        else:
            self.shown[place] = value
            self.counts["Synced"] += 1


def look(data_dir: Path, *, blobs: bool) -> tuple[dict[tuple[bytes, int], str], set[str], list[tuple[int, int]]]:
    """What is SYNCED, its kinds of fields, and the newest job's batches, read from the file itself."""
    with sqlite3.connect(data_dir / "sluicegate.db") as database:
        found = database.execute(
            "SELECT source_key, row, fingerprint, data, fields FROM synced_object WHERE status = 'SYNCED'"
        ).fetchall()
        batches = database.execute(
            "SELECT batch_number, object_count FROM delivery WHERE batch_number IS NOT NULL"
            " AND job_id = (SELECT max(id) FROM job) ORDER BY batch_number"
        ).fetchall()
    shown = {(row[0], row[1]): row[2] if blobs else json.dumps(json.loads(row[3])) for row in found}
    for key, _, _, _, fields in found:
        assert json.loads(fields)["id"] == key.decode()[8:].removesuffix(".json").split("9")[-1]
    return shown, {",".join(sorted(json.loads(row[4]))) for row in found}, batches


def change(s3: S3Responder, chance: random.Random, *, blobs: bool) -> None:
    """Adds, overwrites and deletes some of 400 objects, some of the same content."""
    for _ in range(400):
        key = b"data/in/%03d.json" % chance.randrange(400)
        if chance.random() < 0.75:
            length = 1 if blobs else 3
            body = json.dumps([chance.randrange(200 if blobs else 9) for _ in range(length)]).encode()
            s3.store.put(key, body)
        else:
            s3.store.delete(key)


async def go_on_whatever_dies(tmp_path: Path, seed: int, *, faults: int, server: bool) -> None:
    """Two runs; in each `faults` times the gateway is killed, or (`server`) the S3 server is gone for a while."""
    chance = random.Random(seed)
    blobs, data_dir, key = seed % 2 == 0, tmp_path / "data", new_api_secret()
    model = Model(blobs=blobs)
    config = ""
    state: dict[str, Any] = {}
    async with S3Responder() as s3:
        s3.page_size = 40
        served = s3.answer
        for _ in range(2):
            change(s3, chance, blobs=blobs)
            model.run(s3)
            job = ""
            for fault in range(faults + 1):
                async with gateway_process(data_dir, ENV, key=key) as gateway:
                    left = chance.randrange(1, 14 if blobs else 200)
                    down = chance.randrange(1, 6) if server and chance.random() < 0.5 else 0

                    def die_later(request: Request, gateway: GatewayProcess = gateway, down: int = down) -> Any:
                        nonlocal left
                        left -= 1
                        if not down and left == 0:
                            gateway.process.kill()
                        return Drop() if down and -down < left <= 0 else served(request)

                    config = config or await create_config(
                        gateway, await create_storage(gateway, s3, blobs=True), blobs=blobs
                    )
                    if fault < faults:
                        s3.answer = die_later
                    job = job or await start_run(gateway, config)
                    with suppress(OSError, websockets.WebSocketException):
                        state = await last_state(gateway, job, WATCHED)
                    s3.answer = served
            assert state["status"] == ("COMPLETED_WITH_ERRORS" if model.counts["Failed"] else "COMPLETED"), state
            shown, fields, batches = look(data_dir, blobs=blobs)
            assert shown == model.shown
            assert fields == {"folder,id,kind"}
            assert {name: state["sync"][f"objects{name}"] for name in COUNTS} == model.counts
            assert [number for number, _ in batches] == list(range(1, len(batches) + 1))
            assert sum(count for _, count in batches) == model.counts["Synced"]
            assert all(count == BATCH for _, count in batches[:-1])
            assert state["sync"]["batchesCreated"] == len(batches)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_a_configuration_goes_on_where_it_was(tmp_path: Path, seed: int) -> None:
    await go_on_whatever_dies(tmp_path, seed, faults=1, server=False)


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(200, 200 + SEEDS))
async def test_a_configuration_goes_on_whatever_dies(tmp_path: Path, seed: int) -> None:
    await go_on_whatever_dies(tmp_path, seed, faults=3, server=True)
