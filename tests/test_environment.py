"""`make env` and what it does when things go wrong, with package managers that only pretend."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What the Makefile and its script call besides Python and uv.
TOOLS = ("bash", "env", "make", "awk", "dirname", "grep", "mkdir", "rm", "touch", "cat", "ln")

# A uv that writes down what it was asked, makes an environment of this Python, and installs nothing.
# With the file `broken` beside it, installing ends as if it had been interrupted.
FAKE_UV = """#!/usr/bin/env bash
set -e
here=$(dirname "$0")
printf '%s\\n' "$*" >>"$here/uv.log"
case $1 in
  --version) ;;
  venv) for target; do :; done; mkdir -p "$target/bin"; ln -sf {python} "$target/bin/python" ;;
  pip) [ ! -e "$here/broken" ] || exit 130 ;;
esac
"""

Make = Callable[..., subprocess.CompletedProcess[str]]


def program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder to be the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None, f"{name} is not installed"
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def make(tools: Path, tmp_path: Path) -> Make:
    """Runs a target into an environment below tmp_path, with `tools` as the PATH."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tools / "make", "--no-print-directory", f"VENV={tmp_path / 'venv'}", *arguments],
            cwd=ROOT,
            env={"PATH": str(tools)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def uv_log(tools: Path) -> Path:
    """The fake uv is on the PATH; what it was asked, a line a call."""
    program(tools / "uv", FAKE_UV.format(python=sys.executable))
    return tools / "uv.log"


def test_help_is_the_default_and_names_every_target_that_is_promised(make: Make) -> None:
    listed = {line.split()[0] for line in make().stdout.splitlines()}
    promised = "help env demo serve test check campaign lint schema requirements web"
    assert listed >= set(promised.split())


def test_it_installs_pins_with_hashes_and_then_only_the_project(make: Make, tools: Path, uv_log: Path) -> None:
    (tools / "python3").symlink_to(sys.executable)
    assert make("env").returncode == 0
    venv, pins, project = [line for line in uv_log.read_text().splitlines() if line != "--version"]
    assert venv.startswith("venv ")
    assert "--require-hashes --requirement requirements/dev.txt" in pins
    assert "--no-deps --no-build-isolation --editable ." in project


def test_nothing_is_done_twice(make: Make, tools: Path, uv_log: Path) -> None:
    (tools / "python3").symlink_to(sys.executable)
    make("env")
    uv_log.unlink()
    assert make("env").returncode == 0
    assert not uv_log.exists()


def test_the_demo_needs_no_more_once_everything_is_there(make: Make, tools: Path, uv_log: Path, tmp_path: Path) -> None:
    (tools / "python3").symlink_to(sys.executable)
    make("env")
    uv_log.unlink()
    program(tmp_path / "venv" / "bin" / "sluicegate", "#!/usr/bin/env bash\necho ran: $*\n")
    assert make("demo", "ARGS=--exit").stdout == "ran: demo --exit\n"
    assert not uv_log.exists()


def test_an_interrupted_environment_is_made_again_from_nothing(
    make: Make, tools: Path, uv_log: Path, tmp_path: Path
) -> None:
    (tools / "python3").symlink_to(sys.executable)
    (tools / "broken").touch()
    assert make("env").returncode != 0
    half_installed = tmp_path / "venv" / "half-installed"
    half_installed.touch()
    assert not (tmp_path / "venv" / ".made-dev").exists()

    (tools / "broken").unlink()
    assert make("env").returncode == 0
    assert not half_installed.exists()
    assert (tmp_path / "venv" / ".made-dev").exists()
    assert len(uv_log.read_text().splitlines()) > 3


def test_a_python_that_does_not_run_is_passed_over(make: Make, tools: Path, uv_log: Path) -> None:
    """A version manager leaves commands on the PATH for Pythons that are not installed: they exist and fail."""
    program(tools / "python3.13", "#!/usr/bin/env bash\necho 'command not found' >&2\nexit 127\n")
    program(tools / "python3.12", "#!/usr/bin/env bash\nexit 1  # 'older than 3.11', as it answers our question\n")
    program(tools / "python3", f'#!/usr/bin/env bash\nexec {sys.executable} "$@"\n')
    assert make("env").returncode == 0
    assert f"--python {tools / 'python3'} " in uv_log.read_text()


def test_without_any_python_it_says_what_is_needed(make: Make) -> None:
    done = make("env")
    assert done.returncode != 0
    assert "Python 3.11 or newer" in done.stderr
    assert "PYTHON=" in done.stderr


def test_a_python_that_was_named_and_does_not_do_is_an_error(make: Make, tools: Path, uv_log: Path) -> None:
    (tools / "python3").symlink_to(sys.executable)
    done = make("env", f"PYTHON={os.devnull}")
    assert done.returncode != 0
    assert f"PYTHON={os.devnull} does not run" in done.stderr
    assert "venv" not in uv_log.read_text()


def recording_python(tools: Path) -> Path:
    """Puts a Python on the PATH that only writes down what `-m venv` and `-m pip` are asked: into the file returned."""
    log = tools / "python.log"
    program(
        tools / "python3",
        f"""#!/usr/bin/env bash
case $1 in
  -c) exec {sys.executable} "$@" ;;
  -m) printf '%s\\n' "$*" >>{log}
      [ "$2" != venv ] || {{ mkdir -p "$3/bin"; ln -sf {tools / "python3"} "$3/bin/python"; }} ;;
esac
""",
    )
    return log


def test_without_uv_pip_does_the_same(make: Make, tools: Path) -> None:
    log = recording_python(tools)
    assert make("env").returncode == 0
    venv, pins, project = log.read_text().splitlines()
    assert venv.startswith("-m venv ")
    assert "--require-hashes --requirement requirements/dev.txt" in pins
    assert "--no-deps --no-build-isolation --editable ." in project


def test_an_environment_made_by_uv_is_made_again_where_uv_is_gone(
    make: Make, tools: Path, uv_log: Path, tmp_path: Path
) -> None:
    """What uv makes has no pip in it."""
    without_pip = tmp_path / "without-pip"
    program(without_pip, f'#!/usr/bin/env bash\n[[ $* != *"import pip"* ]] && exec {sys.executable} "$@"\n')
    program(tools / "uv", FAKE_UV.format(python=without_pip))
    log = recording_python(tools)
    assert make("env").returncode == 0
    assert not log.exists()

    (tools / "uv").unlink()
    (tmp_path / "venv" / ".made-dev").unlink()
    assert make("env").returncode == 0
    assert log.read_text().splitlines()[0].startswith("-m venv ")
