"""Planning: the simulation is the real Case, its clock keeps the budget, its rare events are right.

Figures are compared with direct simulation or with what DESIGN.md's study found; a planned drop
that can never halt is told, with what would halt it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.evidence import Blessing, Case, Event, Items, Probe, Standing, Terms, terms
from seamwatch.models import Budget
from seamwatch.planning import Drop, Law, Pace, Plan, Setting, advice, curve, plan
from seamwatch.planning.asking import Asking, broken
from seamwatch.planning.delay import Clock, delays
from seamwatch.planning.flock import Flock, Mirrors, Nulls
from seamwatch.planning.growth import speed
from seamwatch.planning.idle import idle
from seamwatch.planning.rarity import alarm_rate, ticket_rate
from seamwatch.planning.recovery import at_the_bound, false_resume, recovery
from seamwatch.planning.words import a_year, count, duration, large, percent, points

FLOOR_90 = Terms(limit=1e6, floor=0.9)
MINUTE, DRIP = Pace(60.0, 10.0), Pace(15.0, 10.0)


@cache
def blessing(
    items: int = 60, *, passes: int = 5, slices: int = 0, credit: bool = False, seed: int = 0
) -> Blessing:
    rng = np.random.default_rng(seed)
    rows = {}
    for at in range(items):
        right = rng.choice((0.0, 0.7, 0.99), p=(0.05, 0.05, 0.9))
        x = rng.beta(16, 4, passes) if credit else (rng.random(passes) < right).astype(float)
        rows[f"q{at}"] = tuple(float(one) for one in x)
    return Blessing(
        digest="0" * 64,
        rules="1" * 64,
        at=0.0,
        passes=passes,
        answered_by=("m-1",),
        credit=rows,
        slices={name: f"s{at % slices}" if slices else "" for at, name in enumerate(rows)},
        score="credit" if credit else "verdict",
    )


def blessed(one: Blessing, **given: object) -> tuple[Law, Terms]:
    found = terms(probes_per_year=5e5, blessing=one, slices=one.slice_sizes, **given)  # type: ignore[arg-type]
    return Law.blessed(one, list(one.credit)), found


# The simulation is the real Case


@settings(max_examples=25, deadline=None)
@given(
    items=st.sampled_from(list(Items)),
    slices=st.sampled_from((0, 4)),
    credit=st.booleans(),
    focus=st.booleans(),
    loss=st.sampled_from((0.0, 0.3, 0.9)),
    seed=st.integers(0, 10_000),
)
def test_many_runs_at_once_are_the_real_case_probe_by_probe(
    items: Items, slices: int, credit: bool, focus: bool, loss: float, seed: int
) -> None:
    law, held = blessed(blessing(slices=slices, credit=credit), items=items, focus=focus)
    rng = np.random.default_rng(seed)
    rows = 3
    nulls = Nulls.of(held, law)
    flock, asking = Flock(nulls, rows), Asking(law, rows, rng)
    cases = [Case(held) for _ in range(rows)]
    running = [True] * rows
    ticketed = [False] * rows
    gone = broken(law, loss * law.baseline, None, rows, rng)
    for probe in range(150):
        drawn, places, focused = asking.next(flock.focus())
        x = law.draw(drawn, rng.random(rows))
        if probe > 50:
            x[gone[np.arange(rows), drawn]] = 0.0
        flock.take(drawn, x, places, focused)
        for row, case in enumerate(cases):
            if not running[row]:
                continue
            events = case.take(
                Probe(
                    float(x[row]),
                    law.slices[places[row]] if law.slices else "",
                    law.classes[drawn[row]],
                    bool(focused[row]),
                )
            )
            halted = flock.s[row] >= held.limit
            assert (Event.HALT in events) == halted
            ticket = flock.ticket_s[row] >= (held.ticket_limit or inf)
            if not ticketed[row]:  # the case starts its ticket detector over, the planner is done
                assert (Event.TICKET in events) == ticket
            ticketed[row] = ticketed[row] or bool(ticket)
            running[row] = not halted
            if halted:
                assert case.standing is Standing.HALTED
                continue
            assert case.ratio == pytest.approx(way(flock.s[row], held.limit), abs=1e-9)
            assert case.suspicion_ratio == pytest.approx(
                way(flock.suspicion[row], held.limit), abs=1e-9
            )
            assert (case.standing is Standing.SUSPECT) == flock.suspect[row]
            chosen = flock.focus()[row]
            assert case.focus_slice == (law.slices[chosen] if chosen >= 0 else None)


def way(s: float, limit: float) -> float:
    return min(1.0, log(s) / log(limit)) if s > 1 else 0.0


@pytest.mark.parametrize("items", list(Items))
@pytest.mark.parametrize("credit", [False, True])
def test_the_recovery_of_many_runs_is_that_of_the_real_case(items: Items, credit: bool) -> None:
    law, held = blessed(blessing(160, credit=credit), items=items)
    rng = np.random.default_rng(3)
    case = Case(held)
    while not case.halted:
        case.take(Probe(0.0, "", "solid"))
    mirrors, asking = Mirrors(Nulls.of(held, law), 1), Asking(law, 1, rng)
    for _ in range(40_000):
        if case.recovered:
            break
        drawn, _, _ = asking.next(np.array([-1]))
        x = law.draw(drawn, rng.random(1))
        mirrors.take(drawn, x)
        case.take(Probe(float(x[0]), "", law.classes[drawn[0]]))
        found = way(mirrors.s[0], held.resume_limit)
        assert case.recovery_ratio == pytest.approx(found, abs=1e-9)
    assert case.recovered


# What is asked


def test_each_pass_asks_each_item_once_in_fresh_order_with_every_slice_by_its_share() -> None:
    law = Law.assumed({"a": 30, "b": 15, "c": 5}, 0.9)
    asking = Asking(law, 2, np.random.default_rng(1))
    passes = []
    for _ in range(3):
        asked = [asking.next(np.array([-1, -1])) for _ in range(law.items)]
        passes.append([int(items[0]) for items, _, _ in asked])
        assert sorted(passes[-1]) == list(range(law.items))
        first = Counter(int(slices[0]) for _, slices, _ in asked[:20])
        assert abs(first[0] - 12) <= 2
        assert abs(first[1] - 6) <= 2
    assert passes[0] != passes[1] != passes[2]


def test_every_other_probe_goes_to_the_slice_in_focus_and_the_pass_goes_on_beside_it() -> None:
    law = Law.assumed({"a": 6, "b": 4}, 0.9)
    asking = Asking(law, 1, np.random.default_rng(1))
    asked = [asking.next(np.array([1])) for _ in range(20)]
    assert [bool(focused[0]) for _, _, focused in asked] == [True, False] * 10
    assert {int(slices[0]) for _, slices, focused in asked if focused[0]} == {1}
    passed = [int(items[0]) for items, _, focused in asked if not focused[0]]
    assert sorted(passed) == list(range(10))


@pytest.mark.parametrize("among", [None, 1])
def test_as_many_items_break_as_lose_what_the_drop_says_on_average(among: int | None) -> None:
    one = blessing(90, slices=3)
    law, _ = blessed(one)
    gone = broken(law, 0.07, among, 4000, np.random.default_rng(2))
    lost = (gone * law.rates).sum(axis=1) / law.items
    assert lost.mean() == pytest.approx(0.07, abs=0.0003)
    assert lost.std() < 0.01
    if among is not None:
        assert not gone[:, law.slice_of != among].any()


def test_a_large_set_is_thinned_with_its_slices_classes_and_mean() -> None:
    one = blessing(6000, slices=7)
    law, _ = blessed(one)
    thin = law.thinned(np.random.default_rng(0))
    assert thin.items == 1000
    assert thin.baseline == pytest.approx(law.baseline, abs=0.002)
    shares = thin.sizes / thin.items - law.sizes / law.items
    assert abs(shares).max() < 0.002
    assert thin.classes.count("solid") / 1000 == pytest.approx(
        law.classes.count("solid") / 6000, abs=0.01
    )


def test_a_blessed_law_knows_its_slices_classes_and_that_solid_items_may_fail() -> None:
    law, held = blessed(blessing(200, slices=4))
    solid = np.array([kind == "solid" for kind in law.classes])
    assert law.slices == ("s0", "s1", "s2", "s3")
    assert list(law.sizes) == [50] * 4
    assert 0.98 < law.rates[solid].mean() < 1
    assert law.baseline == pytest.approx(held.baseline, abs=0.01)


# Time


def test_a_burst_never_exceeds_the_budget_and_wastes_none_of_it() -> None:
    pace = Pace(15.0, 10.0, per_hour=400, per_day=7000)
    clock = Clock(pace, 1, np.random.default_rng(0))
    always = np.array([True])
    times = [float(clock.step(always)[0]) for _ in range(9000)]
    before = [times[0] - pace.drip * back for back in range(1, 7000)]
    every = np.array(sorted(before + times))
    for most, length in ((400, 3600.0), (7000, 86_400.0)):
        within = np.searchsorted(every, every + length - 1e-6) - np.arange(len(every))
        assert within.max() == most
    assert np.diff(times).min() == pytest.approx(pace.burst)
    assert times[int(pace.burst_probes) - 2] - times[0] < pace.burst * pace.burst_probes
    assert times[-1] == pytest.approx(9000 * 86_400 / 7000, rel=0.2)


def test_the_real_budget_gives_a_burst_as_many_probes_as_the_plan_says() -> None:
    pace = Pace(15.0, 10.0, per_hour=1200)
    budget = Budget(per_hour=1200)
    for at in range(240):
        assert budget.take(15.0 * at)
    now, sent = 3600.0, 0
    while budget.take(now):
        sent, now = sent + 1, now + pace.burst
    # the real one forgets by the minute
    assert sent == pytest.approx(pace.burst_probes, abs=12)


def test_a_budget_below_the_drip_sets_the_rate() -> None:
    pace = Pace(15.0, 10.0, per_hour=100)
    assert pace.capped
    assert pace.drip == 36.0
    assert pace.burst_probes == 0
    assert Pace(15.0, 10.0).burst_probes == inf


# Figures


def test_delays_are_those_of_the_study() -> None:
    """Reshuffled passes over 200 items; HALTING-like figures: 87, 276 and about 800 probes."""
    law = Law.assumed({"": 200}, 0.94)
    drops = [Drop(0.23), Drop(0.14), Drop(0.09)]
    found = delays(law, Nulls.of(FLOOR_90, law), MINUTE, drops, np.random.default_rng(1))
    means = [one.halt.probes.mean() for one in found]
    assert means[0] == pytest.approx(85, abs=6)
    assert means[1] == pytest.approx(240, abs=20)
    assert means[2] == pytest.approx(810, abs=80)


def test_a_run_of_the_planner_takes_as_long_as_runs_of_the_real_case() -> None:
    law = Law.assumed({"": 200}, 0.94)
    (found,) = delays(law, Nulls.of(FLOOR_90, law), MINUTE, [Drop(0.23)], np.random.default_rng(1))
    rng = np.random.default_rng(5)
    real = []
    for _ in range(60):
        case, gone = Case(FLOOR_90), broken(law, 0.23, None, 1, rng)[0]
        asked = 0
        while not case.halted:
            asked += 1
            if (asked - 1) % 200 == 0:
                order = rng.permutation(200)
            item = order[(asked - 1) % 200]
            broke = asked > 400 and gone[item]
            case.take(Probe(0.0 if broke else float(rng.random() < 0.94)))
        real.append(asked - 400)
    error = np.std(real) / np.sqrt(len(real))
    assert found.halt.probes.mean() == pytest.approx(np.mean(real), abs=4 * error)


def test_bursts_and_slices_shorten_what_they_should() -> None:
    law = Law.assumed({f"s{at}": 20 for at in range(10)}, 0.94)
    floors = dict.fromkeys(law.slices, 0.86)
    held = replace(FLOOR_90, slice_floors=floors)
    dead = Drop(0.09, among=3)
    wholes = delays(law, Nulls.of(FLOOR_90, law), MINUTE, [dead], np.random.default_rng(1))
    slices = delays(law, Nulls.of(held, law), MINUTE, [dead], np.random.default_rng(1))
    slow = delays(law, Nulls.of(held, law), Pace(60.0), [dead], np.random.default_rng(1))
    focus = delays(
        law, Nulls.of(replace(held, focus=True), law), MINUTE, [dead], np.random.default_rng(1)
    )
    assert 500 < wholes[0].halt.probes.mean() < 1100
    assert slices[0].halt.probes.mean() == pytest.approx(85, abs=12)
    assert focus[0].halt.probes.mean() < 55
    assert slices[0].halt.seconds.mean() < 0.6 * slow[0].halt.seconds.mean()
    assert slow[0].halt.seconds.mean() == pytest.approx(
        60 * (slow[0].halt.probes.mean() - 0.5), rel=0.02
    )


def test_without_bursts_a_halt_at_the_floor_or_above_never_grows() -> None:
    law = Law.assumed({"": 200}, 0.94)
    nulls = Nulls.of(FLOOR_90, law)
    assert speed(law, nulls, 0.03).halt == inf
    assert speed(law, nulls, 0.041).halt == inf  # too close for the smallest bet
    assert speed(law, nulls, 0.05).halt < inf
    # log A over the divergence of the drop from the floor, for the best of the twelve bets
    divergence = 0.71 * log(0.71 / 0.9) + 0.29 * log(0.29 / 0.1)
    assert speed(law, nulls, 0.23).halt == pytest.approx(log(12e6 / 12) / divergence, rel=0.03)


def direct_rate(law: Law, held: Terms, steps: int, seed: int) -> tuple[float, float]:
    """Return alarms a probe, counted, and the standard error."""
    rng, rows = np.random.default_rng(seed), 400
    flock = Flock(Nulls.of(held, law), rows)
    alarms = 0
    for step in range(steps):
        items = rng.integers(law.items, size=rows)
        flock.take(items, law.draw(items, rng.random(rows)), law.slice_of[items])
        over = flock.s >= held.limit
        if over.any():
            alarms += int(over.sum()) if step >= steps // 4 else 0
            flock.pooled[over] = 0.0  # who halts starts over
            if flock.weight:
                flock.slices.reshape(rows, -1, flock.pooled.shape[1])[over] = 0.0
                flock.slice_s[over] = 0.0
    probes = rows * (steps - steps // 4)
    return alarms / probes, np.sqrt(alarms) / probes


@pytest.mark.parametrize(
    ("mean", "limit", "slices"), [(0.94, 300, 1), (0.9, 1000, 1), (0.92, 1000, 1), (0.94, 300, 5)]
)
def test_rare_halts_are_as_rare_as_counting_them_says(
    mean: float, limit: float, slices: int
) -> None:
    law = Law.assumed({f"s{at}": 20 for at in range(slices)}, mean)
    floors = dict.fromkeys(law.slices, 0.86) if slices > 1 else {}
    held = Terms(limit=limit, floor=0.9, slice_floors=floors)
    counted, error = direct_rate(law, held, 5000, seed=1)
    found = [alarm_rate(law, held, np.random.default_rng(seed)) for seed in range(4)]
    mean_of = float(np.mean([one.value for one in found]))
    claimed = float(np.mean([one.error for one in found])) / 2
    # counted alarms of one run come in bunches, so their error is somewhat larger than told
    assert abs(mean_of - counted) < 4 * np.hypot(1.5 * error, claimed)


@pytest.mark.parametrize("limit", [1e3, 1e6, 1e9])
def test_exactly_at_the_floor_the_promise_is_kept_and_not_by_far(limit: float) -> None:
    law = Law.assumed({"": 100}, 0.9)
    found = alarm_rate(law, Terms(limit=limit, floor=0.9), np.random.default_rng(0))
    assert found.reliable
    assert 0.6 / limit < found.value <= 1 / limit


def test_healthy_is_hundreds_of_times_rarer_than_the_floor_and_a_broken_one_not_rare_at_all() -> (
    None
):
    law = Law.assumed({"": 100}, 0.94)
    found = alarm_rate(law, FLOOR_90, np.random.default_rng(0))
    assert 3e-10 < found.value < 3e-9
    assert alarm_rate(law.at_mean(0.7), FLOOR_90, np.random.default_rng(0)).value == inf
    assert alarm_rate(law.at_mean(1.0), FLOOR_90, np.random.default_rng(0)).value == 0.0


@pytest.mark.parametrize("credit", [False, True])
@pytest.mark.parametrize("items", list(Items))
def test_tickets_and_halts_keep_their_promise_on_a_blessed_set(items: Items, credit: bool) -> None:
    law, held = blessed(blessing(200, slices=4, credit=credit), items=items)
    nulls = Nulls.of(held, law)
    boundary = nulls.at_floor(law)
    for null in np.unique(nulls.pooled[np.isfinite(nulls.pooled)]):
        assert boundary.rates[nulls.pooled == null].mean() == pytest.approx(null)
    rate = alarm_rate(boundary, held, np.random.default_rng(0))
    assert rate.value <= 1 / held.limit
    ticket = ticket_rate(law, held, np.random.default_rng(0))
    assert ticket is not None
    assert held.ticket_limit is not None
    assert ticket.value <= 1 / held.ticket_limit


def test_a_fix_is_proven_as_fast_as_the_study_says_and_falsely_no_more_than_promised() -> None:
    law = Law.assumed({"": 200}, 0.94)
    nulls = Nulls.of(Terms(limit=1e6, floor=0.85, resume_limit=1e4), law)
    rng = np.random.default_rng(0)
    assert recovery(law, nulls, rng).mean() == pytest.approx(145, abs=15)
    assert at_the_bound(law, nulls, 1000, rng).value <= 0.1 + 0.03
    still = false_resume(law, nulls, 0.23, 1000, rng)
    assert still.value == 0
    assert still.error == 1 / still.runs


def test_bursts_by_chance_are_few_when_healthy_and_more_on_the_floor() -> None:
    law = Law.assumed({"": 200}, 0.94)
    nulls = Nulls.of(FLOOR_90, law)
    healthy = idle(law, nulls, MINUTE, np.random.default_rng(0))
    on_floor = idle(nulls.at_floor(law), nulls, MINUTE, np.random.default_rng(0))
    assert healthy.suspect < 0.005
    assert healthy.probes_a_day == pytest.approx(1440, rel=0.06)
    assert 0.02 < on_floor.suspect < 0.4
    assert on_floor.probes_a_day > healthy.probes_a_day


# Plans and what they warn of


@cache
def assumed(
    floor: float,
    baseline: float,
    *,
    items: int = 200,
    pace: Pace = DRIP,
    drops: tuple[float, ...] = (0.04, 0.23),
) -> Plan:
    most = 8766 * 3600 / pace.sustained
    held = terms(probes_per_year=most, floor=floor)
    law = Law.assumed({"": items}, baseline)
    return plan(Setting(law=law, terms=held, pace=pace, blessed=False, cost=0.01), drops)


def told(one: Plan) -> str:
    return "\n".join(advice(one))


def test_the_same_seed_plans_the_same_and_another_one_not() -> None:
    law = Law.assumed({"": 50}, 0.94)
    setting = Setting(law=law, terms=FLOOR_90, pace=MINUTE, blessed=False)
    first, again = (plan(setting, (0.23,), seed=1) for _ in range(2))
    assert first.falls == again.falls
    assert first.false_halts == again.false_halts
    assert first.resume == again.resume
    found, other = (curve(setting, [Drop(0.23)], seed=seed) for seed in (1, 2))
    assert found != other


def test_a_plan_costs_what_its_probes_cost_and_says_how_sure_it_is() -> None:
    one = assumed(0.9, 0.94)
    small, large_drop = one.falls
    assert small.halt.typical is None
    assert small.money is None
    assert large_drop.money == pytest.approx(0.01 * (large_drop.halt.probes.mean or 0))
    spread = large_drop.halt.probes
    assert spread.error is not None
    assert spread.mean is not None
    assert spread.p05 is not None
    assert spread.p95 is not None
    assert 0 < spread.error < 0.05 * spread.mean
    assert spread.p05 < spread.mean < spread.p95
    assert one.daily_cost == pytest.approx(57.6, rel=0.05)
    assert one.false_halts.value < 0.01 < one.false_halts_at_floor.value <= 0.5


def test_a_drop_that_stays_above_the_floor_is_told_with_a_floor_that_would_halt_it() -> None:
    one = assumed(0.9, 0.94)
    text = told(one)
    assert "a drop of 4 points (to 90%) stays exactly on the floor of 90% and never halts" in text
    assert "floor: 92% would halt it after about" in text
    better = replace(one.setting, terms=replace(one.setting.terms, floor=0.92))
    (fall,) = curve(better, [Drop(0.04)])
    assert fall.halt.reached > 0.9


def test_a_floor_so_low_that_nothing_halts_is_told_once() -> None:
    text = told(assumed(0.6, 0.94))
    assert "even a drop of 23 points (to 71%) stays above it: none of these drops ever" in text
    assert text.count("halt") < 6


def test_a_floor_above_the_baseline_is_told_to_halt_although_nothing_is_wrong() -> None:
    one = assumed(0.95, 0.94)
    assert one.false_halts.value == inf
    first = advice(one)[0]
    assert first.startswith("the floor of 95% is not below the baseline of 94%: it halts after")
    assert "write a floor of at most 93%" in first


def test_a_delay_longer_than_a_day_is_told_with_what_would_make_it_one() -> None:
    one = assumed(0.9, 0.94, pace=Pace(3600.0, 10.0), drops=(0.14,))
    text = told(one)
    assert "a drop of 14 points goes on for" in text
    assert "longer than a day; a day is reached with every: " in text
    minutes = int(text.split("every: ")[1].split("m")[0])
    faster = assumed(0.9, 0.94, pace=Pace(60.0 * minutes, 10.0), drops=(0.14,))
    assert faster.falls[0].halt.seconds.mean == pytest.approx(86_400, rel=0.25)


def test_a_budget_that_is_too_small_to_burst_is_told() -> None:
    one = assumed(0.9, 0.94)

    def at(pace: Pace) -> Plan:
        return replace(one, setting=replace(one.setting, pace=pace))

    capped = at(Pace(15.0, 10.0, per_hour=100))
    assert "the budget and not every: 15 s sets the rate: one probe in 36 s" in told(capped)
    tight = at(Pace(15.0, 10.0, per_hour=250))
    assert "the budget leaves 11 probes for a burst" in told(tight)
    ample = at(Pace(15.0, 10.0, per_hour=2400))
    assert "budget" not in told(ample)


def test_a_set_whose_own_interval_reaches_the_floor_is_told_with_the_items_it_takes() -> None:
    one = assumed(0.9, 0.94)
    text = told(one)
    assert "89.8% to 96.5%, and the floor lies in there" in text
    assert "230 items would tell the two apart" in text
    more = replace(one.setting, law=Law.assumed({"": 230}, 0.94))
    assert "the floor lies in there" not in told(replace(one, setting=more))


def test_small_slices_and_slices_without_a_floor_are_told() -> None:
    one = blessing(120, slices=12)
    law, held = blessed(one, slice_floors={"s3": 0.8})
    setting = Setting(law=law, terms=held, pace=MINUTE, blessed=True)
    baseline = one.slice_baselines["s3"]
    tight = replace(held, slice_floors={"s3": baseline - 0.02})
    tried = plan(replace(setting, terms=tight), (0.23,))
    text = told(tried)
    assert "slices too small for their floor: s3 (10): one broken item puts the whole slice" in text
    assert "slices without a floor of their own: s" in text
    fine = [replace(found, floor=held.slice_floors[found.name]) for found in tried.slices]
    assert "slices" not in told(replace(tried, slices=tuple(fine)))


def test_a_slice_that_fails_alone_is_planned_where_the_drop_fits_into_it() -> None:
    law, held = blessed(blessing(200, slices=5))
    one = plan(Setting(law=law, terms=held, pace=MINUTE, blessed=True), (0.04, 0.23))
    assert [fall.loss for fall in one.local] == [0.04]
    assert one.local[0].slice in law.slices
    assert 200 < (one.local[0].halt.probes.mean or inf) < 3000
    assert [found.name for found in one.slices] == ["s0", "s1", "s2", "s3", "s4"]
    assert all((found.dead.halt.probes.mean or inf) < 200 for found in one.slices)


def test_a_drop_of_less_than_one_item_is_told_to_be_one_or_none() -> None:
    one = assumed(0.9, 0.94)
    few = replace(one, setting=replace(one.setting, law=Law.assumed({"": 20}, 0.94)))
    assert "one of 20 items is 5 points of the whole: a drop of 4 points breaks one" in told(few)
    assert "of the whole" not in told(one)


def test_sentinels_that_are_none_or_few_are_told() -> None:
    law, held = blessed(blessing(60, credit=True), items="sentinels")
    one = plan(Setting(law=law, terms=held, pace=MINUTE, blessed=True), (0.23,))
    assert one.outage.halt.typical is None
    assert one.false_halts.value == 0
    assert advice(one)[0].startswith(
        "none of the 60 items counts with gate.items: sentinels: nothing can halt"
    )
    law, held = blessed(blessing(160, credit=True), items="sentinels")
    few = replace(one, setting=replace(one.setting, law=law, terms=held))
    assert "items count with gate.items: sentinels; write items: item_aware" in told(few)


def test_a_recovery_that_outlasts_its_promise_is_told() -> None:
    one = assumed(0.99, 0.995, drops=(0.1,))
    assert "more than the 1,000 halted probes that the promise on false resumes is for" in told(one)


def test_numbers_are_said_as_people_say_them() -> None:
    assert [duration(one) for one in (45, 90, 1920, 14_760, 200_000)] == [
        "45 s",
        "1.5 min",
        "32 min",
        "4.1 h",
        "2.3 days",
    ]
    assert [a_year(one) for one in (0.0, 1e-9, 1 / 3100, 0.37, inf)] == [
        "never",
        "less than once in 10,000 years",
        "once in 3,100 years",
        "0.4 a year",
        "all the time",
    ]
    assert (percent(0.9), percent(0.885), points(0.09), points(0.01)) == (
        "90%",
        "88.5%",
        "9 points",
        "1 point",
    )
    assert (count(1236.4), large(14.61e6), large(52_600)) == ("1,240", "14.6 million", "52,600")
