"""Keep count of the quality checks over the last answers."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seamwatch.pipeline import Judged, Verdict
from seamwatch.quality.checks import Check, of_estimate
from seamwatch.quality.patterns import Forbidden
from seamwatch.scoring.intervals import estimate
from seamwatch.scoring.targets import ENOUGH


@dataclass(frozen=True, slots=True)
class QualityRules:
    """Which checks there are, and what they must reach."""

    not_empty: bool = False  # the answer holds something
    json_schema: bool = False  # it has the declared shape, as its verdict says
    refusal_at_most: float | None = None  # share of declined questions that have an answer
    max_length: int | None = None  # characters
    forbids: tuple[str, ...] = ()  # patterns found nowhere in it
    at_least: float | None = None  # the share of good answers that the others must reach


_Test = Callable[[Judged], bool | None]  # None: the check does not apply to this answer


class QualityWindow:
    """The checks over the last *size* probes; one writer, not safe between threads.

    Errors and timeouts take up places but are no answers. Neither questions nor answers are kept.
    Every check gives the share of good answers, but for ``refusal``: that is the share of declined
    questions, and the fewer the better. An answer that declines has nothing to be empty or to have
    a shape.
    """

    def __init__(self, size: int, rules: QualityRules) -> None:
        """Start empty; ValueError for a size under 1 or a pattern that may take too long."""
        if size < 1:
            raise ValueError(f"a window of {size} answers holds nothing; give 1 or more")
        self.size = size
        self._rules = rules
        self._tests = _tests(rules)
        self._entries: deque[tuple[bool | None, ...]] = deque()
        self._counts = {name: [0, 0] for name in self._tests}  # answers, answers that pass

    def __len__(self) -> int:
        """Count the probes that it holds now."""
        return len(self._entries)

    def add(self, judged: Judged) -> None:
        """Take in one judged answer; the oldest leaves when the window is full."""
        if len(self._entries) == self.size:
            self._count(self._entries.popleft(), -1)
        entry: tuple[bool | None, ...] = ()
        if judged.verdict.is_answer:
            entry = tuple(test(judged) for test in self._tests.values())
        self._entries.append(entry)
        self._count(entry, 1)

    def _count(self, entry: tuple[bool | None, ...], sign: int) -> None:
        for counts, passes in zip(self._counts.values(), entry, strict=False):
            if passes is not None:
                counts[0] += sign
                counts[1] += sign * passes

    def checks(self) -> tuple[Check, ...]:
        """Return each check as it stands; one without an answer has no value."""
        enough = min(ENOUGH, self.size)
        return tuple(
            of_estimate(
                name,
                estimate(passes, n, n, n),
                at_least=None if name == "refusal" else self._rules.at_least,
                at_most=self._rules.refusal_at_most if name == "refusal" else None,
                enough=enough,
            )
            for name, (n, passes) in self._counts.items()
        )


def _tests(rules: QualityRules) -> Mapping[str, _Test]:
    found: dict[str, _Test] = {}
    if rules.not_empty:
        found["not_empty"] = _is_not_empty
    if rules.json_schema:
        found["json_schema"] = _has_shape
    if rules.refusal_at_most is not None:
        found["refusal"] = _is_refusal
    if (most := rules.max_length) is not None:
        found["max_length"] = lambda judged: len(_text(judged.answer.value)) <= most
    if rules.forbids:
        found["forbids"] = _without(Forbidden(rules.forbids))
    return found


def _declines(judged: Judged) -> bool:
    if judged.verdict is Verdict.REFUSED or judged.answer.refused:
        return True
    # an item without an expected answer is only answered correctly by declining
    return judged.item.expected is None and judged.verdict is Verdict.CORRECT


def _is_not_empty(judged: Judged) -> bool | None:
    if _declines(judged):
        return None
    value = judged.answer.value
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value != [] and value != {} and value != ()


def _has_shape(judged: Judged) -> bool | None:
    if _declines(judged) or judged.item.expected is None:
        return None
    return judged.verdict is not Verdict.INVALID


def _is_refusal(judged: Judged) -> bool | None:
    return None if judged.item.expected is None else judged.verdict is Verdict.REFUSED


def _without(forbidden: Forbidden) -> _Test:
    def passes(judged: Judged) -> bool | None:
        found = forbidden.found(_text(judged.answer.value))
        return None if found is None else not found

    return passes


def _text(value: Any) -> str:
    """Return the text of an answer: as it is, or as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
