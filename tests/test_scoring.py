"""One answer, one verdict: what each task calls correct, and what is wrong, stale, invalid..."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from seamwatch.errors import Reason
from seamwatch.pipeline import Answer, Failure, GoldenItem, Judged, Task, Verdict
from seamwatch.scoring import Rules, judge
from seamwatch.scoring.ranking import ranked

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def judged(expected: Any, value: Any, rules: Rules, *superseded: Any, **answer: Any) -> Judged:
    item = GoldenItem("q1", "?", expected, superseded=superseded)
    return judge(item, Answer(value=value, **answer), rules, at=5.0)


def verdict(expected: Any, value: Any, rules: Rules, *superseded: Any, **answer: Any) -> str:
    return judged(expected, value, rules, *superseded, **answer).verdict


LABEL = Rules(Task.MULTICLASS)
TEXT = Rules(Task.TEXT)


@pytest.mark.parametrize(
    ("expected", "value", "wanted"),
    [
        ("cat", "cat", "correct"),
        ("cat", "Cat", "wrong"),
        ("cat", "dog", "wrong"),
        ("1", 1, "correct"),
        (1, 1.0, "correct"),
        (True, True, "correct"),
        (True, "true", "correct"),
        (1, True, "wrong"),
        ("cat", ["cat"], "invalid"),
        ("cat", None, "invalid"),
        ("cat", math.nan, "invalid"),
        ("cat", {"label": "cat"}, "invalid"),
    ],
)
def test_labels_are_compared_as_text_and_anything_else_is_invalid(
    expected: Any, value: Any, wanted: str
) -> None:
    assert verdict(expected, value, LABEL) == wanted


def test_a_label_that_is_not_declared_is_invalid() -> None:
    rules = Rules(Task.MULTICLASS, labels=("cat", "dog"))
    assert verdict("cat", "bird", rules) == "invalid"
    assert verdict("cat", "dog", rules) == "wrong"


def test_an_answer_that_used_to_be_right_is_stale() -> None:
    assert verdict("30 days", "14 Days.", TEXT, "7 days", "14 days") == "stale"
    assert verdict("cat", "dog", LABEL, "dog") == "stale"
    assert verdict(10.0, 9.0, Rules(Task.REGRESSION), 9) == "stale"
    assert verdict(("a", "b"), ["b"], Rules(Task.MULTILABEL), ("b",)) == "stale"
    assert verdict(("d1", "d2"), ["d1", "d9"], Rules(Task.RANKING), ("d1",)) == "stale"


def test_a_long_stale_text_is_stale_although_it_is_nearly_right() -> None:
    rules = Rules(Task.TEXT, text_measure="token_f1", at_least=0.8)
    new = "you may return the goods within 30 days of delivery"
    old = "you may return the goods within 14 days of delivery"
    assert verdict(new, old, rules, old) == "stale"
    assert verdict(new, new, rules, old) == "correct"
    assert verdict(new, old, rules) == "correct"


def test_an_answer_within_tolerance_is_right_even_where_the_old_one_is_near() -> None:
    rules = Rules(Task.REGRESSION, tolerance=5)
    assert verdict(100, 97, rules, 97) == "correct"


def test_a_refusal_is_right_only_where_it_is_expected() -> None:
    rules = Rules(Task.TEXT, refusals=("I don't know.",))
    assert verdict(None, "i don\u2019t know", rules) == "correct"
    assert verdict("30 days", "I don't know", rules) == "refused"
    assert verdict("30 days", "30 days", rules, refused=True) == "correct"
    assert verdict("30 days", None, rules, refused=True) == "refused"
    assert verdict(None, None, rules, refused=True) == "correct"
    assert verdict("I don't know", "I don't know", rules) == "correct"


def test_any_other_answer_to_what_should_be_refused_is_wrong() -> None:
    rules = Rules(Task.TEXT, refusals=("no idea",))
    assert verdict(None, "30 days", rules) == "wrong"
    assert verdict(None, None, rules) == "wrong"
    assert verdict(None, [1], rules) == "wrong"
    assert verdict(None, "30 days", rules, "30 days") == "stale"


@pytest.mark.parametrize("reason", list(Reason))
def test_failures_are_no_answers(reason: Reason) -> None:
    found = judged("a", None, LABEL, failure=Failure(reason, "..."))
    assert found.verdict == ("timeout" if reason is Reason.TIMEOUT else "error")
    assert not found.verdict.is_answer
    assert found.credit is None


@pytest.mark.parametrize(
    ("expected", "value", "wanted"),
    [
        (0.2, 0.3, "correct"),  # 0.3 - 0.2 is not quite 0.1 in floating point
        (0.2, 0.31, "wrong"),
        (100, 104.9, "correct"),
        (-100, -105.1, "wrong"),
        (1, "1", "invalid"),
        (1, True, "invalid"),
        (1, math.inf, "invalid"),
        (1, 10**400, "invalid"),
        (1, [1], "invalid"),
    ],
)
def test_numbers_are_right_within_the_larger_tolerance(
    expected: float, value: Any, wanted: str
) -> None:
    rules = Rules(Task.REGRESSION, tolerance=0.1, relative_tolerance=0.05)
    assert verdict(expected, value, rules) == wanted


def test_without_tolerance_a_number_is_right_up_to_rounding() -> None:
    assert verdict(0.3, 0.1 + 0.2, Rules(Task.REGRESSION)) == "correct"
    assert verdict(0.3, 0.3001, Rules(Task.REGRESSION)) == "wrong"


@pytest.mark.parametrize(
    ("value", "wanted", "credit"),
    [
        (["b", "a", "a"], "correct", 1.0),
        (["a"], "wrong", 2 / 3),
        ([], "wrong", 0.0),
        ("a", "invalid", 0.0),
        ([["a"]], "invalid", 0.0),
    ],
)
def test_several_labels_are_a_set(value: Any, wanted: str, credit: float) -> None:
    found = judged(("a", "b"), value, Rules(Task.MULTILABEL))
    assert (found.verdict, found.credit) == (wanted, pytest.approx(credit))


def test_no_label_can_be_the_right_answer() -> None:
    assert judged((), [], Rules(Task.MULTILABEL)).credit == 1.0


def test_a_ranking_is_right_from_the_credit_that_is_asked() -> None:
    expected, value = ("d1", "d2"), ["d9", "d1", "d1", "d8", "d2"]
    half = Rules(Task.RANKING, k=3, at_least=0.5)
    assert verdict(expected, value, half) == "correct"
    assert verdict(expected, value, Rules(Task.RANKING, k=3)) == "wrong"
    assert verdict(expected, value, Rules(Task.RANKING, k=4)) == "correct"  # d1 counts once
    assert verdict(expected, "d1", half) == "invalid"
    by_rank = Rules(Task.RANKING, ranking_measure="mrr")
    assert judged(expected, value, by_rank).credit == 0.5
    assert judged(expected, value, half).measures["recall_at_k"] == 0.5


@given(
    order=st.permutations([f"d{n}" for n in range(8)]),
    relevant=st.sets(st.sampled_from([f"d{n}" for n in range(8)]), min_size=1),
    k=st.integers(1, 8),
)
def test_ndcg_is_that_of_scikit_learn(order: list[str], relevant: set[str], k: int) -> None:
    found = ranked(order, relevant, k=k)
    truth = [[float(one in relevant) for one in order]]
    oracle = ndcg_score(truth, [[float(-n) for n in range(8)]], k=k)
    assert found["ndcg"] == pytest.approx(oracle)
    assert found["recall_at_k"] == len(set(order[:k]) & relevant) / len(relevant)
    first = next((n for n, one in enumerate(order[:k], 1) if one in relevant), None)
    assert found["mrr"] == (1 / first if first else 0)


def test_an_answer_that_fails_the_schema_is_invalid_unless_it_refuses() -> None:
    rules = Rules(Task.TEXT, refusals=("cannot say",), json_schema={"maxLength": 5})
    assert verdict("abc", "abc", rules) == "correct"
    assert verdict("abcdefg", "abcdefg", rules) == "invalid"
    assert verdict("abc", "cannot say", rules) == "refused"


def test_a_schema_that_runs_in_circles_judges_an_answer_invalid() -> None:
    circle = {"if": {"const": "loop"}, "then": {"$ref": "#"}}
    rules = Rules(Task.TEXT, json_schema=circle)
    assert verdict("loop", "loop", rules) == "invalid"
    assert verdict("straight", "straight", rules) == "correct"


def test_rules_can_go_to_another_process_after_use() -> None:
    rules = Rules(Task.TEXT, refusals=("no",), json_schema={"type": "string"})
    assert verdict("a", "a", rules) == "correct"
    again = pickle.loads(pickle.dumps(rules))
    assert again == rules
    assert verdict("a", "a", again) == "correct"


_EXPECTED = {
    Task.BINARY: "yes",
    Task.MULTICLASS: 3,
    Task.MULTILABEL: ("a", "b"),
    Task.REGRESSION: 1.5,
    Task.RANKING: ("d1",),
    Task.TEXT: "30 days",
}


@given(value=ANYTHING, task=st.sampled_from(Task), refusing=st.booleans())
def test_whatever_a_model_answers_is_judged_and_its_credit_is_a_ratio(
    value: Any, task: Task, refusing: bool
) -> None:
    rules = Rules(task, refusals=("no",), json_schema={"not": {"const": "b"}})
    found = judged(None if refusing else _EXPECTED[task], value, rules)
    assert found.verdict.is_answer
    assert found.credit is not None
    assert 0 <= found.credit <= 1
    assert all(0 <= one <= 1 for one in found.measures.values())
    if not refusing and found.verdict is Verdict.CORRECT:
        assert found.credit == 1


@given(task=st.sampled_from(Task))
def test_the_expected_answer_itself_is_correct_and_an_old_one_stale(task: Task) -> None:
    old = {Task.MULTILABEL: ("c",), Task.RANKING: ("d2",), Task.REGRESSION: 9.0}.get(task, "old")
    expected = _EXPECTED[task]

    def sent(value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value

    assert verdict(expected, sent(expected), Rules(task), old) == "correct"
    assert verdict(expected, sent(old), Rules(task), old) == "stale"
