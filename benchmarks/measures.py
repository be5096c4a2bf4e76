"""Measures of 10,000 answers beside the bare scikit-learn calls that give the same figures.

    python benchmarks/measures.py

CPU seconds, the best of several runs, both in this process. "columns" turns judged answers into
columns (in the exporter's process), "measures" measures them (in its worker). The ratio to stay
under is 1.2. Also what one answer costs a window and a verdict.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics
from sklearn.preprocessing import MultiLabelBinarizer

from seamwatch.pipeline import Answer, GoldenItem, Judged, Task
from seamwatch.scoring import Rules, Window, columns, judge, measures

ANSWERS = 10_000
RUNS = 7
TO_REACH = 1.2
MICROSECONDS_TO_REACH = 20.0


def cpu(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of the fastest of several runs of *work*."""
    work()
    best = float("inf")
    for _ in range(RUNS):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def judged(rules: Rules, truths: list[Any], answers: list[Answer]) -> list[Judged]:
    """Return the answers as the exporter has them."""
    items = [
        GoldenItem(str(n), "?", tuple(truth) if isinstance(truth, list) else truth, f"s{n % 10}")
        for n, truth in enumerate(truths)
    ]
    return [judge(i, a, rules, at=0.0) for i, a in zip(items, answers, strict=True)]


Case = tuple[Rules, list[Judged], Callable[[], Any]]


def binary(dice: random.Random) -> Case:
    """Yes and no with a probability."""
    rules = Rules(Task.BINARY, positive="yes")
    true = dice.choices(["yes", "no"], k=ANSWERS)
    scores = [min(0.999, max(0.001, dice.gauss(0.7 if one == "yes" else 0.3, 0.2))) for one in true]
    predicted = ["yes" if score > 0.5 else "no" for score in scores]
    answers = [
        Answer(p, scores={"yes": s, "no": 1 - s}) for p, s in zip(predicted, scores, strict=True)
    ]

    def bare() -> None:
        metrics.accuracy_score(true, predicted)
        metrics.balanced_accuracy_score(true, predicted)
        metrics.precision_recall_fscore_support(true, predicted, average="binary", pos_label="yes")
        metrics.roc_auc_score(true, scores)
        metrics.log_loss(true, scores)
        metrics.brier_score_loss(true, scores, pos_label="yes")

    return rules, judged(rules, true, answers), bare


def multiclass(dice: random.Random) -> Case:
    """One of twenty labels, without scores."""
    rules = Rules(Task.MULTICLASS)
    labels = [f"label-{n}" for n in range(20)]
    true = dice.choices(labels, k=ANSWERS)
    predicted = [one if dice.random() < 0.9 else dice.choice(labels) for one in true]

    def bare() -> None:
        metrics.accuracy_score(true, predicted)
        metrics.balanced_accuracy_score(true, predicted)
        metrics.precision_recall_fscore_support(true, predicted, average="macro")

    return rules, judged(rules, true, [Answer(one) for one in predicted]), bare


def multiclass_with_scores(dice: random.Random) -> Case:
    """One of ten labels with the whole distribution."""
    rules = Rules(Task.MULTICLASS)
    labels = [f"label-{n}" for n in range(10)]
    true = dice.choices(labels, k=ANSWERS)
    shares = np.array([[dice.random() + (one == label) for label in labels] for one in true])
    shares /= shares.sum(axis=1, keepdims=True)
    predicted = [labels[place] for place in shares.argmax(axis=1)]
    answers = [
        Answer(p, scores=dict(zip(labels, row.tolist(), strict=True)))
        for p, row in zip(predicted, shares, strict=True)
    ]

    def bare() -> None:
        metrics.accuracy_score(true, predicted)
        metrics.balanced_accuracy_score(true, predicted)
        metrics.precision_recall_fscore_support(true, predicted, average="macro")
        metrics.roc_auc_score(true, shares, multi_class="ovr", labels=labels)
        metrics.log_loss(true, shares, labels=labels)

    return rules, judged(rules, true, answers), bare


def multilabel(dice: random.Random) -> Case:
    """Some of ten labels."""
    rules = Rules(Task.MULTILABEL)
    labels = [f"label-{n}" for n in range(10)]
    true = [sorted(dice.sample(labels, dice.randint(1, 4))) for _ in range(ANSWERS)]
    predicted = [one if dice.random() < 0.8 else dice.sample(labels, 2) for one in true]

    def bare() -> None:
        encoder = MultiLabelBinarizer(sparse_output=True).fit(true)
        left, right = encoder.transform(true), encoder.transform(predicted)
        metrics.accuracy_score(left, right)
        metrics.hamming_loss(left, right)
        for average in ("micro", "macro", "samples"):
            metrics.f1_score(left, right, average=average)

    return rules, judged(rules, true, [Answer(one) for one in predicted]), bare


def regression(dice: random.Random) -> Case:
    """A number."""
    rules = Rules(Task.REGRESSION, tolerance=1.0)
    true = [dice.gauss(10, 5) for _ in range(ANSWERS)]
    predicted = [one + dice.gauss(0, 1) for one in true]

    def bare() -> None:
        metrics.mean_absolute_error(true, predicted)
        metrics.root_mean_squared_error(true, predicted)
        metrics.r2_score(true, predicted)

    return rules, judged(rules, true, [Answer(one) for one in predicted]), bare


def main() -> None:
    """Print the tables."""
    dice = random.Random(5)
    print(f"{ANSWERS:,} answers, CPU milliseconds, best of {RUNS}\n")
    print(f"{'case':<24}{'scikit-learn':>13}{'measures':>10}{'ratio':>8}{'columns':>10}")
    cases = (binary, multiclass, multiclass_with_scores, multilabel, regression)
    worst = 0.0
    for make in cases:
        rules, answers, bare = make(dice)
        batch = columns(answers, rules)
        theirs = cpu(bare)
        ours = cpu(lambda batch=batch: measures(batch))  # type: ignore[misc]
        making = cpu(lambda a=answers, r=rules: columns(a, r))  # type: ignore[misc]
        worst = max(worst, ours / theirs)
        print(
            f"{make.__name__:<24}{theirs * 1e3:>13.1f}{ours * 1e3:>10.1f}"
            f"{ours / theirs:>8.2f}{making * 1e3:>10.1f}"
        )
    print(f"\nworst ratio {worst:.2f}, to reach {TO_REACH}")
    _one_by_one(*multiclass(dice)[:2])


def _one_by_one(rules: Rules, answers: list[Judged]) -> None:
    def fill() -> None:
        window = Window(ANSWERS // 2)
        for one in answers:
            window.add(one)

    def judge_all() -> None:
        for one in answers:
            judge(one.item, one.answer, rules, at=0.0)

    for name, work in (("window, one answer", fill), ("verdict, one label", judge_all)):
        print(f"{name}: {cpu(work) / len(answers) * 1e6:.1f} us, to reach {MICROSECONDS_TO_REACH}")


if __name__ == "__main__":
    main()
