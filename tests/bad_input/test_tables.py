"""Tables with a wrong row, on a server that checks signatures: mended, it is picked up and nothing else changes."""

import gzip
from typing import Any

import pyarrow as pa
from backports import zstd

from tests.bad_input.user import User, counts, s3
from tests.providers.s3_sources import Bucket
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY
from tests.sync.parquet_files import parquet

ROWS = 40


def csv_file(wrong: bytes | None) -> bytes:
    """The row 17 is `wrong`, or as the others are."""
    lines = [b"id,name", *(b"%d,name %d" % (number, number) for number in range(ROWS))]
    if wrong is not None:
        lines[18] = wrong
    return b"\r\n".join([*lines, b""])


def parquet_file(*, wrong: bool) -> bytes:
    """The name in the row 17 is not UTF-8."""
    names = [b"name %d" % number for number in range(ROWS)]
    names[17] = b"\xff" if wrong else names[17]
    text: Any = pa.Array.from_buffers(pa.string(), ROWS, pa.array(names, pa.binary()).buffers())
    return parquet({"id": [str(number) for number in range(ROWS)], "name": text})


async def objects(user: User, project: str) -> dict[tuple[str, int], dict[str, Any]]:
    """(path, row) → the object, without the link that is made anew each time."""
    return {(each["path"], each["row"]): {**each, "url": None} for each in await user.objects(project)}


async def test_a_mended_row_is_picked_up_and_nothing_else_changes(user: User, owned: Bucket) -> None:
    user.secrets.add(SECRET_KEY)
    files = {
        "a.csv": (csv_file(b"17,name,17"), csv_file(None)),
        "b.csv.gz": (gzip.compress(csv_file(b'17,"name" 17')), gzip.compress(csv_file(None))),
        "c.csv.zst": (zstd.compress(csv_file(b"17,name \xe9")), zstd.compress(csv_file(None))),
        "d.parquet": (parquet_file(wrong=True), parquet_file(wrong=False)),
        "e.csv": (csv_file(b"17"), csv_file(b"17")),
    }
    for name, (broken, _) in files.items():
        await owned.put(name.encode(), broken)
    project = await user.project()
    place = s3(owned.endpoint, owned.bucket, secret=SECRET_KEY, awsAccessKeyId=ACCESS_KEY)
    storage = await user.storage(place, projectId=project, useBlobUrls=False)
    first = await user.sync(storage)
    assert (first["status"], counts(first)) == ("COMPLETED_WITH_ERRORS", {"synced": 5 * ROWS - 5, "failed": 5})
    before = await objects(user, project)

    for name, (_, mended) in files.items():
        if name != "e.csv":
            await owned.put(name.encode(), mended)
    second = await user.sync(storage)
    assert (second["status"], counts(second)) == ("COMPLETED", {"synced": 4, "unchanged": 5 * ROWS - 4})
    after = await objects(user, project)
    new = {place: after[place]["data"] for place in after.keys() - before.keys()}
    assert new == {(name, 17): {"id": "17", "name": "name 17"} for name in files if name != "e.csv"}
    assert {place: after[place] for place in before} == before
