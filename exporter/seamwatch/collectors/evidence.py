"""The case against a pipeline: how strong it is, and whom it names."""

from __future__ import annotations

from collections.abc import Iterator

from seamwatch.attribution import Outcome, Share
from seamwatch.collectors.sample import Sample
from seamwatch.evidence import Standing
from seamwatch.pipeline import Pipeline
from seamwatch.snapshot import AttributionState, EvidenceState, Snapshot


def evidence_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield limits, evidence and standing; nothing for a pipeline without a gate.

    seamwatch_golden_accuracy_floor_ratio{pipeline="support"} 0.9
    seamwatch_golden_accuracy_baseline_ratio{pipeline="support"} 0.94
    seamwatch_evidence_ratio{detector="floor",pipeline="support"} 0.42
    seamwatch_evidence_standing{pipeline="support",standing="suspect"} 1.0
    seamwatch_evidence_since_timestamp_seconds{pipeline="support"} 1.7639e+09
    seamwatch_evidence_stale{pipeline="support"} 0.0
    seamwatch_evidence_halts_total{pipeline="support"} 0.0
    seamwatch_evidence_tickets_total{pipeline="support"} 1.0
    seamwatch_scorer_canary_success{pipeline="support"} 1.0
    """
    evidence = snapshot.evidence
    if evidence is None:
        return
    name = snapshot.pipeline.name
    one = (name,)
    yield "seamwatch_golden_accuracy_floor_ratio", one, evidence.floor
    if evidence.baseline is not None:
        yield "seamwatch_golden_accuracy_baseline_ratio", one, evidence.baseline
    for detector, ratio in evidence.ratios.items():
        yield "seamwatch_evidence_ratio", (name, detector), ratio
    for standing in Standing:
        here = float(standing is evidence.standing)
        yield "seamwatch_evidence_standing", (name, standing.value), here
    yield "seamwatch_evidence_since_timestamp_seconds", one, evidence.since
    yield from _health(one, evidence)


def _health(one: tuple[str], evidence: EvidenceState) -> Iterator[Sample]:
    yield "seamwatch_evidence_stale", one, float(evidence.is_stale)
    yield "seamwatch_evidence_halts_total", one, evidence.halts
    yield "seamwatch_evidence_tickets_total", one, evidence.tickets
    yield "seamwatch_scorer_canary_success", one, float(evidence.judges_right)


def evidence_slice_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield the evidence that each slice alone gives.

    seamwatch_evidence_slice_ratio{pipeline="support",slice="billing"} 0.1
    """
    if snapshot.evidence is not None:
        for name, ratio in snapshot.evidence.slices.items():
            yield "seamwatch_evidence_slice_ratio", (snapshot.pipeline.name, name), ratio


def suspect_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield whom repairs blame, with shares of the loss, and who is suspect without proof.

    seamwatch_suspect_loss_ratio{bound="estimate",pipeline="support",suspect="cache",team="ml"} 0.1
    seamwatch_suspect_interaction_ratio{other="ingest",pipeline="support",suspect="cache"} -0.03
    seamwatch_suspect_top{pipeline="support",suspect="cache",team="ml"} 1.0
    seamwatch_attribution_outcome{outcome="decided",pipeline="support"} 1.0
    seamwatch_attribution_unexplained_ratio{bound="estimate",pipeline="support"} 0.01
    seamwatch_attribution_began_timestamp_seconds{pipeline="support"} 1.7639e+09
    seamwatch_attribution_ended_timestamp_seconds{pipeline="support"} 1.7639e+09
    seamwatch_attribution_questions{pipeline="support"} 143.0
    seamwatch_suspect_circumstantial{pipeline="support",reason="version_skew",suspect="index",
        team="data"} 1.0
    """
    name = snapshot.pipeline.name
    if snapshot.attribution is not None:
        yield from _attributed(snapshot.pipeline, snapshot.attribution)
    for one in snapshot.circumstances:
        labels = (name, one.stage, one.team, one.reason.value)
        yield "seamwatch_suspect_circumstantial", labels, 1.0


def _attributed(pipeline: Pipeline, state: AttributionState) -> Iterator[Sample]:
    name, found = pipeline.name, state.attribution
    for outcome in Outcome:
        here = float(outcome is found.outcome)
        yield "seamwatch_attribution_outcome", (name, outcome.value), here
    yield "seamwatch_attribution_began_timestamp_seconds", (name,), state.began
    if state.ended is not None:
        yield "seamwatch_attribution_ended_timestamp_seconds", (name,), state.ended
    yield "seamwatch_attribution_questions", (name,), state.asked
    if found.unexplained is not None:
        yield from _bounds("seamwatch_attribution_unexplained_ratio", (name,), found.unexplained)
    who = {repair: (stage, pipeline.by_name[stage].team) for repair, stage in state.blamed.items()}
    for repair, share in found.shares.items():
        yield from _bounds("seamwatch_suspect_loss_ratio", (name, *who[repair]), share)
    for repair in (found.top,) if found.top else found.tied:
        yield "seamwatch_suspect_top", (name, *who[repair]), 1.0
    for (repair, other), share in found.interactions.items():
        pair = (name, who[repair][0], who[other][0])
        yield "seamwatch_suspect_interaction_ratio", pair, share.value
    for repair, reason in state.unavailable.items():
        labels = (name, *who[repair], reason.value)
        yield "seamwatch_attribution_unavailable", labels, 1.0


def _bounds(family: str, labels: tuple[str, ...], share: Share) -> Iterator[Sample]:
    yield family, (*labels, "estimate"), share.value
    yield family, (*labels, "lower"), share.lower
    yield family, (*labels, "upper"), share.upper
