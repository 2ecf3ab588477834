"""`sluicegate demo` as a newcomer runs it."""

import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.support.command import COMMAND, sluicegate
from tests.support.gateway import bare_environment
from tests.support.processes import ServerProcess

pytestmark = pytest.mark.slow


def test_the_demo_tells_the_whole_story(tmp_path: Path) -> None:
    # Settings of an installation that must not be touched: with any of them in force the demo would fail.
    env = {
        "TMPDIR": str(tmp_path),
        "COLUMNS": "160",
        "SLUICEGATE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "SLUICEGATE_SECRET_KEY": "not a key",
    }
    ended = sluicegate("demo", "--exit", env=env, cwd=tmp_path)
    assert ended.code == 0, ended.out + ended.err
    said = ended.out
    files = int(re.search(r"([\d,]+) files of the packages", said)[1].replace(",", ""))  # type: ignore[index]
    assert files >= 2_000
    assert re.search(r"validateStorage: .*✓ list, ✓ read", said)
    assert "7 files added, 5 overwritten, 3 deleted" in said
    first, records, second = (
        [int(cell.replace(",", "")) for cell in re.findall(r"[\d,]+(?=\s*│)", line)[:4]]
        for line in said.splitlines()
        if re.match(r"│ (files|records)\b", line)
    )
    assert first == [files, files, 0, 0]
    read = int(re.search(r"and ([\d,]+) JSON files once more", said)[1])  # type: ignore[index]
    assert records == [read, read, 0, 0]
    assert second == [files + 4, 12, files - 8, 3]
    assert re.search(r"The dataset: [\d,]+ objects", said)
    assert re.search(r"GraphiQL: http://127\.0\.0\.1:\d+/graphql#key=sg_", said)
    assert ended.err == ""
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_link_works_until_it_is_told_to_end_and_then_nothing_is_left(
    tmp_path: Path, number: signal.Signals
) -> None:
    # Begun as shells begin what runs in the background: with SIGINT ignored.
    background = ["sh", "-c", "trap '' INT; exec \"$0\" demo", COMMAND]
    process = ServerProcess(background, env={**bare_environment(), "TMPDIR": str(tmp_path)})
    try:
        line = process.wait_for("GraphiQL: http", 100)
        url, key = re.search(r"(http://\S+)#key=(sg_\S+)", line).groups()  # type: ignore[union-attr]
        with httpx.Client(trust_env=False, timeout=30) as http:
            page = http.get(url, headers={"Accept": "text/html"})
            assert "GraphiQL" in page.text
            answer = http.post(
                url,
                json={"query": "{ projects { nodes { name } } }"},
                headers={"Authorization": f"Bearer {key}"},
            )
        assert answer.json()["data"]["projects"]["nodes"] == [{"name": "Demo"}]
        process.send(number)
        assert process.wait(30) in (0, 130)
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)
    finally:
        process.kill()


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    # A `moto` that cannot be found, as where the extra is not installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'moto' else find(name, package)\n"
    )
    ended = sluicegate("demo", "--exit", env={"PYTHONPATH": str(tmp_path)})
    assert ended.code == 3
    assert "sluicegate[demo]" in ended.err
