"""Logs are structured, and no secret is in them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from sluicegate.core import logging as ours
from sluicegate.core.crypto import SecretBox, new_api_secret, new_secret_key
from sluicegate.core.redact import MARK, redact
from sluicegate.webhooks.secrets import new_secret
from tests.support.command import restored_logging
from tests.support.gateway import running_gateway

AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
API_KEY = new_api_secret()
WEBHOOK_SECRET = new_secret()
FERNET_KEY = new_secret_key()
SEALED = SecretBox([FERNET_KEY]).seal({"password": "hunter2"}, table="storage", row=1, namespace=1)
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK\n-----END RSA PRIVATE KEY-----"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged as JSON, while the test runs."""
    stream = io.StringIO()
    with restored_logging():
        ours.configure(form="json", level="debug", stream=stream)
        yield stream


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


SECRETS = {
    "an API key": (f"the key {API_KEY} was used", API_KEY),
    "a secret of a webhook": (f"signed with {WEBHOOK_SECRET} here", WEBHOOK_SECRET.removeprefix("whsec_")),
    "a bearer": (f"Authorization: Bearer {API_KEY}", API_KEY),
    "a token": ("Authorization: Token 0123456789abcdefghij", "0123456789abcdefghij"),
    "a parameter": (f"secret={AWS_SECRET}", AWS_SECRET),
    "an AWS secret": (f"credentials AKIAIOSFODNN7EXAMPLE {AWS_SECRET} given", AWS_SECRET),
    "a signature": ("https://b.s3.example/k?X-Amz-Date=1&X-Amz-Signature=0123456789abcdef0123", "0123456789abcdef0123"),
    "a session token": ("https://b.s3.example/k?X-Amz-Security-Token=FwoGZXIvYXdzEBYaD%2B1", "FwoGZXIvYXdzEBYaD"),
    "the first link": ("http://127.0.0.1:8000/graphql#key=made-up-key-of-a-test", "made-up-key-of-a-test"),
    "a password in an address": ("postgresql://gateway:hunter2@db.example/sluicegate", "hunter2"),
    "a Fernet key": (f"the key file has {FERNET_KEY} in it", FERNET_KEY),
    "a sealed secret": (f"row 1: {SEALED}", SEALED),
    "a private key": (f"private_key {PEM} end", "MIIEow"),
}


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    cleaned = redact(text)
    assert secret not in cleaned
    assert MARK in cleaned
    assert cleaned[:3] == text[:3]


@pytest.mark.parametrize(
    "text",
    [
        "GET /objects/T2JqZWN0OjE/content 200 in 3 ms",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",  # SHA-1 of nothing
        "s3://bucket/a/rather/long/path/of/plain/words/and/a/file.json",
        "python3.11/site-packages/botocore/data/ec2/2016-11-15/service-2.json.gz",
        "the token bucket and the basic idea",
        "http://127.0.0.1:8000/graphql?operationName=Sync",
        "2026-11-21T23:37:14.016468Z",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_every_logger_writes_one_json_object_a_line(log: io.StringIO) -> None:
    with ours.bind(request_id="r-1"):
        logging.getLogger("some.library").warning("%s items\nin two lines", 3)
        structlog.get_logger("sluicegate.ours").info("key.used", key=7)
    first, second = lines(log)
    assert (first["event"], first["logger"], first["level"]) == ("3 items\nin two lines", "some.library", "warning")
    assert (second["event"], second["logger"], second["key"]) == ("key.used", "sluicegate.ours", 7)
    assert first["request_id"] == second["request_id"] == "r-1"
    assert str(first["timestamp"]).endswith("Z")


def test_secrets_are_out_of_messages_fields_and_tracebacks(log: io.StringIO) -> None:
    logger = logging.getLogger("sluicegate.leaky")
    logger.info("sent %s", API_KEY, extra={"headers": {"Authorization": "anything", "Host": "h"}, "urls": [AWS_SECRET]})
    structlog.get_logger("sluicegate.leaky").info("opened", password="hunter2", nested={"secret_key": ["a", "b"]})
    try:
        raise ValueError(f"cannot open {SEALED} with {FERNET_KEY}")
    except ValueError:
        logger.exception("failed")
    text = log.getvalue()
    for secret in (API_KEY, AWS_SECRET, "hunter2", SEALED, FERNET_KEY, "anything"):
        assert secret not in text
    first, second, third = lines(log)
    assert first["headers"] == {"Authorization": MARK, "Host": "h"}
    assert second["nested"] == {"secret_key": MARK}
    assert "ValueError: cannot open" in str(third["exception"])


def test_a_long_text_is_cut(log: io.StringIO) -> None:
    logging.getLogger("sluicegate.long").info("x" * 100_000)
    assert len(log.getvalue()) < 20_000


def test_libraries_only_warn_whatever_the_level(log: io.StringIO) -> None:
    logging.getLogger("aiosqlite").debug("INSERT INTO api_key VALUES ('…')")
    logging.getLogger("some.library").info("started")
    logging.getLogger("some.library").warning("slow")
    assert [line["event"] for line in lines(log)] == ["slow"]


async def test_a_path_writes_no_lines_and_no_escapes_of_its_own(log: io.StringIO) -> None:
    async with running_gateway(worker=False) as gateway:
        await gateway.http.get("/a%0aforged%1b[31m/%E2%80%AE/b c")
    (line,) = [line for line in lines(log) if str(line["event"]).startswith("GET /a")]
    assert line["event"] == "GET /a%0Aforged%1B%5B31m/%E2%80%AE/b%20c"
    assert line["path"] == "/a%0Aforged%1B%5B31m/%E2%80%AE/b%20c"
