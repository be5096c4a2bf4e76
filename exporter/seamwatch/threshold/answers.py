"""The same answers under another threshold: what would have been said, and would it be right?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from seamwatch.pipeline import Answer, GoldenItem, Judged, Verdict
from seamwatch.scoring.rules import Rules, label_of, number_of
from seamwatch.scoring.verdicts import judge

_Candidate = TypeVar("_Candidate")


@dataclass(frozen=True, slots=True)
class Cases:
    """The columns that ``regret`` takes, one place for each answer; picklable, without texts."""

    scores: tuple[float, ...] = ()  # inf: given at any threshold, -inf: declined at any
    right: tuple[bool, ...] = ()
    declined_right: tuple[bool, ...] = ()
    ids: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.scores)


def apply(candidate: _Candidate, score: float, tau: float) -> _Candidate | None:
    """Return *candidate* when *score* reaches *tau*, None (declined) when it does not."""
    return candidate if score >= tau else None


def thresholded(
    item: GoldenItem,
    answer: Answer,
    tau: float,
    *,
    positive: str | None = None,
    rules: Rules | None = None,
    abstains: bool = False,
) -> Answer:
    """Return *answer* as it would have been under the threshold *tau*, without asking again.

    Where the answer says its candidate, that is given when its score reaches *tau*, and declined
    (``refused``, no value) when not. A binary answer without one becomes *positive* when the score
    of *positive* reaches *tau*, and the other label when not. Any other answer that was given is
    its own candidate. A failure, an answer without a score, and one that was declined without
    saying its candidate come back as they are.

    Args:
        item: the question; a binary one tells the other label where nothing else does.
        answer: what the model made of it.
        tau: the threshold, in units of the score; a score equal to it is enough.
        positive: binary: the label that is given from the threshold on; None: ``rules.positive``.
        rules: how the set is judged: the labels, and what a binary answer's score is of.
        abstains: the threshold declines, and chooses no label even where one is *positive*.
    """
    positive = _yes(positive, rules, abstains)
    score = _score(answer, positive, rules)
    if score is None:
        return answer
    if answer.candidate is not None:
        return _declinable(answer, answer.candidate, score >= tau)
    if positive is not None:
        chosen = positive if score >= tau else _negative(item, answer, positive, rules)
        return _declinable(answer, chosen, chosen is not None)
    if answer.refused or answer.value is None:
        return answer
    return _declinable(answer, answer.value, score >= tau)


def cases(
    judged: Iterable[Judged], rules: Rules, *, positive: str | None = None, abstains: bool = False
) -> Cases:
    """Return what ``regret`` needs to know of *judged*; failures are no answers and are left out.

    Args:
        judged: answers, several of one item if need be.
        rules: how they are judged; so are the answers they would have been.
        positive: binary: the label that is given from the threshold on; None: ``rules.positive``.
        abstains: the threshold declines instead of choosing a label, also where answers come
            without their candidate.
    """
    yes = _yes(positive, rules, abstains)
    kept = [one for one in judged if one.verdict.is_answer]
    return Cases(
        tuple(_place(one.answer, yes, rules) for one in kept),
        tuple(_is_right(one, -math.inf, yes, rules) for one in kept),
        tuple(_is_right(one, math.inf, yes, rules) for one in kept),
        tuple(one.item.id for one in kept),
        tuple(one.item.weight for one in kept),
    )


def _yes(positive: str | None, rules: Rules | None, abstains: bool) -> str | None:
    if abstains:
        return None
    return positive or (rules.positive if rules is not None else None)


def _place(answer: Answer, positive: str | None, rules: Rules) -> float:
    score = _score(answer, positive, rules)
    if score is not None:
        return score
    return -math.inf if answer.refused or answer.value is None else math.inf


def _is_right(one: Judged, tau: float, positive: str | None, rules: Rules) -> bool:
    answer = thresholded(
        one.item, one.answer, tau, positive=positive, rules=rules, abstains=positive is None
    )
    if answer is one.answer:
        return one.verdict is Verdict.CORRECT
    return judge(one.item, answer, rules, at=one.at).verdict is Verdict.CORRECT


def _declinable(answer: Answer, value: object, given: bool) -> Answer:
    return replace(answer, value=value if given else None, refused=not given)


def _score(answer: Answer, positive: str | None, rules: Rules | None) -> float | None:
    """Return the score that a threshold is compared with; None where this answer has none."""
    if answer.failure is not None:
        return None
    if answer.candidate is not None:
        return _of_label(answer, label_of(answer.candidate))
    if positive is None:
        if answer.refused or answer.value is None:
            return None
        return _of_label(answer, label_of(answer.value))
    if answer.scores is not None:
        return number_of(answer.scores.get(positive))
    score, label = number_of(answer.score), label_of(answer.value)
    if score is None or (rules is not None and rules.score_of == "positive"):
        return score
    if label is None or answer.refused or not 0 <= score <= 1:
        return None
    return score if label == positive else 1 - score


def _of_label(answer: Answer, label: str | None) -> float | None:
    score = number_of(answer.score)
    if score is None and answer.scores is not None and label is not None:
        score = number_of(answer.scores.get(label))
    return score


def _negative(item: GoldenItem, answer: Answer, positive: str, rules: Rules | None) -> str | None:
    """Return the label that is not *positive*; None where nothing tells it.

    A binary question has two, so that an expected answer other than *positive* tells the other.
    Where it is *positive*, any other answer is as wrong.
    """
    known = [*(rules.labels or () if rules is not None else ()), *(answer.scores or ())]
    told = [label for label in known if label != positive]
    told += [
        label
        for label in (label_of(item.expected), label_of(answer.value))
        if label is not None and label != positive
    ]
    return told[0] if told else None
