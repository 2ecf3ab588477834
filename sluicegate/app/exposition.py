"""`/metrics`: the process's counters, and the state of the gateway at the moment of asking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from models import stats
from models.database import ALL
from sluicegate.app.parts import Gateway
from sluicegate.core.metrics import REGISTRY


async def render(gateway: Gateway, accept: str) -> tuple[bytes, str]:
    """The exposition in the format that the scraper prefers, and its content type."""
    async with gateway.services.database.read(ALL) as session:
        jobs = await stats.unfinished_jobs(session)
    encode, content_type = choose_encoder(accept)
    state = CollectorRegistry(auto_describe=False)
    state.register(_State(gateway, jobs))
    return encode(_Both(REGISTRY, state)), content_type


@dataclass(frozen=True, slots=True)
class _Both:
    """Two registries as one."""

    first: CollectorRegistry
    second: CollectorRegistry

    def collect(self) -> Iterable[Metric]:
        yield from self.first.collect()
        yield from self.second.collect()


class _State(Collector):
    """What is true of one gateway now."""

    def __init__(self, gateway: Gateway, jobs: dict[tuple[str, str], int]) -> None:
        self._gateway = gateway
        self._jobs = jobs

    def collect(self) -> Iterable[Metric]:
        unfinished = GaugeMetricFamily("sluicegate_jobs", "Unfinished jobs.", labels=["job_class", "status"])
        for (job_class, status), number in sorted(self._jobs.items()):
            unfinished.add_metric([job_class, status], number)
        yield unfinished
        jobs = self._gateway.services.jobs
        yield GaugeMetricFamily("sluicegate_jobs_running", "Jobs that run in this process.", value=jobs.running)
        yield CounterMetricFamily("sluicegate_jobs_started", "Runs begun in this process.", value=jobs.started)
        used = GaugeMetricFamily("sluicegate_database_connections_used", "Connections in use.", labels=["pool"])
        size = GaugeMetricFamily("sluicegate_database_connections_limit", "Connections there may be.", labels=["pool"])
        for pool in stats.pools(self._gateway.services.database):
            used.add_metric([pool.name], pool.used)
            size.add_metric([pool.name], pool.size)
        yield from (used, size)
        yield from self._events()
        yield GaugeMetricFamily("sluicegate_draining", "1 while the gateway ends.", value=self._gateway.draining)

    def _events(self) -> Iterable[Metric]:
        hub = self._gateway.services.hub.stats
        yield GaugeMetricFamily("sluicegate_hub_watchers", "Open watches of this process.", value=hub.watchers)
        yield GaugeMetricFamily("sluicegate_hub_keys", "Rows that are watched.", value=hub.keys)
        yield GaugeMetricFamily("sluicegate_hub_connected", "1 while the channel is heard.", value=hub.connected)
        for name, text, value in (
            ("published", "States published.", hub.published),
            ("received", "Messages that the channel brought.", hub.received),
            ("delivered", "States that readers took.", hub.delivered),
            ("coalesced", "States that a newer one replaced before they were taken.", hub.coalesced),
            ("malformed", "Messages that could not be read.", hub.malformed),
            ("reconnects", "Times that the channel was heard again after it was lost.", hub.reconnects),
            ("resyncs", "Times that the watched rows were read again.", hub.resyncs),
        ):
            yield CounterMetricFamily(f"sluicegate_hub_{name}", text, value=value)
