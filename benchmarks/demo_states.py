"""Accuracy of the demo's pipeline in every state: each fault, each pair, the story's three.

    python benchmarks/demo_states.py

Asks the whole golden set in-process, through the cache, as the endpoint would. Then the same for
each set of repairs beside the same set of faults healed: what a repair wins back must be what
healing wins back, or no share of a loss could be put down to it. docs/demo.md shows the tables;
tests/test_demo_pipeline.py and tests/test_demo_repairs.py compare.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from math import factorial
from pathlib import Path

from seamwatch.demo.answer import PLAIN, Reply, Route
from seamwatch.demo.assembly import Assembly
from seamwatch.demo.facts import ABSTAIN, load
from seamwatch.demo.faults import FAULTS, THE_STORY
from seamwatch.demo.questions import Question, questions
from seamwatch.demo.repairs import REPAIRED_BY, together

STEPS = 1000  # thresholds tried where the best one is looked for
Worth = Mapping[frozenset[str], float]  # what is healed or repaired -> accuracy


class States:
    """The pipeline in-process, in one state after another."""

    def __init__(self, folder: Path) -> None:
        self.facts = load()
        self.golden = questions(self.facts, golden=True)
        self.assembly = Assembly(self.facts, folder, started=time.time())
        self._broken: frozenset[str] = frozenset()

    def put(self, broken: Iterable[str]) -> None:
        """Break and heal until exactly *broken* is broken."""
        wanted = frozenset(broken)
        for name, fault in FAULTS.items():
            if (name in wanted) != (name in self._broken):
                (fault.break_it if name in wanted else fault.heal)(self.assembly)
        self._broken = wanted
        self.assembly.run_jobs(now=time.time())

    def replies(self, route: Route = PLAIN) -> list[Reply]:
        """Ask the whole golden set."""
        return [self.assembly.answer(one.text, route) for one in self.golden]

    def accuracy(self, *broken: str) -> float:
        """Return the accuracy with *broken* broken, and heal it."""
        self.put(broken)
        found = right(self.replies(), self.golden)
        self.put(())
        return found

    def healed(self, broken: Sequence[str]) -> Worth:
        """Return the accuracy with each set of *broken* healed."""
        found = {}
        for some in subsets(broken):
            self.put(frozenset(broken) - some)
            found[some] = right(self.replies(), self.golden)
        self.put(())
        return found

    def repaired(self, broken: Sequence[str]) -> Worth:
        """Return the accuracy with each set of repairs; the faults stay. Keys name the faults."""
        self.put(broken)
        plain = self.replies()
        best = best_threshold(plain, self.golden)
        found = {}
        for some in subsets(broken):
            repair = together(REPAIRED_BY[name] for name in some)
            replies = self.replies(repair.route)
            if repair.best_threshold:
                replies = [decided_again(reply, best) for reply in replies]
            found[some] = right(replies, self.golden)
        self.put(())
        return found


def right(replies: Sequence[Reply], golden: Sequence[Question]) -> float:
    """Return the accuracy."""
    pairs = zip(replies, golden, strict=True)
    return sum(reply.label == question.expected for reply, question in pairs) / len(golden)


def best_threshold(replies: Sequence[Reply], golden: Sequence[Question]) -> float:
    """Return the middle of the thresholds under which most *replies* are right."""
    tried = [at / STEPS for at in range(STEPS)]
    found = [right([decided_again(reply, tau) for reply in replies], golden) for tau in tried]
    plateau = [tau for tau, accuracy in zip(tried, found, strict=True) if accuracy == max(found)]
    return plateau[len(plateau) // 2]


def decided_again(reply: Reply, threshold: float) -> Reply:
    """Return *reply* as another threshold would have it; one without a candidate stays."""
    if reply.candidate is None:
        return reply
    label = reply.candidate if reply.score >= threshold else ABSTAIN
    return Reply(label, reply.score, reply.answered_by, reply.candidate)


def subsets(names: Sequence[str]) -> list[frozenset[str]]:
    """Return every subset, the smallest first."""
    return [frozenset(some) for size in range(len(names) + 1) for some in combinations(names, size)]


def shapley(worth: Worth, names: Sequence[str]) -> dict[str, float]:
    """Return each name's share of ``worth[all] - worth[none]``.

    Source: Shapley (1953); brute force over subsets, independent of seamwatch.attribution.
    """
    k = len(names)
    return {
        name: sum(
            factorial(len(some)) * factorial(k - len(some) - 1) / factorial(k)
            * (worth[some | {name}] - worth[some])
            for some in subsets([other for other in names if other != name])
        )
        for name in names
    }  # fmt: skip


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        states = States(Path(folder))
        took = time.perf_counter() - started, time.process_time() - cpu
        print(f"set up in {took[0]:.1f} s, {took[1]:.1f} CPU s; {len(states.golden)} questions\n")
        print_states(states.accuracy)
        print_pairs(states.accuracy)
        print("\n| data of | days behind | accuracy |\n| --- | --- | --- |")
        for release in states.facts.complete_until:
            states.assembly.feed.mirror = release
            behind = states.facts.behind(release) / 86400
            print(f"| {release} | {behind:.0f} | {states.accuracy():.1%} |")
        states.assembly.feed.mirror = states.facts.newest
        print_repairs(states)


def print_states(accuracy: Callable[..., float]) -> None:
    """Print the accuracy with nothing, each fault, and the story's three broken."""
    print(f"| broken | accuracy |\n| --- | --- |\n| nothing | {accuracy():.1%} |")
    for name in FAULTS:
        print(f"| {name} | {accuracy(name):.1%} |")
    print(f"| all ({', '.join(THE_STORY)}) | {accuracy(*THE_STORY):.1%} |")


def print_pairs(accuracy: Callable[..., float]) -> None:
    """Print the accuracy of each two faults."""
    print("\n| | " + " | ".join(FAULTS) + " |\n|" + " --- |" * (len(FAULTS) + 1))
    pairs = {frozenset(pair): accuracy(*pair) for pair in combinations(FAULTS, 2)}
    for row in FAULTS:
        cells = (
            f"{pairs[frozenset((row, column))]:.1%}" if row != column else "" for column in FAULTS
        )
        print(f"| {row} | " + " | ".join(cells) + " |")


def print_repairs(states: States) -> None:
    """Print repairs beside healing: each fault alone, then each set of the story's three."""
    print("\n| broken | repaired | healed |\n| --- | --- | --- |")
    for name in FAULTS:
        whole, repaired = frozenset([name]), states.repaired([name])
        print(f"| {name} | {repaired[whole]:.1%} | {states.healed([name])[whole]:.1%} |")
    repaired, healed = states.repaired(THE_STORY), states.healed(THE_STORY)
    print("\n| all broken, of them | repaired | healed |\n| --- | --- | --- |")
    for some in subsets(THE_STORY):
        named = ", ".join(name for name in THE_STORY if name in some) or "none"
        print(f"| {named} | {repaired[some]:.1%} | {healed[some]:.1%} |")
    print("\n| broken | fault | share by repairs | share by healing |\n| --- | --- | --- | --- |")
    for size in (2, 3):
        for broken in combinations(THE_STORY, size):
            by_repairs = shapley(states.repaired(broken), broken)
            by_healing = shapley(states.healed(broken), broken)
            for name in broken:
                print(
                    f"| {', '.join(broken)} | {name} | {100 * by_repairs[name]:.1f} |"
                    f" {100 * by_healing[name]:.1f} |"
                )


if __name__ == "__main__":
    main()
