"""Batch measures are scikit-learn's; what is not defined is absent, never 0 and never NaN."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.preprocessing import MultiLabelBinarizer

from seamwatch.errors import Reason
from seamwatch.pipeline import Answer, Failure, GoldenItem, Judged, Task
from seamwatch.scoring import Rules, columns, judge, measures

WEIGHTS = st.sampled_from([0.5, 1.0, 3.0])


def answered(expected: Any, value: Any, rules: Rules, weight: float = 1.0, **answer: Any) -> Judged:
    item = GoldenItem("q", "?", expected, weight=weight)
    return judge(item, Answer(value=value, **answer), rules, at=0.0)


def measured(judged: list[Judged], rules: Rules) -> dict[str, float]:
    found = measures(columns(judged, rules))
    assert all(math.isfinite(value) for value in found.values())
    return found


def assert_close(found: Mapping[str, float], wanted: Mapping[str, float]) -> None:
    assert {name: found[name] for name in wanted} == pytest.approx(dict(wanted))


BINARY = Rules(Task.BINARY, positive="yes")


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["yes", "no"]), st.floats(0.01, 0.99), WEIGHTS), min_size=1)
)
def test_binary_measures_are_those_of_scikit_learn(rows: list[tuple[str, float, float]]) -> None:
    true = [one for one, _, _ in rows]
    scores = [score for _, score, _ in rows]
    weights = [weight for _, _, weight in rows]
    predicted = ["yes" if score > 0.5 else "no" for score in scores]
    found = measured(
        [
            answered(t, p, BINARY, w, scores={"yes": s, "no": 1 - s})
            for t, p, s, w in zip(true, predicted, scores, weights, strict=True)
        ],
        BINARY,
    )
    wanted: dict[str, Any] = {
        "accuracy": metrics.accuracy_score(true, predicted, sample_weight=weights),
        "brier": metrics.brier_score_loss(true, scores, pos_label="yes", sample_weight=weights),
        "log_loss": metrics.log_loss(true, scores, labels=["no", "yes"], sample_weight=weights),
    }
    undefined = set()
    if len(set(true)) == 2:
        is_yes = [one == "yes" for one in true]
        wanted["roc_auc"] = metrics.roc_auc_score(is_yes, scores, sample_weight=weights)
        wanted["balanced_accuracy"] = metrics.balanced_accuracy_score(
            true, predicted, sample_weight=weights
        )
    else:
        undefined |= {"roc_auc", "balanced_accuracy"}
    each = {
        "precision": (metrics.precision_score, "yes" in predicted),
        "recall": (metrics.recall_score, "yes" in true),
        "f1": (metrics.f1_score, "yes" in true or "yes" in predicted),
    }
    for name, (score, is_defined) in each.items():
        if is_defined:
            wanted[name] = score(true, predicted, pos_label="yes", sample_weight=weights)
        else:
            undefined.add(name)
    assert_close(found, wanted)
    assert not undefined & set(found)


LABELS = ["a", "b", "c"]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(LABELS), st.tuples(*[st.floats(0.01, 1)] * len(LABELS)), WEIGHTS),
        min_size=1,
    )
)
def test_multiclass_measures_are_those_of_scikit_learn(
    rows: list[tuple[str, tuple[float, ...], float]],
) -> None:
    rules = Rules(Task.MULTICLASS)
    true = [one for one, _, _ in rows]
    weights = [weight for _, _, weight in rows]
    shares = [[one / sum(scores) for one in scores] for _, scores, _ in rows]
    predicted = [LABELS[int(np.argmax(one))] for one in shares]
    found = measured(
        [
            answered(t, p, rules, w, scores=dict(zip(LABELS, s, strict=True)))
            for t, p, s, w in zip(true, predicted, shares, weights, strict=True)
        ],
        rules,
    )
    wanted: dict[str, Any] = {
        "accuracy": metrics.accuracy_score(true, predicted, sample_weight=weights),
        "log_loss": metrics.log_loss(true, shares, labels=LABELS, sample_weight=weights),
    }
    for name, score in (("recall", metrics.recall_score), ("f1", metrics.f1_score)):
        wanted[name] = score(
            true, predicted, labels=sorted(set(true)), average="macro", sample_weight=weights
        )
    if set(true) == set(LABELS):
        wanted["roc_auc"] = metrics.roc_auc_score(true, shares, multi_class="ovr", labels=LABELS)
        unweighted = measured(
            [
                answered(t, p, rules, scores=dict(zip(LABELS, s, strict=True)))
                for t, p, s in zip(true, predicted, shares, strict=True)
            ],
            rules,
        )
        assert unweighted["roc_auc"] == pytest.approx(wanted.pop("roc_auc"))
        truth = np.array([[one == label for label in LABELS] for one in true])
        wanted["brier"] = np.average(((np.array(shares) - truth) ** 2).sum(axis=1), weights=weights)
    assert_close(found, wanted)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.frozensets(st.sampled_from(LABELS)), st.frozensets(st.sampled_from(LABELS)), WEIGHTS
        ),
        min_size=1,
    )
)
def test_multilabel_measures_are_those_of_scikit_learn(
    rows: list[tuple[frozenset[str], frozenset[str], float]],
) -> None:
    rules = Rules(Task.MULTILABEL)
    weights = [weight for _, _, weight in rows]
    found = measured([answered(tuple(t), sorted(p), rules, w) for t, p, w in rows], rules)
    seen = sorted(set().union(*(t | p for t, p, _ in rows)))
    if not seen:
        assert found == {"subset_accuracy": 1.0}
        return
    # a label that nobody has: scikit-learn reads a single column as something else
    binary = MultiLabelBinarizer(classes=[*seen, "nobody"])
    true = binary.fit_transform([t for t, _, _ in rows])
    predicted = binary.transform([p for _, p, _ in rows])
    wanted = {
        "subset_accuracy": metrics.accuracy_score(true, predicted, sample_weight=weights),
        "hamming_loss": np.average((true != predicted)[:, :-1].mean(axis=1), weights=weights),
        "f1_micro": metrics.f1_score(true, predicted, average="micro", sample_weight=weights),
        "f1_samples": metrics.f1_score(
            true, predicted, average="samples", sample_weight=weights, zero_division=1.0
        ),
    }
    in_truth = [place for place in range(len(seen)) if true[:, place].any()]
    if in_truth:
        wanted["f1_macro"] = metrics.f1_score(
            true, predicted, labels=in_truth, average="macro", sample_weight=weights
        )
    assert_close(found, wanted)
    assert set(found) == set(wanted)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), WEIGHTS), min_size=1
    )
)  # fmt: skip
def test_regression_measures_are_those_of_scikit_learn(
    rows: list[tuple[float, float, float]],
) -> None:
    rules = Rules(Task.REGRESSION)
    found = measured([answered(t, p, rules, w) for t, p, w in rows], rules)
    true, predicted, weights = np.array(rows).T
    wanted = {
        "mae": metrics.mean_absolute_error(true, predicted, sample_weight=weights),
        "rmse": metrics.root_mean_squared_error(true, predicted, sample_weight=weights),
    }
    if np.ptp(true) > 0:
        wanted["r2"] = metrics.r2_score(true, predicted, sample_weight=weights)
    assert_close(found, {k: v for k, v in wanted.items() if math.isfinite(v)})
    assert set(found) <= set(wanted)


def test_ranking_and_text_measures_are_weighted_means_of_what_each_answer_scored() -> None:
    rules = Rules(Task.RANKING, k=2)
    found = measured(
        [
            answered(("d1",), ["d1"], rules, 3.0),
            answered(("d1", "d2"), ["d9", "d1"], rules),
            answered(("d1",), "rubbish", rules),
        ],
        rules,
    )
    assert found["recall_at_k"] == pytest.approx((3 * 1 + 0.5 + 0) / 5)
    assert found["mrr"] == pytest.approx((3 * 1 + 0.5 + 0) / 5)
    text = Rules(Task.TEXT, refusals=("no",))
    found = measured(
        [
            answered("30 days", "30 days", text),
            answered("30 days", "days", text),
            answered("30 days", "no", text),
            answered(None, "no", text),  # rightly refused: there is no text to compare
        ],
        text,
    )
    assert found == {
        "exact_match": pytest.approx(1 / 3),
        "token_f1": pytest.approx((1 + 2 / 3) / 3),
        "rouge_l": pytest.approx((1 + 2 / 3) / 3),
    }


def test_refused_and_invalid_answers_are_misses_and_failures_are_none_at_all() -> None:
    rules = Rules(Task.MULTICLASS, refusals=("no idea",), labels=("a", "b"))
    found = measured(
        [
            answered("a", "a", rules),
            answered("a", "no idea", rules),
            answered("b", "b", rules),
            answered("b", "c", rules),
            answered("b", None, rules, failure=Failure(Reason.TIMEOUT, "")),
        ],
        rules,
    )
    assert found["accuracy"] == 0.5
    assert found["recall"] == 0.5
    assert found["precision"] == 1.0


def test_what_should_be_refused_counts_for_accuracy_only() -> None:
    rules = Rules(Task.MULTICLASS, refusals=("no idea",))
    rows = [answered("a", "a", rules), answered("b", "b", rules)]
    found = measured([*rows, answered(None, "a", rules), answered(None, "no idea", rules)], rules)
    assert (found["accuracy"], found["recall"], found["precision"]) == (0.75, 1.0, 1.0)
    assert measured([answered(None, "no idea", rules)], rules) == {"accuracy": 1.0}


def test_calibration_error_is_the_mean_gap_between_confidence_and_share_right() -> None:
    rules = Rules(Task.MULTICLASS)
    rows = [answered("a", "a", rules, score=0.95), answered("a", "b", rules, score=0.95)]
    rows += [answered("a", "a", rules, score=0.55), answered("b", "b", rules, score=1.0)]
    found = measured(rows, rules)
    # the last bin holds 0.95, 0.95 and 1.0: two of three right
    wanted = (3 * abs(2 / 3 - 2.9 / 3) + abs(1 - 0.55)) / 4
    assert found["calibration_error"] == pytest.approx(wanted)
    assert found["scored_ratio"] == 1.0


def test_a_single_score_is_read_as_declared() -> None:
    of_answer = Rules(Task.BINARY, positive="yes")
    of_positive = Rules(Task.BINARY, positive="yes", score_of="positive")
    for rules, low in ((of_answer, 0.9), (of_positive, 0.1)):
        found = measured(
            [
                answered("yes", "yes", rules, score=0.9),
                answered("no", "no", rules, score=low),
                answered("no", "no", rules),
            ],
            rules,
        )
        assert found["roc_auc"] == 1.0
        assert found["brier"] == pytest.approx(0.01)
        assert found["calibration_error"] == pytest.approx(0.1)
        assert found["scored_ratio"] == pytest.approx(2 / 3)


def test_scores_that_are_no_probabilities_give_no_log_loss() -> None:
    rules = Rules(Task.BINARY, positive="yes", score_of="positive")
    found = measured(
        [answered("yes", "yes", rules, score=7.5), answered("no", "no", rules, score=-3)], rules
    )
    assert found["roc_auc"] == 1.0
    assert not {"log_loss", "brier", "calibration_error"} & set(found)
    many = Rules(Task.MULTICLASS)
    found = measured(
        [
            answered("a", "a", many, scores={"a": 0.9, "b": 0.8, "c": 0.1}),
            answered("b", "b", many, scores={"a": 0.1, "b": 0.8, "c": 0.1}),
        ],
        many,
    )
    assert "roc_auc" in found
    assert not {"log_loss", "brier"} & set(found)


def test_scores_of_some_labels_only_are_no_distribution() -> None:
    rules = Rules(Task.MULTICLASS)
    found = measured(
        [
            answered("a", "a", rules, scores={"a": 0.9, "b": 0.1}),
            answered("c", "c", rules, scores={"c": 0.9, "b": 0.1}),
        ],
        rules,
    )
    assert "calibration_error" in found
    assert not {"roc_auc", "log_loss", "brier"} & set(found)


@settings(deadline=None, max_examples=120)
@given(
    task=st.sampled_from(Task),
    rows=st.lists(
        st.tuples(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2)
            | st.lists(st.text(max_size=1), max_size=3),
            st.none() | st.floats() | st.booleans(),
            st.none()
            | st.dictionaries(st.sampled_from(["a", "b", "yes"]), st.floats() | st.none()),
            st.booleans(),
        ),
        max_size=6,
    ),
)  # fmt: skip
def test_no_answer_makes_the_measures_fail_warn_or_lie(task: Task, rows: list[Any]) -> None:
    expected = {
        Task.BINARY: ["yes", "no"],
        Task.MULTICLASS: ["a", "b"],
        Task.MULTILABEL: [("a",), ()],
        Task.REGRESSION: [1.0, -1e308],
        Task.RANKING: [("a",), ("b",)],
        Task.TEXT: ["a", "b"],
    }[task]
    rules = Rules(task)
    found = measured(
        [
            answered(None if none else expected[n % 2], value, rules, score=score, scores=scores)
            for n, (value, score, scores, none) in enumerate(rows)
        ],
        rules,
    )
    assert all(isinstance(value, float) for value in found.values())


def test_without_answers_there_are_no_measures() -> None:
    for task in Task:
        assert measured([], Rules(task)) == {}


def test_measures_run_in_a_worker_process_without_anybodys_texts() -> None:
    rules = Rules(Task.TEXT)
    batch = columns([answered("secret truth", "secret answer", rules)], rules)
    assert b"secret" not in pickle.dumps(batch)
    labelled = columns([answered("yes", "yes", BINARY, score=0.8)] * 3, BINARY)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(measures, batch).result()["exact_match"] == 0.0
        assert pool.submit(measures, labelled).result() == measures(labelled)


def test_importing_scoring_loads_no_heavy_library() -> None:
    code = (
        "import sys, seamwatch.scoring, seamwatch.golden\n"
        "print([m for m in ('numpy', 'sklearn', 'scipy', 'jsonschema', 'pyarrow')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
