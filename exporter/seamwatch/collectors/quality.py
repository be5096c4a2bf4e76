"""Output quality: what answers look like, thresholds out of tune, scores that have moved."""

from __future__ import annotations

from collections.abc import Iterator

from seamwatch.collectors.sample import Sample
from seamwatch.snapshot import Snapshot


def quality_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield each check with its interval, its target and the answers that it is over.

    A signal from live traffic has neither interval nor answers: its query gives one number.

    seamwatch_quality_ratio{bound="estimate",check="not_empty",pipeline="support"} 0.998
    seamwatch_quality_target_ratio{check="refusal",limit="at_most",pipeline="support"} 0.02
    seamwatch_quality_answers{check="not_empty",pipeline="support"} 400.0
    seamwatch_quality_met{check="refusal",pipeline="support"} 1.0
    """
    name = snapshot.pipeline.name
    for check in snapshot.quality:
        one = (name, check.name)
        if check.value is not None:
            yield "seamwatch_quality_ratio", (*one, "estimate"), check.value
        if check.lower is not None and check.upper is not None:
            yield "seamwatch_quality_ratio", (*one, "lower"), check.lower
            yield "seamwatch_quality_ratio", (*one, "upper"), check.upper
        if check.n:
            yield "seamwatch_quality_answers", one, check.n
        if check.at_least is not None:
            yield "seamwatch_quality_target_ratio", (*one, "at_least"), check.at_least
        if check.at_most is not None:
            yield "seamwatch_quality_target_ratio", (*one, "at_most"), check.at_most
        if check.holds is not None:
            yield "seamwatch_quality_met", one, float(check.holds)


def threshold_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield each threshold in service, the best one, and what it would gain.

    seamwatch_threshold_value{pipeline="support",pipeline_stage="decision"} 0.64
    seamwatch_threshold_best_value{pipeline="support",pipeline_stage="decision"} 0.28
    seamwatch_threshold_regret_ratio{bound="lower",pipeline="support",
        pipeline_stage="decision"} 0.07
    seamwatch_threshold_regret_items{pipeline="support",pipeline_stage="decision"} 669.0
    """
    for one in snapshot.thresholds:
        labels = (snapshot.pipeline.name, one.stage)
        if one.value is not None:
            yield "seamwatch_threshold_value", labels, one.value
        if one.regret is not None:
            yield "seamwatch_threshold_best_value", labels, one.regret.best
            yield "seamwatch_threshold_regret_ratio", (*labels, "estimate"), one.regret.estimate
            yield "seamwatch_threshold_regret_ratio", (*labels, "lower"), one.regret.lower
            yield "seamwatch_threshold_regret_items", labels, one.regret.n


def drift_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield how far scores are from what they were, beside what chance alone would make.

    seamwatch_score_drift{bound="estimate",measure="psi",pipeline="support"} 0.31
    seamwatch_score_drift{bound="limit",measure="psi",pipeline="support"} 0.04
    """
    for measure, drift in snapshot.drift.items():
        labels = (snapshot.pipeline.name, measure)
        yield "seamwatch_score_drift", (*labels, "estimate"), drift.value
        yield "seamwatch_score_drift", (*labels, "limit"), drift.limit
        yield "seamwatch_score_drift_answers", labels, drift.n
