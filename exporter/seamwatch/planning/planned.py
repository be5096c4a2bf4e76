"""What a gate amounts to for one golden set: delays, false halts, recovery and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

import numpy as np

from seamwatch.evidence import Terms
from seamwatch.pipeline import Estimate
from seamwatch.planning.delay import Drop, Passage, delays
from seamwatch.planning.flock import Nulls
from seamwatch.planning.idle import Idle, idle
from seamwatch.planning.law import Floats, Law
from seamwatch.planning.pace import YEAR, Pace
from seamwatch.planning.rarity import Rate, alarm_rate, ticket_rate
from seamwatch.planning.recovery import (
    LONGEST,
    Chance,
    at_the_bound,
    false_resume,
    recovery,
)
from seamwatch.scoring.intervals import wilson

MOST_SLICES = 12  # that are tried one by one; of more, these by their size from small to large


@dataclass(frozen=True)
class Setting:
    """Everything that a plan follows from."""

    law: Law
    terms: Terms
    pace: Pace
    blessed: bool  # False: the law is an assumption
    cost: float = 0.0  # of one probe, in any currency
    false_halts: float = 0.5  # promised at most a year, exactly on the floor
    false_tickets: float = 2.0
    false_resumes: float = 0.05  # promised at most a halt ...
    halted_probes: int = 1000  # ... of so many probes
    min_halt: float = 0.0  # seconds
    inquiry_probes: int | None = None  # of one attribution, at most; None: no repairs
    inquiry_probes_a_day: int | None = None

    @property
    def items(self) -> int:
        """Golden items."""
        return self.law.items

    @property
    def baseline(self) -> float:
        """The mean outcome while healthy, as blessed or assumed."""
        return self.law.baseline if self.terms.baseline is None else self.terms.baseline

    def slice_baseline(self, at: int) -> float:
        """Return the mean outcome of a slice while healthy."""
        known = self.terms.slice_baselines.get(self.law.slices[at])
        return float(self.law.rates[self.law.slice_of == at].mean()) if known is None else known

    @property
    def interval(self) -> Estimate:
        """What the set says of the questions that it is a sample of."""
        lower, upper = wilson(self.baseline, self.items)
        return Estimate(self.baseline, lower, upper, self.items)


@dataclass(frozen=True, slots=True)
class Spread:
    """Simulated values; None where too many runs had not got there when the simulation ended."""

    mean: float | None
    error: float | None  # standard error of the mean, from the simulation
    p05: float | None
    median: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Wait:
    """From a change until something is proven."""

    probes: Spread
    seconds: Spread
    reached: float  # share of the runs that got there within *longest* probes
    runs: int
    longest: int
    first_order: float | None  # probes by growth of evidence alone; None: evidence does not grow

    @property
    def typical(self) -> float | None:
        """Probes: the mean, else the median, else by growth alone; None where it never comes."""
        known = (self.probes.mean, self.probes.median, self.first_order)
        return next((one for one in known if one is not None), None)


@dataclass(frozen=True, slots=True)
class Fall:
    """A drop and what follows from it."""

    loss: float  # of the set's mean
    after: float  # the set's mean
    slice: str | None  # that all the loss is in
    halt: Wait
    ticket: Wait
    money: float | None  # that the probes until the halt cost; None: it never halts


@dataclass(frozen=True, slots=True)
class SliceFailure:
    """A slice of which every item fails."""

    name: str
    items: int
    baseline: float
    floor: float | None  # None: it has no detector of its own
    dead: Fall

    @property
    def one_item_is_below(self) -> bool:
        """Say whether one broken item puts the whole slice under its floor."""
        return self.floor is not None and self.baseline - 1 / self.items < self.floor - 1e-9


@dataclass(frozen=True, slots=True)
class Resumption:
    """What it takes to prove that a halt may end, and the chance that it is proven wrongly.

    Chances are within the probes of a halt that the promise is for.
    """

    wait: Wait  # after the fix
    at_bound: Chance  # exactly at what must be exceeded
    broken: tuple[tuple[float, Chance], ...]  # while a drop of so much is not fixed


@dataclass(frozen=True)
class Plan:
    """Simulated with *seed*; a year is 365.25 days."""

    setting: Setting
    seed: int
    falls: tuple[Fall, ...]  # anywhere in the set
    local: tuple[Fall, ...]  # the same losses in the middle slice alone, where they fit into it
    outage: Fall  # every answer is wrong
    slices: tuple[SliceFailure, ...]
    healthy: Idle
    false_halts: Rate  # a year while healthy
    false_halts_at_floor: Rate  # a year exactly on the floor; the promise is setting.false_halts
    false_tickets: Rate | None  # a year while healthy
    resume: Resumption

    @property
    def daily_cost(self) -> float:
        """What the probes of a normal day cost."""
        return self.healthy.probes_a_day * self.setting.cost


def plan(setting: Setting, drops: Sequence[float], *, seed: int = 0) -> Plan:
    """Simulate everything; a usual set and gate take one to three seconds.

    Args:
        drops: losses of the set's mean, ratios above 0 and at most the baseline.
    """
    dice = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(8)]
    law = setting.law.thinned(dice[0])
    nulls = Nulls.of(setting.terms, law)
    chosen = _middle_slice(law)
    alone = [] if chosen is None else [d for d in drops if d <= _slice_loss(law, chosen) + 1e-9]
    tried = _tried(law)
    scenarios = [Drop(loss) for loss in drops] + [Drop(loss, chosen) for loss in alone]
    scenarios += [Drop(setting.baseline)] + [Drop(_slice_loss(law, at), at) for at in tried]
    falls = _falls(setting, law, nulls, scenarios, dice[1])
    cut = len(drops), len(drops) + len(alone)
    healthy = idle(law, nulls, setting.pace, dice[2])
    at_floor = nulls.at_floor(law)
    slow = idle(at_floor, nulls, setting.pace, dice[3])
    tickets = ticket_rate(setting.law, setting.terms, dice[4])
    return Plan(
        setting=setting,
        seed=seed,
        falls=falls[: cut[0]],
        local=falls[cut[0] : cut[1]],
        outage=falls[cut[1]],
        slices=tuple(
            SliceFailure(
                name=law.slices[at],
                items=int(setting.law.sizes[at]),
                baseline=setting.slice_baseline(at),
                floor=setting.terms.slice_floors.get(law.slices[at]),
                dead=fall,
            )
            for at, fall in zip(tried, falls[cut[1] + 1 :], strict=True)
        ),
        healthy=healthy,
        false_halts=_a_year(alarm_rate(setting.law, setting.terms, dice[5]), healthy.seconds),
        false_halts_at_floor=_a_year(alarm_rate(at_floor, setting.terms, dice[6]), slow.seconds),
        false_tickets=None if tickets is None else _a_year(tickets, healthy.seconds),
        resume=_resumption(setting, law, nulls, drops, dice[7]),
    )


def curve(setting: Setting, drops: Sequence[Drop], *, seed: int = 0) -> tuple[Fall, ...]:
    """Return what *drops* lead to, and nothing else; for a picture."""
    rng = np.random.default_rng(seed)
    law = setting.law.thinned(rng)
    return _falls(setting, law, Nulls.of(setting.terms, law), drops, rng)


def _falls(
    setting: Setting,
    law: Law,
    nulls: Nulls,
    drops: Sequence[Drop],
    rng: np.random.Generator,
) -> tuple[Fall, ...]:
    found = []
    for outcome in delays(law, nulls, setting.pace, drops, rng):
        drop, halt = outcome.drop, _wait(outcome.halt)
        probes = halt.typical
        found.append(
            Fall(
                loss=drop.loss,
                after=max(0.0, setting.baseline - drop.loss),
                slice=None if drop.among is None else law.slices[drop.among],
                halt=halt,
                ticket=_wait(outcome.ticket),
                money=None if probes is None else probes * setting.cost,
            )
        )
    return tuple(found)


def _resumption(
    setting: Setting, law: Law, nulls: Nulls, drops: Sequence[float], rng: np.random.Generator
) -> Resumption:
    probes = recovery(law, nulls, rng)
    # a halted pipeline is asked at the rate of a burst, and has used up what the budget left
    step = setting.pace.sustained
    known = np.isfinite(probes)
    seconds = np.where(known, np.maximum(probes * step, setting.min_halt), inf)
    above = setting.terms.resume_above or setting.terms.floor
    still = [loss for loss in drops if setting.baseline - loss < above - 1e-9]
    length = setting.halted_probes
    return Resumption(
        wait=_wait(Passage(probes, seconds, LONGEST, inf)),
        at_bound=at_the_bound(law, nulls, length, rng),
        broken=tuple((loss, false_resume(law, nulls, loss, length, rng)) for loss in still),
    )


def _wait(passage: Passage) -> Wait:
    return Wait(
        probes=_spread(passage.probes),
        seconds=_spread(passage.seconds),
        reached=passage.reached,
        runs=len(passage.probes),
        longest=passage.longest,
        first_order=passage.first_order if passage.first_order < inf else None,
    )


def _spread(values: Floats) -> Spread:
    quantiles = np.quantile(values, (0.05, 0.5, 0.95), method="higher")
    p05, median, p95 = (float(one) if one < inf else None for one in quantiles)
    if not np.isfinite(values).all():
        return Spread(None, None, p05, median, p95)
    error = float(values.std(ddof=1)) / sqrt(len(values))
    return Spread(float(values.mean()), error, p05, median, p95)


def _a_year(rate: Rate, seconds: float) -> Rate:
    probes = YEAR / seconds
    return replace(rate, value=rate.value * probes, error=rate.error * probes)


def _slice_loss(law: Law, at: int) -> float:
    """Return what the set's mean loses when all of a slice fails."""
    return float(law.rates[law.slice_of == at].sum()) / law.items


def _middle_slice(law: Law) -> int | None:
    """Return the slice of middle size: half of the slices show a failure of their own sooner."""
    if len(law.slices) < 2:
        return None
    order = np.argsort(law.sizes, kind="stable")
    return int(order[len(order) // 2])


def _tried(law: Law) -> list[int]:
    """Return the slices that are tried one by one, smallest first."""
    if len(law.slices) < 2:
        return []
    order = np.argsort(law.sizes, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(MOST_SLICES, len(order))).astype(int))
    return [int(order[at]) for at in places]
