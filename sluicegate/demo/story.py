"""The demo, step by step, through GraphQL alone: a storage, a sync, a change, and a sync that finds just that."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from sluicegate.cli.client import GatewayClient
from sluicegate.cli.output import CommandFailedError, stdout
from sluicegate.cli.progress import ProgressView, describe
from sluicegate.core.crypto import new_api_secret
from sluicegate.demo import files as demo_files
from sluicegate.demo import operations
from sluicegate.demo.bucket import REGION, Change, DemoBucket
from sluicegate.demo.files import RealFile, collect, records_of
from sluicegate.demo.gateway import serving
from sluicegate.demo.summary import Run, print_summary

if TYPE_CHECKING:
    from rich.console import Console

FILES = 2_400
RECORDS = 200
ADDED = 7
_FETCH_BYTES = 1_000_000


async def play(*, stop: bool, port: int) -> None:
    """Plays it all and takes it all down at the end. Raises CommandFailedError when a step does not come out right."""
    began = time.monotonic()
    console = stdout()
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluicegate-demo-")))
        key = new_api_secret()
        bucket = stack.enter_context(DemoBucket())
        files = collect(FILES + ADDED)
        if len(files) <= ADDED:
            raise CommandFailedError("This Python has no files to fill a bucket with.")
        records = records_of(files, RECORDS)
        filling = asyncio.create_task(bucket.fill([*files[:-ADDED], *records]))
        stack.callback(filling.cancel)
        url = await stack.enter_async_context(serving(home, port=port, key=key, allowed=bucket.address))
        size = await filling
        console.print(
            f"[bold]1[/] An S3 server on {bucket.endpoint}: {len(files) - ADDED:,} files of the packages that are "
            f"installed here, and {len(records):,} JSON files once more, to be read; {size / 1e6:.0f} MB.",
            highlight=False,
        )
        console.print(f"[bold]2[/] A gateway on {url}, with SQLite in a temporary directory.", highlight=False)
        client = await stack.enter_async_context(GatewayClient(url, key))
        await _Story(client, bucket, console).tell(files)
        console.print(f"Took {time.monotonic() - began:.0f} s.", highlight=False)
        # After `#`, a key is neither sent to a server nor kept in its logs; this one ends with the demo.
        console.print(f"GraphiQL: {url}/graphql#key={key}", highlight=False, markup=False)
        if not stop:
            console.print("Try it while the gateway runs. Ctrl-C ends the demo and removes all of it.")
            await asyncio.Event().wait()


@dataclass(slots=True)
class _Story:
    """The steps that a front end would take."""

    client: GatewayClient
    bucket: DemoBucket
    console: Console

    async def tell(self, files: list[RealFile]) -> None:
        project = await self._do(operations.CREATE_PROJECT, "createProject", "project", input={"name": "Demo"})
        storage = await self._create_storage(project["id"], "Files", prefix=demo_files.FILES, blobs=True)
        read = await self._create_storage(project["id"], "Records", prefix=demo_files.RECORDS, blobs=False)
        self.console.print(
            "[bold]3[/] createProject, and createStorage twice: the connections were tested; "
            f"{' and '.join(storage['credentialsSet'])} are encrypted and never come out.",
            highlight=False,
        )
        await self._validate(storage["id"])
        first = await self._sync(storage["id"], "5 syncStorage Files")
        records = await self._sync(read["id"], "6 syncStorage Records")
        change = await self.bucket.change(files[-ADDED:], files[:-ADDED])
        self.console.print(
            f"[bold]7[/] The bucket changes: {change.added} files added, {change.overwritten} overwritten, "
            f"{change.deleted} deleted.",
            highlight=False,
        )
        second = await self._sync(storage["id"], "8 syncStorage Files")
        _check(len(files) - ADDED, change, first, second)
        dataset = (await self.client.execute(operations.DATASET, {"id": project["id"]}))["project"]
        runs = {"files": first, "records": records, "files again": second}
        print_summary(self.console, runs, dataset["stats"])
        await self._fetch(dataset["objects"]["nodes"])

    async def _create_storage(self, project_id: str, title: str, *, prefix: str, blobs: bool) -> dict[str, Any]:
        connection = {
            "bucket": self.bucket.name,
            "prefix": prefix,
            "regionName": REGION,
            "s3Endpoint": self.bucket.endpoint,
            "awsAccessKeyId": self.bucket.access_key,
            "awsSecretAccessKey": self.bucket.secret_key,
        }
        return await self._do(
            operations.CREATE_STORAGE,
            "createStorage",
            "storage",
            input={"projectId": project_id, "title": title, "useBlobUrls": blobs, "provider": {"s3": connection}},
        )

    async def _validate(self, storage_id: str) -> None:
        answer = (await self.client.execute(operations.VALIDATE_STORAGE, {"id": storage_id}))["validateStorage"]
        marks = {"PASSED": "[green]✓[/]", "WARNING": "[yellow]![/]", "SKIPPED": "[dim]-[/]", "FAILED": "[red]✗[/]"}
        steps = ", ".join(f"{marks[check['status']]} {check['name']}" for check in answer["checks"])
        self.console.print(f"[bold]4[/] validateStorage: {steps}", highlight=False)
        if not answer["ok"]:
            raise CommandFailedError("The storage did not pass its validation.")

    async def _sync(self, storage_id: str, title: str) -> Run:
        began = time.monotonic()
        job = await self._do(operations.SYNC_STORAGE, "syncStorage", "job", id=storage_id)
        events = 0
        with ProgressView(self.console, title) as view:
            async for data in self.client.subscribe(operations.WATCH_JOB, {"id": job["id"]}):
                job = data["job"]
                events += 1
                view.show(job)
        if job["status"] != "COMPLETED":
            error: dict[str, Any] = job.get("error") or {}
            raise CommandFailedError(
                f"The sync ended {job['status']}: {error.get('message') or describe(job)}", hint=error.get("hint")
            )
        return Run(job, events, time.monotonic() - began)

    async def _fetch(self, images: list[dict[str, Any]]) -> None:
        """Opens the link of an object as a browser would: straight from the bucket, signed by the gateway."""
        if not images or not images[0]["url"]:
            return
        image = images[0]
        async with aiohttp.ClientSession() as session, session.get(image["url"]) as response:
            body = await response.content.read(_FETCH_BYTES)
        if response.status != 200 or len(body) != int(image["sizeBytes"]):
            raise CommandFailedError(f"The link of {image['path']} answered {response.status} with {len(body)} bytes.")
        self.console.print(
            f"An image by its signed link: {image['path']}, {len(body):,} bytes.", markup=False, highlight=False
        )

    async def _do(self, operation: str, field: str, thing: str, **variables: Any) -> dict[str, Any]:
        payload = (await self.client.execute(operation, variables))[field]
        for error in payload["errors"]:
            raise CommandFailedError(f"{field}: {error['message']}", hint=error.get("hint"))
        return payload[thing]


def _check(files: int, change: Change, first: Run, second: Run) -> None:
    """The second sync has to have found the change and nothing else."""
    changed = change.added + change.overwritten
    expected: Mapping[str, tuple[int, int]] = {
        "the first sync's files": (first.synced, files),
        "the changed files": (second.synced, changed),
        "the missing files": (second.missing, change.deleted),
        "the unchanged files": (second.unchanged, files - change.overwritten - change.deleted),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            raise CommandFailedError(f"The sync found {found:,} of {what}, not {wanted:,}.")
