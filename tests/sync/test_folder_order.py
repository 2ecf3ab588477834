"""Syncs of a server that lists folder by folder: the catalogue becomes what the bucket holds, however often killed."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest

from tests.providers.conformance import entries_of
from tests.providers.s3_sources import Bucket
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer
from tests.support.sync_harness import Killed, check, counts, harness, kill_at

NAMES = (b"b", b"b-c", b"b.d", b"b0", b"c", b"\xc3\xa9")


def some_key(chance: random.Random) -> bytes:
    """A file of a tree in which every name is a file, a folder, or both."""
    return b"/".join(chance.choice(NAMES) for _ in range(chance.randrange(1, 4)))


@pytest.mark.parametrize("seed", range(2))
async def test_the_catalogue_becomes_what_the_bucket_holds(
    database_url: str, seaweed: SeaweedServer, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluicegate.providers.s3.walk.PAGE_KEYS", 7)
    chance = random.Random(seed)
    name = f"bucket-{uuid4().hex}"
    settings = {"bucket": name, "s3_endpoint": seaweed.endpoint}
    secrets = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    async with (
        Bucket(seaweed.endpoint, name, ACCESS_KEY, SECRET_KEY) as bucket,
        harness(database_url, settings=settings, secrets=secrets) as ready,
    ):
        await bucket.create()
        held: set[bytes] = set()
        for _ in range(3):
            before = set(held)
            for key in sorted(held):
                if chance.random() < 0.3:
                    await bucket.delete(key)
                    held.discard(key)
            for _ in range(30):
                key = some_key(chance)
                await bucket.put(key, chance.randbytes(4))
                held.add(key)
            handle = await ready.start(allowMassMissing=True)
            sync = None
            for _ in range(chance.randrange(4)):
                undo = kill_at(ready.database, chance.randrange(1, 6))
                try:
                    sync = check(await ready.run(handle))
                    break
                except Killed:
                    handle = await ready.again(handle)
                finally:
                    undo()
            sync = sync or check(await ready.run(handle))
            assert counts(sync).get("missing", 0) == len(before - held)
            async with bucket.open() as provider:
                in_bucket = {entry.key: entry.fingerprint for entry in await entries_of(provider)}
            # SeaweedFS makes a folder marker of a deleted file that is a folder too; a sync leaves those out.
            files = {key: mark for key, mark in in_bucket.items() if not key.endswith(b"/")}
            assert files.keys() == held
            assert await ready.files() == files
