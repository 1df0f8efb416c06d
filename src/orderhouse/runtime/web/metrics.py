"""Metrics as Prometheus reads them: how far readers are behind, and what waits in the queues, each asked for anew."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from orderhouse.kernel import clock
from orderhouse.kernel.clock import Instant
from orderhouse.runtime import queue
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.subscribers import Subscriber
from orderhouse.runtime.web.fastapi_edge import Edge, needs

_SECOND = 1_000_000


def routes(edge: Edge, subscribers: Sequence[Subscriber], databases: Sequence[Database]) -> APIRouter:
    """Return the route of the metrics of these readers, and of the queues in these databases."""
    router = edge.router("", "facts")

    @router.get(
        "/metrics",
        response_model=None,
        responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
        **needs("facts:read"),
    )
    async def get_metrics() -> Answer:
        """Get how far readers are behind and what waits in the queues, as Prometheus reads it."""
        gauges = _Gauges()
        for one in subscribers:
            await gauges.reader(one)
        for database in databases:
            await gauges.queues(database)
        return Answer(200, (("content-type", CONTENT_TYPE_LATEST),), gauges.text())

    return router


@dataclass(frozen=True, slots=True, eq=False)
class _Told(Collector):
    """What a registry tells that was made for one answer."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


class _Gauges:
    """What is told, with the label names of each."""

    def __init__(self) -> None:
        self._now = clock.now()
        reader, entry = ("reader", "log"), ("context", "queue", "state")
        self._lag = GaugeMetricFamily("orderhouse_reader_lag_facts", "Facts a reader has still to take.", labels=reader)
        self._unread = GaugeMetricFamily(
            "orderhouse_reader_oldest_unread_seconds", "Age of the oldest of them; 0 for none.", labels=reader
        )
        self._ok = GaugeMetricFamily("orderhouse_reader_ok", "1 while a reader goes on, 0 while not.", labels=reader)
        self._entries = GaugeMetricFamily("orderhouse_queue_entries", "Open and dead entries of a queue.", labels=entry)
        self._due = GaugeMetricFamily(
            "orderhouse_queue_oldest_due_seconds", "For how long the first of them has been due.", labels=entry
        )
        self._attempts = GaugeMetricFamily(
            "orderhouse_queue_attempts", "The most attempts at one of them.", labels=entry
        )

    async def reader(self, subscriber: Subscriber) -> None:
        """Add how far a reader has come."""
        standing, labels = await subscriber.standing(), (subscriber.name, subscriber.log.name)
        self._lag.add_metric(labels, standing.lag)
        self._unread.add_metric(labels, self._age(standing.oldest_at))
        self._ok.add_metric(labels, 0 if standing.trouble else 1)

    async def queues(self, database: Database) -> None:
        """Add what waits in a database's queues."""
        for kind, state, entries, due_at, attempts in await database.scan(queue.standings):
            labels = (database.name, kind, state)
            self._entries.add_metric(labels, entries)
            self._due.add_metric(labels, self._age(due_at))
            self._attempts.add_metric(labels, attempts)

    def _age(self, since: Instant | None) -> float:
        return 0.0 if since is None else max(0.0, (self._now - since) / _SECOND)

    def text(self) -> bytes:
        """Return all of it."""
        registry = CollectorRegistry()
        registry.register(_Told([self._lag, self._unread, self._ok, self._entries, self._due, self._attempts]))
        return generate_latest(registry)
