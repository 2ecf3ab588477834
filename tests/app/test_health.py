"""What operators and their tools ask of a gateway."""

import asyncio

import httpx
import pytest
import websockets
from prometheus_client.parser import text_string_to_metric_families

from resolvers.operator_keys import issue_key
from sluicegate.core.actors import Scope
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

PARTS = {"database", "migrations", "events", "jobs", "gateway"}


async def ready(gateway: RunningGateway) -> httpx.Response:
    """The answer of /readyz once it is 200."""
    async with asyncio.timeout(20):
        while (answer := await gateway.http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.02)
    return answer


async def test_a_started_gateway_lives_and_is_ready(database_url: str) -> None:
    async with running_gateway(database_url=database_url) as gateway:
        alive = await gateway.http.get("/healthz")
        assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
        answer = await ready(gateway)
        assert answer.status_code == 200
        assert answer.json() == {"status": "ready", "checks": dict.fromkeys(PARTS, "ok")}


async def test_without_a_worker_the_jobs_are_no_condition() -> None:
    async with running_gateway(worker=False) as gateway:
        answer = await gateway.http.get("/readyz")
        assert answer.status_code == 200
        assert set(answer.json()["checks"]) == PARTS - {"jobs"}


@pytest.mark.slow
async def test_a_database_that_dies_makes_it_unready_until_it_is_back() -> None:
    with PostgresServer() as server:
        async with running_gateway(database_url=server.url(), worker=False) as gateway:
            assert (await gateway.http.get("/readyz")).status_code == 200
            await asyncio.to_thread(server.kill)
            answer = await gateway.http.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["checks"]["database"] in ("failed", "timeout")
            assert str(server.port) not in answer.text
            assert (await gateway.http.get("/healthz")).status_code == 200
            await asyncio.to_thread(server.start)
            await ready(gateway)


@pytest.mark.slow
async def test_without_its_event_channel_it_is_degraded_but_ready() -> None:
    with ValkeyServer() as server:
        async with running_gateway(events_url=server.url, worker=False) as gateway:
            assert (await gateway.http.get("/readyz")).json()["status"] == "ready"
            await asyncio.to_thread(server.kill)
            await until_events(gateway, "disconnected")
            answer = await gateway.http.get("/readyz")
            assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
            assert str(server.port) not in answer.text
            await asyncio.to_thread(server.start)
            await until_events(gateway, "ok")
            metrics = (await gateway.http.get("/metrics")).text
            assert "sluicegate_hub_reconnects_total 1.0" in metrics
            assert "sluicegate_hub_connected 1.0" in metrics
            assert "sluicegate_hub_echo_seconds_bucket" in metrics


async def until_events(gateway: RunningGateway, state: str) -> None:
    async with asyncio.timeout(30):
        while (await gateway.http.get("/readyz")).json()["checks"]["events"] != state:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.02)


async def test_while_it_drains_it_is_not_ready_but_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_gateway() as gateway:
        await ready(gateway)
        handing_over = asyncio.Event()
        close = gateway.services.jobs.close

        async def slow_close(*, within: float) -> None:
            await handing_over.wait()
            await close(within=within)

        monkeypatch.setattr(gateway.services.jobs, "close", slow_close)
        gateway.server.drain()
        answer = await gateway.http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["gateway"] == "draining"
        assert (await gateway.data("{ viewer { namespace { name } } }"))["viewer"]
        handing_over.set()


async def test_sockets_are_told_that_the_gateway_ends() -> None:
    async with running_gateway() as gateway:
        address = gateway.url.replace("http", "ws") + "/graphql"
        protocol = websockets.Subprotocol("graphql-transport-ws")
        async with websockets.connect(address, subprotocols=[protocol]) as socket:
            gateway.server.drain()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012  # Service Restart: clients of the protocol connect again


async def test_metrics_count_what_happens_and_their_labels_are_bounded() -> None:
    async with running_gateway() as gateway:
        before = await samples(gateway)
        await gateway.data("{ viewer { namespace { name } } }")
        for number in range(20):
            await gateway.http.get(f"/made-up/{number}")
            await gateway.http.request(f"MADEUP{number}", "/graphql")
        after = await samples(gateway)
    name = "sluicegate_http_request_duration_seconds_count"
    served = (("method", "POST"), ("route", "graphql"), ("status", "2xx"))
    assert after[name, served] - before.get((name, served), 0) == 1
    new = {labels for found, labels in after if found == name} - {labels for found, labels in before if found == name}
    assert len(new) <= 4
    assert not any("made" in value.lower() for labels in new for _, value in labels)
    gauges = {found for found, _ in after}
    assert {"sluicegate_hub_watchers", "sluicegate_database_connections_used", "sluicegate_jobs_running"} <= gauges


async def samples(gateway: RunningGateway) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of /metrics by its name and labels."""
    answer = await gateway.http.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "203.0.113.7"}, {"Forwarded": "for=203.0.113.7"}, {"Host": "attacker.example"}],
    ids=["proxied", "proxied by RFC 7239", "a name that was made to resolve to us"],
)
async def test_metrics_want_an_admin_key_from_all_but_direct_local_programs(headers: dict[str, str]) -> None:
    async with running_gateway() as gateway:
        reader = await issue_key(gateway.services.database, name="reader", scopes=[Scope.READ])
        answers = [
            (await gateway.http.get("/metrics", headers={**headers, **gateway.headers(key)})).status_code
            for key in ("", "sg_not_a_key_of_this_gateway", reader.secret, gateway.key)
        ]
        assert answers == [401, 401, 403, 200]
