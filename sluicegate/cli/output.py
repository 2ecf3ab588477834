"""How commands speak: results on standard output, all else on standard error, exit codes for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sluicegate.core.errors import ConfigurationError, SluicegateError

if TYPE_CHECKING:
    from rich.console import Console

EXIT_FAILED = 1
EXIT_USAGE = 2  # click's own
EXIT_CONFIGURATION = 3
EXIT_UNREACHABLE = 4
EXIT_WITH_ERRORS = 5
EXIT_INTERRUPTED = 130


class UnreachableError(SluicegateError):
    """The gateway does not answer."""


class CommandFailedError(SluicegateError):
    """What was asked for did not come out well; `code` is the exit code."""

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def run(command: Callable[[], object]) -> int:
    """Runs the command line and returns its exit code; errors of ours become a message and a hint."""
    try:
        command()
    except SluicegateError as error:
        complain(error.message, error.hint)
        return exit_code(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output, `head` for one, has gone
        sys.stderr.close()
        return EXIT_FAILED
    except Exception as error:
        from models.outages import is_outage  # loads the database's library, which most commands do without

        if not is_outage(error):
            raise
        complain(
            "The database cannot be used now.", "Check SLUICEGATE_DATABASE_URL, that the server runs, and its disk."
        )
        return EXIT_FAILED
    return 0


def exit_code(error: SluicegateError) -> int:
    """The exit code of an error that ends a command."""
    if isinstance(error, CommandFailedError):
        return error.exit_code
    if isinstance(error, UnreachableError):
        return EXIT_UNREACHABLE
    return EXIT_CONFIGURATION if isinstance(error, ConfigurationError) else EXIT_FAILED


def complain(message: str, hint: str | None = None) -> None:
    """An error, and what to do about it, on standard error."""
    console = stderr()
    console.print("[bold red]Error:[/]", end=" ")
    console.print(message, markup=False, highlight=False)
    if hint:
        console.print(hint, markup=False, highlight=False)


def stdout() -> Console:
    """Standard output for people: coloured on a terminal alone, long lines of files left whole."""
    from rich.console import Console

    return Console(soft_wrap=True)


def stderr() -> Console:
    """Standard error for people."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


def print_json(value: Any) -> None:
    """A result for a script: one JSON value on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")
