"""Our signatures against botocore's, for keys and values of all kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.providers.s3.signing import Credentials, Scope, encode_path, encode_query, presign, sign_headers
from tests.providers.conformance import ODD_KEYS, SPACED_KEYS
from tests.providers.test_s3_servers import S3_KEYS

WHEN = datetime(2026, 1, 2, 23, 59, 58, tzinfo=UTC)
HOST = "bucket.s3.eu-west-1.amazonaws.com"
KEYS = st.one_of(
    st.sampled_from(ODD_KEYS + SPACED_KEYS + S3_KEYS),
    st.text(min_size=1, max_size=80).map(lambda t: t.encode("utf-8", "replace")),
)
MOMENTS = st.sampled_from([WHEN, WHEN + timedelta(seconds=5), WHEN + timedelta(days=400)])  # the key is the day's
TOKENS = st.one_of(st.none(), st.text("abcXYZ019+/=", min_size=1, max_size=40))


def oracle(auth: type[Any], url: str, token: str | None, headers: dict[str, str], when: datetime, *args: Any) -> Any:
    """The request as botocore signs it at the same moment."""
    request = botocore.awsrequest.AWSRequest(method="GET", url=url, headers=headers)
    keys = botocore.credentials.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=when.replace(tzinfo=None)):
        auth(keys, "s3", "eu-west-1", *args).add_auth(request)
    return request


def ours(token: str | None) -> Credentials:
    return Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)


@given(key=KEYS, token=TOKENS, prefix=st.text(max_size=20).map(lambda t: t.encode("utf-8", "replace")), when=MOMENTS)
def test_request_signatures_are_botocores(key: bytes, token: str | None, prefix: bytes, when: datetime) -> None:
    query = encode_query({"list-type": "2", "prefix": prefix, "start-after": key, "cors": ""})
    path = "/" + encode_path(key)
    headers = {"range": "bytes=0-9", "if-match": '"e"'}
    signed = sign_headers("GET", HOST, path, query, ours(token), Scope("eu-west-1"), when, headers=headers)
    expected = oracle(botocore.auth.S3SigV4Auth, f"https://{HOST}{path}?{query}", token, dict(headers), when)
    assert signed["authorization"] == expected.headers["Authorization"]
    assert signed["x-amz-date"] == expected.headers["X-Amz-Date"]


@given(key=KEYS, token=TOKENS, seconds=st.integers(1, 604_800))
def test_links_are_botocores(key: bytes, token: str | None, seconds: int) -> None:
    path = "/" + encode_path(key)
    query = presign(HOST, path, ours(token), Scope("eu-west-1"), WHEN, seconds)
    expected = oracle(botocore.auth.S3SigV4QueryAuth, f"https://{HOST}{path}", token, {}, WHEN, seconds)
    assert parse_qs(query) == parse_qs(urlsplit(expected.url).query)


def test_a_body_is_a_part_of_the_signature() -> None:
    signed = [
        sign_headers("PUT", HOST, "/k", "", ours(None), Scope("eu-west-1"), WHEN, body=body)["authorization"]
        for body in (b"", b"a", b"b")
    ]
    assert len(set(signed)) == 3


def test_each_day_and_region_has_its_own_key() -> None:
    def signature(when: datetime, region: str) -> str:
        return sign_headers("GET", HOST, "/", "", ours(None), Scope(region), when)["authorization"]

    assert signature(WHEN, "eu-west-1") == signature(WHEN, "eu-west-1")
    assert signature(WHEN, "eu-west-1") != signature(WHEN, "eu-west-2")
    assert signature(WHEN, "eu-west-1") != signature(WHEN + timedelta(seconds=5), "eu-west-1")


@pytest.mark.parametrize("text", ["repr", "str"])
def test_credentials_do_not_show_themselves(text: str) -> None:
    shown = repr(ours("token")) if text == "repr" else f"{ours('token')}"
    assert "wJalr" not in shown
    assert "token" not in shown
