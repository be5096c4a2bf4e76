"""How long a drop goes unhalted: runs from a healthy past, over the change, to the halt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from seamwatch.planning.asking import Asking, broken, outcomes
from seamwatch.planning.flock import Flock, Nulls
from seamwatch.planning.growth import Speed, speed
from seamwatch.planning.law import Flags, Floats, Integers, Law
from seamwatch.planning.pace import Pace

WARM_UP, WARM_ROWS = (
    400,
    256,
)  # healthy probes before the change
LONGEST = 10_000  # probes after the change that are simulated
LEAST_ROWS, MOST_ROWS = 120, 400
MANY_SLICES = 40  # with more of them every row is costly
LOCAL_ROWS = 200  # of a slice that fails alone: its runs differ less
ROW_STEPS = 200_000  # of one scenario; slow ones get fewer rows
COMPACT = 0.75  # rows that ended are thrown out when no more than this share goes on


@dataclass(frozen=True, slots=True)
class Drop:
    """Some items break, for good, at one moment."""

    loss: float  # of the set's mean, a ratio: 0.09 is nine points
    among: int | None = None  # the slice that all of them are in; None: anywhere


@dataclass(frozen=True)
class Passage:
    """When each run got somewhere: probes and seconds after the change, inf where it did not."""

    probes: Floats
    seconds: Floats
    longest: int  # probes that were simulated
    first_order: float  # probes by the growth of the best bet alone; inf: it does not grow

    @property
    def reached(self) -> float:
        """The share of runs that got there."""
        return float(np.isfinite(self.probes).mean()) if len(self.probes) else 0.0


@dataclass(frozen=True)
class Outcome:
    """What a drop led to."""

    drop: Drop
    halt: Passage
    ticket: Passage


def delays(
    law: Law, nulls: Nulls, pace: Pace, drops: Sequence[Drop], rng: np.random.Generator
) -> list[Outcome]:
    """Simulate each of *drops*; the runs of all go side by side in one set of arrays."""
    speeds = [speed(law, nulls, drop.loss, drop.among) for drop in drops]
    flock, asking = _warm(law, nulls, rng)
    most = MOST_ROWS if nulls.detectors <= MANY_SLICES else LEAST_ROWS
    rows = [
        min(_rows(one), most if drop.among is None else LOCAL_ROWS)
        for one, drop in zip(speeds, drops, strict=True)
    ]
    of = np.repeat(np.arange(len(drops)), rows)
    past = rng.integers(flock.rows, size=len(of))
    flock.keep(past)
    asking.keep(past)
    gone = np.concatenate(
        [broken(law, drop.loss, drop.among, n, rng) for drop, n in zip(drops, rows, strict=True)]
    )
    horizon = np.array([_horizon(one) for one in speeds])
    halting = np.array([one.halt < inf for one in speeds])
    run = _Run(law, flock, asking, gone, Clock(pace, len(of), rng), rng)
    halts, tickets = run.until(horizon[of], halting[of])
    found = []
    for at, drop in enumerate(drops):
        mine, longest = of == at, int(horizon[at])
        halt = Passage(halts[0, mine], halts[1, mine], longest, speeds[at].halt)
        ticket = Passage(tickets[0, mine], tickets[1, mine], longest, speeds[at].ticket)
        found.append(Outcome(drop, halt, ticket))
    return found


def _rows(one: Speed) -> int:
    return int(np.clip(ROW_STEPS / max(1.0, _wait(one)), LEAST_ROWS, MOST_ROWS))


def _horizon(one: Speed) -> int:
    return int(np.clip(6 * _wait(one), 500, LONGEST))


def _wait(one: Speed) -> float:
    """Return the probes after which a run has nothing more to show, more or less."""
    if one.halt < inf:
        return min(one.halt, LONGEST)
    return one.ticket if one.ticket < inf else 0.0


def _warm(law: Law, nulls: Nulls, rng: np.random.Generator) -> tuple[Flock, Asking]:
    flock, asking = Flock(nulls, WARM_ROWS), Asking(law, WARM_ROWS, rng)
    for _ in range(WARM_UP):
        items, slices, focused = asking.next(flock.focus())
        flock.take(items, outcomes(law, items, None, rng), slices, focused)
    running = np.flatnonzero(flock.s < nulls.terms.limit)
    if len(running):
        flock.keep(running)
        asking.keep(running)
        return flock, asking
    return Flock(nulls, WARM_ROWS), Asking(law, WARM_ROWS, rng)  # halts although healthy


class Clock:
    """Wall time of many runs: the drip, the burst while suspect, both inside the budget."""

    def __init__(self, pace: Pace, rows: int, rng: np.random.Generator) -> None:
        self.pace = pace
        # the change falls anywhere between two probes
        self.now = rng.random(rows) * pace.drip - pace.drip
        self._limits = pace.limits if pace.burst_probes < inf else ()
        self._past: list[Floats] = []
        self._last = self.now  # before the change

    def step(self, suspect: Flags) -> Floats:
        """Let the next probe of each run come; return its time in seconds after the change."""
        due = self.now + np.where(suspect, self.pace.burst, self.pace.drip)
        for most, length in self._limits:
            back = len(self._past) - most
            # before the change probes came at the drip
            then = self._past[back] if back >= 0 else self._last + (back + 1) * self.pace.drip
            due = np.maximum(due, then + length)
        self.now = due
        if self._limits:
            self._past.append(due)
        return due

    def keep(self, rows: Integers) -> None:
        """Go on with *rows* only."""
        self.now, self._last = self.now[rows], self._last[rows]
        if self._past:
            longest = max(most for most, _ in self._limits)
            for at in range(max(0, len(self._past) - longest), len(self._past)):
                self._past[at] = self._past[at][rows]


class _Run:
    def __init__(
        self,
        law: Law,
        flock: Flock,
        asking: Asking,
        gone: Flags,
        clock: Clock,
        rng: np.random.Generator,
    ) -> None:
        self._law, self._flock, self._asking = law, flock, asking
        self._gone, self._clock, self._rng = gone, clock, rng

    def until(self, horizon: Integers, halting: Flags) -> tuple[Floats, Floats]:
        """Return probes and seconds to halt and to ticket, shape (2, rows) each.

        A row ends when it halts, or when its horizon is reached; rows that will not halt
        end with their ticket.
        """
        terms = self._flock.nulls.terms
        halts = np.full((2, len(horizon)), inf)
        tickets = np.full((2, len(horizon)), inf)
        alive = np.arange(len(horizon))
        limit, ticket_limit = terms.limit, terms.ticket_limit or inf
        for probe in range(1, int(horizon.max()) + 1):
            at = self._probe()
            first = (self._flock.ticket_s >= ticket_limit) & ~np.isfinite(tickets[0, alive])
            if first.any():
                tickets[0, alive[first]] = probe
                tickets[1, alive[first]] = at[first]
            over = (self._flock.s >= limit) & ~np.isfinite(halts[0, alive])
            if over.any():
                halts[0, alive[over]] = probe
                halts[1, alive[over]] = at[over]
            ended = np.isfinite(halts[0, alive]) | (probe >= horizon[alive])
            ended |= ~halting[alive] & np.isfinite(tickets[0, alive])
            going = np.flatnonzero(~ended)
            if not len(going):
                break
            if len(going) <= COMPACT * len(alive):
                self._keep(going)
                alive = alive[going]
        # what came after a halt that was not thrown out at once is no longer asked for
        late = tickets[0] > halts[0]
        tickets[:, late] = inf
        return halts, tickets

    def _probe(self) -> Floats:
        at = self._clock.step(self._flock.suspect)
        items, slices, focused = self._asking.next(self._flock.focus())
        x = outcomes(self._law, items, self._gone, self._rng)
        self._flock.take(items, x, slices, focused)
        return at

    def _keep(self, rows: Integers) -> None:
        self._flock.keep(rows)
        self._asking.keep(rows)
        self._clock.keep(rows)
        self._gone = self._gone[rows]
