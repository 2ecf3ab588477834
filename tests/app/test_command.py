"""The command line: what it prints, what it refuses, and its exit codes."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.core.crypto import new_secret_key
from tests.support.command import invoke, sluicegate
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

ROOT = Path(__file__).parents[2]


def test_help_is_quick_because_it_loads_nothing_that_it_does_not_need() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['sluicegate', '--help']\n"
        "from sluicegate.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "serve" in ended.stdout
    loaded = set(ended.stderr.split())
    slow = {"sqlalchemy", "strawberry", "graphql", "starlette", "aiohttp", "pydantic", "structlog", "asyncio", "gql"}
    assert loaded & slow == set()


def test_the_schema_is_printed_as_it_is_in_the_repository() -> None:
    ended = invoke("schema")
    assert ended.code == 0
    assert ended.out == (ROOT / "schema.graphql").read_text()


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    made = invoke("keys", "create", "nightly", "--scope", "write", "--expires-in-days", "9", "--data-dir", tmp_path)
    assert made.code == 0
    secret = made.out.strip()
    assert secret.startswith("sg_")
    [key] = invoke("keys", "list", "--json", "--data-dir", tmp_path).json
    assert (key["name"], key["scopes"], key["namespaces"]) == ("nightly", ["READ", "WRITE"], ["default"])
    assert (key["state"], key["prefix"]) == ("active", secret[:9])
    listed = invoke("keys", "list", "--data-dir", tmp_path)
    assert "nightly" in listed.out
    assert secret not in listed.out
    assert invoke("keys", "revoke", key["prefix"], "--data-dir", tmp_path).code == 0
    [key] = invoke("keys", "list", "--json", "--data-dir", tmp_path).json
    assert key["state"] == "revoked"
    missing = invoke("keys", "revoke", "99", "--data-dir", tmp_path)
    assert missing.code == 1
    assert "No API key" in missing.err
    unknown = invoke("keys", "create", "x", "--scope", "ROOT", "--data-dir", tmp_path)
    assert unknown.code == 1
    assert "READ, WRITE, ADMIN" in unknown.err


def test_migrate_tells_what_it_did_and_does_it_once(tmp_path: Path) -> None:
    first = invoke("migrate", "--json", "--data-dir", tmp_path)
    assert (first.code, first.json["from"], first.json["changed"]) == (0, None, True)
    second = invoke("migrate", "--json", "--data-dir", tmp_path)
    assert second.json == {"from": first.json["to"], "to": first.json["to"], "changed": False}


def test_rotation_makes_a_new_key_and_drops_the_old_one(tmp_path: Path) -> None:
    none = invoke("secrets", "rotate", "--data-dir", tmp_path)
    assert none.code == 3
    assert "no key to rotate" in none.err
    key_file = tmp_path / "secret.key"
    key_file.write_text(new_secret_key())
    before = key_file.read_text()
    assert invoke("secrets", "rotate", "--data-dir", tmp_path).code == 0
    after = key_file.read_text()
    assert len(after.split()) == 1
    assert after.strip() != before.strip()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SLUICEGATE_WORKER_CONCURRENCY", "many-workers", "valid integer"),
        ("SLUICEGATE_LOG_FORMAT", "xml-please", "'json' or 'console'"),
        ("SLUICEGATE_SECRET_KEY", "not-a-fernet-key", "not a Fernet key"),
        ("SLUICEGATE_BOOTSTRAP_KEY", "sg_weak", "not a key"),
        ("SLUICEGATE_DATABASE_URL", "mysql://user:hunter2@db/x", "names 'mysql'"),
        ("SLUICEGATE_ALLOWED_ENDPOINTS", "http://minio/*", "not a host"),
        ("SLUICEGATE_LOCAL_ROOTS", "media", "namespace=/absolute/path"),
    ],
)
def test_a_bad_setting_is_named_and_a_secret_in_it_is_not_shown(
    name: str, value: str, says: str, tmp_path: Path
) -> None:
    ended = invoke("serve", "--port", "0", "--data-dir", tmp_path / "data", env={name: value})
    assert ended.code == 3
    assert name in ended.err
    assert says in ended.err
    assert "Traceback" not in ended.err
    for secret in ("not-a-fernet-key", "sg_weak", "hunter2"):
        assert secret not in ended.err


def test_a_root_that_holds_the_data_directory_is_refused(tmp_path: Path) -> None:
    ended = invoke(
        "serve", "--port", "0", "--data-dir", tmp_path / "data", env={"SLUICEGATE_LOCAL_ROOTS": f"default={tmp_path}"}
    )
    assert ended.code == 3
    assert "contains the data directory" in ended.err
    # Nothing is left half started: the directory is free.
    assert invoke("migrate", "--data-dir", tmp_path / "data").code == 0


def fake_distribution(folder: Path, *, package: bool) -> dict[str, str]:
    """A folder on the path in which PyPI's `gql` is installed, as pip leaves it."""
    metadata = folder / "gql-3.5.3.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: gql\nVersion: 3.5.3\n")
    (metadata / "top_level.txt").write_text("gql\n")
    (metadata / "RECORD").write_text("gql/__init__.py,,\n")
    if package:
        (folder / "gql").mkdir()
        (folder / "gql" / "__init__.py").write_text("raise SystemExit('the wrong gql was imported')\n")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("package", [True, False], ids=["before ours", "behind ours"])
def test_it_refuses_to_start_where_another_distribution_owns_gql(tmp_path: Path, package: bool) -> None:
    env = fake_distribution(tmp_path / "site", package=package)
    for command in (("serve", "--data-dir", str(tmp_path / "data")), ("--help",)):
        ended = sluicegate(*command, env=env)
        assert ended.code == 3
        assert "gql-3.5.3" in ended.err
        assert "uv tool install" in ended.err
    assert not (tmp_path / "data").exists()


def test_it_refuses_a_gql_that_no_distribution_owns(tmp_path: Path) -> None:
    (tmp_path / "gql").mkdir()
    (tmp_path / "gql" / "__init__.py").write_text("raise SystemExit('the wrong gql was imported')\n")
    ended = sluicegate("schema", env={"PYTHONPATH": str(tmp_path)})
    assert ended.code == 3
    assert str(tmp_path) in ended.err


def test_the_doctor_finds_a_new_installation_in_order_and_makes_nothing(tmp_path: Path) -> None:
    ended = invoke("doctor", "--json", "--data-dir", tmp_path / "data")
    assert ended.code == 0, ended.out
    assert ended.json["ok"] is True
    parts = {finding["part"] for finding in ended.json["findings"]}
    assert parts >= {"python", "import name", "database", "secret key", "events", "providers", "endpoints", "graphiql"}
    assert not (tmp_path / "data").exists()


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert invoke("migrate", "--data-dir", data_dir).code == 0
    (data_dir / "secret.key").write_text("not a key")
    os.chmod(data_dir, 0o755)  # noqa: PTH101 - as an operator would
    ended = invoke(
        "doctor",
        "--json",
        "--data-dir",
        data_dir,
        env={
            "SLUICEGATE_ALLOWED_ENDPOINT": "minio:9000",
            "SLUICEGATE_LOCAL_ROOTS": f"default={tmp_path / 'gone'}",
            "SLUICEGATE_EVENTS_URL": "carrier-pigeon://coop",
        },
    )
    assert ended.code == 1
    found = {(finding["part"], finding["level"]): finding for finding in ended.json["findings"]}
    assert found["settings", "WARNING"]["hint"] == "Did you mean SLUICEGATE_ALLOWED_ENDPOINTS?"
    assert "chmod go-rwx" in found["data directory", "WARNING"]["hint"]
    assert "not a Fernet key" in found["secret key", "ERROR"]["detail"]
    assert str(tmp_path / "gone") in found["local roots", "WARNING"]["detail"]
    assert ("events", "ERROR") in found
    assert found["database", "OK"]
    assert found["migrations", "OK"]
    for finding in ended.json["findings"]:
        assert finding["level"] == "OK" or finding["hint"] or finding["detail"]


def test_the_doctor_tells_of_a_database_that_does_not_answer(tmp_path: Path) -> None:
    ended = invoke(
        "doctor",
        "--data-dir",
        tmp_path,
        env={"SLUICEGATE_DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:1/x"},
    )
    assert ended.code == 1
    assert "does not answer" in ended.out
    assert "SLUICEGATE_SECRET_KEY must be given" in ended.out
    assert "hunter2" not in ended.out + ended.err


def test_the_doctor_sends_a_message_through_either_kind_of_event_channel(
    valkey: ValkeyServer, postgres: PostgresServer, tmp_path: Path
) -> None:
    for url in (valkey.url, postgres.url()):
        ended = invoke("doctor", "--json", "--data-dir", tmp_path, env={"SLUICEGATE_EVENTS_URL": url})
        found = [finding for finding in ended.json["findings"] if finding["part"] == "events"]
        assert [finding["level"] for finding in found] == ["OK"], found


@pytest.mark.parametrize(
    ("user", "host", "detail", "hint"),
    [
        (":hunter2@", "127.0.0.1:1", "Nothing listens", "that the server runs"),
        (":hunter2@", "no-such-host.invalid", "no address", "host"),
        (":hunter2@", "", "refused the user or the password", "percent-encoded"),
        (":hunter2/@", "", "not an address", "percent-encoded"),
    ],
)
def test_the_doctor_says_what_is_wrong_with_the_event_channel(
    user: str, host: str, detail: str, hint: str, tmp_path: Path
) -> None:
    with ValkeyServer(password="another") as server:
        url = f"redis://{user}{host or f'127.0.0.1:{server.port}'}"
        ended = invoke("doctor", "--json", "--data-dir", tmp_path, env={"SLUICEGATE_EVENTS_URL": url})
    assert ended.code == 1
    [found] = [finding for finding in ended.json["findings"] if finding["part"] == "events"]
    assert found["level"] == "ERROR"
    assert detail in found["detail"]
    assert hint in found["hint"]
    assert "hunter2" not in ended.out + ended.err


def test_a_gateway_that_is_not_there_is_told_with_a_code_of_its_own() -> None:
    ended = invoke("sync", "U3RvcmFnZTox", "--url", "http://127.0.0.1:1", env={"SLUICEGATE_KEY": "sg_any"})
    assert ended.code == 4
    assert "127.0.0.1:1" in ended.err
    assert "SLUICEGATE_URL" in ended.err
    assert json.dumps("sg_any") not in ended.err
