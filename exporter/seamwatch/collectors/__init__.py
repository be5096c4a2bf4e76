"""What a snapshot says, as samples: pure, one function for each part of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from seamwatch.collectors.evidence import (
    evidence_samples,
    evidence_slice_samples,
    suspect_samples,
)
from seamwatch.collectors.gate import action_samples, gate_samples
from seamwatch.collectors.golden import golden_samples, slice_samples
from seamwatch.collectors.lineage import pipeline_samples, seam_samples, stage_samples
from seamwatch.collectors.probes import probe_samples
from seamwatch.collectors.quality import drift_samples, quality_samples, threshold_samples
from seamwatch.collectors.sample import Distribution, Sample
from seamwatch.collectors.slo import slo_samples
from seamwatch.snapshot import Snapshot

__all__ = ["COLLECTORS", "Distribution", "Sample", "samples"]

COLLECTORS: tuple[Callable[[Snapshot], Iterator[Sample]], ...] = (
    pipeline_samples,
    slo_samples,
    stage_samples,
    seam_samples,
    golden_samples,
    probe_samples,
    evidence_samples,
    gate_samples,
    action_samples,
    suspect_samples,
    threshold_samples,
    quality_samples,
    drift_samples,
    slice_samples,  # last: a golden set may have any number of slices
    evidence_slice_samples,
)


def samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield all that *snapshot* knows; those of one family need not follow one another."""
    for collect in COLLECTORS:
        yield from collect(snapshot)
