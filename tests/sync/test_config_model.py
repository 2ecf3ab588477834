"""Two configurations and a storage's own sync over one bucket, driven at random: the catalogue is what a model says.

`SLUICEGATE_MODEL_SEEDS` is the number of walks of the campaign (default 60).
"""

import os
import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from models.database import ALL
from models.dead_letters import DeadLetter, DeadLetterStatus
from models.deliveries import Delivery
from models.objects import StagedObject, SyncedObject
from models.outcomes import Outcome
from models.ranges import KeyRange
from models.source_events import NO_CONFIG, SourceEvent
from models.sync_configs import SyncConfig
from tests.support.sync_harness import Handle, Harness, Killed, check, counts, harness, kill_at
from tests.sync.config_model import Model, Owner, line, mapping

SEEDS = int(os.environ.get("SLUICEGATE_MODEL_SEEDS", "60"))
PATHS = (b"a/", b"a/x/", b"", b"b/")
BATCH = 3
FOLDERS = (b"a/", b"a/x/", b"b/")
NAMES = [folder + b"%d.jsonl" % number for folder in FOLDERS for number in (1, 2, 7, 9)] + [b"a/1.txt", b"b/9.txt"]


class Walk:
    """One random walk."""

    def __init__(self, ready: Harness, seed: int, *, read: bool) -> None:
        self.ready, self.chance, self.seed = ready, random.Random(seed), seed
        self.model = Model(read)
        self.owners = [Owner(None)]
        self.configs: list[SyncConfig | None] = [None]
        self.limits: list[int | None] = [None]
        self.last: list[Handle | None] = [None]
        self.log: list[str] = []

    async def begin(self) -> None:
        """Makes the configurations."""
        for path in (b"a/", b"a/x/"):
            config = await self.ready.configure(
                path, use_blob_urls=not self.model.read, skip_batch_submission=False, batch_size=BATCH,
                webhook_url="https://example.com", webhook_events=["BATCH_READY"], checkpoint_frequency=2,
            )  # fmt: skip
            self.owners.append(Owner(config.id, KeyRange.of_prefix(path)))
            self.configs.append(config)
            self.limits.append(None)
            self.last.append(None)

    async def step(self) -> None:
        """Changes the bucket or an option, or runs."""
        chance = self.chance
        self.touch()
        who = chance.randrange(3)
        self.ready.config = self.configs[who]
        kind = chance.choice(["run", "run", "run", "options", "options", "keys", "dry", "confirm", "letters"])
        self.log.append(f"{kind} {who}")
        if kind == "run":
            await self.run(who, full=chance.random() < 0.15)
        elif kind == "options" and who:
            await self.change(who)
        elif kind == "keys":
            await self.run(who, keys=set(chance.sample(NAMES, chance.randrange(1, 6))))
        elif kind == "dry":
            before = await self.state()
            check(await self.ready.run(await self.ready.start(dryRun=True)))
            assert await self.state() == before, self.log
        elif kind == "confirm" and (last := self.last[who]) is not None and last.job.id in self.model.waits:
            self.model.confirm(self.owners[who], last.job.id)
            assert counts(await self.ready.confirm(last.job)) == +self.model.counts, self.log
            assert await self.state() == self.expected(), self.log
        elif kind == "letters":
            await self.decide()

    def touch(self) -> None:
        """Writes and deletes some files."""
        for _ in range(self.chance.randrange(6)):
            key = self.chance.choice(NAMES)
            store = self.ready.s3.store
            if self.chance.random() < 0.35:
                store.delete(key)
                self.model.bucket.pop(key, None)
            else:
                body = b"".join(line(self.chance.randrange(9)) for _ in range(self.chance.randrange(5)))
                body = body if self.model.read else b"%d" % self.chance.randrange(12)
                store.put(key, body)
                self.model.bucket[key] = body

    async def change(self, who: int) -> None:
        """Another value for one option."""
        owner, chance = self.owners[who], self.chance
        name = chance.choice(["exclude", "mapping", "keep", "on_delete", "confirm", "unique", "limit", "path"])
        values: dict[str, Any] = {}
        if name == "exclude":
            owner.exclude = chance.choice([None, "7.", "x/"])
            patterns = {"7.": ["*7.*"], "x/": ["**/x/**", "/x/**"]}
            values["file_filters"] = None
            if owner.exclude == "7." or (owner.exclude and owner.range.low == b"a/"):
                values["file_filters"] = {"excludePatterns": patterns[owner.exclude]}
            else:
                owner.exclude = None
        elif name == "mapping":
            owner.mapping = chance.choice([None, 1, 2])
            values["schema_mapping"] = mapping(owner.mapping)
        elif name == "keep":
            owner.keep = not owner.keep
            values["on_update"] = "IGNORE" if owner.keep else "REPLACE"
        elif name == "on_delete":
            values["on_delete"] = owner.on_delete = chance.choice(["MARK", "REMOVE", "IGNORE"])
        elif name == "confirm" and not owner.unique:
            values["require_confirmation"] = owner.confirm = not owner.confirm
        elif name == "unique" and not any(each.confirm for each in self.owners) and not owner.confirm:
            values["skip_duplicates"] = owner.unique = not owner.unique
        elif name == "limit":
            values["max_objects_per_run"] = self.limits[who] = chance.choice([None, 1, 3])
        elif name == "path" and owner.exclude != "x/":
            owner.range, owner.rescan = KeyRange.of_prefix(chance.choice(PATHS)), True
            values |= {"range_low": owner.range.low, "range_high": owner.range.high, "rescan": True}
        self.log.append(f"  {values}")
        await self.ready.reconfigure(**values)

    async def run(self, who: int, *, full: bool = False, keys: set[bytes] | None = None) -> None:
        """A run, killed now and then; where it has a limit, as many as it takes."""
        owner, total = self.owners[who], Counter[str]()
        await self.note(keys or set())
        payload = {**({"fullSync": True} if full else {}), **({"onlyKeys": True} if keys is not None else {})}
        told = Counter[tuple[str, bytes, int]]()
        for _ in range(200):
            handle = await self.ready.start(**payload)
            sync = await self.attempt(handle)
            handle = self.last[who] = self.current
            total += Counter(counts(sync))
            told += await self.outcomes(handle, derived=sync["derivedAdditions"])
            await self.batches(handle, sync, who)
            if self.limits[who] is not None:
                assert sync["objectsSynced"] + sync["objectsFailed"] <= (self.limits[who] or 0), self.log
            if sync["listingComplete"]:
                break
        assert self.current is not None
        self.model.run(owner, self.current.job.id, full=full, keys=keys)
        assert total == +self.model.counts, self.log
        # What a first sync has added is told by the objects themselves.
        assert told == self.model.told, self.log
        assert await self.state() == self.expected(), self.log

    async def attempt(self, handle: Handle) -> dict[str, Any]:
        """Runs to the end, however often it is killed."""
        for _ in range(self.chance.choice([0, 0, 1, 3])):
            undo = kill_at(self.ready.database, self.chance.randrange(1, 8))
            try:
                self.current = handle
                return check(await self.ready.run(handle))
            except Killed:
                handle = await self.ready.again(handle)
            finally:
                undo()
        self.current = handle
        return check(await self.ready.run(handle))

    async def note(self, keys: set[bytes]) -> None:
        """The source tells of these keys."""
        config = self.ready.config.id if self.ready.config else NO_CONFIG
        async with self.ready.database.write(ALL) as session:
            await session.execute(delete(SourceEvent))
            for key in keys:
                session.add(SourceEvent(storage_id=self.ready.storage.id, sync_config_id=config, source_key=key))

    async def decide(self) -> None:
        """Someone gives a dead letter up, or wants it tried again."""
        status = self.chance.choice([DeadLetterStatus.DISCARDED, DeadLetterStatus.REQUEUED])
        open_ones = [place for place, (now, _) in self.model.letters.items() if now in ("QUARANTINED", "REQUEUED")]
        if open_ones:
            place = self.chance.choice(sorted(open_ones))
            one = (DeadLetter.source_key == place[0]) & (DeadLetter.row == place[1])
            async with self.ready.database.write(ALL) as session:
                await session.execute(update(DeadLetter).where(one).values(status=status))
            self.model.letters[place] = (status.value, self.model.letters[place][1])

    async def outcomes(self, handle: Handle, *, derived: bool) -> Counter[tuple[str, bytes, int]]:
        """What the run told of single records."""
        async with self.ready.database.read(ALL) as session:
            rows = (await session.scalars(select(Outcome).where(Outcome.job_id == handle.job.id))).all()
            found = Counter((row.kind, row.path.encode(), row.row) for row in rows)
            if derived:
                assert not any(kind == "ADDED" for kind, _, _ in found)
                held = (await session.scalars(select(SyncedObject))).all()
                low, high = handle.job.range_low or b"", handle.job.range_high
                found += Counter(
                    ("ADDED", row.source_key, row.row) for row in held if KeyRange(low, high).covers(row.source_key)
                )
            return found

    async def batches(self, handle: Handle, sync: dict[str, Any], who: int) -> None:
        """Each object that the run wrote is in one batch."""
        async with self.ready.database.read(ALL) as session:
            query = select(Delivery).where(Delivery.job_id == handle.job.id, Delivery.batch_number.is_not(None))
            found = (await session.scalars(query.order_by(Delivery.batch_number))).all()
        sizes = [row.object_count or 0 for row in found]
        assert [row.batch_number for row in found] == list(range(1, len(found) + 1)), self.log
        assert sync["batchesCreated"] == len(found)
        assert all(size == BATCH for size in sizes[:-1]), (sizes, self.log)
        assert sum(sizes) == (sync["objectsSynced"] if who else 0), (sizes, self.log)
        items = [(bytes.fromhex(key), row) for each in found for key, row in each.items or []]
        assert len(items) == len(set(items)) == sum(sizes), self.log

    async def state(self) -> dict[str, Any]:
        """The catalogue, what waits, and the dead letters."""
        read = self.model.read
        async with self.ready.database.read(ALL) as session:
            shown = (await session.scalars(select(SyncedObject))).all()
            versions = (await session.scalars(select(StagedObject))).all()
            letters = (await session.scalars(select(DeadLetter))).all()
        tags = {self.tag(body): body.decode() for body in {b"%d" % number for number in range(12)}}

        def told(row: SyncedObject | StagedObject) -> tuple[Any, ...]:
            return (str(row.data) if read else tags[row.fingerprint], row.sync_config_id, row.fields)

        return {
            "shown": {(row.source_key, row.row): (row.status, *told(row)) for row in shown},
            "versions": {(row.source_key, row.row): ("VERSION", *told(row)) for row in versions},
            "letters": {(row.source_key, row.row): (row.status, row.sync_config_id) for row in letters},
        }

    def tag(self, body: bytes) -> str:
        """The fingerprint of a file of this content."""
        stored = type(self.ready.s3.store)().put(b"x", body)
        return f"{stored.etag}-{len(body)}"

    def expected(self) -> dict[str, Any]:
        """The same of the model."""
        model = self.model
        return {
            "shown": {place: (has.status, has.content, has.owner, has.fields) for place, has in model.shown.items()},
            "versions": {p: (has.status, has.content, has.owner, has.fields) for p, has in model.versions.items()},
            "letters": model.letters,
        }


async def walk(database_url: str, seed: int, steps: int) -> None:
    """One walk; odd seeds read the files."""
    async with harness(database_url, use_blob_urls=seed % 2 == 0) as ready:
        ready.s3.page_size = random.Random(seed).choice([2, 5, 1000])
        one = Walk(ready, seed, read=seed % 2 == 1)
        await one.begin()
        for _ in range(steps):
            await one.step()


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_is_run_the_catalogue_is_what_the_model_says(database_url: str, seed: int) -> None:
    await walk(database_url, seed, 15)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 100 + SEEDS))
async def test_whatever_is_run_for_long_the_catalogue_is_what_the_model_says(database_url: str, seed: int) -> None:
    await walk(database_url, seed, 60)
