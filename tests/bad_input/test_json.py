"""Files that are no JSON, or not any more after a while."""

import gzip
import json
import re
from pathlib import Path

import pytest

from tests.bad_input.user import User, counts, s3
from tests.support.s3_responder import S3Responder

RECORDS = [{"n": number} for number in range(5)]
WHOLE = json.dumps(RECORDS).encode()


@pytest.mark.parametrize(
    ("name", "body", "rows", "words"),
    [
        ("empty.json", b"", [], "empty"),
        ("blank.json", b" \n", [], "empty"),
        ("broken.json", WHOLE[:30] + b"\x00oops" + WHOLE[30:], [0, 1, 2], "character 31: Expecting value"),
        ("cut.json", WHOLE[:-8], [0, 1, 2, 3], "ends in the middle of a record"),
        ("page.json", b"<html><body>Not Found</body></html>", [], "character 1: "),
        ("latin.json", '[{"name": "Zoë"}]'.encode("latin-1"), [], "UTF-8"),
        ("lines.jsonl", b'{"n": 1}\nnot json\n{"n": 3}\n', [0, 2], "character 1 of the line"),
        ("cut.json.gz", gzip.compress(WHOLE, mtime=0)[:-12], None, "gzip"),
        ("plain.json.gz", WHOLE, [], "^Not gzip.$"),
        ("deep.json", b"[" * 100_000, [], "deep|nest"),
        ("nul.jsonl", b'{"n": "\\u0000"}\n{"n": 2}\n', [1], "NUL|U\\+0000"),
        ("really-lines.json", b'{"n": 1}\n{"n": 2}\n', [0], r"before character 10, .* \.jsonl"),
        ("commas.json", b'[{"n": 1} {"n": 2}]', [0], "character 11: Expecting ','"),
        ("string.json", b'[{"n": 1}, {"n": "never closed}]', [0], "ends in the middle of a record"),
        ("number.json", b'[{"n": 1}, {"n": NaN}]', [0], "NaN"),
    ],
)
async def test_a_broken_file_fails_alone_and_says_why(
    user: User, server: S3Responder, name: str, body: bytes, rows: list[int] | None, words: str
) -> None:
    """What came before the break is kept; the file is read again when it changes, and only then."""
    for other, content in (("a.json", WHOLE), (name, body), ("z.jsonl", b'{"last": true}\n')):
        server.store.put(other.encode(), content)
    project = await user.project()
    storage = await user.storage(s3(server.endpoint, server.bucket), projectId=project)
    state = await user.sync(storage)
    found = await user.objects(project)
    kept = [each["row"] for each in found if each["path"] == name]
    assert kept == rows if rows is not None else len(kept) < len(RECORDS)
    assert [each["row"] for each in found if each["path"] == "a.json"] == [0, 1, 2, 3, 4]
    assert (state["status"], counts(state)) == ("COMPLETED_WITH_ERRORS", {"synced": 6 + len(kept), "failed": 1})
    (error,) = state["sync"]["lastErrors"]
    assert (error["path"], error["kind"]) == (name, "FAILED")
    assert re.search(words, error["message"]), error["message"]

    server.requests.clear()
    again = await user.sync(storage)
    assert (again["status"], counts(again)) == ("COMPLETED", {"unchanged": 7 + len(kept)})
    assert not [request for request in server.requests if request.key is not None]

    server.store.put(name.encode(), gzip.compress(WHOLE) if name.endswith(".gz") else b'{"n": 0}')
    assert (await user.sync(storage))["status"] == "COMPLETED"
    assert not [each for each in await user.objects(project) if each["path"] == name and each["data"] is None]


async def test_empty_files_of_lines_and_empty_lists_are_no_records(user: User, server: S3Responder) -> None:
    for name, body in (("a.jsonl", b""), ("b.jsonl", b"\n\n"), ("c.json", b"[]"), ("d.json.gz", gzip.compress(b"[]"))):
        server.store.put(name.encode(), body)
    storage = await user.storage(s3(server.endpoint, server.bucket))
    state = await user.sync(storage)
    assert (state["status"], state["sync"]["objectsFailed"], state["sync"]["objectsSynced"]) == ("COMPLETED", 0, 0)


async def test_a_local_folder_tells_nothing_of_where_it_is(user: User, local_root: Path) -> None:
    folder = local_root / "broken"
    folder.mkdir()
    (folder / "empty.json").write_bytes(b"")
    (folder / "good.json").write_bytes(b'{"a": 1}')
    storage = await user.storage({"local": {"path": folder.name}})
    state = await user.sync(storage)
    assert (state["status"], counts(state)) == ("COMPLETED_WITH_ERRORS", {"synced": 1, "failed": 1})
    (error,) = state["sync"]["lastErrors"]
    assert (error["path"], error["kind"]) == ("empty.json", "FAILED")
    assert str(local_root) not in "".join(user.heard)
