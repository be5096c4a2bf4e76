"""Judge one answer: correct, wrong, stale, invalid, refused, error or timeout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from seamwatch.errors import Reason
from seamwatch.pipeline import Answer, GoldenItem, Judged, Task, Verdict
from seamwatch.scoring.ranking import ranked
from seamwatch.scoring.rules import SHAPES, Rules
from seamwatch.scoring.textmatch import likeness, tokens

_NEARLY_ONE = 1 - 1e-9  # a credit of 1 that went through floating point


def judge(item: GoldenItem, answer: Answer, rules: Rules, *, at: float) -> Judged:
    """Return the verdict on *answer*, with the task's own credit in [0, 1].

    Args:
        item: the question; ``expected`` None means that the model should refuse.
        answer: what the model made of it.
        rules: how this golden set is judged.
        at: wall clock of the answer, seconds since the epoch; passed through.

    Ranking and text also give their measures of this answer, 0 each where it cannot be compared.
    """
    if answer.failure is not None:
        late = answer.failure.reason is Reason.TIMEOUT
        return Judged(item, answer, Verdict.TIMEOUT if late else Verdict.ERROR, None, at)
    verdict, credit, measured = _judged(item, answer, rules)
    if not measured and item.expected is not None and rules.task in _MEASURES:
        measured = dict.fromkeys(_MEASURES[rules.task], credit)
    return Judged(item, answer, verdict, credit, at, measured)


def shaped(value: Any, rules: Rules) -> Any:
    """Return *value* in the form that the task compares; None when it has another shape.

    Labels are text, several labels a frozenset, a ranking a tuple of text, a number a float.
    """
    found = SHAPES[rules.task](value)
    known = rules.known_labels
    if found is not None and known is not None:
        given = (found,) if isinstance(found, str) else found
        if rules.task in _LABELLED and not known.issuperset(given):
            return None
    return found


def refuses(answer: Answer, rules: Rules) -> bool:
    """Say whether *answer* declines: the model says so, or its text is a known refusal."""
    if answer.refused:
        return True
    if not rules.refusals or not isinstance(answer.value, str):
        return False
    return tuple(tokens(answer.value)) in rules.known_refusals


_Outcome = tuple[Verdict, float, Mapping[str, float]]
_Credit = tuple[float, Mapping[str, float]]


def _judged(item: GoldenItem, answer: Answer, rules: Rules) -> _Outcome:
    refused = refuses(answer, rules)
    if refused and item.expected is None:
        return Verdict.CORRECT, 1.0, {}
    found = shaped(answer.value, rules)
    if refused:
        right = found is not None and _is_right(found, item.expected, rules)
        return (Verdict.CORRECT, 1.0, {}) if right else (Verdict.REFUSED, 0.0, {})
    if item.expected is None:
        older = -1.0 if found is None else _best(found, item.superseded, rules)
        return _not_right(older, 0.0, rules), 0.0, {}
    if found is None or not _fits(answer.value, rules):
        return Verdict.INVALID, 0.0, {}
    credit, measured = _credit(found, item.expected, rules)
    older = _best(found, item.superseded, rules)
    if credit >= _enough(rules) and credit >= older:
        return Verdict.CORRECT, credit, measured
    return _not_right(older, credit, rules), credit, measured


def _not_right(older: float, credit: float, rules: Rules) -> Verdict:
    return Verdict.STALE if older >= _enough(rules) and older > credit else Verdict.WRONG


def _enough(rules: Rules) -> float:
    if rules.at_least is None or rules.task not in (Task.TEXT, Task.RANKING):
        return _NEARLY_ONE
    return min(rules.at_least, _NEARLY_ONE)


def _is_right(found: Any, expected: Any, rules: Rules) -> bool:
    return _credit(found, expected, rules)[0] >= _enough(rules)


def _best(found: Any, superseded: tuple[Any, ...], rules: Rules) -> float:
    return max((_credit(found, old, rules)[0] for old in superseded), default=-1.0)


def _credit(found: Any, expected: Any, rules: Rules) -> _Credit:
    truth = SHAPES[rules.task](expected)
    if truth is None:  # a superseded answer of another shape matches nothing
        return 0.0, {}
    return _CREDITS[rules.task](found, truth, rules)


def _fits(value: Any, rules: Rules) -> bool:
    if rules.validator is None:
        return True
    try:
        return bool(rules.validator.is_valid(value))
    except RecursionError:  # a schema that refers to itself without end for this value
        return False


def _equal(found: Any, truth: Any, _: Rules) -> _Credit:
    return float(found == truth), {}


def _overlap(found: frozenset[str], truth: frozenset[str], _: Rules) -> _Credit:
    if not found and not truth:
        return 1.0, {}
    return 2 * len(found & truth) / (len(found) + len(truth)), {}


def _near(found: float, truth: float, rules: Rules) -> _Credit:
    allowed = max(rules.tolerance, rules.relative_tolerance * abs(truth))
    # the last digits of a tolerance are not meant: 0.3 is within 0.1 of 0.2
    near = abs(found - truth) <= allowed * (1 + 1e-9) or math.isclose(found, truth, rel_tol=1e-9)
    return float(near), {}


def _ranked(found: tuple[str, ...], truth: tuple[str, ...], rules: Rules) -> _Credit:
    if not truth:
        return 0.0, {}
    measured = ranked(found, truth, k=rules.k)
    return measured[rules.ranking_measure], measured


def _alike(found: str, truth: str, rules: Rules) -> _Credit:
    measured = likeness(found, truth)
    exact = rules.text_measure == "exact"
    return measured["exact_match" if exact else rules.text_measure], measured


_LABELLED = (Task.BINARY, Task.MULTICLASS, Task.MULTILABEL)
_MEASURES: Mapping[Task, tuple[str, ...]] = {
    Task.RANKING: ("recall_at_k", "ndcg", "mrr"),
    Task.TEXT: ("exact_match", "token_f1", "rouge_l"),
}
_CREDITS: Mapping[Task, Callable[[Any, Any, Rules], _Credit]] = {
    Task.BINARY: _equal,
    Task.MULTICLASS: _equal,
    Task.MULTILABEL: _overlap,
    Task.REGRESSION: _near,
    Task.RANKING: _ranked,
    Task.TEXT: _alike,
}
