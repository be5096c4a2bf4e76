"""Many cases at once: the arithmetic of ``evidence.Case`` on arrays, one row for each run.

A test holds it to the real Case probe by probe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from seamwatch.evidence import HIGHEST_NULL, MIRROR_RHOS, RHOS, WEIGHTS, Terms
from seamwatch.planning.law import Flags, Floats, Integers, Law

_RHOS = np.array(RHOS)
_MIRROR = np.array(MIRROR_RHOS)
_WEIGHTS = np.array(WEIGHTS)
_EQUAL = np.full(len(RHOS), 1 / len(RHOS))
_OWN_SHARE = 0.1  # of the pooled evidence, that a slice must have to be focused on
_TOP = 1e290  # of a sum: a row halts long before


@dataclass(frozen=True)
class Nulls:
    """What each item of a law is held to, arrays of shape (items,); NaN: no evidence."""

    terms: Terms
    pooled: Floats
    slice: Floats
    ticket: Floats
    recovery: Floats
    detectors: int  # slices of the law, whether they have a detector or not

    @classmethod
    def of(cls, terms: Terms, law: Law) -> Self:
        """Look up the nulls of the items of *law*."""

        def column(null: dict[tuple[str, str], float | None]) -> Floats:
            found = [null[key] for key in keys]
            return np.array([np.nan if one is None else min(one, HIGHEST_NULL) for one in found])

        names = law.slices or ("",)
        keys = [(names[at], kind) for at, kind in zip(law.slice_of, law.classes, strict=True)]
        every = set(keys)
        return cls(
            terms=terms,
            pooled=column({key: terms.null(key[1]) for key in every}),
            slice=column({key: terms.slice_null(*key) for key in every}),
            ticket=column({key: terms.ticket_null(key[1]) for key in every}),
            recovery=column({key: terms.recovery_bound(key[1]) for key in every}),
            detectors=len(names),
        )

    def at_floor(self, law: Law) -> Law:
        """Return *law* where each class of items is exactly on its null, as the promise says."""
        found = law.at_mean(self.terms.floor)
        for null in np.unique(self.pooled[np.isfinite(self.pooled)]):
            found = found.at_mean(float(null), self.pooled == null)
        return found

    def at_bound(self, law: Law) -> Law:
        """Return *law* exactly at what must be exceeded for a recovery."""
        known = np.isfinite(self.recovery)
        if not known.any():
            return law
        bound = float(self.recovery[known].mean())
        return law.at_mean(min(1.0, max(0.0, bound)), known)

    @property
    def counting(self) -> int:
        """How many items can be evidence."""
        return int((np.isfinite(self.pooled) | np.isfinite(self.slice)).sum())

    @property
    def has_slices(self) -> bool:
        """Say whether any slice has a detector of its own."""
        return bool(np.isfinite(self.slice).any())


class Flock:
    """The halting detectors of many runs, and their tickets; all rows run, none is halted."""

    def __init__(self, nulls: Nulls, rows: int) -> None:
        self.nulls = nulls
        terms = nulls.terms
        self.weight = terms.slice_weight if nulls.has_slices else 0.0
        self.pooled = np.zeros((rows, len(RHOS)))
        self.ticket = np.zeros((rows, len(RHOS)))
        self.slices = np.zeros((rows * nulls.detectors if nulls.has_slices else 0, len(RHOS)))
        self.slice_s = np.zeros((rows, nulls.detectors if nulls.has_slices else 0))
        self.s = np.zeros(rows)
        self.pooled_s = np.zeros(rows)
        self.suspicion = np.zeros(rows)
        self.ticket_s = np.zeros(rows)
        self.suspect = np.zeros(rows, bool)
        self._suspect_at = terms.limit**terms.suspect_from
        self._calm_at = terms.limit**terms.calm_at
        self._focus_at = terms.limit**terms.focus_at
        self._partial = bool(np.isnan(nulls.pooled).any())
        self._tickets = terms.ticket_limit is not None and bool(np.isfinite(nulls.ticket).any())

    @property
    def rows(self) -> int:
        """How many runs there are."""
        return len(self.s)

    def take(
        self, items: Integers, x: Floats, slice_of: Integers, focused: Flags | None = None
    ) -> None:
        """Take one outcome *x* of one of *items* for each row, shapes (rows,)."""
        skip = focused is not None and bool(focused.any())
        sampled = None
        if self._partial or skip:
            sampled = np.isfinite(self.nulls.pooled[items])
            if focused is not None:
                sampled &= ~focused
        _grow(self.pooled, x, self.nulls.pooled[items], sampled)
        if self._tickets:
            _grow(self.ticket, x, self.nulls.ticket[items], sampled)
            self.ticket_s = self.ticket @ _EQUAL
        s = self.pooled_s = self.pooled @ _EQUAL
        suspicion = self.pooled @ _WEIGHTS
        if self.weight:
            self._take_slices(items, x, slice_of)
            s = (1.0 - self.weight) * s + self.weight * self.slice_s.sum(axis=1)
            worst = self.weight * self.slice_s.max(axis=1)
            suspicion = np.maximum((1.0 - self.weight) * suspicion, worst)
        self.s = s
        self.suspicion = suspicion
        limit = np.where(self.suspect, self._calm_at, self._suspect_at)
        self.suspect = suspicion >= limit

    def _take_slices(self, items: Integers, x: Floats, slice_of: Integers) -> None:
        null = self.nulls.slice[items]
        rows = np.flatnonzero(np.isfinite(null))
        if not len(rows):
            return
        place = slice_of[rows]
        at = rows * self.nulls.detectors + place
        sums = self.slices[at]
        _grow(sums, x[rows], null[rows], None)
        self.slices[at] = sums
        self.slice_s[rows, place] = sums @ _WEIGHTS

    def focus(self) -> Integers:
        """Return for each row the slice that half of its probes should go to, -1 for none."""
        if not self.nulls.terms.focus or not self.weight:
            return np.full(self.rows, -1)
        worst = self.slice_s.argmax(axis=1)
        enough = np.maximum(self._focus_at, _OWN_SHARE * self.pooled_s)
        return np.where(self.slice_s[np.arange(self.rows), worst] >= enough, worst, -1)

    def keep(self, rows: Integers) -> None:
        """Go on with *rows* only; a row may be given more than once."""
        if self.weight:
            several = self.slices.reshape(self.rows, self.nulls.detectors, len(RHOS))
            self.slices = several[rows].reshape(-1, len(RHOS))
            self.slice_s = self.slice_s[rows]
        self.pooled, self.ticket = self.pooled[rows], self.ticket[rows]
        self.s, self.pooled_s = self.s[rows], self.pooled_s[rows]
        self.ticket_s, self.suspect = self.ticket_s[rows], self.suspect[rows]


class Mirrors:
    """The recovery tests of many halted runs."""

    def __init__(self, nulls: Nulls, rows: int) -> None:
        self.nulls = nulls
        self.r = np.zeros((rows, len(MIRROR_RHOS)))
        self.s = np.zeros(rows)
        self._worst = nulls.terms.recovery_worst
        self._ceiling = nulls.terms.resume_limit * len(MIRROR_RHOS)

    def take(self, items: Integers, x: Floats) -> None:
        """Take one outcome *x* of one of *items* for each row, shapes (rows,)."""
        bound = self.nulls.recovery[items]
        gain = (x - bound) / self._worst
        grown = np.minimum((1.0 + self.r) * (1.0 + gain[:, None] * _MIRROR), self._ceiling)
        known = np.isfinite(bound)
        self.r = grown if known.all() else np.where(known[:, None], grown, self.r)
        self.s = self.r.mean(axis=1)


def _grow(r: Floats, x: Floats, m: Floats, sampled: Flags | None) -> None:
    """Bet once on each row of *r*, in place: R <- (1 + R) (1 + rho (m - x) / (1 - m))."""
    if sampled is not None:
        rows = np.flatnonzero(sampled)
        some = r[rows]
        _grow(some, x[rows], m[rows], None)
        r[rows] = some
        return
    factor = ((m - x) / (1.0 - m))[:, None] * _RHOS
    factor += 1.0
    r += 1.0
    r *= factor
    np.minimum(r, _TOP, out=r)
