"""Keep score over the last answers: accuracy, slices, availability, each with its interval.

Sums are exact integers (fixed point, 32 binary places), so that answers that leave the window
leave nothing behind, however long it runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from seamwatch.pipeline import Estimate, Judged, Verdict
from seamwatch.scoring.intervals import estimate

_ONE = 1 << 32


@dataclass(slots=True)
class _Sums:
    """Sums over the answers of a window or of a slice of it."""

    n: int = 0
    weights: int = 0  # of _ONE
    squares: int = 0  # of _ONE squared
    correct: int = 0  # weight of the correct answers, of _ONE
    credit: int = 0  # weight times credit, of _ONE squared

    def add(self, weight: int, correct: bool, credit: int, sign: int) -> None:
        """Add an answer (sign 1) or take it away (sign -1)."""
        signed = sign * weight
        self.n += sign
        self.weights += signed
        self.squares += signed * weight
        if correct:
            self.correct += signed
        self.credit += signed * credit

    def accuracy(self) -> Estimate | None:
        return estimate(self.correct / _ONE, self.weights / _ONE, self.squares / _ONE**2, self.n)

    def mean_credit(self) -> Estimate | None:
        total = self.credit / _ONE**2
        return estimate(total, self.weights / _ONE, self.squares / _ONE**2, self.n)


@dataclass(frozen=True, slots=True)
class _Entry:
    verdict: Verdict
    weight: int
    credit: int
    slice: str


class Window:
    """The last *size* probes of one golden set; one writer, not safe between threads.

    Errors and timeouts take up places too: after a whole pass of them the accuracy is unknown
    instead of yesterday's. Questions and answers are not kept.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a window of {size} answers holds nothing; give 1 or more")
        self.size = size
        self._entries: deque[_Entry] = deque()
        self._all = _Sums()
        self._slices: dict[str, _Sums] = {}
        self._verdicts = dict.fromkeys(Verdict, 0)
        self._last_answer: float | None = None

    def __len__(self) -> int:
        """Count the probes that it holds now."""
        return len(self._entries)

    @property
    def is_full(self) -> bool:
        """Say whether it holds as many probes as it can."""
        return len(self._entries) == self.size

    def add(self, judged: Judged) -> None:
        """Take in one judged answer; the oldest leaves when the window is full."""
        if len(self._entries) == self.size:
            self._count(self._entries.popleft(), -1)
        item, verdict = judged.item, judged.verdict
        entry = _Entry(
            verdict,
            max(1, round(item.weight * _ONE)),
            round((judged.credit or 0.0) * _ONE),
            item.slice,
        )
        self._entries.append(entry)
        self._count(entry, 1)
        if verdict.is_answer:
            self._last_answer = judged.at

    def _count(self, entry: _Entry, sign: int) -> None:
        self._verdicts[entry.verdict] += sign
        if not entry.verdict.is_answer:
            return
        correct = entry.verdict is Verdict.CORRECT
        self._all.add(entry.weight, correct, entry.credit, sign)
        if entry.slice:
            sums = self._slices.get(entry.slice)
            if sums is None:
                sums = self._slices[entry.slice] = _Sums()
            sums.add(entry.weight, correct, entry.credit, sign)
            if sums.n == 0:
                del self._slices[entry.slice]

    def accuracy(self) -> Estimate | None:
        """Return the weighted share of answers that are correct; None without an answer."""
        return self._all.accuracy()

    def credit(self) -> Estimate | None:
        """Return the weighted mean of the task's own credit; None without an answer."""
        return self._all.mean_credit()

    def availability(self) -> Estimate | None:
        """Return the share of probes that were answered at all; None without a probe."""
        probes, answers = len(self._entries), self._all.n
        return estimate(answers, probes, probes, probes)

    def slices(self) -> Mapping[str, Estimate]:
        """Return the accuracy of each slice that has an answer in the window."""
        found = {name: sums.accuracy() for name, sums in sorted(self._slices.items())}
        return {name: one for name, one in found.items() if one is not None}

    def verdicts(self) -> Mapping[Verdict, int]:
        """Return how many probes in the window got each verdict; all are there, also at 0."""
        return dict(self._verdicts)

    def last_answer(self) -> float | None:
        """Return the wall clock of the newest answer in the window (not error, not timeout)."""
        return self._last_answer if self._all.n else None
