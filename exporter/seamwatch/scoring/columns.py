"""The columns of a batch of judged answers: small and picklable, without anybody's texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seamwatch.pipeline import Judged, Task, Verdict
from seamwatch.scoring.rules import Rules, number_of, positive_among
from seamwatch.scoring.verdicts import shaped

_UNUSABLE = (Verdict.INVALID, Verdict.REFUSED)


class Row(NamedTuple):
    """What the measures need of one answer."""

    weight: float
    correct: bool
    true: Any  # label, frozenset of labels or number; None: the model should refuse
    predicted: Any  # the same of the answer; None: refused or invalid
    score: float | None  # the model's confidence, as reported
    scores: Mapping[str, float] | None
    measures: Mapping[str, float]  # ranking and text: of this answer


@dataclass(frozen=True, slots=True)
class Columns:
    """A batch, column by column; every tuple has one place for each answer.

    Errors and timeouts are no answers and are not in it.
    """

    task: Task
    weights: tuple[float, ...] = ()
    correct: tuple[bool, ...] = ()
    true: tuple[Any, ...] = ()  # None: should refuse; empty for ranking and text
    predicted: tuple[Any, ...] = ()  # None: refused or invalid; empty for ranking and text
    confidence: tuple[float | None, ...] = ()  # of the label that was answered, in [0, 1]
    positive: str | None = None  # binary: the label that counts as positive
    ratings: tuple[float | None, ...] = ()  # binary: how much the model leans to positive
    scores: tuple[Mapping[str, float] | None, ...] = ()  # multiclass: label -> score
    measures: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.weights)


def row(judged: Judged, rules: Rules) -> Row:
    """Return what the measures need of an answer; *judged* is no error and no timeout."""
    item, answer = judged.item, judged.answer
    true = predicted = None
    if rules.task not in (Task.RANKING, Task.TEXT):
        if item.expected is not None:
            true = shaped(item.expected, _ANY[rules.task])
        if judged.verdict not in _UNUSABLE:
            predicted = shaped(answer.value, rules)
    return Row(
        item.weight,
        judged.verdict is Verdict.CORRECT,
        true,
        predicted,
        number_of(answer.score),
        answer.scores,
        judged.measures,
    )


def columns(judged: Iterable[Judged], rules: Rules) -> Columns:
    """Return the columns of those of *judged* that are answers."""
    return from_rows([row(one, rules) for one in judged if one.verdict.is_answer], rules)


def from_rows(rows: list[Row], rules: Rules) -> Columns:
    """Return *rows* as columns, with each model's way to report scores made one."""
    if not rows:
        return Columns(rules.task)
    weights, correct, true, predicted, _, scores, measured = zip(*rows, strict=True)
    if rules.task in (Task.RANKING, Task.TEXT):
        names = sorted({name for one in measured for name in one})
        by_name = {name: tuple(one.get(name) for one in measured) for name in names}
        return Columns(rules.task, weights, correct, measures=by_name)
    if rules.task not in (Task.BINARY, Task.MULTICLASS):
        return Columns(rules.task, weights, correct, true, predicted)
    positive = None
    if rules.task is Task.BINARY:
        positive = rules.positive or positive_among({one for one in true if one is not None})
    return Columns(
        rules.task,
        weights,
        correct,
        true,
        predicted,
        tuple(_confidence(one, positive, rules) for one in rows),
        positive,
        tuple(_rating(one, positive, rules) for one in rows) if positive is not None else (),
        scores if rules.task is Task.MULTICLASS and any(scores) else (),
    )


def _confidence(one: Row, positive: str | None, rules: Rules) -> float | None:
    """Return the probability that the model gives its own answer, None where it gives none."""
    if one.predicted is None:
        return None
    if one.scores is not None:
        return _share(number_of(one.scores.get(one.predicted)))
    if rules.task is Task.BINARY and rules.score_of == "positive":
        share = _share(one.score)
        if share is None or positive is None:
            return None
        return share if one.predicted == positive else 1 - share
    return _share(one.score)


def _rating(one: Row, positive: str, rules: Rules) -> float | None:
    """Return the model's score for *positive*, None where it gives none."""
    if one.scores is not None:
        return number_of(one.scores.get(positive))
    if rules.score_of == "positive":
        return one.score
    share = _share(one.score)
    if share is None or one.predicted is None:
        return None
    return share if one.predicted == positive else 1 - share


def _share(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= 1 else None


_ANY: Mapping[Task, Rules] = {task: Rules(task) for task in Task}
"""Rules by which the truth takes its form, whatever labels an answer may have."""
