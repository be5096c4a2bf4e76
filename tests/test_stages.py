"""The judgement of a pipeline as a whole: which targets hold, and which failures are silent."""

from __future__ import annotations

import pytest

from seamwatch.errors import Reason
from seamwatch.freshness import Freshness
from seamwatch.pipeline import (
    Estimate,
    Failure,
    Observation,
    Pipeline,
    Reading,
    Stage,
    StageKind,
    Targets,
    Task,
)
from seamwatch.snapshot import EndToEnd, GoldenState, Snapshot
from seamwatch.watch.stages import Heard, StageMemory, reaches, verdict

NOW = 1_700_000_000.0
HOUR = 3600.0

PIPELINE = Pipeline(
    "answers",
    "platform",
    (
        Stage("ingest", "data", StageKind.SOURCE),
        Stage("index", "search", StageKind.INDEX, after=("ingest",)),
    ),
    Targets(data_age=HOUR, accuracy=0.92),
)


def said(healthy: bool | None, *, age: float, built_from: str = "b1") -> Observation:
    return Observation(
        healthy=healthy,
        version="b1",
        watermark=NOW - age,
        updated_at=NOW,
        built_from={"ingest": built_from},
    )


def judged(
    ingest: Observation | Failure, index: Observation | Failure, golden: GoldenState | None = None
) -> Snapshot:
    memory = StageMemory(PIPELINE, frozenset(["ingest", "index"]))
    for name, found in (("ingest", ingest), ("index", index)):
        if isinstance(found, Failure):
            memory.add(name, Reading(NOW, 0.1, failure=found))
        else:
            memory.add(name, Reading(NOW, 0.1, observation=found))
    return memory.judge(Heard(golden=golden), now=NOW)[0]


def scored(value: float, lower: float, upper: float) -> GoldenState:
    accuracy = Estimate(value, lower, upper, 300)
    return GoldenState("d", Task.MULTICLASS, {}, {}, accuracy=accuracy, window_size=300)


def test_old_data_behind_green_stages_is_a_silent_failure() -> None:
    snapshot = judged(said(True, age=2 * HOUR), said(True, age=0))
    assert snapshot.end_to_end.freshness is False
    assert snapshot.silent_failure is True


def test_wrong_answers_behind_green_stages_are_a_silent_failure() -> None:
    snapshot = judged(said(True, age=0), said(True, age=0), scored(0.71, 0.66, 0.76))
    assert snapshot.end_to_end == EndToEnd(freshness=True, accuracy=False)
    assert snapshot.silent_failure is True


def test_a_failure_that_a_stage_admits_is_not_silent() -> None:
    assert judged(said(False, age=2 * HOUR), said(True, age=0)).silent_failure is False


def test_a_failure_beside_a_stage_that_cannot_be_read_is_not_silent() -> None:
    down = Failure(Reason.TIMEOUT, "ingest did not answer")
    snapshot = judged(down, said(True, age=0), scored(0.71, 0.66, 0.76))
    assert snapshot.silent_failure is False


def test_stages_that_make_no_claim_do_not_object_but_one_must_claim_to_be_healthy() -> None:
    assert judged(said(None, age=2 * HOUR), said(True, age=0)).silent_failure is True
    assert judged(said(None, age=2 * HOUR), said(None, age=0)).silent_failure is False


def test_a_healthy_pipeline_fails_neither_silently_nor_otherwise() -> None:
    snapshot = judged(said(True, age=0), said(True, age=0), scored(0.95, 0.92, 0.97))
    assert snapshot.end_to_end == EndToEnd(freshness=True, accuracy=True)
    assert snapshot.silent_failure is False


def test_data_known_to_be_too_old_misses_its_target_although_its_age_is_unknown() -> None:
    """The index was built from a version that nobody remembers, and says itself that it is old."""
    snapshot = judged(said(True, age=0), said(True, age=2 * HOUR, built_from="lost"))
    assert snapshot.freshness.watermark is None
    assert snapshot.end_to_end.freshness is False
    assert snapshot.silent_failure is True


def test_data_that_may_be_older_than_it_says_is_not_called_fresh() -> None:
    snapshot = judged(said(True, age=0), said(True, age=0, built_from="lost"))
    assert snapshot.end_to_end.freshness is None


def test_nothing_known_of_end_to_end_is_unknown_not_fine() -> None:
    down = Failure(Reason.TIMEOUT, "no answer")
    assert judged(down, down).silent_failure is None


def test_a_failed_reading_withdraws_what_the_stage_said_before() -> None:
    memory = StageMemory(PIPELINE, frozenset(["ingest", "index"]))
    memory.add("ingest", Reading(NOW, 0.1, observation=said(True, age=0)))
    memory.add("ingest", Reading(NOW + 30, 5, failure=Failure(Reason.TIMEOUT, "no answer")))
    snapshot, _ = memory.judge(Heard(), now=NOW + 30)
    state = snapshot.stages["ingest"]
    assert state.reading is not None
    assert state.reading.observation is None
    assert (state.reads, state.failures, state.last_success) == (2, {Reason.TIMEOUT: 1}, NOW)


def test_a_publication_is_reported_once() -> None:
    memory = StageMemory(PIPELINE, frozenset(["ingest", "index"]))
    memory.add("ingest", Reading(NOW, 0.1, observation=said(True, age=0)))
    first = memory.judge(Heard(), now=NOW)[1]
    again = memory.judge(Heard(), now=NOW + 1)[1]
    assert [(change.stage, change.before) for change in first] == [("ingest", ())]
    assert again == []


@pytest.mark.parametrize(
    ("estimate", "met"),
    [
        (Estimate(0.95, 0.92, 0.97, 300), True),
        (Estimate(0.71, 0.66, 0.76, 300), False),
        (Estimate(0.91, 0.87, 0.94, 300), None),
        (Estimate(0.0, 0.0, 0.79, 1), None),
        (Estimate(1.0, 0.88, 1.0, 29), None),
        (Estimate(1.0, 0.89, 1.0, 30), True),
        (None, None),
    ],
)
def test_a_target_is_missed_only_when_the_whole_interval_lies_under_it(
    estimate: Estimate | None, met: bool | None
) -> None:
    assert reaches(estimate, 0.92, enough=30) is met


def test_a_window_smaller_than_enough_answers_is_enough_when_it_is_full() -> None:
    wrong = Estimate(0.0, 0.0, 0.43, 5)
    golden = GoldenState("d", Task.MULTICLASS, {}, {}, accuracy=wrong, window_size=5)
    assert (
        verdict(PIPELINE, Freshness({}, NOW, {}, None), Heard(golden=golden), now=NOW).accuracy
        is False
    )


def test_data_exactly_as_old_as_allowed_is_fresh_enough() -> None:
    fresh = Freshness({}, NOW - HOUR, {}, None)
    assert verdict(PIPELINE, fresh, Heard(), now=NOW).freshness is True
    assert verdict(PIPELINE, fresh, Heard(), now=NOW + 1).freshness is False
