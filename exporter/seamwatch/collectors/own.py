"""What the exporter says of itself; few series, so prometheus-client writes them."""

from __future__ import annotations

import asyncio
import platform
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from seamwatch import __version__
from seamwatch.catalogue import OWN, Family

_LAG_EVERY = 1.0  # seconds between two looks at the event loop
_LAG_KEPT = 60  # looks; a spike between two scrapes stays visible


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How the store is doing, as asked at each scrape."""

    pending: int = 0  # writes that wait
    failures: Mapping[str, int] = field(default_factory=dict)  # reason -> refused writes
    last_success: float | None = None  # wall clock
    dropped: int | None = None  # writes given up; None: not counted


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What concerns all gates, as asked at each scrape."""

    leads: bool = True  # this process watches; another one on the same store does not
    common_cause: bool = False  # so many gates halted within a minute that one thing is behind it
    sequence: int = 0  # of the last row of the audit; 0: there is none
    digest: str = ""  # of that row


@dataclass(slots=True)
class PageFacts:
    """The size of the page; the exposition keeps it."""

    pipelines: int = 0
    series: int = 0
    size: int = 0  # bytes, uncompressed
    failures: int = 0  # snapshots that could not be rendered


class OwnMetrics(Collector):
    """Keeps the exporter's own figures and collects them for its own registry.

    *store* and *gates* are asked at each scrape, in the thread that makes the page; None: there
    are none.
    """

    def __init__(
        self,
        *,
        store: Callable[[], StoreHealth] | None = None,
        gates: Callable[[], GateFacts] | None = None,
    ) -> None:
        self.page = PageFacts()
        self.registry = CollectorRegistry(auto_describe=False)
        self._store = store
        self._gates = gates
        self._reload: bool | None = None
        self._reloaded_at: float | None = None
        self._scrape: float | None = None
        self._lags: deque[float] = deque(maxlen=_LAG_KEPT)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def reloaded(self, *, succeeded: bool, at: float) -> None:
        """Note that the configuration was read at *at* (wall clock), the first time too."""
        self._reload = succeeded
        if succeeded:
            self._reloaded_at = at

    def scraped(self, seconds: float) -> None:
        """Note how long a scrape took."""
        self._scrape = seconds

    def lagged(self, seconds: float) -> None:
        """Note that the event loop came late by *seconds*."""
        self._lags.append(seconds)

    async def watch_loop(self) -> None:
        """Measure how late the event loop comes, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY
            await asyncio.sleep(_LAG_EVERY)
            self.lagged(max(0.0, loop.time() - due))

    def describe(self) -> Iterable[Metric]:
        """Return the families without samples, so that registering collects nothing."""
        return [_family(family) for family in OWN]

    def collect(self) -> Iterator[Metric]:
        """Yield the families that something is known of.

        seamwatch_build_info{python="3.11.7",version="0.1.0"} 1.0
        seamwatch_pipelines 3.0
        seamwatch_config_last_reload_successful 1.0
        """
        values = self._values()
        for family in OWN:
            metric = _family(family)
            for labels, value in values[family.name].items():
                named = dict(zip(family.labels, labels, strict=True))
                metric.add_sample(family.name, named, value)
            if metric.samples:
                yield metric

    def _values(self) -> dict[str, dict[tuple[str, ...], float]]:
        store = self._store() if self._store is not None else None
        refused = store.failures if store else {}
        gates = self._gates() if self._gates is not None else None
        head: dict[tuple[str, ...], float] = {}
        if gates and gates.sequence:
            head = {(str(gates.sequence), gates.digest): 1.0}
        plain = {
            "seamwatch_pipelines": self.page.pipelines,
            "seamwatch_config_last_reload_successful": self._reload,
            "seamwatch_config_last_reload_success_timestamp_seconds": self._reloaded_at,
            "seamwatch_loop_lag_seconds": max(list(self._lags), default=None),
            "seamwatch_scrape_duration_seconds": self._scrape,
            "seamwatch_exposition_series": self.page.series,
            "seamwatch_exposition_bytes": self.page.size,
            "seamwatch_exposition_failures_total": self.page.failures,
            "seamwatch_leads": gates.leads if gates else None,
            "seamwatch_gates_common_cause": gates.common_cause if gates else None,
            "seamwatch_store_pending_writes": store.pending if store else None,
            "seamwatch_store_dropped_writes_total": store.dropped if store else None,
            "seamwatch_store_last_success_timestamp_seconds": store.last_success if store else None,
        }
        return {
            "seamwatch_build_info": {(__version__, platform.python_version()): 1.0},
            "seamwatch_audit_head_info": head,
            "seamwatch_store_failures_total": {
                (reason,): count for reason, count in sorted(refused.items())
            },
            **{name: {(): v} if v is not None else {} for name, v in plain.items()},
        }


def _family(family: Family) -> Metric:
    return Metric(family.base, family.help, family.kind, family.unit)
