"""The data directory: closed to other users, held by one gateway at a time, home of the embedded mode's secret key."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from sluicegate.core.crypto import new_secret_key
from sluicegate.core.errors import ConfigurationError

DATABASE_FILE = "sluicegate.db"
SECRET_KEY_FILE = "secret.key"  # noqa: S105 - the file's name
FIRST_LINK_FILE = "first-link.txt"
LOCK_FILE = "lock"

_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600


class DataDirectory:
    """The directory of one gateway. Within `with` it is locked; the lock dies with the process.

    Raises ConfigurationError when it cannot be made or written, or when another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def database_url(self) -> str:
        """Where the embedded mode's SQLite database is."""
        return f"sqlite:///{self.path / DATABASE_FILE}"

    @property
    def key_file(self) -> Path:
        """Where the embedded mode's secret key is."""
        return self.path / SECRET_KEY_FILE

    def create(self) -> None:
        """Makes the directory, closed to other users, when there is none; one that is there keeps its mode."""
        try:
            self.path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The data directory {self.path} cannot be made: {error.strerror}.",
                hint="Give another with --data-dir or SLUICEGATE_DATA_DIR.",
            ) from None
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"The data directory {self.path} cannot be written by this user.",
                hint="Change its owner, or give another with --data-dir or SLUICEGATE_DATA_DIR.",
            )

    def __enter__(self) -> Self:
        self.create()
        handle = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise ConfigurationError(
                f"The data directory {self.path} is in use by another Sluicegate process ({self._holder()}).",
                hint="Stop that one, or give this one a directory of its own with --data-dir.",
            ) from None
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._lock = handle
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            with suppress(OSError):  # what it held is released when it is closed
                os.truncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def make_database(self) -> str:
        """The address of the embedded mode's database, whose empty file is made if there is none.

        SQLite would make it with the process's umask; its journals take the mode that the file has.
        """
        (self.path / DATABASE_FILE).touch(_PRIVATE_FILE)
        return self.database_url

    def holder(self) -> int | None:
        """The process id of the gateway that runs on this directory; None when there is none."""
        try:
            handle = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _number(os.pread(handle, 32, 0))
        finally:
            os.close(handle)
        return None

    def read_keys(self) -> list[str]:
        """The Fernet keys of the key file, newest first; none when there is no file."""
        try:
            text = self.key_file.read_text("ascii")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(
                f"The secret key {self.key_file} cannot be read.", hint="Does it belong to another user?"
            ) from None
        return split_keys(text)

    def write_keys(self, keys: list[str]) -> None:
        """Replaces the key file as a whole: after a crash it holds either these keys or those of before."""
        self.write_private(SECRET_KEY_FILE, "\n".join(keys) + "\n")

    def make_key(self) -> list[str]:
        """A new key, kept in the key file."""
        keys = [new_secret_key()]
        self.write_keys(keys)
        return keys

    def write_private(self, name: str, text: str) -> Path:
        """Writes a file that only this user can read, on the disk when this returns."""
        target = self.path / name
        temporary = target.with_name(f".{name}.new")
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        return target

    def _holder(self) -> str:
        number = self.holder()
        return "its number is not known" if number is None else f"pid {number}"


def split_keys(text: str) -> list[str]:
    """The keys of a comma or newline separated list, in order."""
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def _number(text: bytes) -> int | None:
    digits = text.strip()
    return int(digits) if digits.isdigit() else None
