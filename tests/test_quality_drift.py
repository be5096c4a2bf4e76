"""Drift and miscalibration are told from chance, and chance from nothing at all."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seamwatch.quality import Banded, ece, ks, psi


def scores(n: int, seed: int, *, a: float = 5, b: float = 2) -> list[float]:
    return np.random.default_rng(seed).beta(a, b, n).tolist()


def test_psi_is_the_sum_over_bins() -> None:
    blessed = [place / 100 for place in range(100)]
    now = [0.05] * 60 + [0.95] * 40
    found = psi(blessed, now)
    assert found is not None
    p = 10.5 / 105
    shares = [60.5 / 105, *[0.5 / 105] * 8, 40.5 / 105]
    assert found.value == pytest.approx(sum((q - p) * math.log(q / p) for q in shares))
    assert found.stands_out


def test_the_same_scores_have_not_moved() -> None:
    same = scores(500, 1)
    for found in (psi(same, same), ks(same, same)):
        assert found is not None
        assert found.value == 0
        assert not found.stands_out


@pytest.mark.parametrize(("b", "moved"), [(2.0, False), (4.0, True)])
def test_scores_that_moved_stand_out(b: float, moved: bool) -> None:
    for found in (
        psi(scores(500, 2), scores(300, 3, b=b)),
        ks(scores(500, 2), scores(300, 3, b=b)),
    ):
        assert found is not None
        assert found.stands_out is moved
        assert found.n == 300


def test_ks_is_that_of_scipy() -> None:
    for n, m, b in ((40, 70, 2.0), (300, 500, 2.5)):
        blessed, now = scores(m, 5), scores(n, 6, b=b)
        found = ks(blessed, now)
        assert found is not None
        theirs = stats.ks_2samp(blessed, now, method="asymp")
        assert found.value == pytest.approx(theirs.statistic)
        root = math.sqrt(n * m / (n + m))
        assert stats.kstwobign.sf(found.limit * root) == pytest.approx(0.01, rel=0.001)
        assert stats.kstwobign.mean() == pytest.approx(found.expected * root, rel=1e-3)


def test_the_rule_of_thumb_calls_healthy_scores_drifted_where_the_band_does_not() -> None:
    thumb = band = 0
    for seed in range(150):
        found = psi(scores(100, 2 * seed), scores(100, 2 * seed + 1), seed=seed)
        assert found is not None
        thumb += found.value > 0.2
        band += found.stands_out
    assert thumb > 20
    assert band <= 7


def test_the_band_is_right_for_many_equal_scores_too() -> None:
    out = 0
    for seed in range(150):
        dice = np.random.default_rng(seed)
        blessed, now = (dice.choice([0.2, 0.5, 0.9, 0.99, 1.0], n) for n in (400, 200))
        found = psi(blessed.tolist(), now.tolist(), seed=seed)
        assert found is not None
        out += found.stands_out
    assert out <= 7


def test_the_band_narrows_as_scores_come_in() -> None:
    small, large = (psi(scores(n, 1), scores(n, 2)) for n in (60, 3000))
    assert small is not None
    assert large is not None
    assert large.expected < large.limit < small.expected < small.limit
    few, many = (ece(scores(n, 1), [True] * n) for n in (60, 3000))
    assert few is not None
    assert many is not None
    assert many.limit < few.limit


def test_too_few_scores_or_one_score_only_say_nothing() -> None:
    enough = scores(200, 1)
    assert psi(enough, enough[:49]) is None
    assert psi(enough[:49], enough) is None
    assert psi(enough, enough[:50]) is not None
    assert psi(enough, [*enough[:49], math.nan, math.inf]) is None
    assert psi([0.5] * 200, enough) is None
    assert ks(enough, enough[:29]) is None
    assert ks(enough, enough[:30]) is not None
    assert ece(enough[:49], [True] * 49) is None
    assert ece([None] * 200, [True] * 200) is None
    assert ece(enough, [True] * 200, ["same"] * 200) is None


@pytest.mark.parametrize(
    ("value", "limit", "holds"), [(0.2, 0.1, True), (0.3, 0.4, None), (0.3, 0.28, False)]
)
def test_a_target_is_missed_only_by_more_than_chance(
    value: float, limit: float, holds: bool | None
) -> None:
    banded = Banded(value, 0.05, limit, 100)
    assert banded.stays_under(0.25) is holds
    check = banded.check("score_drift", at_most=0.25)
    assert (check.name, check.value, check.n, check.at_most) == ("score_drift", value, 100, 0.25)
    assert check.holds is holds
    assert banded.check("score_drift", at_most=None).holds is None


def test_the_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    confidence = [0.1] * 30 + [0.5] * 30 + [0.9] * 60
    right = [True] * 6 + [False] * 24 + [True] * 15 + [False] * 15 + [True] * 42 + [False] * 18
    found = ece(confidence, right)
    assert found is not None
    assert found.value == pytest.approx((30 * 0.1 + 30 * 0.0 + 60 * 0.2) / 120)
    assert found.n == 120


@pytest.mark.parametrize(("bias", "wrong"), [(0.0, False), (0.25, True)])
def test_overconfidence_stands_out_and_honesty_does_not(bias: float, wrong: bool) -> None:
    dice = np.random.default_rng(3)
    truth = dice.uniform(0.4, 0.7, 400)
    found = ece((truth + bias).tolist(), (dice.random(400) < truth).tolist())
    assert found is not None
    assert found.stands_out is wrong


def test_calibrated_models_are_hardly_ever_called_wrong() -> None:
    out = thumb = 0
    for seed in range(60):
        dice = np.random.default_rng(seed)
        truth = dice.beta(5, 2, 100)
        found = ece(truth.tolist(), (dice.random(100) < truth).tolist(), seed=seed)
        assert found is not None
        out += found.stands_out
        thumb += found.value > 0.05
    assert out <= 5
    assert thumb > 50


def test_a_model_that_repeats_itself_is_given_a_wider_band() -> None:
    confidence, items = scores(60, 4), [str(place) for place in range(60)]
    right = [value > 0.6 for value in confidence]
    as_if_new = ece(confidence * 5, right * 5)
    repeated = ece(confidence * 5, right * 5, items * 5)
    once = ece(confidence, right)
    assert as_if_new is not None
    assert repeated is not None
    assert once is not None
    assert repeated.value == pytest.approx(once.value)
    assert repeated.limit == pytest.approx(once.limit, rel=0.1)
    assert repeated.limit > 1.5 * as_if_new.limit


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_the_same_seed_gives_the_same_figures_in_any_order(seed: int, dice: object) -> None:
    blessed, now = scores(80, 1), scores(60, 2)
    right = [value > 0.5 for value in now]
    rows = [
        (value, one, str(place)) for place, (value, one) in enumerate(zip(now, right, strict=True))
    ]
    shuffled = rows.copy()
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    mixed = [row[0] for row in shuffled]
    assert psi(blessed, now, seed=seed) == psi(blessed, mixed, seed=seed)
    assert ks(blessed, now) == ks(blessed, mixed)
    first, second = (ece(*zip(*order, strict=True), seed=seed) for order in (rows, shuffled))
    assert first == second


def test_confidence_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        ece([1.5] * 60, [True] * 60)
    with pytest.raises(ValueError, match="60, 59"):
        ece([0.5] * 60, [True] * 59)


def test_the_figures_travel_to_other_processes() -> None:
    found = Banded(0.1, 0.05, 0.2, 100)
    assert pickle.loads(pickle.dumps(found)) == found
    assert [pickle.loads(pickle.dumps(one)) for one in (psi, ks, ece)] == [psi, ks, ece]
