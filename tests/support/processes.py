"""Child processes that tests start, wait for, kill and start again."""

import re
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

# Enough to see why a server did not start; a chatty one must not fill the memory of a long run.
LOG_LINES = 5_000


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on right now, for servers that cannot be told to pick one (port 0).

    Another process may take it before the server does: starting such a server is tried again with another port.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """A process in a session of its own, whose output is read line by line so that tests wait for what it says."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        """Starts it. `env` replaces the environment; `user` is the uid (and its groups none) to run as."""
        self.argv = [str(part) for part in argv]
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._news = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            self.argv,
            cwd=cwd,
            env=None if env is None else dict(env),
            user=user,
            extra_groups=None if user is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {self.argv[0]}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative when a signal ended it; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """The last lines it wrote, standard output and error together."""
        with self._news:
            return "".join(self._lines)

    def wait_for(self, pattern: str, seconds: float = 30) -> str:
        """The first line it wrote that the pattern is found in, waiting for it.

        Raises `RuntimeError`, with its output, when it ends or the time is over before that.
        """
        wanted = re.compile(pattern)

        def found() -> str | None:
            return next((line for line in self._lines if wanted.search(line)), None)

        with self._news:
            self._news.wait_for(lambda: self._ended or found() is not None, seconds)
            line = found()
        if line is None:
            raise RuntimeError(f"{self.argv[0]} did not say {pattern!r} within {seconds} s:\n{self.output}")
        return line

    def send(self, number: signal.Signals) -> None:
        """Sends the signal to the process alone; nothing when it has ended."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Its exit code once it has ended. Raises `subprocess.TimeoutExpired`."""
        code = self._process.wait(seconds)
        self._reader.join(seconds)
        return code

    def stop(self, seconds: float = 15, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end, kills it when it does not within the time, and gives its exit code."""
        self.send(number)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL to it and to all that it started, and waits for their end.

        Not by process group: PostgreSQL puts each of its children into one of its own.
        """
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.pid).children(recursive=True)
        self._process.kill()
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(family, timeout=10)
        return self.wait()

    @staticmethod
    def runs(pid: int) -> bool:
        """Whether there is a process of this id that has not ended."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return False

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with stream:
            for line in stream:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
