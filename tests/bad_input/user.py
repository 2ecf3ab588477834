"""A user of a gateway who gets things wrong, and hears everything that the gateway says.

Every answer and every log line is kept and searched for the secrets that were used: whatever goes wrong, none is there.
"""

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from tests.support.gateway import GraphQLClient

PATIENCE_SECONDS = 60.0
ERRORS = """errors { __typename code message path ... on ProviderError { provider providerCode hint }
  ... on AlreadyRunningError { job { id status } } }"""
WARNINGS = "warnings { code message path }"
SYNC_STATE = """phase listingComplete objectsFound objectsFiltered objectsUnchanged objectsSynced objectsFailed
  objectsMissing lastErrors { path row kind message }"""
JOB = f"""id status revision retryCount error {{ type message providerCode hint }}
  ... on SyncJob {{ sync {{ {SYNC_STATE} }} storage {{ id status traceback }} }}"""

CREATE = f"""mutation($input: CreateStorageInput!) {{
  createStorage(input: $input) {{ storage {{ id }} {WARNINGS} {ERRORS} }} }}"""
UPDATE = f"""mutation($input: UpdateStorageInput!) {{
  updateStorage(input: $input) {{ storage {{ id }} {WARNINGS} {ERRORS} }} }}"""
VALIDATE = f"""mutation($input: ValidateStorageInput!) {{ validateStorage(input: $input) {{
  ok checks {{ name status detail providerCode hint }} {WARNINGS} {ERRORS} }} }}"""
PREVIEW = f"""mutation($input: PreviewStorageInput!) {{ previewStorage(input: $input) {{
  items {{ path imported filteredBy }} listed complete filtered {{ rule objects }} {WARNINGS} {ERRORS} }} }}"""
SYNC = f"mutation($input: SyncStorageInput!) {{ syncStorage(input: $input) {{ job {{ {JOB} }} {ERRORS} }} }}"
SIGNAL = f"""mutation($id: ID!, $signal: JobSignal!) {{
  signalJob(input: {{id: $id, signal: $signal}}) {{ job {{ id status }} {ERRORS} }} }}"""
WATCH = f"subscription($id: ID!) {{ job(id: $id) {{ {JOB} }} }}"
OBJECTS = """query($id: ID!, $after: String) { project(id: $id) { objects(first: 1000, after: $after) {
  pageInfo { hasNextPage endCursor } nodes { id status path row sizeBytes mimeType data url sourceObjectId } } } }"""

_SIGNATURE = re.compile(r"[?&](?:X-Amz-Signature|link)=([\w-]+)")


def made_up_secret() -> str:
    """40 characters, as a secret access key has, which occur nowhere else."""
    return secrets.token_hex(20)


@dataclass
class User:
    """Talks to one gateway with one key. `secrets`: what must never come out; `heard`: all that it answered."""

    gateway: GraphQLClient
    secrets: set[str] = field(default_factory=set[str])
    heard: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.secrets.add(self.gateway.key)

    async def ask(self, query: str, *, key: str | None = None, **variables: Any) -> dict[str, Any]:
        """The whole answer."""
        self._note(variables)
        answer = await self.gateway.graphql(query, variables, key=key)
        self.heard.append(json.dumps(answer, ensure_ascii=False))
        return answer

    async def data(self, query: str, *, key: str | None = None, **variables: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = await self.ask(query, key=key, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def project(self) -> str:
        """A new project's id."""
        made = await self.data('mutation { createProject(input: {name: "bad input"}) { project { id } } }')
        return made["createProject"]["project"]["id"]

    async def try_storage(self, provider: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """The answer of createStorage."""
        project = more.pop("projectId", None) or await self.project()
        return (await self.data(CREATE, input={"projectId": project, "provider": provider, **more}))["createStorage"]

    async def storage(self, provider: Mapping[str, Any], **more: Any) -> str:
        """A new storage's id."""
        made = await self.try_storage(provider, **more)
        assert made["errors"] == [], made["errors"]
        return made["storage"]["id"]

    async def validate(self, **given: Any) -> dict[str, Any]:
        """The answer of validateStorage."""
        return (await self.data(VALIDATE, input=given))["validateStorage"]

    async def preview(self, storage: str, **more: Any) -> dict[str, Any]:
        """The answer of previewStorage."""
        return (await self.data(PREVIEW, input={"id": storage, **more}))["previewStorage"]

    async def try_sync(self, storage: str, **more: Any) -> dict[str, Any]:
        """The answer of syncStorage."""
        return (await self.data(SYNC, input={"id": storage, **more}))["syncStorage"]

    async def start(self, storage: str, **more: Any) -> str:
        """Starts a sync. The job's id."""
        started = await self.try_sync(storage, **more)
        assert started["errors"] == [], started["errors"]
        return started["job"]["id"]

    async def signal(self, job: str, signal: str) -> dict[str, Any]:
        """The answer of signalJob."""
        return (await self.data(SIGNAL, id=job, signal=signal))["signalJob"]

    async def until(self, job: str, *, status: str | None = None, counted: str | None = None) -> dict[str, Any]:
        """Watches a job until it has a status or this counter is above 0, or to its end. The last state seen."""
        state: dict[str, Any] = {}
        async with asyncio.timeout(PATIENCE_SECONDS), aclosing(self.gateway.subscribe(WATCH, {"id": job})) as events:
            async for payload in events:
                self.heard.append(json.dumps(payload, ensure_ascii=False))
                state = payload["data"]["job"]
                if state["status"] == status or (counted is not None and state["sync"][counted]):
                    break
        return state

    async def sync(self, storage: str, **more: Any) -> dict[str, Any]:
        """Syncs to the end. The last state of the job."""
        return await self.until(await self.start(storage, **more))

    async def objects(self, project: str) -> list[dict[str, Any]]:
        """All objects of a project."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = (await self.data(OBJECTS, id=project, after=after))["project"]["objects"]
            found += page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    def check_silence(self, log: str) -> None:
        """No secret was in an answer; none, and no signed link's signature, in the log."""
        answers = "\n".join(self.heard)
        for secret in self.secrets:
            assert secret not in answers
            assert secret not in log
        for signature in set(_SIGNATURE.findall(answers)):
            assert signature not in log

    def _note(self, variables: Any) -> None:
        """The secrets in what the user gives."""
        if isinstance(variables, Mapping):
            for name, value in variables.items():
                if name in ("awsSecretAccessKey", "awsSessionToken") and value:
                    self.secrets.add(value)
                self._note(value)


def s3(endpoint: str, bucket: str, *, secret: str | None = None, **more: Any) -> dict[str, Any]:
    """The connection of an S3 storage."""
    return {
        "s3": {
            "bucket": bucket, "s3Endpoint": endpoint, "regionName": "us-east-1", "awsAccessKeyId": "AKIDBADINPUT",
            "awsSecretAccessKey": secret or made_up_secret(), **more,
        }
    }  # fmt: skip


def counts(state: Mapping[str, Any]) -> dict[str, int]:
    """The counters of a job that are not 0, by their short names, `found` checked against the rest."""
    names = ("Filtered", "Unchanged", "Synced", "Failed", "Missing")
    sync = state["sync"]
    assert sync["objectsFound"] == sum(sync[f"objects{name}"] for name in names[:-1]), sync
    return {name.lower(): sync[f"objects{name}"] for name in names if sync[f"objects{name}"]}
