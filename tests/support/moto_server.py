"""moto's S3 (and STS, SQS) on a port of 127.0.0.1 in this process, filled without going through HTTP.

It checks no signatures and refuses a few keys that S3 allows (a newline in a PUT): `seaweed` is there for these.
"""

from collections.abc import Mapping
from typing import Self
from uuid import uuid4

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.s3.models import S3Backend, s3_backends

REGION = "us-east-1"
# moto takes any pair; these look like the real thing, so that code which checks their form is content.
ACCESS_KEY = "AKIDMOTOMOTOMOTO0000"
SECRET_KEY = "not-a-secret-but-a-test-fixture-111111111"


class MotoServer:
    """One server; its buckets outlive `stop` and `start`, as a real one's would."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._server: ThreadedMotoServer | None = None
        self._port = 0

    def __enter__(self) -> Self:
        """Starts the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the server and forgets every bucket."""
        self.stop()
        self._backend.reset()

    @property
    def endpoint(self) -> str:
        """Where it speaks S3: path style, over plain HTTP."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listens, on the port of before when it was stopped."""
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        """Stops listening: clients are refused from now on."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def create_bucket(self, name: str | None = None) -> str:
        """A new, empty bucket, with a name of its own unless one is given."""
        name = name or f"bucket-{uuid4().hex}"
        self._backend.create_bucket(name, REGION)
        return name

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Writes the objects by key, replacing those that are there."""
        for key, body in objects.items():
            self._backend.put_object(bucket, key, body, disable_notification=True)

    def delete(self, bucket: str, *keys: str) -> None:
        """Deletes the objects with these keys; those that are not there are passed over."""
        for key in keys:
            self._backend.delete_object(bucket, key)

    def keys(self, bucket: str) -> list[str]:
        """Every key in the bucket, sorted by UTF-8 bytes as S3 lists them."""
        return sorted(self._backend.get_bucket(bucket).keys.keys(), key=str.encode)

    @property
    def _backend(self) -> S3Backend:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
