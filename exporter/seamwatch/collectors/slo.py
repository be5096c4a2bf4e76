"""SLOs: what is promised and how many slices of time were good, bad, unknown or not counted."""

from __future__ import annotations

from collections.abc import Iterator

from seamwatch.collectors.sample import Sample
from seamwatch.slo import Why
from seamwatch.snapshot import Snapshot


def slo_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield the counters of every SLO that has an objective, all of them from zero.

    seamwatch_slo_info{page="true",pipeline="support",slo="end_to_end",team="platform"} 1.0
    seamwatch_slo_min_bad_events{pipeline="support",slo="end_to_end"} 5.0
    seamwatch_slo_events_total{pipeline="support",slo="end_to_end"} 2880.0
    seamwatch_slo_bad_events_total{pipeline="support",slo="end_to_end"} 3.0
    seamwatch_slo_unknown_events_total{pipeline="support",reason="stale",slo="end_to_end"} 1.0
    seamwatch_slo_maintenance_events_total{pipeline="support",slo="end_to_end"} 0.0
    seamwatch_pipeline_maintenance{pipeline="support"} 0.0
    seamwatch_pipeline_silent_failure_seconds_total{pipeline="support"} 90.0
    """
    if snapshot.slos is None:
        return
    name, team, ledger = snapshot.pipeline.name, snapshot.pipeline.owner, snapshot.slos.ledger
    yield "seamwatch_pipeline_maintenance", (name,), float(ledger.in_maintenance)
    yield "seamwatch_pipeline_silent_failure_seconds_total", (name,), ledger.silent_seconds
    for slo, promise in snapshot.slos.promises.items():
        one, counts = (name, slo), ledger.counts[slo]
        page = "true" if promise.page else "false"
        yield "seamwatch_slo_info", (*one, team, page), 1.0
        yield "seamwatch_slo_min_bad_events", one, promise.min_bad_events
        yield "seamwatch_slo_events_total", one, counts.events
        yield "seamwatch_slo_bad_events_total", one, counts.bad
        for why in Why:
            count = counts.unknown.get(why, 0)
            yield "seamwatch_slo_unknown_events_total", (*one, why.value), count
        yield "seamwatch_slo_maintenance_events_total", one, counts.maintenance
