"""Runs every benchmark and writes benchmarks/RESULTS.md: python -m benchmarks (about fifteen minutes).

Each benchmark is a process of its own, measures CPU time and prints its baseline from the same run: machines differ and
are shared, ratios hold.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
RUNS = (
    ("A sync through the whole gateway", ("sync", "--million")),
    ("What a configuration adds", ("configs",)),
    ("Listing a bucket", ("listing",)),
    ("Reading small objects", ("reading",)),
    ("Reading large tables", ("tables",)),
    ("Writing the catalogue on PostgreSQL", ("catalogue",)),
    ("GraphQL requests", ("graphql",)),
    ("Live deliveries", ("fanout",)),
    ("Subscribers over WebSocket", ("subscribers",)),
    ("When the event channel fails", ("outage",)),
    ("Schedules", ("schedule",)),
    ("From a job to its run", ("pickup",)),
)
HEAD = """# Measured

Written by `python -m benchmarks`; each part names its command. CPU time is what counts: wall-clock figures are of a
shared machine. {machine}.
"""


def main() -> int:
    """Writes the results; returns the number of benchmarks that failed."""
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    parts = [HEAD.format(machine=machine)]
    failed = 0
    for title, (module, *arguments) in RUNS:
        command = ["-m", f"benchmarks.{module}", *arguments]
        print(f"python {' '.join(command)}", flush=True)
        run = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, check=False)
        print(run.stdout, flush=True)
        failed += run.returncode != 0
        lines = "\n".join(line.rstrip() for line in run.stdout.strip().splitlines())
        parts.append(f"\n## {title}\n\n`python {' '.join(command)}`\n\n```\n{lines}\n```\n")
    if not failed:
        RESULTS.write_text("".join(parts), encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
