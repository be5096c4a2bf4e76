"""Threshold regret sees a threshold that is out of tune, and hardly ever one that is not."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from seamwatch.threshold import ENOUGH, Regret, best, regret

SCORES = st.one_of(
    st.floats(-1e300, 1e300), st.sampled_from([0.0, 0.1, 0.5, 1.0, 5e-324, math.inf, -math.inf])
)
ROWS = st.lists(st.tuples(SCORES, st.booleans(), st.booleans()), min_size=1, max_size=40)


def healthy(n: int, seed: int) -> tuple[Any, Any, Any, list[str]]:
    """Return yes/no questions whose scores are best cut at 0, where .785 of them are right."""
    dice = np.random.default_rng(seed)
    yes = dice.random(n) < 0.5
    scores = 1.58 * (yes - 0.5) + dice.normal(size=n)
    return scores, yes, ~yes, [f"q{place}" for place in range(n)]


def value(
    rows: list[tuple[float, bool, bool]], tau: float, objective: str, wrong: float, declined: float
) -> float:
    """Return the objective at *tau* the slow way, from its definition."""
    given_ = [score >= tau for score, _, _ in rows]
    if objective == "f1":
        hits = sum(g and right for g, (_, right, _) in zip(given_, rows, strict=True))
        due = sum(not declined_right for _, _, declined_right in rows)
        return 2 * hits / (sum(given_) + due) if sum(given_) + due else 0.0
    total = 0.0
    for answered, (_, right, declined_right) in zip(given_, rows, strict=True):
        is_right = right if answered else declined_right
        if objective == "accuracy":
            total += is_right
        else:
            price = wrong if answered else declined
            total += 1 - (not is_right) * price / max(wrong, declined)
    return total / len(rows)


def every_cut(rows: list[tuple[float, bool, bool]]) -> list[float]:
    finite = sorted({score for score, _, _ in rows if math.isfinite(score)})
    return [*finite, math.nextafter(finite[-1], math.inf)] if finite else []


@given(
    ROWS,
    st.sampled_from(["accuracy", "f1", "cost"]),
    st.floats(0.1, 10),
    st.floats(0, 10),
)
@settings(max_examples=300, deadline=None)
def test_no_threshold_does_better_than_the_best_one(
    rows: list[tuple[float, bool, bool]], objective: Any, wrong: float, declined: float
) -> None:
    if not every_cut(rows) or (objective == "f1" and all(row[2] for row in rows)):
        with pytest.raises(ValueError, match="no threshold is better"):
            best(*zip(*rows, strict=True), objective=objective)
        return
    found = best(*zip(*rows, strict=True), objective=objective, wrong=wrong, declined=declined)
    values = [value(rows, tau, objective, wrong, declined) for tau in every_cut(rows)]
    assert value(rows, found, objective, wrong, declined) == pytest.approx(max(values), abs=1e-8)


@given(
    st.lists(st.tuples(SCORES, st.booleans(), st.booleans()), min_size=ENOUGH + 3, max_size=60),
    st.floats(-10, 10),
)
@settings(max_examples=60, deadline=None)
def test_the_apparent_regret_is_what_the_best_threshold_wins_on_these_items(
    rows: list[tuple[float, bool, bool]], tau: float
) -> None:
    ids = [str(place) for place in range(len(rows))]
    found = regret(*zip(*rows, strict=True), ids, tau, seed=0, replicates=3)
    if found is None:
        assert sum(math.isfinite(row[0]) for row in rows) < ENOUGH
        return
    now = value(rows, tau, "accuracy", 1, 1)
    assert found.apparent == pytest.approx(value(rows, found.best, "accuracy", 1, 1) - now)
    assert found.apparent >= 0
    assert (found.n, found.value) == (len(rows), tau)


def test_f1_is_that_of_scikit_learn() -> None:
    scores, yes, no, ids = healthy(300, 1)
    found = regret(scores, yes, no, ids, 0.8, objective="f1", seed=1)
    assert found is not None
    gain = f1_score(yes, scores >= found.best) - f1_score(yes, scores >= 0.8)
    assert found.apparent == pytest.approx(gain)


def test_the_best_threshold_lies_in_the_middle_of_the_best_ones() -> None:
    # all from 0.2 to 0.8 do equally well: the scores between are of answers nobody can get right
    scores = [0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9]
    right = [False, False, False, False, False, True, True]
    declined_right = [True, True, False, False, False, False, False]
    assert best(scores, right, declined_right) == pytest.approx(0.4)


def test_the_best_threshold_may_lie_outside_all_scores() -> None:
    assert best([0.2, 0.4], [True, True], [False, False]) == pytest.approx(0.1)
    assert best([0.2, 0.4], [False, False], [True, True]) == pytest.approx(0.7)
    assert best([3.0, 5.0], [False, False], [True, True]) > 5.0
    assert best([-5.0, 5.0], [True, True], [False, False]) <= -5.0


def test_dear_mistakes_raise_the_best_threshold_and_dear_declining_lowers_it() -> None:
    scores, yes, no, _ = healthy(2000, 2)
    careful = best(scores, yes, no, objective="cost", wrong=5.0, declined=1.0)
    even = best(scores, yes, no, objective="cost", wrong=1.0, declined=1.0)
    eager = best(scores, yes, no, objective="cost", wrong=1.0, declined=5.0)
    assert eager < even < careful
    assert even == best(scores, yes, no)


def test_cost_is_a_share_of_the_dearest_mistake_whatever_the_currency() -> None:
    scores, yes, no, ids = healthy(200, 3)
    cents, euros = (
        regret(scores, yes, no, ids, 0.5, objective="cost", wrong=w, declined=d, seed=1)
        for w, d in ((500.0, 100.0), (5.0, 1.0))
    )
    assert cents == euros


def test_an_out_of_tune_threshold_is_raised() -> None:
    scores, yes, no, ids = healthy(2000, 4)
    found = regret(scores, yes, no, ids, 1.0, seed=4)  # 8.4 points under the best
    assert found is not None
    assert found.is_raised
    assert found.lower < found.estimate < found.apparent
    assert found.estimate == pytest.approx(0.084, abs=0.02)
    assert abs(found.best) < 0.3


@pytest.mark.parametrize("n", [100, 500])
def test_healthy_sets_are_hardly_ever_raised(n: int) -> None:
    sets = 200
    found = [
        regret(*healthy(n, 1000 + seed), 0.0, seed=seed, replicates=30) for seed in range(sets)
    ]
    raised = sum(one.is_raised for one in found if one is not None)
    # 1 in 20 raises at most: 20 of 200 would be three standard deviations more
    assert raised < 20
    apparent = np.mean([one.apparent for one in found if one is not None])
    estimate = np.mean([one.estimate for one in found if one is not None])
    assert apparent > 0.008
    assert abs(estimate) < 0.005


def test_a_set_where_every_threshold_is_perfect_has_no_regret() -> None:
    ids = [str(place) for place in range(50)]
    found = regret([0.9] * 50, [True] * 50, [False] * 50, ids, 0.5, seed=0)
    assert found is not None
    assert (found.apparent, found.estimate, found.is_raised) == (0.0, 0.0, False)


@given(st.randoms(use_true_random=False), st.sampled_from(["accuracy", "f1", "cost"]))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_answers_does_not_matter(dice: Any, objective: Any) -> None:
    scores, yes, no, ids = healthy(80, 5)
    order = list(range(80))
    dice.shuffle(order)
    arguments: dict[str, Any] = {"seed": 3, "objective": objective, "replicates": 20}
    shuffled = regret(
        scores[order], yes[order], no[order], [ids[place] for place in order], 0.4, **arguments
    )
    assert shuffled == regret(scores, yes, no, ids, 0.4, **arguments)


def test_the_scale_of_the_scores_does_not_matter() -> None:
    scores, yes, no, ids = healthy(120, 6)
    plain = regret(scores, yes, no, ids, 0.4, seed=1)
    other = regret(np.exp(scores) * 100, yes, no, ids, 100 * math.exp(0.4), seed=1)
    assert plain is not None
    assert other is not None
    assert replace(plain, best=0, value=0) == replace(other, best=0, value=0)


def test_answers_of_one_item_stay_together() -> None:
    scores, yes, no, ids = healthy(100, 7)
    once = regret(scores, yes, no, ids, 0.7, seed=1)
    passes = (np.tile(scores, 5), np.tile(yes, 5), np.tile(no, 5))
    again = regret(*passes, ids * 5, 0.7, seed=1)
    fooled = regret(*passes, [str(place) for place in range(500)], 0.7, seed=1)
    assert once is not None
    assert again is not None
    assert fooled is not None
    assert again.n == once.n == 100
    assert again.lower == pytest.approx(once.lower)
    assert again.estimate == pytest.approx(once.estimate)
    assert fooled.lower > again.lower + 0.01


def test_a_weight_of_two_is_an_item_answered_twice() -> None:
    scores, yes, no, ids = healthy(60, 8)
    twice = np.concatenate([np.arange(60), np.arange(30)])
    repeated = regret(
        scores[twice], yes[twice], no[twice], [ids[place] for place in twice], 0.7, seed=2
    )
    weighted = regret(scores, yes, no, ids, 0.7, seed=2, weights=[2.0] * 30 + [1.0] * 30)
    assert repeated is not None
    assert weighted is not None
    assert weighted.apparent == pytest.approx(repeated.apparent)
    assert weighted.estimate == pytest.approx(repeated.estimate)
    assert weighted.lower == pytest.approx(repeated.lower)


def test_answers_that_no_threshold_changes_dilute_the_regret() -> None:
    scores, yes, no, ids = healthy(100, 9)
    more = [f"r{place}" for place in range(100)]
    alone = regret(scores, yes, no, ids, 1.0, seed=1)
    diluted = regret(
        np.concatenate([scores, [math.inf] * 50, [-math.inf] * 50]),
        np.concatenate([yes, [True] * 100]),
        np.concatenate([no, [False] * 100]),
        ids + more,
        1.0,
        seed=1,
    )
    assert alone is not None
    assert diluted is not None
    assert diluted.apparent == pytest.approx(alone.apparent / 2)
    assert diluted.best == alone.best


def test_too_few_items_say_nothing() -> None:
    scores, yes, no, ids = healthy(100, 10)
    few = ENOUGH - 1
    assert regret(scores[:few], yes[:few], no[:few], ids[:few], 0.0, seed=1) is None
    same = [ids[place % few] for place in range(100)]
    assert regret(scores, yes, no, same, 0.0, seed=1) is None
    assert regret([math.inf] * 100, yes, no, ids, 0.0, seed=1) is None
    assert regret([], [], [], [], 0.0, seed=1) is None
    rare = np.arange(100) < 10
    assert regret(scores, rare, ~rare, ids, 0.0, objective="f1", seed=1) is None
    assert regret(scores, rare, ~rare, ids, 0.0, seed=1) is not None


def test_what_makes_no_sense_is_refused() -> None:
    scores, yes, no, ids = healthy(40, 11)
    with pytest.raises(ValueError, match="lengths"):
        regret(scores[1:], yes, no, ids, 0.0, seed=1)
    with pytest.raises(ValueError, match="score that is no number"):
        regret([math.nan, *scores[1:]], yes, no, ids, 0.0, seed=1)
    with pytest.raises(ValueError, match="threshold that is no number"):
        regret(scores, yes, no, ids, math.nan, seed=1)
    with pytest.raises(ValueError, match="weight"):
        regret(scores, yes, no, ids, 0.0, seed=1, weights=[0.0] * 40)
    with pytest.raises(ValueError, match="costs of 0"):
        regret(scores, yes, no, ids, 0.0, seed=1, objective="cost", wrong=0.0, declined=0.0)


def test_importing_it_brings_no_numpy_and_its_results_travel_to_other_processes() -> None:
    code = "import sys, seamwatch.threshold; print('numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
    found = Regret(0.01, 0.0, 0.02, 0.5, 100, 0.4)
    assert pickle.loads(pickle.dumps(found)) == found
    assert pickle.loads(pickle.dumps(regret)) is regret
