"""Secrets of webhooks: made, checked, kept, and what they sign."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from models import sealing
from models.database import ALL
from models.sync_configs import SyncConfig
from sluicegate.core.crypto import SecretBox, new_secret_key
from sluicegate.core.errors import ConfigurationError, InvalidError
from sluicegate.webhooks.secrets import check_secret, new_secret, open_secret, seal_secret
from sluicegate.webhooks.signing import signed_headers
from tests.support.webhooks import Hooks

BODY = '{"type":"batch.ready","name":"é"}'.encode()


def given(size: int) -> str:
    """A secret of so many bytes; always the same, for each process that runs tests must find the same ones."""
    return "whsec_" + base64.b64encode(random.Random(size).randbytes(size)).decode()


@pytest.mark.parametrize("secret", [given(24), given(32), given(33), given(64), f" {given(25)}\n"])
def test_what_is_signed_with_any_good_secret_verifies_elsewhere(secret: str) -> None:
    kept = check_secret(secret)
    headers = signed_headers(kept, "msg_1", datetime.now(UTC), BODY)
    assert Webhook(secret.strip()).verify(BODY, headers)["type"] == "batch.ready"


@pytest.mark.parametrize("change", ["body", "id", "time", "secret", "age"])
def test_nothing_of_a_message_can_be_changed(change: str) -> None:
    secret, body = new_secret(), BODY
    at = datetime.now(UTC) - timedelta(minutes=6 if change == "age" else 0)
    headers = signed_headers(secret, "msg_1", at, body)
    if change == "body":
        body = BODY.replace(b"ready", b"gone ")
    elif change == "id":
        headers["webhook-id"] = "msg_2"
    elif change == "time":
        headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
    elif change == "secret":
        secret = new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_no_two_secrets_are_the_same() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(base64.b64decode(new_secret().removeprefix("whsec_"))) == 32


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", given(23), given(65), given(32)[6:], given(32).replace("whsec_", "WHSEC_"), given(32)[:-1] + "!"],
)
def test_a_secret_that_no_library_would_take_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_secret(secret)
    assert caught.value.path == ("webhook", "secret")
    assert not secret or secret == "whsec_" or secret not in caught.value.message + str(caught.value.hint)


def test_a_sealed_secret_opens_for_its_row_alone() -> None:
    box, secret = SecretBox([new_secret_key()]), new_secret()
    sealed = seal_secret(box, secret, config_id=1, namespace_id=2)
    assert secret.removeprefix("whsec_") not in sealed
    assert open_secret(box, sealed, config_id=1, namespace_id=2) == secret
    for config_id, namespace_id in ((2, 2), (1, 1)):
        with pytest.raises(ConfigurationError):
            open_secret(box, sealed, config_id=config_id, namespace_id=namespace_id)
    with pytest.raises(ConfigurationError):
        box.open(sealed, table="storage", row=1, namespace=2)


async def test_secrets_are_sealed_anew_with_a_new_key(local_hooks: Hooks) -> None:
    old, new = new_secret_key(), new_secret_key()
    local_hooks.box = SecretBox([old])
    hook = await local_hooks.hook()
    async with local_hooks.database.write(ALL) as session:
        await sealing.reseal_all(session, SecretBox([new, old]))
    async with local_hooks.database.read(ALL) as session:
        sealed = (await session.get_one(SyncConfig, hook.config_id)).sealed_webhook_secret
    assert sealed is not None
    opened = open_secret(
        SecretBox([new]), sealed, config_id=hook.config_id, namespace_id=local_hooks.tenant.namespace_id
    )
    assert opened == hook.secret
