"""What the deployment files name exists: files, settings, commands and their options."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from sluicegate.cli.commands import app
from sluicegate.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
NAMING_SETTINGS = [ROOT / name for name in ("Dockerfile", "compose.yaml", "deploy/Caddyfile", "docs/deployment.md")]
PRODUCT = {
    "requirements/run.txt", "pyproject.toml", "README.md", "LICENSE", "gql", "models", "resolvers", "sluicegate",
}  # fmt: skip


def dockerfile() -> list[list[str]]:
    """The instructions, each as its words, its continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def copied() -> set[str]:
    """What is copied from the repository."""
    copies = [words[1:-1] for words in dockerfile() if words[0] == "COPY" and not words[1].startswith("--from=")]
    return {source for sources in copies for source in sources}


def services() -> dict[str, dict[str, Any]]:
    """Those of compose.yaml, with what they share merged in."""
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]


def check_command(words: list[str]) -> None:
    """Raises for a command that is none of ours, and for an option or a value that it does not take."""
    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    commands[words[0]].make_context(words[0], list(words[1:]))


def test_all_that_the_image_copies_exists_and_is_the_product_alone() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert copied() == PRODUCT
    assert [source for source in PRODUCT if not any(Path(path).is_relative_to(source) for path in tracked)] == []


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()


def test_the_image_runs_a_command_of_ours_as_a_number_that_is_not_root() -> None:
    assert [words[1] for words in dockerfile() if words[0] == "USER"] == ["10001:10001"]
    (command,) = (" ".join(words[1:]) for words in dockerfile() if words[0] == "CMD")
    check_command(json.loads(command))


def test_every_service_of_ours_runs_a_command_that_exists() -> None:
    ours = {name: each for name, each in services().items() if "sluicegate" in each["image"]}
    assert set(ours) == {"migrate", "gateway-1", "gateway-2", "worker"}
    for each in ours.values():
        check_command(each["command"])
        assert each["read_only"]
        assert each["cap_drop"] == ["ALL"]


def test_only_the_proxy_is_reached_from_outside_and_no_secret_is_written_down() -> None:
    assert [name for name, each in services().items() if "ports" in each] == ["proxy"]
    for each in services().values():
        for name, value in each.get("environment", {}).items():
            assert "${" in value or not re.search("PASSWORD|KEY|SECRET", name)
    assert subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=ROOT, check=False).returncode == 0


def test_every_process_is_told_of_the_same_database_events_and_key() -> None:
    shared = ("SLUICEGATE_DATABASE_URL", "SLUICEGATE_EVENTS_URL", "SLUICEGATE_SECRET_KEY", "SLUICEGATE_PUBLIC_URL")
    one, two, three = (
        {name: services()[service]["environment"][name] for name in shared}
        for service in ("gateway-1", "gateway-2", "worker")
    )
    assert one == two == three


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_exists(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text("utf-8"), re.MULTILINE)
    program, *words = line.split()
    assert program == "/opt/sluicegate/bin/sluicegate"
    check_command([word for word in words if not word.startswith("$")])


@pytest.mark.parametrize("path", [*NAMING_SETTINGS, *UNITS], ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"SLUICEGATE_([A-Z_]+[A-Z])", path.read_text("utf-8")))
    assert {name.lower() for name in named} - set(Settings.model_fields) == set()
