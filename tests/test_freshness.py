"""Freshness by lineage: never fresher than the data is, and unknown rather than guessed.

Two independent oracles: a brute-force walk over all paths from the sources, and a simulated world
of jobs that really copy data from one another, in which the truth is known.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.freshness import (
    KEEP_OF_VERSION,
    Freshness,
    Publication,
    freshness,
    keeps_data_age,
    remember,
)
from seamwatch.pipeline import Observation, Pipeline, Seam, Stage, StageKind

HOUR = 3600.0
NOW = 1_795_000_000.0


def pipeline(**after: tuple[str, ...]) -> Pipeline:
    """Return a pipeline of the named stages, in topological order."""
    stages = (Stage(name, "team", StageKind.TRANSFORM, ups) for name, ups in after.items())
    return Pipeline("rag", "platform", tuple(stages))


def seam(up: str, down: str) -> Seam:
    return Seam(up, down, "team", "team")


TWO = pipeline(ingest=(), index=("ingest",))


def index_watermark(
    observation: Observation,
    *published: Publication,
    ingest: Observation | None = None,
    own: tuple[Publication, ...] = (),
) -> float | None:
    """Return what the index is worth after ingest *published* these, oldest first."""
    seen = {"index": observation} | ({} if ingest is None else {"ingest": ingest})
    return freshness(TWO, seen, {"ingest": published, "index": own}).effective["index"]


# What lineage says


def test_an_index_rebuilt_two_minutes_ago_from_a_twelve_hour_old_snapshot_is_twelve_hours_old() -> (
    None
):
    ingest = Observation(version="batch-413", watermark=NOW - 60, updated_at=NOW - 30)
    index = Observation(version="idx-9", updated_at=NOW - 120, built_from={"ingest": "batch-401"})
    old = Publication("batch-401", NOW - 12 * HOUR, NOW - 11 * HOUR)
    new = Publication("batch-413", NOW - 60, NOW - 30)

    found = freshness(TWO, {"ingest": ingest, "index": index}, {"ingest": (old, new)})

    assert found.effective == {"ingest": NOW - 60, "index": NOW - 12 * HOUR}
    assert found.watermark == NOW - 12 * HOUR
    assert found.lags == {seam("ingest", "index"): 12 * HOUR - 60}
    assert found.bottleneck == seam("ingest", "index")


def test_a_job_that_ran_seconds_ago_over_a_week_old_source_is_a_week_old() -> None:
    """The feature store that says 41 s after a materialisation that wrote nothing."""
    source = Observation(watermark=NOW - 168 * HOUR, updated_at=NOW - 168 * HOUR)
    store = Observation(watermark=NOW - 41, updated_at=NOW - 41)

    found = freshness(TWO, {"ingest": source, "index": store}, {})

    assert found.effective["index"] == NOW - 168 * HOUR


def test_a_watermark_older_than_the_inputs_allow_is_believed() -> None:
    ingest = Observation(version="b", watermark=NOW)
    index = Observation(watermark=NOW - HOUR, built_from={"ingest": "b"})
    assert index_watermark(index, ingest=ingest) == NOW - HOUR


def test_without_a_named_version_the_input_counts_as_it_was_at_the_update() -> None:
    past = [Publication(None, 100.0 * k, 100.0 * k + 5) for k in range(10)]
    ingest = Observation(watermark=900.0)
    assert index_watermark(Observation(updated_at=450.0), *past, ingest=ingest) == 400
    assert index_watermark(Observation(updated_at=404.0), *past, ingest=ingest) == 300
    assert index_watermark(Observation(updated_at=405.0), *past, ingest=ingest) == 400


def test_a_stage_that_only_names_its_version_is_as_fresh_as_what_it_reads_now() -> None:
    ingest = Observation(watermark=900.0)
    assert index_watermark(Observation(version="threshold-0.72"), ingest=ingest) == 900


def test_of_a_version_whose_watermark_moved_the_update_decides_which_one_was_read() -> None:
    past = [Publication("m2", 100.0, 110.0), Publication("m2", 200.0, 210.0)]
    ingest = Observation(version="m2", watermark=200.0)
    built = {"ingest": "m2"}
    at = [
        index_watermark(Observation(updated_at=t, built_from=built), *past, ingest=ingest)
        for t in (50.0, 110.0, 209.0, 210.0, 999.0)
    ]
    assert at == [100, 100, 100, 200, 200]


def test_a_stage_that_names_versions_but_no_time_read_them_before_it_was_first_seen() -> None:
    past = [Publication("m2", 100.0, 110.0), Publication("m2", 200.0, 210.0)]
    ingest = Observation(version="m2", watermark=200.0)
    index = Observation(version="idx-1", built_from={"ingest": "m2"})
    seen_at_150 = (Publication("idx-1", 100.0, 150.0),)
    assert index_watermark(index, *past, ingest=ingest, own=seen_at_150) == 100
    assert index_watermark(replace(index, version="idx-2"), *past, ingest=ingest) == 200
    stated = replace(index, watermark=180.0)
    assert index_watermark(stated, *past, ingest=ingest, own=seen_at_150) == 180


def test_a_version_that_upstream_serves_now_is_known_before_it_is_remembered() -> None:
    ingest = Observation(version="b7", watermark=700.0, updated_at=710.0)
    index = Observation(updated_at=800.0, built_from={"ingest": "b7"})
    assert index_watermark(index, ingest=ingest) == 700


def test_a_version_that_was_built_before_a_rollback_keeps_its_own_watermark() -> None:
    past = [
        Publication("v1", 100.0, 110.0),
        Publication("v2", 200.0, 210.0),
        Publication("v1", 100.0, 310.0),
    ]
    ingest = Observation(version="v1", watermark=100.0, updated_at=110.0)
    built = Observation(updated_at=250.0, built_from={"ingest": "v2"})
    assert index_watermark(built, *past, ingest=ingest) == 200
    assert index_watermark(Observation(updated_at=250.0), *past, ingest=ingest) == 200
    assert index_watermark(Observation(updated_at=320.0), *past, ingest=ingest) == 100


def test_a_stage_far_upstream_counts_when_it_is_named() -> None:
    rag = pipeline(ingest=(), embedding=("ingest",), index=("embedding",))
    seen = {
        "ingest": Observation(version="b2", watermark=200.0),
        "embedding": Observation(version="minilm"),
        "index": Observation(
            updated_at=999.0, built_from={"embedding": "minilm", "ingest": "b1", "moon": "x"}
        ),
    }
    history = {
        "ingest": (Publication("b1", 100.0, 101.0), Publication("b2", 200.0, 201.0)),
        "embedding": (Publication("minilm", 200.0, 201.0),),
    }
    assert freshness(rag, seen, history).effective["index"] == 100


# What is not known


UNKNOWN = {
    "a source that only says when it ran": (Observation(updated_at=NOW), Observation(version="x")),
    "a source that only names its version": (Observation(version="b"), Observation(version="x")),
    "a source that cannot be read": (None, Observation(version="x")),
    "a claim of one's own over a source that cannot be read": (None, Observation(watermark=NOW)),
    "a version nobody has seen": (
        Observation(version="b2", watermark=NOW),
        Observation(updated_at=NOW, built_from={"ingest": "b1"}),
    ),
    "an update before anything is remembered": (
        Observation(watermark=NOW),
        Observation(updated_at=NOW - 60),
    ),
    "a stage that cannot be read": (Observation(watermark=NOW), None),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_is_never_fresh(case: str) -> None:
    ingest, index = UNKNOWN[case]
    seen = {name: one for name, one in (("ingest", ingest), ("index", index)) if one is not None}
    found = freshness(TWO, seen, {})
    assert found.effective["index"] is None
    assert found.watermark is None
    assert found.lags == {seam("ingest", "index"): None}
    assert found.bottleneck is None


def test_a_built_version_stays_known_while_its_upstream_cannot_be_read() -> None:
    past = Publication("b1", 100.0, 110.0)
    assert index_watermark(Observation(built_from={"ingest": "b1"}, updated_at=150.0), past) == 100


def test_an_upstream_that_went_silent_may_have_published_before_the_update() -> None:
    first, second = Publication("b1", 100.0, 110.0), Publication("b2", 200.0, 210.0)
    assert index_watermark(Observation(updated_at=150.0), first) is None
    assert index_watermark(Observation(updated_at=150.0), first, second) == 100


def test_what_was_found_for_a_publication_stands_although_its_lineage_is_forgotten() -> None:
    index = Observation(version="idx-1", updated_at=500.0, built_from={"ingest": "b1"})
    own = (Publication("idx-1", 100.0, 500.0),)
    later = Publication("b900", 9000.0, 9010.0)
    ingest = Observation(version="b900", watermark=9000.0)
    assert index_watermark(index, later, ingest=ingest, own=own) == 100
    rebuilt = replace(index, updated_at=8000.0)
    assert index_watermark(rebuilt, later, ingest=ingest, own=own) is None


def test_thinning_upstream_does_not_make_a_standing_publication_older() -> None:
    index = Observation(version="idx-1", updated_at=500.0)
    own = (Publication("idx-1", 450.0, 500.0),)
    thinned = (Publication(None, 100.0, 110.0), Publication(None, 900.0, 910.0))
    ingest = Observation(watermark=900.0)
    assert index_watermark(index, *thinned, ingest=ingest, own=own) == 450


def test_one_unknown_output_makes_the_pipeline_unknown() -> None:
    fork = pipeline(ingest=(), web=("ingest",), batch=("ingest",))
    seen = {"ingest": Observation(watermark=NOW), "web": Observation(version="1")}
    assert freshness(fork, seen, {}).effective["web"] == NOW
    assert freshness(fork, seen, {}).watermark is None


# Lags and the bottleneck


def test_a_fresh_input_beside_an_old_one_is_not_the_bottleneck() -> None:
    diamond = pipeline(old=(), new=(), join=("old", "new"), answer=("join",))
    seen = {
        "old": Observation(watermark=100.0),
        "new": Observation(watermark=900.0),
        "join": Observation(version="1"),
        "answer": Observation(version="1", watermark=80.0),
    }
    found = freshness(diamond, seen, {})
    assert found.lags[seam("new", "join")] == 800
    assert found.lags[seam("old", "join")] == 0
    assert found.bottleneck == seam("join", "answer")


def test_a_pipeline_that_loses_nothing_has_no_bottleneck() -> None:
    ingest = Observation(watermark=NOW)
    found = freshness(TWO, {"ingest": ingest, "index": Observation(version="1")}, {})
    assert found.lags == {seam("ingest", "index"): 0}
    assert found.bottleneck is None


def test_an_upstream_that_went_back_costs_no_negative_lag() -> None:
    past = (Publication("b2", 200.0, 210.0), Publication("b1", 100.0, 310.0))
    ingest = Observation(version="b1", watermark=100.0)
    index = Observation(updated_at=250.0, built_from={"ingest": "b2"})
    found = freshness(TWO, {"ingest": ingest, "index": index}, {"ingest": past})
    assert found.effective["index"] == 200
    assert found.lags == {seam("ingest", "index"): 0}


@pytest.mark.parametrize(
    ("watermark", "limit", "kept"),
    [(90.0, 10.0, True), (89.0, 10.0, False), (None, 10.0, None), (90.0, None, None)],
)
def test_a_limit_on_data_age_holds_is_missed_or_is_unknown(
    watermark: float | None, limit: float | None, kept: bool | None
) -> None:
    assert keeps_data_age(watermark, limit, now=100.0) is kept


# Remembering


def test_remembering_the_same_again_returns_the_same_object() -> None:
    seen = Observation(version="b1", watermark=5.0, updated_at=7.0)
    once = remember((), seen, 5.0, now=10.0)
    assert once == (Publication("b1", 5.0, 7.0),)
    assert remember(once, seen, 5.0, now=20.0) is once
    assert remember(once, replace(seen, updated_at=15.0), 5.0, now=20.0) is once
    assert remember(once, seen, None, now=20.0) is once


def test_a_watermark_that_becomes_known_completes_its_publication() -> None:
    seen = Observation(version="b1", updated_at=7.0)
    unknown = remember((), seen, None, now=10.0)
    assert unknown == (Publication("b1", None, 7.0),)
    assert remember(unknown, seen, 5.0, now=20.0) == (Publication("b1", 5.0, 7.0),)


def test_a_publication_counts_from_the_update_unless_that_cannot_be() -> None:
    seen = Observation(version="b2", updated_at=15.0)
    before = (Publication("b1", 1.0, 10.0),)
    assert remember(before, seen, 2.0, now=20.0)[-1].since == 15
    assert remember(before, replace(seen, updated_at=99.0), 2.0, now=20.0)[-1].since == 20
    assert remember(before, replace(seen, updated_at=None), 2.0, now=20.0)[-1].since == 20
    rolled_back = replace(seen, version="b0", updated_at=3.0)
    assert remember(before, rolled_back, 0.5, now=20.0)[-1].since == 20


def test_two_publications_of_one_moment_stay_apart() -> None:
    once = remember((), Observation(version="b1"), 1.0, now=10.0)
    twice = remember(once, Observation(version="b2"), 2.0, now=10.0)
    assert [one.version for one in twice] == ["b1", "b2"]
    assert twice[0].since < twice[1].since < 10.001


def test_a_watermark_that_moves_ten_thousand_times_makes_no_version_forgotten() -> None:
    past: tuple[Publication, ...] = ()
    for k in range(20):
        past = remember(past, Observation(version=f"b{k}"), float(k), now=float(k))
    for k in range(20, 10_020):
        past = remember(past, Observation(version="stream"), float(k), now=float(k), keep=100)
    assert [one.version for one in past[:20]] == [f"b{k}" for k in range(20)]
    stream = [one for one in past if one.version == "stream"]
    assert len(stream) <= KEEP_OF_VERSION
    assert (stream[0].since, stream[-1].since) == (20, 10_019)
    ages = [10_020 - one.since for one in stream]
    gaps = [(old - young) / old for old, young in pairwise(ages)]
    assert max(gap for gap, age in zip(gaps, ages, strict=False) if age > 30) < 0.35


def test_the_oldest_version_goes_only_when_no_version_can_be_thinned() -> None:
    past: tuple[Publication, ...] = ()
    for k in range(10):
        for moved in (0.0, 0.5):
            seen = Observation(version=f"b{k}")
            past = remember(past, seen, k + moved, now=k + moved, keep=12)
            assert len(past) <= 12
    assert len(past) == 12
    assert list(dict.fromkeys(one.version for one in past)) == [f"b{k}" for k in range(10)]
    for k in range(10, 14):
        past = remember(past, Observation(version=f"b{k}"), float(k), now=float(k), keep=12)
    assert [one.version for one in past] == [f"b{k}" for k in range(2, 14)]


def test_two_versions_that_alternate_do_not_push_out_the_others() -> None:
    past = remember((), Observation(version="good"), 1.0, now=1.0)
    for k in range(2, 2_000):
        past = remember(past, Observation(version="ab"[k % 2]), 1.0, now=float(k), keep=16)
    assert past[0].version == "good"
    assert past[-1] == Publication("b", 1.0, 1_999.0)


@pytest.mark.parametrize("keep", [16, 300])
def test_forgetting_never_makes_a_time_between_rollbacks_look_fresher(keep: int) -> None:
    past = remember((), Observation(version="first"), 1.0, now=0.0)
    for k in range(1, 400):
        good = k % 2 == 0
        seen = Observation(version="new" if good else "old")
        past = remember(past, seen, 900.0 if good else 100.0, now=float(k), keep=keep)
    serves_now = Observation(version="old", watermark=100.0)
    for k in range(1, 400):
        built = Observation(updated_at=k + 0.5)
        assert index_watermark(built, *past, ingest=serves_now) <= (900 if k % 2 == 0 else 100)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9), st.integers(0, 20)),
        max_size=60,
    ),
    st.integers(2, 8),
)
def test_the_newest_publication_is_always_what_is_served(
    steps: list[tuple[str, int | None, int]], keep: int
) -> None:
    past: tuple[Publication, ...] = ()
    for now, (version, effective, updated_at) in enumerate(steps):
        seen = Observation(version=version, updated_at=float(updated_at))
        past = remember(past, seen, effective, now=float(now), keep=keep)
        assert past[-1].version == version
        assert effective is None or past[-1].watermark == effective
        assert len(past) <= keep
        assert past[-1].since < now + 0.001


# The brute-force walk: every path from the sources, each with what it lets through


def walk(
    where: str,
    graph: Pipeline,
    seen: Mapping[str, Observation],
    past: Mapping[str, tuple[Publication, ...]],
) -> float | None:
    """Return the effective watermark of *where* by following every path back to its end."""
    here = seen.get(where)
    if here is None:
        return None
    reads = set(graph.by_name[where].after)
    reads |= {up for up in here.built_from if up in graph.by_name and _leads(graph, up, where)}
    own = past.get(where, ())
    until, standing = inf, None
    if here.updated_at is not None:
        until = here.updated_at
        if own and own[-1].version == here.version and own[-1].since == until:
            standing = own[-1].watermark
    elif here.built_from and here.watermark is None and here.version is not None:
        until = min((one.since for one in own if one.version == here.version), default=inf)
    terms = [
        _let_through(up, here.built_from.get(up), until, standing, graph, seen, past)
        for up in reads
    ]
    if here.watermark is not None or not reads:
        terms.append(here.watermark)
    return None if None in terms else min(terms)


def _let_through(up, version, until, standing, graph, seen, past) -> float | None:  # type: ignore[no-untyped-def]
    """Return what one input allows: list what it served, strike out what cannot have been read."""
    through = walk(up, graph, seen, past)
    served = past.get(up, ())
    if up in seen:
        served = remember(served, seen[up], through, now=inf, keep=10**6)
    read = [one for one in served if one.since <= until]
    if version is not None:
        same = [one for one in served if one.version == version and one.watermark is not None]
        found = [one for one in same if one in read][-1:] or same[:1]
        return found[0].watermark if found else standing
    if until == inf:
        return through
    is_last = bool(read) and read[-1] is served[-1]
    unsure = not read or (is_last and (up not in seen or through is None))
    possible = [None if unsure else read[-1].watermark, standing]
    return max((one for one in possible if one is not None), default=None)


def _leads(graph: Pipeline, up: str, down: str) -> bool:
    """Say whether a path leads from *up* to *down*."""
    after = graph.by_name[down].after
    return up in after or any(_leads(graph, up, middle) for middle in after)


World = tuple[Pipeline, dict[str, Observation], dict[str, tuple[Publication, ...]]]


def world(seed: int) -> World:
    """Return some pipeline of up to 7 stages with any observations and any history."""
    rng = random.Random(seed)
    names = [f"s{k}" for k in range(rng.randint(1, 7))]
    graph = pipeline(
        **{n: tuple(rng.sample(names[:k], rng.randint(0, min(k, 3)))) for k, n in enumerate(names)}
    )

    def maybe(value: object) -> object:
        return value if rng.random() < 0.6 else None

    def moment() -> float:
        return float(rng.randint(0, 12))

    def observation() -> Observation:
        return Observation(
            version=maybe(rng.choice("abc")),
            watermark=maybe(moment()),
            updated_at=maybe(moment()),
            built_from={up: rng.choice("abc") for up in [*names, "moon"] if rng.random() < 0.3},
        )

    seen = {name: observation() for name in names if rng.random() < 0.93}
    history = {
        name: tuple(
            Publication(maybe(rng.choice("abc")), maybe(moment()), float(since))
            for since in sorted(rng.sample(range(13), rng.randint(0, 5)))
        )
        for name in names
    }
    for name, past in history.items():  # often the newest publication is the one observed
        if past and name in seen and rng.random() < 0.5:
            newest = past[-1]
            seen[name] = replace(seen[name], version=newest.version, updated_at=newest.since)
    return graph, seen, history


WORLDS = st.integers(0, 2**48).map(world)


@settings(max_examples=1500, deadline=None)
@given(WORLDS)
def test_effective_watermarks_are_those_of_a_walk_over_every_path(world: World) -> None:
    graph, seen, history = world
    found = freshness(graph, seen, history)
    expected = {stage.name: walk(stage.name, graph, seen, history) for stage in graph.stages}
    assert found.effective == expected
    outputs = [expected[name] for name in graph.outputs]
    assert found.watermark == (None if None in outputs else min(outputs))
    for edge, lag in found.lags.items():
        up, down = expected[edge.upstream], expected[edge.downstream]
        assert lag == (None if up is None or down is None else max(0.0, up - down))
    if found.bottleneck is not None:
        assert found.lags[found.bottleneck] > 0


@settings(max_examples=300, deadline=None)
@given(WORLDS, st.randoms(use_true_random=False))
def test_the_order_in_which_stages_are_written_changes_nothing(
    world: World, rng: random.Random
) -> None:
    graph, seen, history = world
    left, order = list(graph.stages), []
    while left:
        done = {stage.name for stage in order}
        order.append(rng.choice([s for s in left if set(s.after) <= done]))
        left.remove(order[-1])
    shuffled = Pipeline(graph.name, graph.owner, tuple(order))
    assert freshness(shuffled, seen, history) == freshness(graph, seen, history)


@settings(max_examples=800, deadline=None)
@given(WORLDS, st.integers(1, 9), st.randoms(use_true_random=False))
def test_an_older_input_never_makes_anything_fresher(
    world: World, older: int, rng: random.Random
) -> None:
    graph, seen, history = world
    stated = [name for name, one in sorted(seen.items()) if one.watermark is not None]
    if stated:
        name = rng.choice(stated)
        worse = seen | {name: replace(seen[name], watermark=seen[name].watermark - older)}
        _assert_no_fresher(freshness(graph, worse, history), freshness(graph, seen, history))


@settings(max_examples=800, deadline=None)
@given(WORLDS, st.randoms(use_true_random=False))
def test_losing_a_stage_never_makes_anything_fresher(world: World, rng: random.Random) -> None:
    graph, seen, _ = world
    if seen:
        lost = rng.choice(sorted(seen))
        fewer = {name: one for name, one in seen.items() if name != lost}
        _assert_no_fresher(freshness(graph, fewer, {}), freshness(graph, seen, {}))


def _assert_no_fresher(worse: Freshness, better: Freshness) -> None:
    for name, watermark in worse.effective.items():
        before = better.effective[name]
        assert watermark is None or (before is not None and watermark <= before)


# A world of jobs that really copy data


@dataclass
class Job:
    """A stage of the simulated world and the truth about it."""

    style: str  # what it tells of itself
    watermark: float = -inf  # the truth: event time up to which its output is complete
    version: str = "0"
    updated_at: float = 0.0
    built_from: Mapping[str, str] | None = None


LIVE = "code-1"  # the version of every stage that holds no copy
STYLES = ("lineage", "lineage, no time", "time only", "claims to be fresh", "live")


def observed(name: str, job: Job, *, now: float, is_source: bool) -> Observation:
    """Return what the stage says; nothing of it is false but the freshness that some claim."""
    if is_source:
        return Observation(version=job.version, watermark=job.watermark, updated_at=job.updated_at)
    if job.style == "live":
        return Observation(version=LIVE)
    stated = Observation(version=job.version, updated_at=job.updated_at)
    if job.style == "time only":
        return stated
    if job.style == "claims to be fresh":
        return replace(stated, watermark=now)
    stated = replace(stated, built_from=job.built_from or {})
    return stated if job.style == "lineage" else replace(stated, updated_at=None)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_no_stage_is_ever_called_fresher_than_its_data_really_is(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"s{k}" for k in range(rng.randint(2, 6))]
    graph = pipeline(
        **{n: tuple(rng.sample(names[:k], min(k, rng.randint(1, 2)))) for k, n in enumerate(names)}
    )
    jobs = {name: Job(rng.choice(STYLES)) for name in names}
    history: dict[str, tuple[Publication, ...]] = {}
    known = 0
    for tick in range(1, 60):
        now = tick * 10.0
        for place, stage in enumerate(graph.stages):
            _work(stage, jobs, rng, now=now - 9 + place)
        down = {name for name in names if rng.random() < 0.05}
        seen = {
            stage.name: observed(stage.name, jobs[stage.name], now=now, is_source=not stage.after)
            for stage in graph.stages
            if stage.name not in down and jobs[stage.name].watermark > -inf
        }
        found = freshness(graph, seen, history)
        for name, one in seen.items():
            effective = found.effective[name]
            assert effective is None or effective <= jobs[name].watermark, (name, jobs[name])
            known += effective is not None
            history[name] = remember(history.get(name, ()), one, effective, now=now)
        again = freshness(graph, seen, history).effective
        assert all(again[name] == found.effective[name] for name in names if found.effective[name])
    assert known > 0


def _work(stage: Stage, jobs: dict[str, Job], rng: random.Random, *, now: float) -> None:
    """Run the stage's job, or not: sources take in events, others copy what their inputs serve."""
    job = jobs[stage.name]
    if stage.after and job.style == "live":
        job.version = LIVE
        job.watermark = min(jobs[up].watermark for up in stage.after)
        return
    if rng.random() < 0.5 or any(jobs[up].watermark == -inf for up in stage.after):
        return
    job.updated_at = now
    if not stage.after:
        if rng.random() < 0.7:
            job.watermark = now - rng.choice((1.0, 5.0))
            job.version = str(now)
        return
    job.version = str(now)
    job.watermark = min(jobs[up].watermark for up in stage.after)
    job.built_from = {up: jobs[up].version for up in stage.after}
    if LIVE in job.built_from.values() and job.style == "lineage, no time":
        job.style = "lineage"  # without a time nobody can tell which of its states was read
