"""Skew: which edges stand on another version than upstream serves, since when, how far behind."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.freshness import Publication, remember
from seamwatch.pipeline import Observation, Pipeline, Stage, StageKind
from seamwatch.skew import Skew, skews


def stage(name: str, *after: str, tuned_on: tuple[str, ...] = ()) -> Stage:
    return Stage(name, "team", StageKind.TRANSFORM, after, tuned_on)


RAG = Pipeline("rag", "platform", (stage("embedding"), stage("index", "embedding")))


def over_the_seam(
    index: Observation | None, embedding: Observation | None, *served: str | None
) -> Skew:
    """Return the skew of the index after the embedding *served* these versions at 0, 10, 20..."""
    seen = {"embedding": embedding, "index": index}
    past = tuple(Publication(version, 1.0, 10.0 * k) for k, version in enumerate(served))
    found = skews(
        RAG, {name: one for name, one in seen.items() if one is not None}, {"embedding": past}
    )
    assert len(found) == 1
    return found[0]


def built(version: str) -> Observation:
    return Observation(version="idx", built_from={"embedding": version})


def serving(version: str | None, *, updated_at: float | None = None) -> Observation:
    return Observation(version=version, watermark=1.0, updated_at=updated_at)


def test_an_index_on_the_version_that_is_served_has_no_skew() -> None:
    found = over_the_seam(built("m2"), serving("m2"), "m1", "m2")
    assert found == Skew("embedding", "index", False, None, None, 0)


def test_an_index_that_missed_two_versions_is_two_behind_since_the_first() -> None:
    found = over_the_seam(built("m1"), serving("m3"), "m1", "m2", "m3")
    assert found == Skew("embedding", "index", True, None, 10.0, 2)


def test_a_version_that_is_not_remembered_is_skew_of_unknown_age() -> None:
    found = over_the_seam(built("m0"), serving("m3"), "m1", "m2", "m3")
    assert found == Skew("embedding", "index", True, None, None, None)


def test_a_rollback_under_an_index_is_skew_since_the_rollback() -> None:
    found = over_the_seam(built("m2"), serving("m1"), "m1", "m2", "m1")
    assert found == Skew("embedding", "index", True, None, 20.0, 1)


def test_versions_that_come_and_go_are_counted_once() -> None:
    found = over_the_seam(built("m0"), serving("m1"), "m0", "m1", "m2", "m1", "m2", "m1")
    assert found == Skew("embedding", "index", True, None, 10.0, 2)


def test_a_watermark_that_moves_is_no_new_version() -> None:
    found = over_the_seam(built("m1"), serving("m2"), "m1", "m1", "m2", "m2")
    assert found == Skew("embedding", "index", True, None, 20.0, 1)


def test_a_moment_without_a_version_is_no_change_of_version() -> None:
    assert over_the_seam(built("m1"), serving("m1"), "m1", None, "m1").version is False
    found = over_the_seam(built("m1"), serving("m2"), "m1", None, "m2")
    assert (found.since, found.versions_behind) == (20.0, 1)


def test_a_version_served_now_counts_before_it_is_remembered() -> None:
    found = over_the_seam(built("m1"), serving("m2", updated_at=7.0), "m1")
    assert found == Skew("embedding", "index", True, None, 7.0, 1)
    found = over_the_seam(built("m1"), serving("m2"), "m1")
    assert found == Skew("embedding", "index", True, None, None, 1)


def test_a_rollback_that_is_not_remembered_yet_has_no_time() -> None:
    found = over_the_seam(built("m2"), serving("m1", updated_at=3.0), "m1", "m2")
    assert found == Skew("embedding", "index", True, None, None, 1)


def test_unknown_is_none_and_never_false() -> None:
    unknown = Skew("embedding", "index", None, None, None, None)
    assert over_the_seam(built("m1"), None, "m1") == unknown
    assert over_the_seam(None, serving("m1"), "m1") == unknown
    assert over_the_seam(built("m1"), serving(None), "m1") == unknown
    assert over_the_seam(Observation(version="idx"), serving("m1"), "m1") == unknown


def test_a_threshold_tuned_on_an_older_model_is_tuning_skew() -> None:
    rag = Pipeline(
        "rag",
        "platform",
        (
            stage("embedding"),
            stage("index", "embedding"),
            stage("decision", "index", tuned_on=("embedding", "index")),
        ),
    )
    seen = {
        "embedding": serving("m2"),
        "index": Observation(version="idx-7", built_from={"embedding": "m2"}),
        "decision": Observation(
            version="t1", built_from={"index": "idx-7"}, tuned_on={"embedding": "m1"}
        ),
    }
    history = {"embedding": (Publication("m1", 1.0, 5.0), Publication("m2", 2.0, 6.0))}
    assert skews(rag, seen, history) == (
        Skew("embedding", "index", False, None, None, 0),
        Skew("index", "decision", False, None, None, 0),
        Skew("embedding", "decision", None, True, 6.0, 1),
    )


def test_a_stage_may_say_what_it_was_tuned_on_without_configuration() -> None:
    seen = {
        "embedding": serving("m2"),
        "index": Observation(
            version="i", tuned_on={"embedding": "m1", "index": "i", "moon": "full"}
        ),
    }
    assert skews(RAG, seen, {}) == (Skew("embedding", "index", None, True, None, None),)


def test_built_and_tuned_on_different_old_versions_tell_of_the_older_one() -> None:
    index = replace(built("m2"), tuned_on={"embedding": "m1"})
    found = over_the_seam(index, serving("m3"), "m1", "m2", "m3")
    assert found == Skew("embedding", "index", True, True, 10.0, 2)
    found = over_the_seam(index, serving("m3"), "m2", "m3")
    assert found == Skew("embedding", "index", True, True, None, None)


def test_built_on_what_is_served_but_tuned_before_is_tuning_skew_alone() -> None:
    index = replace(built("m2"), tuned_on={"embedding": "m1"})
    found = over_the_seam(index, serving("m2"), "m1", "m2")
    assert found == Skew("embedding", "index", False, True, 10.0, 1)


@settings(max_examples=800, deadline=None)
@given(st.integers(0, 2**48))
def test_skew_agrees_with_replaying_the_history_step_by_step(seed: int) -> None:
    rng = random.Random(seed)
    stood, served = rng.choice("abc"), [rng.choice("abc") for _ in range(rng.randint(1, 8))]
    past: tuple[Publication, ...] = ()
    for now, version in enumerate(served):
        past = remember(past, serving(version), rng.random(), now=float(now))
    found = skews(
        RAG, {"embedding": serving(served[-1]), "index": built(stood)}, {"embedding": past}
    )[0]

    left, missed = _replay(stood, served)
    assert found.version is (stood != served[-1])
    if stood == served[-1]:
        assert (found.since, found.versions_behind) == (None, 0)
    else:
        assert (found.since, found.versions_behind) == (left, missed)


def _replay(stood: str, served: list[str]) -> tuple[float | None, int | None]:
    """Return when *stood* was left for the last time and how many versions came since, naively."""
    left, missed = None, None
    for now, version in enumerate(served):
        if version == stood:
            left, missed = None, set()
        elif missed is not None:
            left = float(now) if left is None else left
            missed.add(version)
    return left, None if missed is None else len(missed)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**48))
def test_every_edge_is_told_of_once_and_only_from_what_is_said(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"s{k}" for k in range(rng.randint(1, 6))]
    stages = [
        stage(
            name,
            *rng.sample(names[:k], rng.randint(0, min(k, 2))),
            tuned_on=tuple(rng.sample(names[:k], rng.randint(0, min(k, 2)))),
        )
        for k, name in enumerate(names)
    ]
    seen: Mapping[str, Observation] = {
        name: Observation(
            version=rng.choice(["a", "b", None]),
            built_from={up: rng.choice("ab") for up in names if rng.random() < 0.4},
            tuned_on={up: rng.choice("ab") for up in names if rng.random() < 0.2},
        )
        for name in names
        if rng.random() < 0.8
    }
    found = skews(Pipeline("p", "o", tuple(stages)), seen, {})
    edges = {(one.upstream, one.downstream) for one in found}
    assert len(edges) == len(found)
    wanted = {(up, s.name) for s in stages for up in (*s.after, *s.tuned_on)}
    wanted |= {(up, down) for down, one in seen.items() for up in one.tuned_on if up != down}
    assert edges == wanted
    for one in found:
        served = seen[one.upstream].version if one.upstream in seen else None
        for claim, verdict in (("built_from", one.version), ("tuned_on", one.tuning)):
            claims = getattr(seen[one.downstream], claim) if one.downstream in seen else {}
            known = served is not None and one.upstream in claims
            assert verdict is (claims[one.upstream] != served if known else None)
