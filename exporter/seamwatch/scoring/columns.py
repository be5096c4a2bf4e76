"""The columns of a batch of judged answers: small and picklable, without anybody's texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seamwatch.pipeline import Answer, Judged, Task, Verdict
from seamwatch.scoring.rules import SHAPES, Rules, number_of, positive_among

_FAILED = (Verdict.ERROR, Verdict.TIMEOUT)
_UNUSABLE = (Verdict.INVALID, Verdict.REFUSED)


@dataclass(frozen=True, slots=True)
class Columns:
    """A batch, column by column; every tuple that is not empty has one place for each answer.

    Errors and timeouts are no answers and are not in it.
    """

    task: Task
    weights: tuple[float, ...] = ()
    correct: tuple[bool, ...] = ()
    true: tuple[Any, ...] = ()  # label, frozenset of labels or number; None: should refuse
    predicted: tuple[Any, ...] = ()  # the same of the answer; None: refused or invalid
    confidence: tuple[float | None, ...] = ()  # of the label that was answered, in [0, 1]
    positive: str | None = None  # binary: the label that counts as positive
    ratings: tuple[float | None, ...] = ()  # binary: how much the model leans to positive
    scores: tuple[Mapping[str, float] | None, ...] = ()  # multiclass: label -> score
    measures: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.weights)


def columns(judged: Iterable[Judged], rules: Rules) -> Columns:
    """Return the columns of those of *judged* that are answers.

    The ways in which models report scores become one: a mapping of label to score goes before a
    single score, and that one is read as ``rules.score_of`` says.
    """
    answered = [one for one in judged if one.verdict not in _FAILED]
    weights = tuple([one.item.weight for one in answered])
    correct = tuple([one.verdict is Verdict.CORRECT for one in answered])
    if rules.task in (Task.RANKING, Task.TEXT):
        names = sorted({name for one in answered for name in one.measures})
        by_name = {name: tuple([one.measures.get(name) for one in answered]) for name in names}
        return Columns(rules.task, weights, correct, measures=by_name)
    shape = SHAPES[rules.task]
    true = tuple([shape(one.item.expected) for one in answered])
    predicted = tuple(
        [None if one.verdict in _UNUSABLE else shape(one.answer.value) for one in answered]
    )
    if rules.task in (Task.MULTILABEL, Task.REGRESSION):
        return Columns(rules.task, weights, correct, true, predicted)
    answers = [one.answer for one in answered]
    if rules.task is Task.BINARY:
        positive = rules.positive or positive_among({one for one in true if one is not None})
        return Columns(
            rules.task,
            weights,
            correct,
            true,
            predicted,
            _confidences(answers, predicted, positive, rules.score_of == "positive"),
            positive,
            _ratings(answers, predicted, positive, rules.score_of == "positive"),
        )
    confidence = _confidences(answers, predicted, None, False)
    scores = tuple([one.scores for one in answers])
    return Columns(
        rules.task,
        weights,
        correct,
        true,
        predicted,
        confidence,
        scores=scores if any(scores) else (),
    )


def _confidences(
    answers: list[Answer], predicted: tuple[Any, ...], positive: str | None, of_positive: bool
) -> tuple[float | None, ...]:
    """Return the probability that the model gives each of its answers, None where it gives none."""
    found: list[float | None] = []
    for answer, label in zip(answers, predicted, strict=True):
        if label is None:
            found.append(None)
        elif answer.scores is not None:
            found.append(_share(answer.scores.get(label)))
        else:
            share = _share(answer.score)
            if share is not None and of_positive:
                share = None if positive is None else share if label == positive else 1 - share
            found.append(share)
    return tuple(found)


def _ratings(
    answers: list[Answer], predicted: tuple[Any, ...], positive: str | None, of_positive: bool
) -> tuple[float | None, ...]:
    """Return the score that the model gives *positive* each time, None where it gives none."""
    if positive is None:
        return ()
    found: list[float | None] = []
    for answer, label in zip(answers, predicted, strict=True):
        if answer.scores is not None:
            found.append(number_of(answer.scores.get(positive)))
        elif of_positive:
            found.append(number_of(answer.score))
        else:
            share = None if label is None else _share(answer.score)
            found.append(share if share is None or label == positive else 1 - share)
    return tuple(found)


def _share(value: Any) -> float | None:
    number = number_of(value)
    return number if number is not None and 0 <= number <= 1 else None
