"""Quality checks count what answers look like, and decide by the rule that accuracy has."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.errors import Reason
from seamwatch.pipeline import Answer, Estimate, Failure, GoldenItem, Judged, Task, Verdict
from seamwatch.quality import Check, QualityRules, QualityWindow, all_hold, signal
from seamwatch.scoring import Rules, judge, reaches, stays_under

LATE = Failure(Reason.TIMEOUT, "late")
JSON = Rules(
    Task.TEXT,
    refusals=("I cannot say",),
    json_schema={"type": "string", "maxLength": 40},
)
EVERYTHING = QualityRules(
    not_empty=True,
    json_schema=True,
    refusal_at_most=0.02,
    max_length=20,
    forbids=(r"\bas an AI\b",),
    at_least=0.97,
)


def asked(value: Any, *, expected: Any = "a", refused: bool = False) -> Judged:
    return judge(GoldenItem("q", "?", expected), Answer(value, refused=refused), JSON, at=0.0)


def failed() -> Judged:
    return judge(GoldenItem("q", "?", "a"), Answer(failure=LATE), JSON, at=0.0)


def counts(judged: list[Judged], size: int = 100) -> dict[str, tuple[float | None, int]]:
    window = QualityWindow(size, EVERYTHING)
    for one in judged:
        window.add(one)
    return {check.name: (check.value, check.n) for check in window.checks()}


def test_only_what_is_asked_for_is_checked() -> None:
    assert QualityWindow(10, QualityRules()).checks() == ()
    names = [check.name for check in QualityWindow(10, EVERYTHING).checks()]
    assert names == ["not_empty", "json_schema", "refusal", "max_length", "forbids"]


def test_a_good_answer_passes_every_check() -> None:
    good = (1.0, 1)
    assert counts([asked("a")]) == {
        "not_empty": good,
        "json_schema": good,
        "refusal": (0.0, 1),
        "max_length": good,
        "forbids": good,
    }


@pytest.mark.parametrize("value", [None, "", " \n", [], {}])
def test_nothing_is_empty(value: Any) -> None:
    assert counts([asked(value)])["not_empty"] == (0.0, 1)


@pytest.mark.parametrize("value", [0, False, "0", [0]])
def test_zero_and_no_are_something(value: Any) -> None:
    assert counts([asked(value)])["not_empty"] == (1.0, 1)


def test_an_answer_of_another_shape_fails_the_schema() -> None:
    assert counts([asked("x" * 41)])["json_schema"] == (0.0, 1)
    assert counts([asked(12)])["json_schema"] == (0.0, 1)
    assert counts([asked("wrong")])["json_schema"] == (1.0, 1)


@pytest.mark.parametrize(("value", "refused"), [("I cannot say.", False), (None, True)])
def test_declining_what_has_an_answer_is_a_refusal_and_not_an_empty_answer(
    value: Any, refused: bool
) -> None:
    found = counts([asked(value, refused=refused)])
    assert found["refusal"] == (1.0, 1)
    assert found["not_empty"] == found["json_schema"] == (None, 0)


def test_declining_what_has_no_answer_is_no_refusal() -> None:
    found = counts([asked("I cannot say", expected=None)])
    assert found["refusal"] == (None, 0)
    assert found["not_empty"] == (None, 0)
    assert found["forbids"] == (1.0, 1)


def test_length_is_that_of_the_text_or_of_its_json() -> None:
    assert counts([asked("é" * 20)])["max_length"] == (1.0, 1)
    assert counts([asked("é" * 21)])["max_length"] == (0.0, 1)
    assert counts([asked({"a": "é" * 11})])["max_length"] == (1.0, 1)  # {"a": "..."}
    assert counts([asked({"a": "é" * 12})])["max_length"] == (0.0, 1)


def test_forbidden_words_are_found_in_refusals_too() -> None:
    assert counts([asked("So, as an AI, no", refused=True)])["forbids"] == (0.0, 1)
    assert counts([asked(["x", "as an AI"])])["forbids"] == (0.0, 1)


def test_errors_are_no_answers_but_take_up_places() -> None:
    window = QualityWindow(5, EVERYTHING)
    for one in [asked(""), *[failed()] * 5]:
        window.add(one)
    assert len(window) == 5
    assert all((check.value, check.n, check.holds) == (None, 0, None) for check in window.checks())
    assert {check.at_least for check in window.checks()} == {0.97, None}


ANSWERED = st.one_of(
    st.builds(
        asked,
        st.sampled_from(["a", "", None, "x" * 30, "x" * 50, "as an AI", 3, "I cannot say", []]),
        expected=st.sampled_from(["a", None]),
        refused=st.booleans(),
    ),
    st.builds(failed),
)


@given(st.lists(ANSWERED, max_size=60), st.integers(1, 20))
@settings(deadline=None)
def test_a_window_counts_its_last_answers_and_nothing_else(judged: list[Judged], size: int) -> None:
    old_and_new = QualityWindow(size, EVERYTHING)
    only_new = QualityWindow(size, EVERYTHING)
    for one in judged:
        old_and_new.add(one)
    for one in judged[-size:]:
        only_new.add(one)
    assert old_and_new.checks() == only_new.checks()


def one_check(good: int, bad: int, size: int = 200, **rules: Any) -> Check:
    window = QualityWindow(size, QualityRules(not_empty=True, **rules))
    for value in ["a"] * good + [""] * bad:
        window.add(asked(value))
    return window.checks()[0]


@pytest.mark.parametrize(
    ("good", "bad", "holds"),
    [
        (29, 0, None),  # too few
        (30, 0, True),
        (97, 3, True),
        (96, 4, None),  # under the target, but so might a good model be
        (90, 10, False),
    ],
)
def test_a_check_fails_when_its_whole_interval_misses_the_target(
    good: int, bad: int, holds: bool | None
) -> None:
    check = one_check(good, bad, at_least=0.97)
    assert check.holds is holds
    assert check.value is not None
    assert check.lower is not None
    assert check.upper is not None
    assert check.lower <= check.value <= check.upper
    assert check.n == good + bad


def test_a_small_window_is_enough_when_it_is_full() -> None:
    assert one_check(5, 0, size=5, at_least=0.5).holds is True
    assert one_check(4, 0, size=5, at_least=0.5).holds is None


def test_a_check_without_a_target_decides_nothing() -> None:
    assert one_check(0, 50).holds is None
    assert one_check(0, 50).value == 0.0


@pytest.mark.parametrize(("refused", "holds"), [(2, True), (4, None), (12, False)])
def test_refusals_must_stay_under_their_own_target(refused: int, holds: bool | None) -> None:
    window = QualityWindow(100, QualityRules(refusal_at_most=0.02, at_least=0.97))
    for place in range(100):
        window.add(asked("a", refused=False) if place >= refused else asked(None, refused=True))
    (check,) = window.checks()
    assert (check.value, check.at_least, check.at_most) == (refused / 100, None, 0.02)
    assert check.holds is holds


@given(st.integers(0, 300), st.integers(1, 300), st.floats(0, 1))
def test_an_upper_target_mirrors_a_lower_one(good: int, n: int, target: float) -> None:
    good = min(good, n)
    value = good / n
    estimate = Estimate(value, value * 0.9, value + (1 - value) * 0.1, n)
    mirrored = Estimate(1 - value, 1 - estimate.upper, 1 - estimate.lower, n)
    edges = (value, estimate.lower, estimate.upper)
    if min(abs(target - edge) for edge in edges) > 1e-9:
        assert stays_under(estimate, target, enough=30) is reaches(mirrored, 1 - target, enough=30)


def test_healthy_answers_seldom_fail_a_target_that_they_keep_to() -> None:
    """At each look, of models that are exactly as good as promised; looks share their window."""
    dice = random.Random(4)
    looks = misses = 0
    for _ in range(100):
        window = QualityWindow(100, QualityRules(not_empty=True, at_least=0.95))
        for place in range(300):
            window.add(asked("a" if dice.random() < 0.95 else ""))
            if place >= 99 and place % 50 == 0:
                looks += 1
                misses += window.checks()[0].holds is False
    assert misses / looks < 0.05


def test_the_worst_check_with_a_target_decides() -> None:
    good, bad = Check("a", at_least=0.9, holds=True), Check("b", at_most=0.1, holds=False)
    open_, untargeted = Check("c", at_least=0.9), Check("d", 0.1)
    assert all_hold([good, untargeted]) is True
    assert all_hold([good, open_]) is None
    assert all_hold([good, open_, bad]) is False
    assert all_hold([untargeted]) is None
    assert all_hold([]) is None


def test_a_signal_is_compared_as_it_is() -> None:
    assert signal("thumbs_up", 0.9, at_least=0.9).holds is True
    assert signal("thumbs_up", 0.89, at_least=0.9).holds is False
    assert signal("latency", 2.0, at_most=1.5).holds is False
    assert signal("latency", 2.0).holds is None
    for nothing in (None, float("nan")):
        found = signal("thumbs_up", nothing, at_least=0.9)
        assert (found.value, found.holds, found.at_least) == (None, None, 0.9)


def test_what_can_hold_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        QualityWindow(0, EVERYTHING)
    with pytest.raises(ValueError, match="very long"):
        QualityWindow(5, QualityRules(forbids=("(a+)+$",)))


def test_verdicts_and_texts_of_a_window_are_not_kept() -> None:
    window = QualityWindow(5, EVERYTHING)
    window.add(asked("a secret"))
    assert "secret" not in repr(vars(window))
    assert Verdict.WRONG not in repr(vars(window))


def test_importing_it_brings_no_numpy() -> None:
    code = "import sys, seamwatch.quality; print('numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
