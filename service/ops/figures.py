"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.settings import Settings
from service.store import jobs, queue, workers
from service.store.engine import Database
from service.store.errors import StoreUnavailable
from service.store.transitions import STATES
from service.store.types import utcnow

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Figures:
    """The figures of one application; nothing is shared with others in the process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "spikesmith_http_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._durations = Histogram(
            "spikesmith_http_request_duration_seconds",
            "Time to answer; event streams until they end.",
            ["route", "method"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_StoreFigures(database, settings))

    def report(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._durations.labels(route, method).observe(seconds)

    def render(self) -> bytes:
        return generate_latest(self._registry)


class _StoreFigures(Collector):
    """Read from the store when somebody asks, so that every API process says the same."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._timeout_s = settings.worker_timeout_s

    def describe(self) -> Iterator[Metric]:
        return iter(())  # otherwise registering would already look into the store

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("spikesmith_store_up", "Whether the database answers.")
        try:
            with self._database.read() as session:
                now = utcnow()
                counts = jobs.count_by_state(session)
                oldest = queue.oldest_queued_at(session)
                alive = workers.count_alive(session, now, self._timeout_s)
        except StoreUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        by_state = GaugeMetricFamily("spikesmith_jobs", "Jobs by state.", labels=["state"])
        for state in STATES:
            by_state.add_metric([state], counts.get(state, 0))
        yield by_state
        age = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
        yield GaugeMetricFamily("spikesmith_queue_age_seconds", "Wait of the longest queued job.", value=age)
        yield GaugeMetricFamily("spikesmith_workers_alive", "Workers heard of lately.", value=alive)
