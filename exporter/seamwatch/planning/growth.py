"""How fast evidence grows: what the best bet gains a probe, before chance and order."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

import numpy as np

from seamwatch.evidence import RHOS
from seamwatch.planning.flock import Nulls
from seamwatch.planning.law import Flags, Floats, Law

_RHOS = np.array(RHOS)
_NOTHING = 1e-9  # a gain a probe that is only rounding


@dataclass(frozen=True, slots=True)
class Speed:
    """Probes until the limit by growth alone, log limit / gain; inf where evidence shrinks.

    Lorden (1971): for a limit that grows, no detector of the same law is faster to first order.
    """

    pooled: float
    slices: float  # the fastest slice by its own detector
    ticket: float

    @property
    def halt(self) -> float:
        """Whichever of pooled and slices is faster."""
        return min(self.pooled, self.slices)


def speed(law: Law, nulls: Nulls, loss: float = 0.0, among: int | None = None) -> Speed:
    """Return it for the set of *law* after *loss* of its mean, in slice *among* or anywhere."""
    right = _kept(law, loss, among)
    weight = nulls.terms.slice_weight if nulls.has_slices else 0.0
    pooled = _gains(law, nulls.pooled, right)
    limit = nulls.terms.limit
    slices = inf
    if weight:
        gains = _gains(law, nulls.slice, right)
        for at in range(len(law.slices)):
            gain = gains[law.slice_of == at].sum(axis=0).max() / law.items
            slices = min(slices, _probes(limit / weight, gain))
    ticket = inf
    if nulls.terms.ticket_limit is not None:
        gain = _gains(law, nulls.ticket, right).mean(axis=0).max()
        ticket = _probes(nulls.terms.ticket_limit, gain)
    return Speed(_probes(limit / (1 - weight), pooled.mean(axis=0).max()), slices, ticket)


def _probes(limit: float, gain: float) -> float:
    return log(limit) / gain if gain > _NOTHING and limit < inf else inf


def _kept(law: Law, loss: float, among: int | None) -> Floats:
    """Return the share of each item's right answers that *loss* leaves, shape (items,)."""
    members: Flags = np.ones(law.items, bool) if among is None else law.slice_of == among
    share = min(1.0, loss * law.items / max(1e-12, float(law.rates[members].sum())))
    return np.where(members, 1.0 - share, 1.0)


def _gains(law: Law, null: Floats, kept: Floats) -> Floats:
    """Return E log L of each item and bet, shape (items, bets); 0 where it is no evidence."""
    known = np.isfinite(null)
    m = np.where(known, null, 0.5)[:, None]
    odds = m / (1 - m)
    lost = np.log1p(_RHOS * odds)  # an answer that scores 0
    if law.credits is None:
        won = np.log1p(-np.broadcast_to(_RHOS, (law.items, len(RHOS))))
        right = (law.rates * kept)[:, None]
        gains = right * won + (1 - right) * lost
    else:
        scores = law.credits[:, :, None]
        drift = (m[:, :, None] - scores) / (1 - m[:, :, None]) * _RHOS
        won = np.log1p(drift).mean(axis=1)
        gains = kept[:, None] * won + (1 - kept[:, None]) * lost
    found: Floats = np.where(known[:, None], gains, 0.0)
    return found
