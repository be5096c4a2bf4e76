"""An answer is recomputed under another threshold as the pipeline would have given it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.errors import Reason
from seamwatch.pipeline import Answer, Failure, GoldenItem, Judged, Task, Verdict
from seamwatch.scoring import Rules, judge
from seamwatch.threshold import Cases, apply, best, cases, regret, thresholded

LATE = Failure(Reason.TIMEOUT, "late")
BINARY = Rules(Task.BINARY, positive="yes")
LABELS = Rules(Task.MULTICLASS)
ITEM = GoldenItem("q", "?", "a")


def asked(expected: Any, answer: Answer, rules: Rules, *, id: str = "q") -> Judged:
    return judge(GoldenItem(id, "?", expected), answer, rules, at=0.0)


@pytest.mark.parametrize(
    "before", [Answer("a", 0.6, candidate="a"), Answer(None, 0.6, candidate="a", refused=True)]
)
def test_a_candidate_is_given_from_the_threshold_on(before: Answer) -> None:
    assert thresholded(ITEM, before, 0.6) == Answer("a", 0.6, candidate="a")
    assert thresholded(ITEM, before, 0.61) == Answer(None, 0.6, candidate="a", refused=True)


def test_an_answer_that_was_given_is_its_own_candidate() -> None:
    assert thresholded(ITEM, Answer("a", 0.6), 0.7) == Answer(None, 0.6, refused=True)
    of_labels = Answer("a", scores={"a": 0.6, "b": 0.3})
    assert thresholded(ITEM, of_labels, 0.5).value == "a"
    assert thresholded(ITEM, of_labels, 0.7).refused


@pytest.mark.parametrize(
    "answer",
    [
        Answer(failure=LATE),
        Answer(None, 0.4, refused=True),  # what was declined is not said
        Answer("a"),
        Answer("a", math.nan),
        Answer(None, None, candidate="a", refused=True),
    ],
)
def test_an_answer_that_cannot_be_recomputed_comes_back_as_it_is(answer: Answer) -> None:
    assert thresholded(ITEM, answer, 0.5) is answer


@pytest.mark.parametrize(
    ("answer", "score", "rules"),
    [
        (Answer("yes", scores={"yes": 0.7, "no": 0.3}), 0.7, BINARY),
        (Answer("no", scores={"yes": 0.7, "no": 0.3}), 0.7, BINARY),
        (Answer("yes", 0.7), 0.7, BINARY),
        (Answer("no", 0.25), 0.75, BINARY),
        (Answer("no", 0.7), 0.7, Rules(Task.BINARY, positive="yes", score_of="positive")),
    ],
)
def test_a_binary_answer_is_positive_from_the_threshold_on(
    answer: Answer, score: float, rules: Rules
) -> None:
    item = GoldenItem("q", "?", "no")
    assert thresholded(item, answer, score, rules=rules).value == "yes"
    higher = math.nextafter(score, 1)
    assert thresholded(item, answer, higher, rules=rules).value == "no"
    assert not thresholded(item, answer, higher, rules=rules).refused


def test_the_other_label_of_a_binary_answer_comes_from_whatever_tells_it() -> None:
    def other(answer: Answer, expected: Any, rules: Rules = BINARY) -> Any:
        return thresholded(GoldenItem("q", "?", expected), answer, 1.0, rules=rules).value

    assert other(Answer("yes", 0.7), "no") == "no"
    assert other(Answer("no", 0.7), "yes") == "no"
    assert other(Answer("yes", scores={"yes": 0.7, "nay": 0.3}), "yes") == "nay"
    assert (
        other(Answer("yes", 0.7), "yes", Rules(Task.BINARY, positive="yes", labels=("no", "yes")))
        == "no"
    )
    nobody_says = thresholded(GoldenItem("q", "?", "yes"), Answer("yes", 0.7), 1.0, rules=BINARY)
    assert nobody_says.refused
    assert (
        judge(GoldenItem("q", "?", "yes"), nobody_says, BINARY, at=0.0).verdict is Verdict.REFUSED
    )


def test_booleans_and_numbers_are_labels_too() -> None:
    rules = Rules(Task.BINARY, positive="true")
    item = GoldenItem("q", "?", False)
    declined = thresholded(item, Answer(True, 0.7), 0.9, rules=rules)
    assert judge(item, declined, rules, at=0.0).verdict is Verdict.CORRECT


def test_apply_decides_like_the_threshold() -> None:
    assert apply("a", 0.5, 0.5) == "a"
    assert apply("a", 0.5, 0.6) is None


def test_cases_leave_out_failures_and_keep_what_no_threshold_changes() -> None:
    found = cases(
        [
            asked("a", Answer("a", 0.8, candidate="a"), LABELS, id="1"),
            asked(None, Answer(None, 0.3, candidate="b", refused=True), LABELS, id="2"),
            asked("a", Answer(failure=LATE), LABELS, id="3"),
            asked("a", Answer("a"), LABELS, id="4"),
            asked("a", Answer(None, 0.2, refused=True), LABELS, id="5"),
        ],
        LABELS,
    )
    assert found == Cases(
        scores=(0.8, 0.3, math.inf, -math.inf),
        right=(True, False, True, False),
        declined_right=(False, True, True, False),
        ids=("1", "2", "4", "5"),
        weights=(1.0,) * 4,
    )


def test_a_binary_pipeline_may_abstain_instead() -> None:
    judged = [asked("no", Answer("no", 0.8), BINARY)]
    chooses = cases(judged, BINARY)
    abstains = cases(judged, BINARY, abstains=True)
    assert chooses.scores == pytest.approx((0.2,))
    assert (chooses.right, chooses.declined_right) == ((False,), (True,))
    assert (abstains.scores, abstains.right, abstains.declined_right) == ((0.8,), (True,), (False,))


LABEL = st.sampled_from(["yes", "no"])
SHARE = st.floats(0, 1)
ANSWERS = st.one_of(
    st.builds(Answer, LABEL, SHARE),
    st.builds(lambda label, p: Answer(label, scores={"yes": p, "no": 1 - p}), LABEL, SHARE),
    st.builds(
        lambda label, p, r: Answer(None if r else label, p, candidate=label, refused=r),
        LABEL,
        SHARE,
        st.booleans(),
    ),
    st.builds(Answer, LABEL),
    st.just(Answer(None, refused=True)),
)


@given(
    st.lists(st.tuples(st.sampled_from(["yes", "no", None]), ANSWERS), min_size=1, max_size=30),
    SHARE,
    st.sampled_from([BINARY, LABELS]),
)
@settings(max_examples=200, deadline=None)
def test_the_columns_say_what_judging_the_recomputed_answers_says(
    rows: list[tuple[str | None, Answer]], tau: float, rules: Rules
) -> None:
    judged = [asked(truth, answer, rules, id=str(n)) for n, (truth, answer) in enumerate(rows)]
    columns = cases(judged, rules)
    by_columns = [
        right if score >= tau else declined
        for score, right, declined in zip(
            columns.scores, columns.right, columns.declined_right, strict=True
        )
    ]
    by_judging = [
        judge(one.item, thresholded(one.item, one.answer, tau, rules=rules), rules, at=0.0).verdict
        is Verdict.CORRECT
        for one in judged
    ]
    assert by_columns == by_judging


def test_a_pipeline_that_declines_too_much_is_told_a_lower_threshold() -> None:
    judged = []
    for place in range(200):
        score = (place % 50) / 50
        truth = "a" if score > 0.4 else None
        declines = score < 0.8
        answer = Answer(None if declines else "a", score, candidate="a", refused=declines)
        judged.append(asked(truth, answer, LABELS, id=str(place)))
    found = cases(judged, LABELS)
    result = regret(
        found.scores,
        found.right,
        found.declined_right,
        found.ids,
        0.8,
        seed=1,
        weights=found.weights,
    )
    assert result is not None
    assert result.is_raised
    assert result.best == pytest.approx(0.41)
    assert result.apparent == pytest.approx(0.38)
    assert best(found.scores, found.right, found.declined_right) == result.best
