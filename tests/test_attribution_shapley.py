"""Shapley values: what each repair wins back, for every table of results an item can have."""

from __future__ import annotations

from itertools import permutations
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwatch.attribution.shapley import along, exact, interactions

results = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)


@st.composite
def games(draw: st.DrawFn, most: int = 4) -> tuple[dict[int, float], int]:
    """A result in [0, 1] for each set of repairs, and how many repairs there are."""
    players = draw(st.integers(1, most))
    table = draw(st.lists(results, min_size=1 << players, max_size=1 << players))
    return dict(enumerate(table)), players


def renamed(mask: int, order: tuple[int, ...]) -> int:
    """Return *mask* with bit j moved to bit order[j]."""
    return sum(1 << order[bit] for bit in range(len(order)) if mask >> bit & 1)


@given(games())
def test_shares_add_up_to_what_all_repairs_win_back(game: tuple[dict[int, float], int]) -> None:
    table, players = game
    assert sum(exact(table, players)) == pytest.approx(table[(1 << players) - 1] - table[0])


@given(games(), st.randoms())
def test_the_order_of_the_repairs_does_not_matter(
    game: tuple[dict[int, float], int], rng: object
) -> None:
    table, players = game
    order = tuple(sorted(range(players), key=lambda _: rng.random()))  # type: ignore[attr-defined]
    moved = exact({renamed(mask, order): one for mask, one in table.items()}, players)
    assert [moved[order[bit]] for bit in range(players)] == pytest.approx(exact(table, players))


@given(games(), st.integers(0, 4))
def test_a_repair_that_never_changes_anything_gets_nothing(
    game: tuple[dict[int, float], int], place: int
) -> None:
    table, players = game
    place = min(place, players)
    low = (1 << place) - 1
    padded = {mask: table[(mask & low) | (mask >> 1 & ~low)] for mask in range(1 << (players + 1))}
    values = exact(padded, players + 1)
    assert values[place] == pytest.approx(0)
    rest = [one for bit, one in enumerate(values) if bit != place]
    assert rest == pytest.approx(exact(table, players))
    assert all(
        one == pytest.approx(0)
        for pair, one in interactions(padded, players + 1).items()
        if place in pair
    )


@given(games())
def test_repairs_that_do_the_same_get_the_same(game: tuple[dict[int, float], int]) -> None:
    table, players = game
    swap = (1, 0, *range(2, players))
    if players < 2:
        return
    alike = {mask: (table[mask] + table[renamed(mask, swap)]) / 2 for mask in table}
    values = exact(alike, players)
    assert values[0] == pytest.approx(values[1])


@given(st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=5))
def test_repairs_that_do_not_interact_get_what_they_do_alone(worth: list[float]) -> None:
    table = {
        mask: 0.5 + sum(one for bit, one in enumerate(worth) if mask >> bit & 1)
        for mask in range(1 << len(worth))
    }
    assert exact(table, len(worth)) == pytest.approx(tuple(worth))
    assert all(abs(one) < 1e-9 for one in interactions(table, len(worth)).values())


def test_an_item_that_needs_both_repairs_shows_synergy_and_one_that_needs_either_redundancy() -> (
    None
):
    both = {0: 0.0, 1: 0.0, 2: 0.0, 3: 1.0}
    either = {0: 0.0, 1: 1.0, 2: 1.0, 3: 1.0}
    assert exact(both, 2) == exact(either, 2) == (0.5, 0.5)
    assert interactions(both, 2) == {(0, 1): 1.0}
    assert interactions(either, 2) == {(0, 1): -1.0}


@given(games(), st.sets(st.integers(0, 3)))
def test_orders_average_to_the_exact_values_whichever_repairs_are_free(
    game: tuple[dict[int, float], int], spare: set[int]
) -> None:
    table, players = game
    free = sorted(bit for bit in spare if bit < players)
    paid = [bit for bit in range(players) if bit not in free]
    masks = [mask for mask in table if not any(mask >> bit & 1 for bit in paid)]
    estimates = []
    for order in permutations(paid):
        steps, applied = [], 0
        for one in (None, *order):
            applied |= 0 if one is None else 1 << one
            steps.append({mask: table[applied | mask] for mask in masks})
        estimates.append(along(steps, order, free))
    average = tuple(mean(column) for column in zip(*estimates, strict=True))
    assert average == pytest.approx(exact(table, players))


def test_one_order_credits_the_repair_that_turns_the_item() -> None:
    steps = [{0: 0.0}, {0: 0.0}, {0: 1.0}, {0: 1.0}]
    assert along(steps, (2, 0, 1), ()) == (1.0, 0.0, 0.0)
