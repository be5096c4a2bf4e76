"""The golden set: its health, and what the live model made of it."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from seamwatch.collectors.sample import Sample
from seamwatch.pipeline import Estimate, Verdict
from seamwatch.snapshot import GoldenState, Snapshot


def golden_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield the set, the verdicts on the answers, and every ratio with its n and interval.

    seamwatch_golden_info{digest="9f86d0...",pipeline="support",task="multiclass"} 1.0
    seamwatch_golden_items{pipeline="support",state="asked"} 400.0
    seamwatch_golden_last_answer_timestamp_seconds{pipeline="support"} 1.7639e+09
    seamwatch_golden_answers_total{pipeline="support",verdict="correct"} 372.0
    seamwatch_golden_window_answers{pipeline="support"} 400.0
    seamwatch_golden_window_limit_answers{pipeline="support"} 400.0
    seamwatch_golden_accuracy_ratio{bound="estimate",pipeline="support"} 0.93
    seamwatch_golden_accuracy_target_ratio{pipeline="support"} 0.92
    (golden_availability_ratio, its target and golden_availability_items alike)
    seamwatch_golden_measure_answers{pipeline="support"} 400.0
    seamwatch_golden_measure{measure="f1_macro",pipeline="support"} 0.91
    """
    name = snapshot.pipeline.name
    one = (name,)
    targets = snapshot.pipeline.targets
    if targets.accuracy is not None:
        yield "seamwatch_golden_accuracy_target_ratio", one, targets.accuracy
    if targets.availability is not None:
        yield "seamwatch_golden_availability_target_ratio", one, targets.availability
    golden = snapshot.golden
    if golden is None:
        return
    yield "seamwatch_golden_info", (name, golden.digest, golden.task.value), 1.0
    for state, count in golden.items.items():
        yield "seamwatch_golden_items", (name, state), count
    if golden.last_answer is not None:
        yield "seamwatch_golden_last_answer_timestamp_seconds", one, golden.last_answer
    for verdict in Verdict:
        answers = golden.verdicts.get(verdict, 0)
        yield "seamwatch_golden_answers_total", (name, verdict.value), answers
    yield from _window(one, golden)


def _window(one: tuple[str], golden: GoldenState) -> Iterator[Sample]:
    yield "seamwatch_golden_window_answers", one, golden.window
    yield "seamwatch_golden_window_limit_answers", one, golden.window_size
    if golden.accuracy is not None:
        yield from _bounds("seamwatch_golden_accuracy_ratio", one, golden.accuracy)
    if golden.availability is not None:
        yield from _bounds("seamwatch_golden_availability_ratio", one, golden.availability)
        yield "seamwatch_golden_availability_items", one, golden.availability.n
    if golden.measures:
        yield "seamwatch_golden_measure_answers", one, golden.measured
    for measure, value in golden.measures.items():
        if not isnan(value):  # undecidable, for example a recall without a positive item
            yield "seamwatch_golden_measure", (*one, measure), value


def slice_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield the accuracy of each slice.

    seamwatch_golden_slice_answers{pipeline="support",slice="billing"} 57.0
    seamwatch_golden_slice_accuracy_ratio{bound="lower",pipeline="support",slice="billing"} 0.81
    """
    if snapshot.golden is None:
        return
    for name, estimate in snapshot.golden.slices.items():
        labels = (snapshot.pipeline.name, name)
        yield "seamwatch_golden_slice_answers", labels, estimate.n
        yield from _bounds("seamwatch_golden_slice_accuracy_ratio", labels, estimate)


def _bounds(family: str, labels: tuple[str, ...], estimate: Estimate) -> Iterator[Sample]:
    yield family, (*labels, "estimate"), estimate.value
    yield family, (*labels, "lower"), estimate.lower
    yield family, (*labels, "upper"), estimate.upper
