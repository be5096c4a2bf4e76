"""The detector's bets: fair at the null, never negative, never overflowing, always the same."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwatch.evidence import EQUAL, HIGHEST_NULL, MIRROR_RHOS, RHOS, WEIGHTS, Detector, Mirror

RATIOS = st.one_of(
    st.floats(0.0, 1.0), st.sampled_from([0.0, 1e-300, 1e-9, 0.5, 0.998, 0.9999999, 1.0])
)
SUMS = st.lists(st.floats(0.0, 1e12), min_size=12, max_size=12)
MIRROR_SUMS = st.lists(st.floats(0.0, 1e12), min_size=10, max_size=10)
ROUNDING = 1e-9


def gain(x: float, m: float) -> tuple[float, ...]:
    """Return L of each bet: what a detector at rest makes of one outcome."""
    detector = Detector()
    detector.take(x, m)
    return tuple(detector.r)


@given(x=RATIOS, m=RATIOS)
def test_no_outcome_makes_a_bet_negative_or_infinite(x: float, m: float) -> None:
    assert all(0.0 <= one < 500.0 for one in gain(x, m))


@given(m=RATIOS, share=RATIOS, low=RATIOS, high=RATIOS)
def test_a_bet_on_a_law_whose_mean_keeps_the_null_gains_nothing_on_average(
    m: float, share: float, low: float, high: float
) -> None:
    mean = share * high + (1.0 - share) * low
    null = min(m, mean)  # any null that the law keeps
    for won, lost in zip(gain(high, null), gain(low, null), strict=True):
        assert share * won + (1.0 - share) * lost <= 1.0 + ROUNDING


@given(m=st.floats(0.01, 0.99))
def test_right_and_wrong_are_a_likelihood_ratio_against_the_null(m: float) -> None:
    for rho, won, lost in zip(RHOS, gain(1.0, m), gain(0.0, m), strict=True):
        assert won == pytest.approx(m * (1.0 - rho) / m)
        assert lost == pytest.approx((1.0 - m * (1.0 - rho)) / (1.0 - min(m, HIGHEST_NULL)))


@given(r=SUMS, m=RATIOS, share=RATIOS, weights=st.sampled_from([EQUAL, WEIGHTS]))
def test_evidence_less_probes_is_a_supermartingale_from_any_past(
    r: list[float], m: float, share: float, weights: tuple[float, ...]
) -> None:
    before = Detector(r, weights=weights).s
    right, wrong = Detector(r, weights=weights), Detector(r, weights=weights)
    p = max(m, share)
    expected = p * right.take(1.0, m) + (1.0 - p) * wrong.take(0.0, m)
    assert expected <= (before + 1.0) * (1.0 + ROUNDING)


@given(r=MIRROR_SUMS, bound=st.floats(0.01, 0.99), share=RATIOS, more=st.floats(0.0, 0.5))
def test_recovery_less_probes_is_a_supermartingale_while_the_mean_is_not_above_its_bound(
    r: list[float], bound: float, share: float, more: float
) -> None:
    before = Mirror(r).s
    right, wrong = Mirror(r), Mirror(r)
    p = min(bound, share)
    worst = bound + more
    expected = p * right.take(1.0, bound, worst=worst)
    expected += (1.0 - p) * wrong.take(0.0, bound, worst=worst)
    assert expected <= (before + 1.0) * (1.0 + ROUNDING)
    assert min(wrong.r) >= 0.0


def test_the_bets_are_log_spaced_and_both_mixtures_are_means() -> None:
    steps = [math.log(after / before) for before, after in pairwise(RHOS)]
    assert RHOS[0] == 0.01
    assert RHOS[-1] == 0.97
    assert max(steps) - min(steps) < 1e-4
    assert math.fsum(EQUAL) == pytest.approx(1.0)
    assert math.fsum(WEIGHTS) == pytest.approx(1.0)
    assert all(
        w / rho == pytest.approx(WEIGHTS[0] / RHOS[0]) for w, rho in zip(WEIGHTS, RHOS, strict=True)
    )


@pytest.mark.parametrize("null", [0.5, 0.9, 0.998, 1.0])
def test_endless_outage_never_overflows_and_one_detector_like_it_can_be_kept(null: float) -> None:
    detector = Detector()
    for _ in range(3000):
        detector.take(0.0, null)
    assert 1e299 < detector.s <= 1e300
    kept = Detector(json.loads(json.dumps(list(detector.r))))
    assert kept.take(0.0, null) == detector.take(0.0, null)
    assert kept.take(1.0, null) == detector.take(1.0, null) < 1e300


def test_a_mirror_stops_growing_at_its_ceiling_so_that_it_can_fall_soon() -> None:
    mirror = Mirror(ceiling=2e4)
    for _ in range(5000):
        mirror.take(1.0, 0.9)
    assert mirror.s == 2e4
    for _ in range(60):
        mirror.take(0.0, 0.9)
    assert mirror.s < 20.0


def test_the_severity_is_the_loss_that_came_about() -> None:
    detector = Detector()
    assert detector.severity() is None
    for turn in range(400):
        detector.take(0.0 if turn % 4 == 0 else 1.0, 0.9)  # 0.75 of 0.9: a loss of 17 %
    assert detector.severity() == 0.183785


@pytest.mark.parametrize("r", [[1.0], [math.nan] * 12, [-1.0] * 12, [math.inf] * 12])
def test_what_are_no_sums_of_bets_is_refused(r: list[float]) -> None:
    with pytest.raises(ValueError, match="no sums of 12 bets"):
        Detector(r)


def test_every_bet_of_the_mirror_is_below_one() -> None:
    assert all(0.0 < rho < 1.0 for rho in MIRROR_RHOS)
