"""Circumstantial suspects: what each failure signature says, and when it says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from seamwatch.attribution import Cause, Circumstance, circumstances
from seamwatch.freshness import History, Publication, freshness, remember
from seamwatch.pipeline import Observation, Pipeline, Stage, StageKind, Targets
from seamwatch.skew import skews

NOW = 10_000.0
STAGES = (
    Stage("ingest", "data", StageKind.SOURCE, data_age=600.0),
    Stage("embedding", "ml", StageKind.EMBEDDING, ("ingest",)),
    Stage("index", "data", StageKind.INDEX, ("ingest", "embedding"), data_age=900.0),
    Stage("cache", "platform", StageKind.CACHE, ("index",)),
    Stage("decision", "product", StageKind.DECISION, ("index", "cache"), ("embedding",)),
    Stage("answer", "platform", StageKind.MODEL, ("decision",)),
)
PIPELINE = Pipeline("answers", "platform", STAGES, Targets(data_age=1200.0))
HEALTHY: Mapping[str, Observation] = {
    "ingest": Observation(version="b9", watermark=NOW - 60, updated_at=NOW - 30, rows=100),
    "embedding": Observation(version="e2"),
    "index": Observation(
        version="i9",
        watermark=NOW - 90,
        updated_at=NOW - 60,
        built_from={"ingest": "b9", "embedding": "e2"},
        rows=100,
    ),
    "cache": Observation(version="c1", watermark=NOW - 90),
    "decision": Observation(version="d1", watermark=NOW - 90, tuned_on={"embedding": "e2"}),
    "answer": Observation(version="m1"),
}


def found(
    seen: Mapping[str, Observation] = HEALTHY,
    *,
    pipeline: Pipeline = PIPELINE,
    history: History | None = None,
    now: float | None = NOW,
    **further: object,
) -> list[tuple[str, Cause]]:
    """Return the suspects as stage and cause."""
    past = history or {}
    suspects = circumstances(
        pipeline,
        freshness(pipeline, seen, past),
        skews(pipeline, seen, past),
        seen,
        history=past,
        now=now,
        **further,  # type: ignore[arg-type]
    )
    return [(one.stage, one.reason) for one in suspects]


def but(**changed: Observation) -> Mapping[str, Observation]:
    return {**HEALTHY, **changed}


def moves(at: Iterable[float], *, delay: float = 10.0) -> tuple[Publication, ...]:
    """Publications at these times, each with what was complete *delay* seconds before."""
    past: tuple[Publication, ...] = ()
    for time in at:
        seen = Observation(watermark=time - delay, updated_at=time)
        past = remember(past, seen, time - delay, now=time)
    return past


def test_a_healthy_pipeline_has_no_suspects() -> None:
    assert found() == []


def test_nothing_known_makes_nobody_suspect() -> None:
    assert found({}, now=None) == []
    assert found({}) == []


def test_a_suspect_has_its_team() -> None:
    seen = but(index=Observation(version="i9", watermark=NOW - 90, built_from={"embedding": "e1"}))
    suspects = circumstances(
        PIPELINE, freshness(PIPELINE, seen, {}), skews(PIPELINE, seen, {}), seen
    )
    assert suspects == (Circumstance("index", "data", Cause.VERSION_SKEW),)


def test_of_late_stages_the_first_is_suspect_and_its_victims_are_not() -> None:
    seen = but(ingest=Observation(version="b9", watermark=NOW - 5000, updated_at=NOW - 30))
    assert found(seen) == [("ingest", Cause.LATE_DATA)]


def test_a_stage_that_lags_more_than_it_may_is_late_even_if_the_time_is_not_known() -> None:
    seen = but(index=Observation(version="i1", watermark=NOW - 3000, built_from={"ingest": "b9"}))
    assert found(seen, now=None) == [("index", Cause.LATE_DATA)]


def test_where_no_stage_has_a_limit_the_costliest_seam_is_late_if_it_costs_enough() -> None:
    bare = Pipeline(
        "answers",
        "platform",
        (
            Stage("ingest", "data", StageKind.SOURCE),
            Stage("index", "data", StageKind.INDEX, ("ingest",)),
        ),
        Targets(data_age=1200.0),
    )
    behind = {
        "ingest": Observation(watermark=NOW - 400, updated_at=NOW),
        "index": Observation(watermark=NOW - 1300, updated_at=NOW),
    }
    assert found(behind, pipeline=bare) == [("index", Cause.LATE_DATA)]
    at_the_source = {
        "ingest": Observation(watermark=NOW - 1300, updated_at=NOW),
        "index": Observation(watermark=NOW - 1310, updated_at=NOW),
    }
    assert found(at_the_source, pipeline=bare) == [("ingest", Cause.LATE_DATA)]


@pytest.mark.parametrize(("rows", "is_suspect"), [(100, False), (97, False), (90, True), (0, True)])
def test_rows_that_went_missing_are_an_empty_success(rows: float, is_suspect: bool) -> None:
    seen = but(ingest=Observation(version="b9", watermark=NOW - 60, updated_at=NOW, rows=rows))
    suspects = found(seen, rows_before={"ingest": 100.0})
    assert suspects == ([("ingest", Cause.EMPTY_SUCCESS)] if is_suspect else [])


def test_a_source_whose_job_runs_on_while_its_watermark_stands_is_an_empty_success() -> None:
    past = moves(range(5000, 9001, 1000))
    seen = {"ingest": Observation(watermark=8990.0, updated_at=9000.0 + 2500)}
    alone = Pipeline("p", "data", (Stage("ingest", "data", StageKind.SOURCE),))
    assert found(seen, pipeline=alone, history={"ingest": past}) == [
        ("ingest", Cause.EMPTY_SUCCESS)
    ]


@pytest.mark.parametrize(
    ("watermark", "updated_at", "runs"),
    [
        (8990.0, 10_500.0, range(5000, 9001, 1000)),  # it has waited that long before
        (9990.0, 11_500.0, range(5000, 9001, 1000)),  # it moved
        (8990.0, 11_500.0, range(7000, 9001, 1000)),  # too few moves to know how long it waits
    ],
)
def test_a_watermark_that_may_well_stand_is_no_suspect(
    watermark: float, updated_at: float, runs: range
) -> None:
    seen = {"ingest": Observation(watermark=watermark, updated_at=updated_at)}
    alone = Pipeline("p", "data", (Stage("ingest", "data", StageKind.SOURCE),))
    assert found(seen, pipeline=alone, history={"ingest": moves(runs)}) == []


def test_a_stage_with_nothing_new_to_take_is_no_suspect_though_its_watermark_stands() -> None:
    two = Pipeline(
        "p",
        "data",
        (
            Stage("ingest", "data", StageKind.SOURCE),
            Stage("index", "data", StageKind.INDEX, ("ingest",)),
        ),
    )
    past = {"ingest": moves(range(5000, 9001, 1000)), "index": moves(range(5000, 9001, 1000))}
    index = Observation(watermark=8990.0, updated_at=12_000.0)
    stuck = {"ingest": Observation(watermark=8990.0, updated_at=9000.0), "index": index}
    assert found(stuck, pipeline=two, history=past, now=None) == []
    news = {"ingest": Observation(watermark=11_000.0, updated_at=11_010.0), "index": index}
    assert found(news, pipeline=two, history=past, now=None) == [("index", Cause.EMPTY_SUCCESS)]


def test_stale_answers_point_at_the_caches() -> None:
    assert found(stale_answers=True) == [("cache", Cause.STALE_ANSWERS)]


def test_the_stage_that_stands_on_an_old_version_is_suspect_not_the_one_that_moved_on() -> None:
    assert found(but(embedding=Observation(version="e3"))) == [
        ("index", Cause.VERSION_SKEW),
        ("decision", Cause.TUNING_SKEW),
    ]


def test_threshold_regret_points_at_the_stage_that_decides() -> None:
    assert found(regret_stage="decision") == [("decision", Cause.THRESHOLD_REGRET)]


def test_another_version_that_answers_points_at_the_model() -> None:
    assert found(answered_by_other=True) == [("answer", Cause.ANSWERED_BY_OTHER)]


def test_without_a_model_stage_it_points_at_the_output() -> None:
    plain = Pipeline("p", "data", (Stage("ingest", "data", StageKind.SOURCE),))
    assert found({}, pipeline=plain, answered_by_other=True) == [
        ("ingest", Cause.ANSWERED_BY_OTHER)
    ]


def test_what_explains_the_rest_comes_first() -> None:
    seen = but(
        ingest=Observation(version="b1", watermark=NOW - 5000, updated_at=NOW, rows=0),
        embedding=Observation(version="e3"),
    )
    suspects = found(seen, stale_answers=True, regret_stage="decision", answered_by_other=True)
    assert [cause for _, cause in suspects] == list(Cause)
