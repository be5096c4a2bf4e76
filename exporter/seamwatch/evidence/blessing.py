"""What a golden set scored when it was blessed: the baseline that evidence compares with.

Items fall into two classes. *Solid* items did at least as well as the set's mean in every pass;
for right/wrong outcomes those are the items that every pass answered correctly. *Flaky* are the
rest. The mean of a class is taken leaving one pass out: each outcome counts for the class that the
item has by its other passes, because picking the items that did well and averaging the same
outcomes would flatter them (the winner's curse). For right/wrong outcomes and r passes the solid
mean is r n_r / (r n_r + n_{r-1}), with n_s the items that s of the passes answered correctly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import fsum, sqrt
from typing import Any, Self

from seamwatch.pipeline import Judged, Verdict

SOLID = "solid"
FLAKY = "flaky"
MOST_SCORES = 10_000
_ROUNDING = 1e-9

_Passes = tuple[float | None, ...]


def outcome(judged: Judged, score: str) -> float | None:
    """Return x of a probe: *score* "verdict" (1 if correct) or "credit"; None for no answer."""
    if not judged.verdict.is_answer:
        return None
    if score == "credit":
        return 0.0 if judged.credit is None else min(max(judged.credit, 0.0), 1.0)
    return 1.0 if judged.verdict is Verdict.CORRECT else 0.0


@dataclass(frozen=True)
class Blessing:
    """All passes over one golden set at a time when people found its answers good.

    Means are unweighted over the items that gave an answer at least once; an item that answered
    fewer than two passes has no class.
    """

    digest: str  # sha256 of the golden set
    rules: str  # sha256 of how answers are judged
    at: float  # wall clock of the last pass
    passes: int
    answered_by: tuple[str, ...]  # versions of the model that answered
    credit: Mapping[str, _Passes]  # item id -> x of each pass in [0, 1], None where it failed
    verdicts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scores: tuple[float, ...] = ()  # the model's own confidences, sorted, thinned to 10,000
    slices: Mapping[str, str] = field(default_factory=dict)  # item id -> slice, "" for none
    score: str = "verdict"  # what x is: "verdict" or "credit"

    @classmethod
    def of(
        cls, passes: Sequence[Iterable[Judged]], *, digest: str, rules: str, at: float, score: str
    ) -> Self:
        """Return the blessing that *passes*, each at most one answer an item, amount to."""
        seen = [{judged.item.id: judged for judged in answers} for answers in passes]
        items = {item_id: judged.item for answers in seen for item_id, judged in answers.items()}
        rows = {i: [answers.get(i) for answers in seen] for i in sorted(items)}
        judgements = [judged for row in rows.values() for judged in row if judged is not None]
        versions = {j.answer.answered_by for j in judgements if j.answer.answered_by}
        confidences = sorted(j.answer.score for j in judgements if j.answer.score is not None)
        return cls(
            digest=digest,
            rules=rules,
            at=at,
            passes=len(seen),
            answered_by=tuple(sorted(versions)),
            credit={
                i: tuple(None if j is None else outcome(j, score) for j in row)
                for i, row in rows.items()
            },
            verdicts={
                i: tuple("" if j is None else j.verdict.value for j in row)
                for i, row in rows.items()
            },
            scores=tuple(_thinned(confidences, MOST_SCORES)),
            slices={i: items[i].slice for i in rows},
            score=score,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``from_json`` reads back."""
        plain = asdict(self)
        return {name: dict(v) if isinstance(v, Mapping) else v for name, v in plain.items()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return the blessing that ``to_json`` wrote; KeyError or TypeError where it is none."""
        return cls(
            **{
                **plain,
                "answered_by": tuple(plain["answered_by"]),
                "credit": {i: tuple(row) for i, row in plain["credit"].items()},
                "verdicts": {i: tuple(row) for i, row in plain.get("verdicts", {}).items()},
                "scores": tuple(plain.get("scores", ())),
            }
        )

    @cached_property
    def means(self) -> Mapping[str, float]:
        """The mean outcome of each item that answered at all."""
        answered = {i: [x for x in row if x is not None] for i, row in self.credit.items()}
        return {i: fsum(row) / len(row) for i, row in answered.items() if row}

    @cached_property
    def baseline(self) -> float | None:
        """The mean of the set in [0, 1]; None when nothing was answered."""
        return _mean(self.means.values())

    @cached_property
    def baseline_error(self) -> float | None:
        """The standard error of the baseline as a statement about these very items.

        Only the flicker between passes counts; None with fewer than two answered passes.
        """
        rows = [[x for x in row if x is not None] for row in self.credit.values()]
        twice = [row for row in rows if len(row) > 1]
        if not twice:
            return None
        return sqrt(fsum(_variance(row) / len(row) for row in twice)) / len(twice)

    @cached_property
    def solid(self) -> frozenset[str]:
        """The ids of the items that did at least as well as the set's mean in every pass."""
        return frozenset(i for i, kind in self._classes.items() if kind == SOLID)

    def item_class(self, item_id: str) -> str:
        """Return "solid", "flaky", or "" for an item that was not answered twice."""
        return self._classes.get(item_id, "")

    @cached_property
    def class_means(self) -> Mapping[str, float]:
        """The mean of each class, leaving one pass out; empty with fewer than two passes."""
        return self._left_out(self.credit)

    @cached_property
    def slice_sizes(self) -> Mapping[str, int]:
        """How many answered items each named slice has."""
        return {name: len(ids) for name, ids in self._by_slice.items()}

    @cached_property
    def slice_baselines(self) -> Mapping[str, float]:
        """The mean of each named slice."""
        return {
            name: fsum(self.means[i] for i in ids) / len(ids)
            for name, ids in self._by_slice.items()
        }

    @cached_property
    def slice_class_means(self) -> Mapping[str, Mapping[str, float]]:
        """The mean of each class within each named slice, leaving one pass out, one failure added.

        A class of a slice has few outcomes: without the added failure, those that happened to go
        well would set a null that the slice cannot keep.
        """
        return {name: self._left_out(ids, failures=1) for name, ids in self._by_slice.items()}

    @cached_property
    def _by_slice(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for i in self.means:
            if name := self.slices.get(i, ""):
                found[name].append(i)
        return dict(sorted(found.items()))

    @cached_property
    def _classes(self) -> Mapping[str, str]:
        return {
            i: self._class_of(answered)
            for i, row in self.credit.items()
            if len(answered := [x for x in row if x is not None]) > 1
        }

    def _class_of(self, outcomes: Iterable[float]) -> str:
        return SOLID if min(outcomes) >= (self.baseline or 0.0) - _ROUNDING else FLAKY

    def _left_out(self, ids: Iterable[str], *, failures: int = 0) -> Mapping[str, float]:
        found: dict[str, list[float]] = {SOLID: [], FLAKY: []}
        for i in ids:
            answered = [x for x in self.credit[i] if x is not None]
            if len(answered) < 2:
                continue
            for at, x in enumerate(answered):
                found[self._class_of(answered[:at] + answered[at + 1 :])].append(x)
        return {kind: fsum(xs) / (len(xs) + failures) for kind, xs in found.items() if xs}


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return fsum(known) / len(known) if known else None


def _variance(row: Sequence[float]) -> float:
    middle = fsum(row) / len(row)
    return fsum((x - middle) ** 2 for x in row) / (len(row) - 1)


def _thinned(values: Sequence[float], most: int) -> Sequence[float]:
    """Return at most *most* of the sorted *values*, evenly spaced, the first and last included."""
    if len(values) <= most:
        return values
    return [values[round(at * (len(values) - 1) / (most - 1))] for at in range(most)]
