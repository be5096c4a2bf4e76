"""The SLO ticks of one pipeline: what its snapshots say, every 30 s, as events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic

from seamwatch.config.schema import PipelineSection
from seamwatch.pipeline import Pipeline, Verdict
from seamwatch.scoring.targets import ENOUGH
from seamwatch.slo import (
    END_TO_END,
    TICK,
    Counts,
    Promise,
    Seen,
    Terms,
    Unknown,
    Why,
    begin,
    tick,
)
from seamwatch.snapshot import GoldenState, SloState, Snapshot

STALE_PROBES = 5.0  # a figure of probes is stale once none has come for so many intervals ...
STALE_AFTER = 60.0  # ... and so many seconds


@dataclass(slots=True)
class _Moves:
    """When a count moved last; monotonic seconds."""

    count: int = -1
    at: float = 0.0

    def still_for(self, count: int, *, now: float) -> float:
        """Take in *count* and return for how long it has not moved."""
        if count != self.count:
            self.count, self.at = count, now
        return now - self.at


class Ticking:
    """Counts good and bad slices. Nothing is counted unless snapshots come: that is no data."""

    def __init__(
        self,
        pipeline: Pipeline,
        section: PipelineSection,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.promises = promises(section)
        self._targets = frozenset(section.slos.components)
        self._section = section
        self._clock = clock
        self._terms = _terms(section)
        self._due: float | None = None
        self._answers = _Moves()
        self._asked = _Moves()
        self.ledger = begin(list(self.promises))

    def see(self, snapshot: Snapshot) -> Snapshot:
        """Count a slice if one is due, and return *snapshot* with the counts."""
        now = self._clock()
        seen = self._seen(snapshot, now)
        if self._due is None or now >= self._due:
            late = self._due is None or now - self._due >= TICK
            # a slice that nobody looked at is neither good nor bad, so it is not made up for
            self._due = now + TICK if late or self._due is None else self._due + TICK
            self.ledger = tick(
                self.ledger,
                seen,
                self._terms,
                now=now,
                silent=bool(snapshot.silent_failure),
                in_maintenance=any(one.covers(snapshot.at) for one in self._section.maintenance),
            )
        return replace(snapshot, slos=SloState(self.promises, self.ledger))

    def take_over(self, before: Ticking) -> None:
        """Go on counting where *before* stood; a promise that is new begins at zero."""
        counts = {name: before.ledger.counts.get(name, Counts()) for name in self.ledger.counts}
        held = {name: one for name, one in before.ledger.held.items() if name in self._targets}
        self.ledger = replace(before.ledger, counts=counts, held=held)
        self._due, self._answers, self._asked = before._due, before._answers, before._asked

    def _seen(self, snapshot: Snapshot, now: float) -> dict[str, Seen]:
        """Return how each component stands; one without a target counts only when it is known."""
        met, golden = snapshot.end_to_end, snapshot.golden
        answers_stopped = self._has_stopped(
            self._answers, lambda verdict: verdict.is_answer, golden, now
        )
        asking_stopped = self._has_stopped(self._asked, lambda _: True, golden, now)
        judge_is_off = snapshot.evidence is not None and snapshot.evidence.is_stale
        verdicts = {
            "freshness": (met.freshness, False),
            "accuracy": (met.accuracy, answers_stopped or judge_is_off),
            "availability": (met.availability, asking_stopped),
            "quality": (met.quality, False),
        }
        return {
            name: self._one(name, holds, is_stale=is_stale)
            for name, (holds, is_stale) in verdicts.items()
            if name in self._targets or holds is not None
        }

    def _one(self, name: str, holds: bool | None, *, is_stale: bool) -> Seen:
        if is_stale:
            return Seen(None, Why.STALE)
        before = self.ledger.held.get(name)
        if holds is None and (before is None or before.holds is None):
            return Seen(None, Why.STARTING)
        return Seen(holds, Why.STALE if name == "freshness" else Why.UNDECIDED)

    def _has_stopped(
        self,
        moves: _Moves,
        counts: Callable[[Verdict], bool],
        golden: GoldenState | None,
        now: float,
    ) -> bool:
        if golden is None or self._section.golden is None:
            return False
        count = sum(n for verdict, n in golden.verdicts.items() if counts(verdict))
        limit = max(STALE_PROBES * self._section.golden.every, STALE_AFTER)
        return moves.still_for(count, now=now) > limit


def promises(section: PipelineSection) -> Mapping[str, Promise]:
    """Return what is promised, by SLO; the whole pages, and its parts only where it cannot."""
    slos = section.slos
    whole = slos.end_to_end is not None and slos.end_to_end.objective is not None
    given = {**slos.components, END_TO_END: slos.end_to_end}
    return {
        name: Promise(
            slo.objective,
            page=slo.page if slo.page is not None else (name == END_TO_END or not whole),
            min_bad_events=slo.min_bad_events,
        )
        for name, slo in given.items()
        if slo is not None and slo.objective is not None
    }


def _terms(section: PipelineSection) -> Terms:
    """Return policies, grace and how long the first verdict on answers may take."""
    every = section.golden.every if section.golden is not None else 0.0
    return Terms(
        {name: Unknown(slo.unknown) for name, slo in section.slos.components.items()},
        section.slos.grace,
        dict.fromkeys(("accuracy", "availability", "quality"), 2 * ENOUGH * every),
    )
