"""How rare false halts are: far too rare to wait for, so runs are bent towards them and weighted.

For each bet k the healthy law is tilted by L_k^theta, with theta such that E[L_k^theta] = 1: under
the tilted law evidence grows, and every run reaches the limit. Let U be the Shiryaev-Roberts sum of
the tilts, U <- (1 + U) l with likelihood ratios l, mixed with weights pi. Each way to the limit is
then counted once by sum over its possible beginnings j of the ratio since j, divided by U, so

    halts a probe = sum_k pi_k E_k[1 / U at the halt]

where the run under tilt k begins in the healthy state. Exactly at the floor theta is 1, U is the
detector itself, and the rate is 1 / A but for what the last step overshoots. Probes are drawn
independently here; fresh passes over a finite set vary less and halt more rarely still.

Sources: Siegmund, Annals of Statistics 4 (1976) 673-684, for the tilt; Pollak, Annals of
Statistics 15 (1987) 749-779, for what a Shiryaev-Roberts sum says of the time between alarms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, log, sqrt

import numpy as np

from seamwatch.evidence import RHOS, WEIGHTS, Terms
from seamwatch.planning.flock import Flock, Nulls
from seamwatch.planning.law import Floats, Integers, Law

ROWS = 500
WARM_UP = 800
LONGEST = 3000  # probes under a tilt; see _unfinished
GRAIN = 100  # credits are told apart in steps of 1 / GRAIN
MANY_SLICES = 40  # with more of them every run is costly
_RHOS, _WEIGHTS, _EQUAL = np.array(RHOS), np.array(WEIGHTS), np.full(len(RHOS), 1 / len(RHOS))


@dataclass(frozen=True, slots=True)
class Rate:
    """Alarms a probe with the standard error of its simulation; inf: it alarms all the time."""

    value: float
    error: float
    reliable: bool = True  # False: so few runs carry the figure that only its order may be right


@dataclass(frozen=True)
class _Tilts:
    """One row for each (detector, bet) that can lead to an alarm, arrays (tilts,) or with atoms."""

    ratios: Floats  # (tilts, atoms): likelihood ratio against the law
    cumulative: Floats  # (tilts * atoms,): the tilted law, plus the tilt's number
    slice_of: Integers  # -1: pooled
    bet: Integers
    weights: Floats  # pi
    starts: Floats  # pi times the share of probes that can begin such a way
    bounds: Floats  # 1 / U at a halt without overshoot


def alarm_rate(law: Law, terms: Terms, rng: np.random.Generator) -> Rate:
    """Return how often *terms* halt a pipeline whose answers keep to *law*."""
    chances, x, atoms, nulls = _atoms(law, terms)
    tilts = _tilts(chances, x, nulls, atoms)
    if tilts is None:
        return Rate(inf, 0.0)
    if not len(tilts.bet):
        return Rate(0.0, 0.0)
    share = tilts.starts / tilts.starts.sum()
    runs = ROWS if nulls.detectors <= MANY_SLICES else ROWS // 2
    of = rng.choice(len(share), size=runs, p=share)
    weights = tilts.starts.sum() * _run(chances, x, atoms, nulls, tilts, of, rng)
    value, error = float(weights.mean()), float(weights.std(ddof=1)) / sqrt(runs)
    few = weights.sum() ** 2 / max(float((weights**2).sum()), 1e-300) < 30
    return Rate(value, error, reliable=not few and error < value / 3)


def ticket_rate(law: Law, terms: Terms, rng: np.random.Generator) -> Rate | None:
    """Return how often *terms* raise a ticket on *law*; None where they never could."""
    if terms.ticket_limit is None or terms.ticket_floor is None:
        return None
    pooled = replace(
        terms,
        limit=terms.ticket_limit,
        floor=terms.ticket_floor,
        slice_weight=0.0,
        slice_floors={},
        focus=False,
        ticket_limit=None,
    )
    return alarm_rate(law, pooled, rng)


def _atoms(law: Law, terms: Terms) -> tuple[Floats, Floats, Integers, Nulls]:
    """Return chance, outcome and slice of each kind of probe, and its nulls, shapes (atoms,)."""
    nulls = Nulls.of(terms, law)
    scores, chances = _scores(law)
    columns = [
        np.repeat(column, scores.shape[1]) for column in (law.slice_of, nulls.pooled, nulls.slice)
    ]
    table = np.nan_to_num(np.column_stack([scores.ravel(), *columns]), nan=-1.0)
    found, inverse = np.unique(table, axis=0, return_inverse=True)
    weights = np.bincount(inverse.ravel(), weights=chances.ravel() / law.items).astype(float)
    likely = weights > 0
    found = found[likely]
    total: Floats = np.asarray(weights[likely] / weights.sum(), dtype=np.float64)
    nothing = np.full(len(found), np.nan)
    held = replace(
        nulls,
        pooled=np.where(found[:, 2] < 0, np.nan, found[:, 2]),
        slice=np.where(found[:, 3] < 0, np.nan, found[:, 3]),
        ticket=nothing,
        recovery=nothing,
    )
    return total, found[:, 0].astype(np.float64), found[:, 1].astype(np.int64), held


def _scores(law: Law) -> tuple[Floats, Floats]:
    """Return the outcomes of each item and their chances, shapes (items, outcomes).

    A credit becomes the two grid points around it, with chances that keep its mean: a bet on a
    loss of one part in a hundred would notice if it were moved.
    """
    if law.credits is None:
        scores = np.broadcast_to(np.array([0.0, 1.0]), (law.items, 2))
        return scores, np.stack([1 - law.rates, law.rates], axis=1)
    passes = law.credits.shape[1]
    below = np.floor(law.credits * GRAIN)
    above = law.credits * GRAIN - below
    scores = np.concatenate([below, np.minimum(below + 1, GRAIN)], axis=1) / GRAIN
    return scores, np.concatenate([1 - above, above], axis=1) / passes


def _tilts(chances: Floats, x: Floats, nulls: Nulls, slice_of: Integers) -> _Tilts | None:
    """Return the tilts; None where evidence grows under the law itself, so that nothing is rare."""
    weight = nulls.terms.slice_weight if nulls.has_slices else 0.0
    ways = [(-1, np.isfinite(nulls.pooled), nulls.pooled, nulls.terms.limit / (1 - weight))]
    if weight:
        limit = nulls.terms.limit / weight
        for at in range(nulls.detectors):
            mine = np.isfinite(nulls.slice) & (slice_of == at)
            ways.append((at, mine, nulls.slice, limit))
    rows = []
    for place, mine, null, limit in ways:
        share = float(chances[mine].sum())
        if share == 0.0:
            continue
        conditional = chances[mine] / share
        gains = np.log1p(_RHOS[:, None] * (null[mine] - x[mine]) / (1 - null[mine]))
        if float((gains @ conditional).max()) >= 0:
            return None
        thetas = _conjugates(conditional, gains)
        for bet in np.flatnonzero(np.isfinite(thetas)):
            ratio = np.ones(len(x))
            ratio[mine] = np.exp(thetas[bet] * gains[bet])
            rows.append((place, int(bet), ratio, share, -float(thetas[bet]) * log(limit)))
    return _stacked(chances, rows)


def _stacked(chances: Floats, rows: list[tuple[int, int, Floats, float, float]]) -> _Tilts:
    bounds = np.array([row[4] for row in rows])
    # likelier ways are run more often; not in proportion, which leaves rare ones large weights
    bet = np.array([row[1] for row in rows], int)
    slice_of = np.array([row[0] for row in rows], int)
    mixed = np.where(slice_of < 0, _EQUAL[bet], _WEIGHTS[bet])  # as the detectors mix them
    weights = np.exp(np.clip((bounds - bounds.max(initial=-inf)) / 2, -12.0, 0.0)) * mixed
    ratios = np.array([row[2] for row in rows]).reshape(len(rows), len(chances))
    cumulative = np.cumsum(chances * ratios, axis=1)
    if len(rows):
        cumulative /= cumulative[:, -1:]
    return _Tilts(
        ratios=ratios,
        cumulative=(cumulative + np.arange(float(len(rows)))[:, None]).ravel(),
        slice_of=slice_of,
        bet=bet,
        weights=weights,
        starts=weights * np.array([row[3] for row in rows]),
        bounds=np.exp(bounds) * mixed / weights,
    )


def _conjugates(chances: Floats, gains: Floats) -> Floats:
    """Return theta > 0 with E[exp(theta gain)] = 1 for each row of *gains*; inf where none is.

    The mean of every row is below 0.
    """
    top = gains.max(axis=1)
    found = np.full(len(gains), inf)
    rising = top > 0
    gains, top = gains[rising], top[rising]

    def excess(theta: Floats) -> Floats:
        scaled = np.exp(theta[:, None] * (gains - top[:, None])) @ chances
        found: Floats = np.log(scaled) + theta * top
        return found

    lower, upper = np.zeros(len(top)), np.ones(len(top))
    while (excess(upper) <= 0).any():
        upper = np.where(excess(upper) <= 0, 2 * upper, upper)
    for _ in range(50):
        middle = (lower + upper) / 2
        below = excess(middle) <= 0
        lower, upper = np.where(below, middle, lower), np.where(below, upper, middle)
    found[rising] = upper
    return found


def _run(
    chances: Floats,
    x: Floats,
    slice_of: Integers,
    nulls: Nulls,
    tilts: _Tilts,
    of: Integers,
    rng: np.random.Generator,
) -> Floats:
    """Return 1 / U at the halt of each run, shape (runs,)."""
    flock, sums = Flock(nulls, len(of)), _Sums(tilts, slice_of, nulls.detectors, len(of))
    plain = np.cumsum(chances) / chances.sum()
    found = np.full(len(of), np.nan)
    alive = np.arange(len(of))
    for step in range(WARM_UP + LONGEST):
        if step < WARM_UP:
            drawn = np.searchsorted(plain, rng.random(len(alive)), side="right")
        else:
            tilt = of[alive]
            places = np.searchsorted(tilts.cumulative, rng.random(len(alive)) + tilt, side="right")
            drawn = places - tilt * len(x)
        drawn = np.minimum(drawn, len(x) - 1)
        flock.take(drawn, x[drawn], slice_of[drawn])
        sums.take(drawn, slice_of[drawn])
        over = flock.s >= nulls.terms.limit
        if not over.any():
            continue
        going = np.flatnonzero(~over)
        if step < WARM_UP:  # it begins where another run is, which has not halted
            if not len(going):
                return np.ones(len(of))
            going = np.where(over, rng.choice(going, size=len(of)), np.arange(len(of)))
        else:
            found[alive[over]] = 1 / sums.mixed()[over]
            alive = alive[going]
        flock.keep(going)
        sums.keep(going)
        if not len(alive):
            break
    return _unfinished(found, tilts, of)


def _unfinished(found: Floats, tilts: _Tilts, of: Integers) -> Floats:
    """Count a run that is still under way as arriving without overshoot, which is too often.

    Those are the runs of the smallest bets, whose steps are tiny and whose overshoot is nearly
    none; when healthy they hardly ever lead anywhere, and hardly any run is theirs.
    """
    return np.where(np.isnan(found), tilts.bounds[of], found)


class _Sums:
    """The Shiryaev-Roberts sums U of the tilts, one row for each run, kept like a Flock's.

    A way of a slice begins only at a probe of that slice.
    """

    def __init__(self, tilts: _Tilts, slice_of: Integers, detectors: int, rows: int) -> None:
        bets = len(RHOS)
        self._detectors = detectors if (tilts.slice_of >= 0).any() else 0
        self._ratios = np.ones((len(slice_of), bets))
        self._slice_ratios = np.ones((len(slice_of), bets))
        self._weights = np.zeros(bets)
        self._slice_weights = np.zeros((detectors, bets))
        for ratio, at, bet, weight in zip(
            tilts.ratios, tilts.slice_of, tilts.bet, tilts.weights, strict=True
        ):
            if at < 0:
                self._ratios[:, bet], self._weights[bet] = ratio, weight
            else:
                mine = slice_of == at
                self._slice_ratios[mine, bet] = ratio[mine]
                self._slice_weights[at, bet] = weight
        self._u = np.zeros((rows, bets))
        self._slice_u = np.zeros((rows * self._detectors, bets))

    def take(self, atoms: Integers, slice_of: Integers) -> None:
        self._u = (1.0 + self._u) * self._ratios[atoms]
        if self._detectors:
            at = np.arange(len(atoms)) * self._detectors + slice_of
            self._slice_u[at] = (1.0 + self._slice_u[at]) * self._slice_ratios[atoms]

    def mixed(self) -> Floats:
        found: Floats = self._u @ self._weights
        if self._detectors:
            found = found + self._several().reshape(len(found), -1) @ self._slice_weights.ravel()
        return found

    def keep(self, rows: Integers) -> None:
        self._slice_u = self._several()[rows].reshape(-1, len(RHOS))
        self._u = self._u[rows]

    def _several(self) -> Floats:
        return self._slice_u.reshape(len(self._u), self._detectors, len(RHOS))
