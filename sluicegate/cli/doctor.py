"""`sluicegate doctor`: looks at every part, says what is wrong and how to mend it. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from sluicegate.cli import checkup_installation as installation
from sluicegate.cli import checkup_state as state
from sluicegate.cli.config import configure_logging, load_settings
from sluicegate.cli.findings import Finding, Level, bad
from sluicegate.cli.output import CommandFailedError, print_json, stdout
from sluicegate.core.errors import ConfigurationError, SluicegateError
from sluicegate.settings import Settings

Check = Callable[[Settings], Iterator[Finding] | AsyncIterator[Finding]]

CHECKS: dict[str, Check] = {
    "python": installation.python,
    "import name": installation.import_name,
    "settings": installation.settings,
    "data directory": state.data_directory,
    "database": state.database,
    "secret key": state.secret_key,
    "events": state.events,
    "endpoints": state.reach,
    "providers": installation.providers,
    "graphiql": installation.graphiql,
}
_MARKS = {Level.OK: "[green]ok[/]     ", Level.WARNING: "[yellow]warning[/]", Level.ERROR: "[bold red]error[/]  "}


def doctor(*, data_dir: Path | None, as_json: bool) -> None:
    """Prints what each check finds. Raises CommandFailedError when one finds an error."""
    findings = asyncio.run(examine(data_dir))
    errors = sum(finding.level is Level.ERROR for finding in findings)
    if as_json:
        print_json({"ok": not errors, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    if errors:
        raise CommandFailedError(f"{errors} of the checks found an error.")


async def examine(data_dir: Path | None) -> list[Finding]:
    """Everything that is found. A check that fails is a finding too, and the others go on."""
    try:
        settings = load_settings(data_dir=data_dir)
    except ConfigurationError as error:
        return [bad("settings", error.message, error.hint)]
    configure_logging(settings, quiet=True)
    return [finding for name, check in CHECKS.items() for finding in await _run(name, check, settings)]


async def _run(name: str, check: Check, settings: Settings) -> list[Finding]:
    found: list[Finding] = []
    try:
        results = check(settings)
        if isinstance(results, AsyncIterator):
            found.extend([finding async for finding in results])
        else:
            found.extend(results)
    except SluicegateError as error:
        found.append(bad(name, error.message, error.hint))
    except Exception as error:  # noqa: BLE001 - the doctor looks at what is broken
        found.append(bad(name, f"The check itself failed: {type(error).__name__}: {error}"))
    return found


def _print(findings: list[Finding]) -> None:
    console = stdout()
    for finding in findings:
        console.print(_MARKS[finding.level], end=" ")
        console.print(f"{finding.part:<15} {finding.detail}", markup=False, highlight=False)
        if finding.hint and finding.level is not Level.OK:
            console.print(f"{'':<23} {finding.hint}", markup=False, highlight=False)
