"""What a halt takes to end: probes after the fix, and the chance that it ends before."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from seamwatch.planning.asking import Asking, broken, outcomes
from seamwatch.planning.flock import Mirrors, Nulls
from seamwatch.planning.law import Flags, Floats, Law

LONGEST = 10_000  # probes after the fix that are simulated
ROWS = 400


@dataclass(frozen=True, slots=True)
class Chance:
    """A simulated probability and its standard error; 0 of n runs is an error of 1 / n."""

    value: float
    error: float
    runs: int


def recovery(law: Law, nulls: Nulls, rng: np.random.Generator) -> Floats:
    """Return the probes until recovery is proven, after all is as *law* again; inf if not.

    The mirror begins at nothing: what it gathered before the fix can only help.
    """
    return _proven(law, nulls, None, LONGEST, rng)


def false_resume(
    law: Law, nulls: Nulls, loss: float, probes: int, rng: np.random.Generator
) -> Chance:
    """Return how likely *probes* of a halted pipeline prove a recovery while *loss* is not fixed.

    A loss spreads over broken items; see ``asking.broken``.
    """
    gone = broken(law, loss, None, ROWS, rng)
    return _chance(_proven(law, nulls, gone, probes, rng))


def at_the_bound(law: Law, nulls: Nulls, probes: int, rng: np.random.Generator) -> Chance:
    """Return the same for a pipeline that sits exactly on what must be proven to be exceeded."""
    return _chance(_proven(nulls.at_bound(law), nulls, None, probes, rng))


def _chance(proven: Floats) -> Chance:
    share = float(np.isfinite(proven).mean())
    error = max(sqrt(share * (1 - share) / len(proven)), 1 / len(proven))
    return Chance(share, error, len(proven))


def _proven(
    law: Law, nulls: Nulls, gone: Flags | None, longest: int, rng: np.random.Generator
) -> Floats:
    mirrors, asking = Mirrors(nulls, ROWS), Asking(law, ROWS, rng)
    found = np.full(ROWS, inf)
    nowhere = np.full(ROWS, -1)
    for probe in range(1, longest + 1):
        items, _, _ = asking.next(nowhere)
        mirrors.take(items, outcomes(law, items, gone, rng))
        new = (mirrors.s >= nulls.terms.resume_limit) & ~np.isfinite(found)
        if new.any():
            found[new] = probe
            if np.isfinite(found).all():
                break
    return found
