#!/usr/bin/env bash
# Brings .venv to one of the pinned sets in requirements/ and puts the project into it, editable.
#
#   tools/env.sh run|demo|test|dev
#
# PYTHON: the interpreter to use; when empty, the first on the PATH that is new enough.
# VENV:   where the environment goes (.venv).
# UV:     the uv to use; when empty, the one on the PATH. Without any, python -m venv and pip do the same.
#
# While it works, $VENV/.incomplete exists: an environment whose making was interrupted is made again from
# nothing, because a package manager trusts metadata that a broken-off install may have left behind.
set -euo pipefail
cd "$(dirname "$0")/.."

level=${1:?usage: tools/env.sh run|demo|test|dev}
pins=requirements/$level.txt
venv=${VENV:-.venv}
uv=${UV:-$(command -v uv || true)}
# A uv that cannot run here (another platform's, a shim without its tool) counts as none.
[ -z "$uv" ] || "$uv" --version >/dev/null 2>&1 || uv=

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s\n' "$@" >&2; exit 1; }

# Runs it rather than looks for it: version managers put shims on the PATH that exist and fail.
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

usable() { new_enough "$1" && { [ -n "$uv" ] || can_make_venvs "$1"; }; }

find_python() {
  local name found
  for name in python3.13 python3.12 python3.11 python3 python; do
    # All of that name on the PATH, not the first alone: behind a failing shim there may be a real one.
    while IFS= read -r found; do
      if usable "$found"; then printf '%s\n' "$found"; return 0; fi
    done < <(type -ap "$name")
  done
}

python=${PYTHON:-}
if [ -n "$python" ]; then
  new_enough "$python" || die "PYTHON=$python does not run, or is older than 3.11."
  usable "$python" || die "PYTHON=$python has no venv module with pip (Debian: apt-get install python3-venv), and uv is not installed."
else
  python=$(find_python)
fi
if [ -z "$python" ] && [ -z "$uv" ]; then
  die "Sluicegate needs Python 3.11 or newer, and none was found on the PATH (tried python3.13, 3.12, 3.11, python3, python)." \
      "Install one (on Debian together with python3-venv), or name it: make env PYTHON=/path/to/python3.12"
fi

# An environment that uv made has no pip: without uv it can only be made again.
good() { new_enough "$venv/bin/python" && { [ -n "$uv" ] || "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; }; }

[ ! -e "$venv/.incomplete" ] || rm -rf "$venv"
if ! good; then
  rm -rf "$venv"
  mkdir -p "$venv"
  : >"$venv/.incomplete"
  if [ -n "$uv" ]; then
    say "making $venv with uv"
    # The folder holds the marker already, so uv is told that it may go on in it. No interpreter found: uv looks for one.
    "$uv" venv --quiet --allow-existing --python "${python:->=3.11}" "$venv"
  else
    say "making $venv with $python"
    "$python" -m venv "$venv"
  fi
fi
: >"$venv/.incomplete"

say "installing $(grep -c '^[a-z0-9].*==' "$pins") pinned packages of $pins"
if [ -n "$uv" ]; then
  # Nothing but pins that are named, with the hashes beside them. A tool beyond the set stays: the demo's set is a part of dev's.
  "$uv" pip install --quiet --python "$venv/bin/python" --require-hashes --requirement "$pins"
  "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
else
  pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input)
  "${pip[@]}" install --quiet --require-hashes --requirement "$pins"
  "${pip[@]}" install --quiet --no-deps --no-build-isolation --editable .
fi
rm -f "$venv/.incomplete"
