"""A window keeps score over the last probes; its intervals hold what they promise."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.errors import Reason
from seamwatch.pipeline import Answer, Estimate, Failure, GoldenItem, Judged, Verdict
from seamwatch.scoring import Window, estimate, wilson

FAILED = {
    Verdict.ERROR: Failure(Reason.BAD_STATUS, "500"),
    Verdict.TIMEOUT: Failure(Reason.TIMEOUT, "late"),
}


def probe(
    verdict: Verdict, *, credit: float = 0.0, slice: str = "", weight: float = 1.0, at: float = 0.0
) -> Judged:
    item = GoldenItem("q", "?", "a", slice=slice, weight=weight)
    answer = Answer(failure=FAILED.get(verdict))
    return Judged(item, answer, verdict, credit if verdict.is_answer else None, at)


PROBES = st.lists(
    st.builds(
        probe,
        st.sampled_from(Verdict),
        credit=st.floats(0, 1),
        slice=st.sampled_from(["", "x", "y"]),
        weight=st.floats(0.001, 1000),
    ),
    max_size=60,
)


def from_scratch(probes: list[Judged], *, credit: bool = False) -> Estimate | None:
    answers = [one for one in probes if one.verdict.is_answer]
    weights = [one.item.weight for one in answers]
    values = [(one.credit or 0) if credit else one.verdict is Verdict.CORRECT for one in answers]
    total = math.fsum(w * v for w, v in zip(weights, values, strict=True))
    return estimate(total, math.fsum(weights), math.fsum(w * w for w in weights), len(answers))


def assert_same(found: Estimate | None, wanted: Estimate | None) -> None:
    if wanted is None or found is None:
        assert found is wanted
        return
    assert found.n == wanted.n
    for part in ("value", "lower", "upper"):
        assert getattr(found, part) == pytest.approx(getattr(wanted, part), abs=1e-6)


@settings(deadline=None)
@given(probes=PROBES, size=st.integers(1, 20))
def test_a_window_says_what_its_last_probes_say_however_many_came_before(
    probes: list[Judged], size: int
) -> None:
    window = Window(size)
    for one in probes:
        window.add(one)
    last = probes[-size:]
    assert len(window) == len(last)
    assert window.is_full == (len(probes) >= size)
    assert_same(window.accuracy(), from_scratch(last))
    assert_same(window.credit(), from_scratch(last, credit=True))
    assert Counter(window.verdicts()) == Counter(one.verdict for one in last)
    named = {one.item.slice for one in last if one.item.slice and one.verdict.is_answer}
    assert set(window.slices()) == named
    for name in named:
        within = [one for one in last if one.item.slice == name]
        assert_same(window.slices()[name], from_scratch(within))
    answered = sum(one.verdict.is_answer for one in last)
    availability = window.availability()
    if last:
        assert availability is not None
        assert (availability.value, availability.n) == (answered / len(last), len(last))
    else:
        assert availability is None


def test_nothing_is_left_of_what_left_the_window() -> None:
    window = Window(3)
    for _ in range(1000):
        window.add(probe(Verdict.WRONG, credit=0.1, weight=999.9, slice="heavy"))
    for _ in range(3):
        window.add(probe(Verdict.CORRECT, credit=1.0, weight=0.001, slice="light"))
    accuracy = window.accuracy()
    assert accuracy is not None
    assert (accuracy.value, accuracy.n) == (1.0, 3)
    assert list(window.slices()) == ["light"]


def test_after_a_whole_window_of_failures_the_accuracy_is_unknown() -> None:
    window = Window(4)
    window.add(probe(Verdict.CORRECT, credit=1.0, at=7.0))
    assert window.last_answer() == 7.0
    for _ in range(4):
        window.add(probe(Verdict.TIMEOUT, at=9.0))
    assert window.accuracy() is None
    assert window.slices() == {}
    assert window.last_answer() is None
    availability = window.availability()
    assert availability is not None
    assert (availability.value, availability.lower) == (0.0, 0.0)


def test_invalid_refused_and_stale_answers_count_against_the_accuracy() -> None:
    window = Window(10)
    for verdict in Verdict:
        window.add(probe(verdict, credit=float(verdict is Verdict.CORRECT)))
    accuracy = window.accuracy()
    assert accuracy is not None
    assert (accuracy.value, accuracy.n) == (1 / 5, 5)


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        Window(0)


def test_wilson_gives_the_published_interval() -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3: 81 of 263
    lower, upper = wilson(81 / 263, 263)
    assert (round(lower, 4), round(upper, 4)) == (0.2553, 0.3662)
    assert wilson(0.0, 20)[0] == 0.0
    assert wilson(1.0, 20)[1] == 1.0


@given(st.floats(0, 1), st.floats(1, 1e6))
def test_an_interval_holds_its_value_and_stays_a_ratio(value: float, n: float) -> None:
    lower, upper = wilson(value, n)
    assert 0 <= lower <= value <= upper <= 1


def coverage(draw: list[tuple[float, float]], truth: float, trials: int, size: int) -> float:
    """Return how often the interval of *size* draws (weight, value) holds *truth*."""
    dice = random.Random(7)
    hits = 0
    for _ in range(trials):
        sample = dice.choices(draw, k=size)
        weights = [weight for weight, _ in sample]
        found = estimate(
            sum(weight * value for weight, value in sample),
            sum(weights),
            sum(weight * weight for weight in weights),
            size,
        )
        assert found is not None
        hits += found.lower <= truth <= found.upper
    return hits / trials


def shares(right: float) -> list[tuple[float, float]]:
    return [(1.0, 1.0)] * round(right * 100) + [(1.0, 0.0)] * round((1 - right) * 100)


@pytest.mark.parametrize("right", [0.5, 0.71, 0.88, 0.94])
@pytest.mark.parametrize("size", [30, 200])
def test_the_interval_of_right_and_wrong_covers_the_truth_95_times_in_a_hundred(
    right: float, size: int
) -> None:
    # Wilson's coverage swings around 95 %; 1,500 trials have a standard error of 0.6 points
    assert 0.925 <= coverage(shares(right), right, 1500, size) <= 0.985


@pytest.mark.parametrize("right", [0.7, 0.94])
def test_with_weights_the_interval_still_covers_the_truth(right: float) -> None:
    heavy = [(weight * 5.0 if place % 10 == 0 else 1.0, value)
             for place, (weight, value) in enumerate(shares(right))]  # fmt: skip
    truth = sum(w * v for w, v in heavy) / sum(w for w, _ in heavy)
    assert coverage(heavy, truth, 1500, 150) >= 0.92


@pytest.mark.parametrize(
    "credits",
    [
        [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],  # nothing between: the hardest
        [1.0] * 18 + [0.9, 0.1],
        [0.2, 0.4, 0.6, 0.8, 1.0],
        [0.8],
    ],
)
def test_the_interval_of_a_mean_credit_is_never_too_narrow(credits: list[float]) -> None:
    draw = [(1.0, credit) for credit in credits]
    truth = sum(credits) / len(credits)
    assert coverage(draw, truth, 1000, 60) >= 0.925
