"""The scorer canary: answers of known worth, judged again and again, so that a broken judge shows.

A judge that fails must not look like a model that fails: while the canary is dead, no answer
counts as evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from seamwatch.pipeline import Answer, GoldenItem, Task, Verdict
from seamwatch.scoring.rules import Rules
from seamwatch.scoring.verdicts import judge, refuses

FEW = 5  # items of the set that are judged beside the answers that the user knows


@dataclass(frozen=True, slots=True)
class Known:
    """An answer, and the verdict that people gave it; *line* is where it stands in its file."""

    item: GoldenItem
    answer: Answer
    verdict: Verdict
    line: int = 0


def misjudged(
    items: Sequence[GoldenItem], rules: Rules, *, known: Iterable[Known] = (), seed: int
) -> str | None:
    """Return what the judge got wrong first, None if it is right about everything.

    Args:
        items: the golden set; the expected answers of FEW of them must be correct, and their
            superseded answers stale.
        rules: how the set is judged.
        known: answers of the user's own, with their verdicts.
        seed: which items are taken.
    """
    for one in known:
        found = judge(one.item, one.answer, rules, at=0.0).verdict
        if found is not one.verdict:
            return f"the canary of line {one.line} is judged {found}, not {one.verdict}"
    for item in Random(seed).sample(items, min(FEW, len(items))):
        if not _is_its_own_best(item, rules):
            continue
        found = _verdict(item, item.expected, rules)
        if found is not Verdict.CORRECT:
            return f"the expected answer of item {_shown(item.id)} is judged {found}, not correct"
        for old in item.superseded[:1]:
            found = _verdict(item, old, rules)
            if found is Verdict.CORRECT:
                return f"a superseded answer of item {_shown(item.id)} is judged correct"
    return None


def _verdict(item: GoldenItem, value: Any, rules: Rules) -> Verdict:
    answer = Answer(refused=True) if value is None else Answer(value=value)
    return judge(item, answer, rules, at=0.0).verdict


def _is_its_own_best(item: GoldenItem, rules: Rules) -> bool:
    """Say whether the expected answer, given back, must be correct.

    Not so for a ranking with more right results than the cut-off has room for, nor where what is
    expected reads like a refusal.
    """
    if rules.task is Task.RANKING:
        return len(item.expected or ()) <= rules.k
    return item.expected is None or not refuses(Answer(value=item.expected), rules)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
