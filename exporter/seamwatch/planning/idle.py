"""What a pipeline that stays as it is costs: the drip, and bursts by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seamwatch.planning.asking import Asking, outcomes
from seamwatch.planning.flock import Flock, Nulls
from seamwatch.planning.law import Law
from seamwatch.planning.pace import DAY, Pace

ROWS = 100
WARM_UP, MEASURED = 600, 600  # probes


@dataclass(frozen=True, slots=True)
class Idle:
    """A pipeline that stays as it is."""

    suspect: float  # share of the probes that are asked while suspect
    seconds: float  # between two probes, on average

    @property
    def probes_a_day(self) -> float:
        """Probes a day, bursts included."""
        return DAY / self.seconds


def idle(law: Law, nulls: Nulls, pace: Pace, rng: np.random.Generator) -> Idle:
    """Measure it over some thousand probes."""
    flock, asking = Flock(nulls, ROWS), Asking(law, ROWS, rng)
    suspect = 0
    for probe in range(WARM_UP + MEASURED):
        items, slices, focused = asking.next(flock.focus())
        flock.take(items, outcomes(law, items, None, rng), slices, focused)
        halted = flock.s >= nulls.terms.limit
        if halted.any():  # who halts is put back to where another one is
            going = np.flatnonzero(~halted)
            if not len(going):
                return Idle(1.0, pace.sustained)
            rows = np.where(halted, rng.choice(going, size=ROWS), np.arange(ROWS))
            flock.keep(rows)
            asking.keep(rows)
        if probe >= WARM_UP:
            suspect += int(flock.suspect.sum())
    share = suspect / (ROWS * MEASURED)
    seconds = share * pace.burst + (1 - share) * pace.drip
    return Idle(share, max(seconds, pace.sustained))
