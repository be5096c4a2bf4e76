"""What the evidence promises, by the real Case on seeded answers; the benchmark has more."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from statistics import mean, stdev

import pytest

from seamwatch.evidence import Case, Event, Probe, Terms

FLOOR = 0.9
TEN = {f"s{at}": FLOOR for at in range(10)}


def plain(limit: float, floor: float = FLOOR) -> Case:
    return Case(Terms(limit=limit, floor=floor))


def alarms(case: Case, probe: Callable[[Case], Probe], probes: int) -> int:
    found = 0
    for _ in range(probes):
        if Event.HALT in case.take(probe(case)):
            case.resume()
            found += 1
    return found


def within(found: list[int], bound: float) -> bool:
    return mean(found) <= bound + 3 * stdev(found) / len(found) ** 0.5 and mean(found) > 0


@pytest.mark.parametrize(
    ("floor", "limit", "wrong"),
    [
        (0.90, 1e6, 8),
        (0.90, 1e5, 7),
        (0.90, 1e4, 6),
        (0.95, 1e6, 6),
        (0.95, 1e5, 5),
        (0.95, 1e4, 4),
        (0.85, 1e6, 9),
        (0.85, 1e5, 8),
        (0.85, 1e4, 7),
    ],
)
def test_an_outage_halts_at_exactly_this_wrong_answer(
    floor: float, limit: float, wrong: int
) -> None:
    case = plain(limit, floor)
    halts = [at for at in range(1, 20) if Event.HALT in case.take(Probe(0.0))]
    assert halts == [wrong]


def test_slices_do_not_put_off_the_halt_of_an_outage() -> None:
    case = Case(Terms(limit=1e6, floor=FLOOR, slice_floors=dict.fromkeys(TEN, 0.86)))
    halts = [at for at in range(1, 20) if Event.HALT in case.take(Probe(0.0, f"s{at % 10}"))]
    assert halts == [8]


def test_exactly_on_the_floor_there_are_no_more_halts_than_promised() -> None:
    found = []
    for seed in range(16):
        rng = random.Random(seed)
        found.append(alarms(plain(1e3), lambda _: Probe(float(rng.random() < FLOOR)), 10_000))  # noqa: B023
    assert within(found, 10.0)


def test_with_all_slices_on_their_floors_and_focus_there_are_no_more_either() -> None:
    found = []
    for seed in range(12):
        rng = random.Random(seed)

        def probe(case: Case) -> Probe:
            x = float(rng.random() < FLOOR)  # noqa: B023
            if case.focus_slice and case.ordinal % 2:
                return Probe(x, case.focus_slice, focused=True)
            return Probe(x, f"s{case.ordinal % 10}")

        case = Case(Terms(limit=1e3, floor=FLOOR, slice_floors=TEN, focus=True, focus_at=0.1))
        found.append(alarms(case, probe, 6000))
    assert within(found, 6.0)


def test_a_continuous_score_on_its_floor_halts_no_more_than_promised() -> None:
    found = []
    for seed in range(12):
        rng = random.Random(seed)
        found.append(alarms(plain(1e3), lambda _: Probe(rng.betavariate(1.8, 0.2)), 6000))  # noqa: B023
    assert within(found, 6.0)


def test_a_drop_from_94_to_71_halts_after_88_probes_on_average() -> None:
    delays = []
    for seed in range(250):
        rng = random.Random(seed)
        case = plain(1e6)
        for _ in range(200):
            case.take(Probe(float(rng.random() < 0.94)))
        delays.append(
            next(n for n in count(1) if Event.HALT in case.take(Probe(float(rng.random() < 0.71))))
        )
    assert mean(delays) == pytest.approx(88, abs=6)


def test_short_incidents_of_errors_halt_nothing_unless_they_count_as_wrong() -> None:
    def halts(outcome_of_an_error: float | None) -> int:
        rng = random.Random(5)

        def probe(case: Case) -> Probe:
            failed = case.ordinal % 2000 < 10 and rng.random() < 0.8
            return Probe(outcome_of_an_error if failed else float(rng.random() < 0.94))

        return alarms(plain(1e5), probe, 30_000)

    assert halts(None) == 0
    assert halts(0.0) > 3


def test_a_healthy_pipeline_with_few_probes_a_year_is_not_suspect_for_ever() -> None:
    rng = random.Random(6)
    case = Case(Terms(limit=1e4, floor=FLOOR, slice_floors=dict.fromkeys(TEN, 0.86)))
    suspect = 0
    for turn in range(8000):
        case.take(Probe(float(rng.random() < 0.94), f"s{turn % 10}"))
        suspect += case.standing == "suspect"
    assert suspect < 800
