"""What must stay true of the repository itself, whatever is built in it."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import graphql
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sluicegate.settings import Settings
from tests.support.seed_fields import SEED_FIELDS

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("gql/", "models/", "resolvers/", "sluicegate/")
MAX_LINES = 500

# Joined here, so that this file does not name what it forbids.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("index", "crates", "io"),
        ("proxy", "golang", "org"),
        ("repo", "maven", "apache", "org"),
    )
]

ROW = re.compile(r"^\| (?P<field>[^|]+) \| (?P<schema>[^|]+) \| (?P<state>[^|]+) \|(?P<note>[^|]*)\|$")
STATES = {"now", "exports", "providers", "job control"}
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)", re.MULTILINE)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_package_registry() -> None:
    """Whoever installs chooses the registry: an address in a file would send them to another one, or leak their own."""
    hosts = re.compile("|".join(map(re.escape, REGISTRY_HOSTS)).encode())
    naming = {
        str(path.relative_to(ROOT)): found[0] for path in tracked_files() if (found := hosts.findall(path.read_bytes()))
    }
    assert naming == {}


def test_no_file_names_a_folder_of_one_machine() -> None:
    homes = re.compile(rb"""(?:^|[\s"'=(:`])/(?:roo[t]|wor[k]|home/[a-z]+)/[\w.]""", re.MULTILINE)
    naming = [str(path.relative_to(ROOT)) for path in tracked_files() if homes.search(path.read_bytes())]
    assert naming == []


def test_product_files_stay_small() -> None:
    large = {
        str(path.relative_to(ROOT)): lines
        for path in tracked_files()
        if path.suffix == ".py" and str(path.relative_to(ROOT)).startswith(PRODUCT)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert large == {}, f"split by domain: more than {MAX_LINES} lines"


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    """A test that does not run proves nothing, and nobody notices."""
    hiding = re.compile(r"(?:mark\.(?:skip|skipif|xfail)|(?:pytest|unittest)\.(?:skip|xfail|importorskip))\b")
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in tracked_files()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and hiding.search(name := ast.unparse(node))
    ]
    assert found == []


# ---------------------------------------------------------------------------------------------- seed fields


def seed_rows() -> dict[str, dict[str, tuple[str, str]]]:
    """By section: seed field → (schema, state)."""
    sections: dict[str, dict[str, tuple[str, str]]] = {}
    rows: dict[str, tuple[str, str]] = {}
    for line in (ROOT / "docs" / "seed-fields.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            rows = sections.setdefault(line.removeprefix("### "), {})
        elif (row := ROW.match(line)) and row["field"] not in ("seed field", "---"):
            assert row["field"] not in rows, f"twice: {line}"
            rows[row["field"]] = (row["schema"], row["state"])
    return sections


@pytest.mark.parametrize("section", SEED_FIELDS)
def test_every_seed_field_has_a_row(section: str) -> None:
    assert sorted(seed_rows()[section]) == sorted(SEED_FIELDS[section])


def test_rows_that_say_now_name_what_the_schema_has() -> None:
    schema = graphql.build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))
    rows = [(section, field, *row) for section, fields in seed_rows().items() for field, row in fields.items()]
    assert {state for *_, state in rows} <= STATES
    untrue = [
        f"{section}, {field}: {coordinate}"
        for section, field, cell, state in rows
        if state == "now" and not cell.startswith("HTTP ") and cell != "the selection set"
        for coordinate in re.findall(r"`([^`]+)`", cell) or [cell]
        if graphql.resolve_schema_coordinate(schema, coordinate) is None
    ]
    assert untrue == []


# ---------------------------------------------------------------------------------------------- prose


def test_graphql_in_the_prose_is_what_the_schema_takes() -> None:
    schema = graphql.build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))
    examples = [
        (path.name, example)
        for path in tracked_files()
        if path.suffix == ".md" and path.parent in (ROOT, ROOT / "docs")
        for example in re.findall(r"^```graphql\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]
    assert examples
    wrong = [(name, str(error)) for name, text in examples for error in graphql.validate(schema, graphql.parse(text))]
    assert wrong == []


def test_every_setting_is_described() -> None:
    described = re.findall(
        r"^\| `SLUICEGATE_([A-Z_]+)` \|", (ROOT / "docs" / "operations.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(described) == sorted(name.upper() for name in Settings.model_fields)


def test_links_in_the_prose_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in tracked_files()
        if path.suffix == ".md" and not path.is_relative_to(ROOT / "sluicegate")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


# ---------------------------------------------------------------------------------------------- requirements


def pins(level: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{level}.txt").read_text(encoding="utf-8")
    return {canonicalize_name(found["name"]): found["version"] for found in PIN.finditer(text)}


def declared() -> dict[str, list[Requirement]]:
    """By requirements file: what pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    run = [*project["project"]["dependencies"], *groups["build"]]
    demo = [*run, *project["project"]["optional-dependencies"]["demo"]]
    test = [*demo, *groups["test"]]
    levels = {"run": run, "demo": demo, "test": test, "dev": [*test, *groups["lint"]]}
    return {level: [Requirement(text) for text in texts] for level, texts in levels.items()}


@pytest.mark.parametrize("level", ["run", "demo", "test", "dev"])
def test_pins_satisfy_what_is_declared(level: str) -> None:
    pinned = pins(level)
    unmet = [
        str(need) for need in declared()[level] if not need.specifier.contains(pinned[canonicalize_name(need.name)])
    ]
    assert unmet == []


@pytest.mark.parametrize(("inner", "outer"), [("run", "demo"), ("demo", "test"), ("test", "dev")])
def test_each_set_of_pins_lies_within_the_next(inner: str, outer: str) -> None:
    assert pins(inner).items() <= pins(outer).items()


@pytest.mark.parametrize("level", ["run", "demo", "test", "dev"])
def test_every_pin_has_hashes_and_nothing_else_is_in_the_file(level: str) -> None:
    text = (ROOT / "requirements" / f"{level}.txt").read_text(encoding="utf-8")
    entries = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    entry = re.compile(r"[A-Za-z0-9._-]+(?:\[[a-z0-9,_-]+\])?==\S+(?: ; [^#]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in entries if line and not entry.fullmatch(line)] == []
