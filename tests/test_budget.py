"""A probe budget is hard: whatever happens, no window of its length holds more than it allows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwatch.models.budget import BUCKETS, LENGTHS, Budget

HOUR, DAY = LENGTHS["hour"], LENGTHS["day"]

WIDTH = HOUR / BUCKETS

# gaps around whole windows and whole buckets: where counting goes wrong if it does
gap = st.one_of(
    st.just(0.0),
    st.floats(0, WIDTH),
    st.floats(HOUR - 2 * WIDTH, HOUR + WIDTH),
    st.floats(DAY - 48 * WIDTH, DAY + 24 * WIDTH),
    st.integers(0, 2 * BUCKETS).map(lambda buckets: buckets * WIDTH),
)
steps = st.lists(gap, max_size=30)


def most_in_any_window(times: list[float], length: float) -> int:
    return max(
        (sum(start <= time <= start + length for time in times) for start in times), default=0
    )


@given(steps, st.integers(1, 8), st.integers(1, 20), st.floats(0, 1e9))
def test_no_window_ever_holds_more_than_the_budget(
    gaps: list[float], per_hour: int, per_day: int, start: float
) -> None:
    budget = Budget(per_hour=per_hour, per_day=per_day)
    now, taken = start, []
    for gap in gaps:
        now += gap
        left = budget.remaining(now)
        took = budget.take(now)
        assert took == (min(left.values()) > 0)
        if took:
            taken.append(now)
            assert budget.remaining(now) == {name: count - 1 for name, count in left.items()}
    # the times themselves are floats: leave them their last digits
    assert most_in_any_window(taken, HOUR - 1e-5) <= per_hour
    assert most_in_any_window(taken, DAY - 1e-5) <= per_day


@given(st.lists(st.floats(-1e6, 1e6), max_size=100), st.integers(1, 5))
def test_a_clock_that_jumps_back_gives_nothing_twice(jumps: list[float], per_hour: int) -> None:
    budget = Budget(per_hour=per_hour)
    now, elapsed, taken = 1e9, 0.0, []
    for jump in jumps:
        now += jump
        elapsed += max(0.0, jump)
        if budget.take(now):
            taken.append(elapsed)
    assert most_in_any_window(taken, HOUR - 1e-3) <= per_hour


def test_a_clock_set_back_by_a_day_does_not_freeze_the_budget() -> None:
    budget = Budget(per_hour=1)
    assert budget.take(1e9)
    back = 1e9 - DAY
    assert not budget.take(back)
    assert budget.take(back + HOUR + HOUR / BUCKETS)


@pytest.mark.parametrize("per_hour", [1, 60, 1200])
def test_almost_the_whole_budget_can_be_used(per_hour: int) -> None:
    budget = Budget(per_hour=per_hour)
    seconds = 100 * int(HOUR)
    taken = sum(budget.take(float(now)) for now in range(0, seconds, 3))
    assert 0.97 * 100 * per_hour <= taken <= 101 * per_hour


def test_a_refused_probe_costs_nothing() -> None:
    budget = Budget(per_hour=1, per_day=100)
    assert budget.take(0.0)
    assert not any(budget.take(1.0) for _ in range(50))
    assert budget.remaining(1.0) == {"hour": 0, "day": 99}


def test_without_limits_everything_may_be_sent() -> None:
    budget = Budget()
    assert all(budget.take(0.0) for _ in range(1000))
    assert budget.remaining(0.0) == {}


def test_memory_does_not_grow_with_what_is_taken() -> None:
    budget = Budget(per_hour=1_000_000, per_day=1_000_000)
    empty = len(json.dumps(budget.state(0.0, wall=0.0)))
    for number in range(20_000):
        budget.take(number / 7)
    assert len(json.dumps(budget.state(3000.0, wall=0.0))) < 2 * empty


@given(steps, steps, st.floats(0, 3 * HOUR), st.floats(0, HOUR), st.integers(1, 6))
def test_a_restart_forgets_nothing_that_was_spent(
    before: list[float], after: list[float], down: float, started: float, per_hour: int
) -> None:
    first = Budget(per_hour=per_hour, per_day=3 * per_hour)
    wall, taken = 1e9, []
    for gap in before:
        wall += gap
        if first.take(wall - 1e9):
            taken.append(wall)
    state = json.loads(json.dumps(first.state(wall - 1e9, wall=wall)))
    wall += down
    second = Budget(per_hour=per_hour, per_day=3 * per_hour)
    second.remaining(0.0)
    begun = wall - started  # the new process has run for a while before it restores
    second.restore(state, wall - begun, wall=wall)
    for gap in after:
        wall += gap
        if second.take(wall - begun):
            taken.append(wall)
    assert most_in_any_window(taken, HOUR - 1e-4) <= per_hour
    assert most_in_any_window(taken, DAY - 1e-4) <= 3 * per_hour


@given(st.floats(0, 2 * WIDTH), gap, gap, st.floats(0, 2 * WIDTH))
def test_after_a_restart_a_probe_is_free_again_after_an_hour_and_not_much_later(
    taken: float, kept: float, down: float, started: float
) -> None:
    first = Budget(per_hour=1)
    first.remaining(0.0)
    assert first.take(taken)
    saved = taken + kept
    second = Budget(per_hour=1)
    second.remaining(0.0)
    restored = saved + down
    second.restore(first.state(saved, wall=saved), started, wall=restored)
    passed = restored - taken
    while not second.take(started + passed - (restored - taken)):
        passed += WIDTH / 5
    assert passed >= HOUR - 1e-5
    assert passed <= max(restored - taken, HOUR) + 3 * WIDTH


def test_what_was_spent_is_free_again_after_a_restart_in_due_time() -> None:
    first = Budget(per_hour=5)
    assert all(first.take(10.0) for _ in range(5))
    second = Budget(per_hour=5)
    second.restore(first.state(10.0, wall=1e9), 0.0, wall=1e9 + HOUR / 2)
    assert second.remaining(0.0) == {"hour": 0}
    assert second.remaining(HOUR / 2 + 2 * HOUR / BUCKETS) == {"hour": 5}


def test_a_wall_clock_set_back_over_a_restart_counts_as_no_time() -> None:
    first = Budget(per_hour=5)
    assert first.take(0.0)
    second = Budget(per_hour=5)
    second.restore(first.state(0.0, wall=1e9), 0.0, wall=1e9 - DAY)
    assert second.remaining(0.0) == {"hour": 4}


def test_a_smaller_budget_after_a_restart_counts_what_the_larger_one_spent() -> None:
    first = Budget(per_hour=100)
    assert all(first.take(0.0) for _ in range(10))
    second = Budget(per_hour=4, per_day=50)
    second.restore(first.state(0.0, wall=1e9), 0.0, wall=1e9)
    assert second.remaining(0.0) == {"hour": 0, "day": 50}


@pytest.mark.parametrize("state", [{}, {"saved_at": 1.0, "windows": 3}, {"saved_at": None}])
def test_rubbish_is_not_taken_for_a_state(state: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not the state of a probe budget"):
        Budget(per_hour=1).restore(state, 0.0, wall=0.0)


def test_what_must_be_left_for_others_is_not_taken() -> None:
    budget = Budget(per_hour=8, per_day=100)
    taken = [budget.take(0.0, spare=0.25) for _ in range(8)]
    assert taken == [True] * 6 + [False] * 2
    assert budget.remaining(0.0)["hour"] == 2
    assert budget.take(0.0)
