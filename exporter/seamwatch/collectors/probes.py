"""What asking the live model costs, and who really answers."""

from __future__ import annotations

from collections.abc import Iterator

from seamwatch.collectors.sample import Distribution, Sample
from seamwatch.snapshot import PROBE_BUCKETS, Snapshot


def probe_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield durations, budget and identity of the model that answers the probes.

    seamwatch_probe_duration_seconds_bucket{le="0.01",pipeline="support"} 3.0
    seamwatch_probe_duration_seconds_count{pipeline="support"} 400.0
    seamwatch_probe_duration_seconds_sum{pipeline="support"} 61.2
    seamwatch_probe_budget_remaining{pipeline="support",window="hour"} 960.0
    seamwatch_probe_over_budget_total{pipeline="support"} 0.0
    seamwatch_probe_answered_by_info{pipeline="support",version="answer-12"} 1.0
    seamwatch_probe_fallback_answers_total{pipeline="support"} 0.0
    """
    probes = snapshot.probes
    if probes is None:
        return
    name = snapshot.pipeline.name
    one = (name,)
    durations = Distribution(PROBE_BUCKETS, probes.duration_counts, probes.duration_sum)
    yield "seamwatch_probe_duration_seconds", one, durations
    for window, left in probes.budget_remaining.items():
        yield "seamwatch_probe_budget_remaining", (name, window), left
    yield "seamwatch_probe_over_budget_total", one, probes.over_budget
    for version in probes.answered_by:
        yield "seamwatch_probe_answered_by_info", (name, version), 1.0
    yield "seamwatch_probe_fallback_answers_total", one, probes.fallbacks
