"""Rules that are wrong, or that leave nothing over: the user is told why."""

import re
from typing import Any

import pytest

from tests.bad_input.user import UPDATE, User, counts, s3
from tests.support.moto_server import MotoServer
from tests.support.s3_responder import S3Responder


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "missing \\)"),
        ("*.png", "no argument"),
        ("[z-a]", "range"),
        (r"(?=.*\.png)", "look-ahead"),
        (r"(?<!draft)\.png", "look-behind"),
        (r"(.)\1", "back-references"),
        (r"(?>a+)b", "atomic"),
        ("a++", "possessive"),
        ("a{1001}", "repetition"),
        ("((((a{100}){100}){100}){100})", "large|repetition"),
        ("x" * 4_097, "longer than"),
    ],
)
async def test_a_regex_that_is_wrong_or_beyond_re2(user: User, server: S3Responder, pattern: str, words: str) -> None:
    storage = await user.storage(s3(server.endpoint, server.bucket), regexFilter=".*")
    changed = (await user.data(UPDATE, input={"id": storage, "regexFilter": pattern}))["updateStorage"]
    for answer in (await user.try_storage(s3(server.endpoint, server.bucket), regexFilter=pattern), changed):
        (error,) = answer["errors"]
        assert (error["__typename"], error["code"], error["path"]) == ("InputError", "INVALID", ["regexFilter"])
        assert re.search(words, error["message"], re.IGNORECASE), error["message"]
        assert answer["storage"] is None


async def test_a_regex_that_is_catastrophic_elsewhere(user: User, server: S3Responder) -> None:
    for number in range(2_000):
        server.store.put(b"a" * 900 + b"%04d!" % number, b"x")
    storage = await user.storage(
        s3(server.endpoint, server.bucket), regexFilter="(a+)+(a|aa)+([a-zA-Z]+)*$", useBlobUrls=True
    )
    state = await user.sync(storage)
    assert (state["status"], counts(state)) == ("COMPLETED", {"filtered": 2_000})


async def test_a_prefix_that_matches_nothing(user: User, moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"photos/a.png": b"png"})
    for prefix in ("/photos/", "Photos/", "photos/b"):
        made = await user.try_storage(s3(moto.endpoint, bucket, prefix=prefix), useBlobUrls=True)
        (warning,) = [warning for warning in made["warnings"] if warning["code"] == "LIST"]
        assert repr(prefix) in warning["message"]
        assert "without a leading slash" in warning["message"]
        seen = await user.preview(made["storage"]["id"])
        assert (seen["listed"], seen["complete"], seen["errors"]) == (0, True, [])
        assert [warning["code"] for warning in seen["warnings"]] == ["EMPTY"]
        state = await user.sync(made["storage"]["id"])
        assert (state["status"], counts(state)) == ("COMPLETED", {})


async def test_an_empty_bucket(user: User, moto: MotoServer, bucket: str) -> None:
    made = await user.try_storage(s3(moto.endpoint, bucket))
    assert "The bucket is empty." in [warning["message"] for warning in made["warnings"]]
    (warning,) = (await user.preview(made["storage"]["id"]))["warnings"]
    assert (warning["code"], warning["path"]) == ("EMPTY", ["provider", "s3"])
    state = await user.sync(made["storage"]["id"])
    assert (state["status"], counts(state)) == ("COMPLETED", {})


@pytest.mark.parametrize(
    ("given", "path", "words", "filtered"),
    [
        ({}, ["useBlobUrls"], ["none of the 3 objects", "set useBlobUrls to true", ".jsonl"],
         [{"rule": "folder_marker", "objects": 1}, {"rule": "unsupported", "objects": 2}]),
        ({"regexFilter": "sub/", "useBlobUrls": True}, ["regexFilter"], ["from their start"],
         [{"rule": "folder_marker", "objects": 1}, {"rule": "regex", "objects": 2}]),
    ],
)  # fmt: skip
async def test_a_bucket_with_nothing_that_would_be_imported(
    user: User,
    moto: MotoServer,
    bucket: str,
    given: dict[str, Any],
    path: list[str],
    words: list[str],
    filtered: list[dict[str, Any]],
) -> None:
    """Above all the default, useBlobUrls false, over a bucket of images: without a word it would sync to nothing."""
    moto.put(bucket, {"in/": b"", "in/sub/a.png": b"png", "in/sub/b.JPG": b"jpg"})
    made = await user.try_storage(s3(moto.endpoint, bucket), **given)
    seen = await user.preview(made["storage"]["id"])
    assert seen["filtered"] == filtered
    assert all(not item["imported"] for item in seen["items"])
    for found in (made["warnings"], seen["warnings"]):
        (warning,) = [warning for warning in found if warning["code"] == "NOTHING_IMPORTED"]
        assert warning["path"] == path
        for word in words:
            assert word in warning["message"].replace("None", "none").replace("Set", "set"), warning["message"]
    state = await user.sync(made["storage"]["id"])
    assert (state["status"], counts(state)) == ("COMPLETED", {"filtered": 3})


async def test_no_warning_where_something_is_imported(user: User, moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"a.json": b"{}", "b.png": b"png"})
    made = await user.try_storage(s3(moto.endpoint, bucket))
    assert [warning["code"] for warning in made["warnings"]] == ["CORS"]
    assert (await user.preview(made["storage"]["id"]))["warnings"] == []
