"""Traces as a collector gets them: what a request led to, over the job to the calls of the provider."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sluicegate.core import tracing
from sluicegate.core.errors import ConfigurationError
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.moto_server import ACCESS_KEY, SECRET_KEY, MotoServer

CREATE = """mutation($project: ID!, $bucket: String!, $endpoint: String!, $id: String!, $secret: String!) {
  createStorage(input: {projectId: $project, useBlobUrls: true, provider: {s3: {bucket: $bucket, s3Endpoint: $endpoint,
    regionName: "us-east-1", awsAccessKeyId: $id, awsSecretAccessKey: $secret}}}) {
    storage { id } errors { message } } }"""
SYNC = "mutation($id: ID!) { syncStorage(input: {id: $id}) { job { id } errors { message } } }"
WATCH = "subscription($id: ID!) { job(id: $id) { status } }"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass
class Collector:
    """Takes spans over OTLP/HTTP. `broken`: it answers nothing but errors."""

    url: str = ""
    broken: bool = False
    spans: list[Any] = field(default_factory=list)
    raw: bytes = b""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.broken:
            return web.Response(status=400)
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return web.Response()

    def of(self, trace: str) -> list[Any]:
        """Those of a trace, in the order of their start."""
        found = [span for span in self.spans if span.trace_id.hex() == trace]
        return sorted(found, key=lambda span: span.start_time_unix_nano)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    yield collector
    await runner.cleanup()


async def synced(gateway: RunningGateway, moto: MotoServer, bucket: str, headers: dict[str, str]) -> None:
    project = (await gateway.data('mutation { createProject(input: {name: "p"}) { project { id } } }'))["createProject"]
    values = {"project": project["project"]["id"], "bucket": bucket, "endpoint": moto.endpoint}
    made = await gateway.data(CREATE, {**values, "id": ACCESS_KEY, "secret": SECRET_KEY})
    storage = made["createStorage"]["storage"]["id"]
    body = {"query": SYNC, "variables": {"id": storage}}
    answer = await gateway.http.post("/graphql", json=body, headers={**gateway.headers(), **headers})
    job = answer.json()["data"]["syncStorage"]["job"]["id"]
    statuses = [each["data"]["job"]["status"] async for each in gateway.subscribe(WATCH, {"id": job})]
    assert statuses[-1] == "COMPLETED"


async def test_a_sync_is_one_trace_from_the_request_to_the_bucket(
    collector: Collector, moto: MotoServer, bucket: str
) -> None:
    moto.put(bucket, {"folder-of-a-tenant/a.png": b"1"})
    async with running_gateway(traces_url=collector.url, allowed_endpoints="127.0.0.1") as gateway:
        await synced(gateway, moto, bucket, {"traceparent": f"00-{TRACE}-{PARENT}-01"})
    request, job, *calls = collector.of(TRACE)
    assert (request.name, request.parent_span_id.hex()) == ("POST /graphql", PARENT)
    told = {each.key: each.value.string_value or each.value.int_value for each in request.attributes}
    assert told == {"http.request.method": "POST", "graphql.operation.type": "mutation"}
    assert (job.name, job.parent_span_id) == ("SYNC_STORAGE", request.span_id)
    assert calls
    assert {(call.name, call.parent_span_id) for call in calls} == {("GET", job.span_id)}
    assert not any(span.status.code for span in (request, job, *calls))
    for told_to_nobody in (b"folder-of-a-tenant", SECRET_KEY.encode(), ACCESS_KEY.encode(), b"X-Amz", b"sg_"):
        assert told_to_nobody not in collector.raw


async def test_a_collector_that_fails_costs_traces_and_no_more(
    collector: Collector, moto: MotoServer, bucket: str
) -> None:
    collector.broken = True
    async with running_gateway(traces_url=collector.url, allowed_endpoints="127.0.0.1") as gateway:
        await synced(gateway, moto, bucket, {})
    assert collector.spans == []


async def test_what_fails_is_marked_by_the_type_of_its_error_alone(collector: Collector) -> None:
    end = tracing.configure(collector.url)

    def fail() -> None:
        with tracing.span("job", "CONSUMER"):
            assert tracing.ids()["trace_id"] in (tracing.traceparent() or "")
            raise ValueError("a secret")

    with pytest.raises(ValueError, match="a secret"):
        fail()
    await asyncio.to_thread(end)
    (span,) = collector.spans
    assert span.status.code == 2
    assert {each.key: each.value.string_value for each in span.attributes} == {"error.type": "ValueError"}
    assert b"a secret" not in collector.raw


def test_without_a_collector_nothing_is_traced() -> None:
    with tracing.span("job", "CONSUMER", parent=f"00-{TRACE}-{PARENT}-01"):
        tracing.note(failed=True, a="b")
        assert (tracing.traceparent(), tracing.ids(), tracing.of_client()) == (None, {}, [])


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError) as caught:
        tracing.configure("http://127.0.0.1:1/v1/traces")
    assert "sluicegate[otel]" in (caught.value.hint or "")
