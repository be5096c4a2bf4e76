"""How often attribution names the right suspect, and what it costs; on simulated golden sets.

``python benchmarks/attribution.py [--runs 400]`` prints, with fixed seeds and Monte-Carlo standard
errors: the real `Inquiry` under its default budget, with a wide one, strict, and on a small set
that is asked as a whole; then the other ways to name a suspect, on the same items.

Items come from classes: a class says which sets of repairs make its items right. Every answer, the
one that made an item a candidate too, is turned round with the chance FLAKE. Three faults; points
of accuracy. The inquiry never sees a class.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, mean

import numpy as np
from numpy.typing import NDArray

from seamwatch.attribution import Attribution, Inquiry, Outcome
from seamwatch.attribution.shapley import exact

NAMES = ("a", "b", "c")
A, B, C = 1, 2, 4
FLAKE = 0.01
BLESSED = 0.94

Right = Callable[[int], bool]
CLASSES: dict[str, Right] = {
    "a": lambda s: bool(s & A),
    "b": lambda s: bool(s & B),
    "c": lambda s: bool(s & C),
    "a and b": lambda s: bool(s & A and s & B),
    "a and c": lambda s: bool(s & A and s & C),
    "a or c": lambda s: bool(s & (A | C)),
    "not a": lambda s: not s & A,
    "not c": lambda s: not s & C,
    "never": lambda s: False,
    "always": lambda s: True,
}


@dataclass(frozen=True)
class Scenario:
    """What part of the set, in points, belongs to which class; the rest is always right."""

    name: str
    points: dict[str, float]

    def table(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the chance of each class, shape (classes,), and who is right, (classes, 8)."""
        parts = self.points | {"always": 100 - sum(self.points.values())}
        chances = np.array([parts[name] / 100 for name in parts])
        return chances, np.array([[CLASSES[name](s) for s in range(8)] for name in parts])

    def truth(self) -> NDArray[np.float64]:
        """Return the Shapley value of each repair over all items, points as ratios."""
        chances, right = self.table()
        average = chances @ right.astype(float)
        return np.array(exact(dict(enumerate(average)), 3))


ADDITIVE = Scenario("additive 12/7/4", {"a": 12, "b": 7, "c": 4})
INTERACTING = Scenario(
    "interacting 12.3/7.8/3.8",
    {"a": 10, "b": 5.5, "c": 2.8, "a and b": 4.6, "a or c": 2, "not a": 1},
)
SCENARIOS = (
    ADDITIVE,
    INTERACTING,
    Scenario(
        "same, but c breaks 1",
        {"a": 9, "b": 5.5, "c": 3.8, "a and b": 4.6, "a or c": 2, "not c": 1},
    ),
    Scenario("masked 10/7/5.5", {"a": 3, "c": 4.5, "b": 1, "a and b": 9, "a and c": 5}),
    Scenario("close 9/7/7", {"a": 9, "b": 7, "c": 7}),
    Scenario("nearly tied 9/8.7/5", {"a": 9, "b": 8.7, "c": 5}),
    Scenario("one fault 23/0/0", {"a": 23}),
    Scenario("half explained 8/3/0", {"a": 8, "b": 3, "never": 12}),
    Scenario("unexplained 0/0/0", {"never": 23}),
    Scenario("small loss 4/1/0", {"a": 4, "b": 1}),
)


class World:
    """An endless golden set of one scenario that answers under any repairs."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self.chances, self.right = scenario.table()
        self.rng = rng

    def items(self, count: int) -> Iterator[tuple[int, bool]]:
        """Yield *count* times the class of an item and whether it is right now."""
        classes = self.rng.choice(len(self.chances), p=self.chances, size=count)
        flips = self.rng.random(count) < FLAKE
        for one, flip in zip(classes, flips, strict=True):
            yield int(one), bool(self.right[one, 0]) != bool(flip)

    def answer(self, item_class: int, mask: int) -> float:
        """Return 1 for a right answer, else 0."""
        return float(bool(self.right[item_class, mask]) != (self.rng.random() < FLAKE))


def inquire(
    scenario: Scenario, seed: int, *, size: int | None, **settings: object
) -> tuple[Attribution, NDArray[np.float64]]:
    """Run one inquiry to its end; return what it found, and the true shares.

    *size*: the set has so many items, all are asked, and the truth is that of this very set; None:
    it is endless.
    """
    rng = np.random.default_rng([seed, *scenario.name.encode()])
    world = World(scenario, rng)
    chances, right = scenario.table()
    healthy = float(chances @ right[:, 0])
    inquiry = Inquiry(
        NAMES,
        items=size or 100_000,
        seed=seed,
        baseline=BLESSED,
        **settings,  # type: ignore[arg-type]
    )
    inquiry.observed(BLESSED - (1 - healthy))
    classes: dict[str, int] = {}
    for place, (one, is_right) in enumerate(world.items(size or 20_000)):
        item_id = str(place)
        classes[item_id] = one
        if is_right:
            inquiry.concordant(item_id)
            continue
        inquiry.offer(item_id)
        if size is None:
            drain(inquiry, world, classes)
            if inquiry.done:
                break
    inquiry.observed(BLESSED - (1 - healthy), asked=size or 0)
    drain(inquiry, world, classes)
    truth = scenario.truth()
    if size is not None:
        average = right[list(classes.values())].mean(axis=0)
        truth = np.array(exact(dict(enumerate(average)), 3))
    return inquiry.result(), truth


def drain(inquiry: Inquiry, world: World, classes: dict[str, int]) -> None:
    """Answer all that the inquiry asks now."""
    while (ask := inquiry.next()) is not None:
        mask = sum(1 << NAMES.index(name) for name in ask.repairs)
        inquiry.take(ask, world.answer(classes[ask.item_id], mask))


def is_right(found: Attribution, truth: NDArray[np.float64]) -> bool:
    """Say whether a suspect was named, with no other having a larger true share."""
    return found.top is not None and truth[NAMES.index(found.top)] > max(truth.max() - 1e-9, 0)


def percent(hits: float, runs: int) -> str:
    """Return a ratio in percent with its standard error."""
    ratio = hits / runs
    return f"{100 * ratio:5.1f} ±{100 * sqrt(max(ratio * (1 - ratio), 0.25 / runs) / runs):3.1f}"


def report(scenario: Scenario, runs: int, *, size: int | None = None, **settings: object) -> None:
    """Print one line of figures."""
    pairs = [inquire(scenario, seed, size=size, **settings) for seed in range(runs)]
    every = [found for found, _ in pairs]
    named = [one for one in every if one.outcome is Outcome.DECIDED]
    right = sum(is_right(found, truth) for found, truth in pairs)
    nothing = sum(one.outcome is Outcome.UNEXPLAINED for one in every)
    calls = np.array([one.probes if one.named_after is None else one.named_after for one in every])
    inside = [
        float(share.lower - 1e-9 <= true <= share.upper + 1e-9)
        for found, truth in pairs
        for share, true in zip(found.shares.values(), truth, strict=False)
    ]
    print(
        f"{scenario.name:25} {percent(right, runs)}  {percent(len(named) - right, runs)}"
        f"  {percent(runs - len(named) - nothing, runs)}  {percent(nothing, runs)}"
        f"  {100 * right / max(1, len(named)):6.1f}"
        f"  {calls.mean():6.0f} ±{calls.std() / sqrt(runs):2.0f} {np.quantile(calls, 0.95):6.0f}"
        f"  {mean(one.probes for one in every):6.0f}  {mean(one.items for one in every):5.0f}"
        f"  {100 * mean(inside) if inside else float('nan'):5.1f}",
        flush=True,
    )


HEAD = (
    f"{'scenario':25} {'right %':>10}  {'wrong %':>10}  {'undecided %':>11} {'unexplained':>11}"
    f"  of named  calls to a name   p95  in all  items  cover"
)


def others(scenario: Scenario, runs: int, items: int = 4000) -> None:
    """Print what other ways cost, all stopping by the posterior alone (.95, from 8 items on)."""
    ways: dict[str, tuple[Callable[..., tuple[NDArray[np.float64], ...]], str]] = {
        "one permutation, discordant items, posterior alone": (permuted, "discordant"),
        "every variant, discordant items": (factorial, "discordant"),
        "one permutation, random items": (permuted, "all"),
        "every variant, random items": (factorial, "all"),
        "largest gain of a single repair, random items": (single, "all"),
        "largest gain of a single repair, discordant items": (single, "discordant"),
    }
    for name, (way, among) in ways.items():
        right = wrong = 0
        calls = []
        for seed in range(runs):
            rng = np.random.default_rng([seed, *scenario.name.encode()])
            answers = draw(scenario, rng, items)
            kept = answers[answers[:, 0] == 0] if among == "discordant" else answers
            gains, cost = way(kept, rng, among == "discordant")
            top, reached = stop(gains)
            calls.append(float(cost[: reached + 1].sum()))
            truth = scenario.truth()
            right += top is not None and bool(truth[top] > truth.max() - 1e-9)
            wrong += top is not None and not truth[top] > truth.max() - 1e-9
        error = float(np.std(calls)) / sqrt(runs)
        print(
            f"{scenario.name:25} {name:52} {percent(right, runs)}  {percent(wrong, runs)}"
            f"  {mean(calls):6.0f} ±{error:3.0f} {np.quantile(calls, 0.95):6.0f}",
            flush=True,
        )


def draw(scenario: Scenario, rng: np.random.Generator, items: int) -> NDArray[np.float64]:
    """Return the answers of random items under all eight variants, shape (items, 8)."""
    chances, right = scenario.table()
    classes = rng.choice(len(chances), p=chances, size=items)
    return (right[classes] != (rng.random((items, 8)) < FLAKE)).astype(float)


def permuted(
    answers: NDArray[np.float64], rng: np.random.Generator, gate: bool
) -> tuple[NDArray[np.float64], ...]:
    """Return contributions along one random order, (items, 3), and calls, (items,).

    *gate*: only items that all repairs win back are shared out; the others cost one call.
    """
    bits = np.array([A, B, C])
    orders = rng.permuted(np.tile(np.arange(3), (len(answers), 1)), axis=1)
    masks = np.cumsum(bits[orders], axis=1)
    rows = np.arange(len(answers))
    before, gains = answers[:, 0], np.zeros((len(answers), 3))
    for step in range(3):
        after = answers[rows, masks[:, step]]
        gains[rows, orders[:, step]] = after - before
        before = after
    won = answers[:, 7] == 1 if gate else np.ones(len(answers), bool)
    return np.where(won[:, None], gains, np.nan), np.where(won, 3.0, 1.0)


def factorial(
    answers: NDArray[np.float64], rng: np.random.Generator, gate: bool
) -> tuple[NDArray[np.float64], ...]:
    """Return exact contributions of each item, and calls; as `permuted`."""
    gains = np.zeros((len(answers), 3))
    for player in range(3):
        bit = 1 << player
        for mask in range(8):
            if not mask & bit:
                weight = (1 / 3, 1 / 6, 1 / 3)[mask.bit_count()]
                gains[:, player] += weight * (answers[:, mask | bit] - answers[:, mask])
    won = answers[:, 7] == 1 if gate else np.ones(len(answers), bool)
    return np.where(won[:, None], gains, np.nan), np.where(won, 7.0, 1.0)


def single(
    answers: NDArray[np.float64], rng: np.random.Generator, gate: bool
) -> tuple[NDArray[np.float64], ...]:
    """Return what each repair alone wins back, and calls."""
    gains = answers[:, [A, B, C]] - answers[:, [0]]
    return gains, np.full(len(answers), 3.0)


def stop(gains: NDArray[np.float64]) -> tuple[int | None, int]:
    """Return who leads once the posterior beats each rival at .95, and after which item."""
    counted = ~np.isnan(gains[:, 0])
    values = np.nan_to_num(gains)
    n = np.cumsum(counted)
    sums = np.cumsum(values, axis=0)
    leader = sums.argmax(axis=1)
    rows = np.arange(len(sums))
    settled = n >= 8
    for rival in range(3):
        squares = np.stack([np.cumsum((values[:, k] - values[:, rival]) ** 2) for k in range(3)])
        ahead = sums[rows, leader] - sums[:, rival]
        average = ahead / np.maximum(n, 1)
        spread = (squares[leader, rows] - n * average**2) / np.maximum(n - 1, 1)
        z = average / np.sqrt((spread + 1 / np.maximum(n, 1)) / np.maximum(n, 1))
        settled &= (leader == rival) | (z >= NormalDist().inv_cdf(0.95))
    if not settled.any():
        return None, len(sums) - 1
    first = int(settled.argmax())
    return int(leader[first]), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    start = time.process_time()
    print(f"\nInquiry as it comes (c = .95, 800 calls); flake {FLAKE:.0%}, {runs} runs\n{HEAD}")
    for scenario in SCENARIOS:
        report(scenario, runs)
    print(f"\nwith up to 3,000 calls; {runs // 2} runs\n{HEAD}")
    for scenario in SCENARIOS[:5]:
        report(scenario, runs // 2, max_probes=3000)
    print(f"\nc = .99, up to 3,000 calls; {runs // 4} runs\n{HEAD}")
    for scenario in SCENARIOS[:2]:
        report(scenario, runs // 4, max_probes=3000, confidence=0.99)
    print(f"\nstrict, up to 3,000 calls; {runs // 10} runs\n{HEAD}")
    for scenario in (*SCENARIOS[:2], SCENARIOS[4]):
        report(scenario, runs // 10, max_probes=3000, strict=True)
    print(
        f"\na set of 120 items, all asked; truth of the whole population; {runs // 2} runs\n{HEAD}"
    )
    for scenario in SCENARIOS[:6]:
        report(scenario, runs // 2, size=120)
    print(f"\nother ways, {runs} runs{'':54}right %     wrong %   calls       p95")
    for scenario in (*SCENARIOS[:2], *SCENARIOS[3:5]):
        others(scenario, runs)
    print(f"\nCPU {time.process_time() - start:.0f} s")


if __name__ == "__main__":
    main()
