"""What can never work, or not as promised, in plain words, with what would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, exp, inf, log

from seamwatch.planning.flock import Nulls
from seamwatch.planning.growth import speed
from seamwatch.planning.pace import DAY, HOUR
from seamwatch.planning.planned import Fall, Plan, Setting
from seamwatch.planning.words import a_year, count, duration, percent, points
from seamwatch.scoring.intervals import wilson

NEAR = 0.01  # as close as a suggested floor comes to the baseline
STEP = 0.005  # suggested floors are multiples of this
FEW = 20  # probes of a burst that would not be worth its name
MOST_HALTS = 12.0  # false halts a year that are ever suggested
MANY_ITEMS = 1_000_000
_BURSTING = 0.6  # share of the probes to a halt that are asked while suspect, more or less
_MANY = 0.5  # of the items, that should count
_HARDLY = 1e-4  # a year, of which nobody needs to know the order
_OFTEN = 0.05  # share of suspect probes of a healthy pipeline that deserves a word


def advice(plan: Plan) -> tuple[str, ...]:
    """Return what the user should know before relying on *plan*, gravest first."""
    return (
        *_counting(plan.setting),
        *_floor(plan),
        *_never(plan),
        *_late(plan),
        *_pace(plan),
        *_slices(plan),
        *_set(plan),
        *_resume(plan),
        *_simulation(plan),
    )


def _counting(setting: Setting) -> Iterator[str]:
    """Warn where most items cannot be evidence, because their class is unknown or not asked for."""
    found = Nulls.of(setting.terms, setting.law).counting
    if found == 0:
        yield (
            f"none of the {setting.items:,} items counts with gate.items:"
            f" {setting.terms.items.value}: nothing can halt; write items: plain, or bless the set"
            " again with more passes"
        )
    elif found < _MANY * setting.items:
        yield (
            f"only {found:,} of {setting.items:,} items count with gate.items:"
            f" {setting.terms.items.value}; write items: item_aware or plain to use the others"
        )


def _floor(plan: Plan) -> Iterator[str]:
    setting = plan.setting
    floor, baseline = setting.terms.floor, setting.baseline
    if floor < baseline:
        return
    probes = Nulls.of(setting.terms, setting.law)
    found = speed(setting.law, probes).halt
    after = f" after about {count(found)} probes" if found < inf else ""
    yield (
        f"the floor of {percent(floor)} is not below the baseline of {percent(baseline)}: it halts"
        f"{after} although nothing is wrong; write a floor of at most {percent(baseline - NEAR)}"
    )


def _never(plan: Plan) -> Iterator[str]:
    setting = plan.setting
    floor, baseline = setting.terms.floor, setting.baseline
    if not Nulls.of(setting.terms, setting.law).counting:
        return
    never = [fall for fall in plan.falls if fall.halt.first_order is None]
    if not never or floor >= baseline:
        return
    if len(never) == len(plan.falls):
        most = max(fall.loss for fall in never)
        yield (
            f"the floor of {percent(floor)} is so low that even a drop of {points(most)} (to"
            f" {percent(baseline - most)}) stays above it: none of these drops ever halts"
            f"{_instead(plan, most)}"
        )
        return
    for fall in never:
        where = "stays above"
        if abs(fall.after - floor) < 5e-4:
            where = "stays exactly on"
        elif fall.after < floor:
            where = "ends too close under"
        yield (
            f"a drop of {points(fall.loss)} (to {percent(fall.after)}) {where} the floor of"
            f" {percent(floor)} and never halts{_ticketed(fall)}{_instead(plan, fall.loss)}"
        )


def _ticketed(fall: Fall) -> str:
    probes = fall.ticket.typical
    return "" if probes is None else f"; it raises a ticket after about {count(probes)} probes"


def _instead(plan: Plan, loss: float) -> str:
    """Say which floor would halt a drop of *loss*."""
    setting = plan.setting
    wanted = _up(setting.baseline - loss / 2)
    if not setting.terms.floor < wanted <= setting.baseline - NEAR / 2:
        return "; no floor is between it and the baseline: such a drop is one for tickets"
    probes = _probes(setting, wanted, loss)
    if probes == inf:
        return ""
    time = duration(probes * plan.healthy.seconds)
    return f"; floor: {percent(wanted)} would halt it after about {count(probes)} probes, {time}"


def _late(plan: Plan) -> Iterator[str]:
    """Warn of drops that halt, but not within a day, and say what would make it one."""
    setting = plan.setting
    for fall in plan.falls:
        seconds = fall.halt.seconds.mean or fall.halt.seconds.median
        probes = fall.halt.typical
        if fall.halt.first_order is None or probes is None:
            continue
        if seconds is None:
            seconds = probes * plan.healthy.seconds
        if seconds <= DAY:
            continue
        ways = list(_faster(setting, fall, probes, seconds))
        text = f"; a day is reached with {', or '.join(ways)}" if ways else ""
        yield (
            f"a drop of {points(fall.loss)} goes on for {duration(seconds)} before it halts, longer"
            f" than a day{text}"
        )


def _faster(setting: Setting, fall: Fall, probes: float, seconds: float) -> Iterator[str]:
    share = DAY / seconds
    pace = setting.pace
    limit = log(setting.terms.limit)
    # twice the rate is twice the limit as well: log 2 more of evidence
    every = pace.drip * share / (1 + log(1 / share) / limit)
    if pace.capped:
        yield f"a budget of {ceil(HOUR / every):,} an hour"
    elif (told := _period(every)) is not None:
        yield f"every: {told}"
    floor = setting.terms.floor
    while (floor := _up(floor + STEP / 2)) <= setting.baseline - NEAR:
        if _probes(setting, floor, fall.loss) * seconds / probes <= 0.8 * DAY:
            yield f"floor: {percent(floor)}"
            break
    halts = setting.false_halts * exp(limit * (1 - share))
    if halts <= MOST_HALTS:
        yield f"max_false_halts_per_year: {halts:.2g}"


def _probes(setting: Setting, floor: float, loss: float) -> float:
    terms = replace(setting.terms, floor=floor)
    return speed(setting.law, Nulls.of(terms, setting.law), loss).pooled


def _up(floor: float) -> float:
    return ceil(floor / STEP - 1e-6) * STEP


def _period(seconds: float) -> str | None:
    """Return a period to write that is no longer than *seconds*; None below 100 ms."""
    if seconds >= 120:
        return f"{int(seconds / 60)}m"
    if seconds >= 1:
        return f"{int(seconds)}s"
    return f"{int(seconds * 10) * 100}ms" if seconds >= 0.1 else None


def _pace(plan: Plan) -> Iterator[str]:
    pace = plan.setting.pace
    if pace.capped:
        yield (
            f"the budget and not every: {duration(pace.every)} sets the rate: one probe in"
            f" {duration(pace.drip)}, and nothing is left for bursts or attribution"
        )
        return
    if pace.burst_probes < FEW:
        yield (
            f"the budget leaves {pace.burst_probes:,.0f} probes for a burst: a suspicion is not"
            f" asked about any faster; an hour of bursts takes {HOUR / pace.burst:,.0f} probes"
        )
    else:
        longest = max((fall.halt.probes.mean or 0.0 for fall in plan.falls), default=0.0)
        if pace.burst_probes < _BURSTING * longest:
            yield (
                f"the budget ends a burst after {pace.burst_probes:,.0f} probes, and goes on at one"
                f" in {duration(pace.sustained)}; the slowest of these drops takes"
                f" {longest:,.0f} probes"
            )
    if plan.healthy.suspect > _OFTEN and plan.setting.terms.floor < plan.setting.baseline:
        yield (
            f"evidence hovers so high that {plan.healthy.suspect:.0%} of the probes come in bursts"
            " although nothing is wrong; write a burst.from nearer to 1, a lower floor or a smaller"
            " max_false_halts_per_year"
        )


def _slices(plan: Plan) -> Iterator[str]:
    setting = plan.setting
    if len(setting.law.slices) < 2 or setting.terms.slice_weight == 0:
        if len(setting.law.slices) > 1 and not setting.blessed:
            yield (
                "no slice has a floor of its own, so a slice that fails alone is seen only in the"
                " whole; run `seamwatch golden bless`, or write gate.slices.floors"
            )
        return
    small = [one for one in plan.slices if one.one_item_is_below]
    if small:
        names = ", ".join(f"{one.name} ({one.items})" for one in small[:5])
        yield (
            f"slices too small for their floor: {names}: one broken item puts the whole slice below"
            " it, and in time halts the pipeline; give them more items, merge them, or write a"
            " lower gate.slices.floors"
        )
    without = [one for one in plan.slices if one.floor is None]
    if without:
        names = ", ".join(f"{one.name} ({one.items})" for one in without[:5])
        yield (
            f"slices without a floor of their own: {names}: such a slice is seen only in the whole;"
            " give it more items, or write gate.slices.floors"
        )


def _set(plan: Plan) -> Iterator[str]:
    setting = plan.setting
    smaller = [fall for fall in plan.falls if fall.loss * setting.items < 1 - 1e-9]
    if smaller:
        yield (
            f"one of {setting.items:,} items is {points(1 / setting.items)} of the whole: a drop of"
            f" {points(max(fall.loss for fall in smaller))} breaks one item or none, so figures for"
            " it mix the two; take more items"
        )
    if not setting.blessed:
        yield (
            f"the golden set is not blessed: that a healthy pipeline scores"
            f" {percent(setting.baseline)} is an assumption; run `seamwatch golden bless`, or"
            " give --baseline"
        )
    interval, floor = setting.interval, setting.terms.floor
    if interval.lower <= floor < interval.value:
        enough = _enough(interval.value, floor)
        more = f"; {enough:,} items would tell the two apart" if enough else ""
        yield (
            f"{interval.n:,} items tell the accuracy on other questions of their kind only to"
            f" {percent(interval.lower)} to {percent(interval.upper)}, and the floor lies in there:"
            f" a halt is right about these items, less surely about all that users ask{more}"
        )


def _enough(baseline: float, floor: float) -> int | None:
    n = 10
    while n < MANY_ITEMS:
        if wilson(baseline, n)[0] > floor:
            return n
        n = ceil(n * 1.1 / 10) * 10
    return None


def _resume(plan: Plan) -> Iterator[str]:
    wait, setting = plan.resume.wait, plan.setting
    above = setting.terms.resume_above or setting.terms.floor
    if above >= setting.baseline:
        return
    if wait.probes.mean is None:
        yield (
            f"recovery above {percent(above)} is not always proven within {wait.longest:,} probes"
            " after a fix; write a lower resume.above or floor, or resume by hand"
        )
    elif wait.probes.mean > setting.halted_probes:
        yield (
            f"proof of recovery takes {wait.probes.mean:,.0f} probes after a fix, more than the"
            f" {setting.halted_probes:,} halted probes that the promise on false resumes is for;"
            f" write max_halted_probes: {_round_up(2 * wait.probes.mean):,.0f} or a lower"
            " resume.above"
        )


def _round_up(value: float) -> float:
    return ceil(value / 1000) * 1000.0


def _simulation(plan: Plan) -> Iterator[str]:
    told = {
        "false halts while healthy": plan.false_halts,
        "false halts exactly on the floor": plan.false_halts_at_floor,
        "tickets while healthy": plan.false_tickets,
    }
    for name, rate in told.items():
        if rate is not None and not rate.reliable and rate.value > _HARDLY:
            yield (
                f"{name}: the simulation is sure of the order of {a_year(rate.value)} only; what is"
                " promised holds without it"
            )
