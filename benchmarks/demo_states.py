"""Accuracy of the demo's pipeline in every state: each fault, each pair, the story's three.

    python benchmarks/demo_states.py

Asks the whole golden set in-process, through the cache, as the endpoint would. docs/demo.md shows
the table; tests/test_demo_pipeline.py asks the real endpoint and compares.
"""

from __future__ import annotations

import tempfile
import time
from itertools import combinations
from pathlib import Path

from seamwatch.demo.assembly import Assembly
from seamwatch.demo.facts import load
from seamwatch.demo.faults import FAULTS, THE_STORY
from seamwatch.demo.questions import questions


def main() -> None:
    """Print the tables."""
    facts = load()
    golden = questions(facts, golden=True)
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        assembly = Assembly(facts, Path(folder), started=time.time())
        took = time.perf_counter() - started, time.process_time() - cpu
        print(f"set up in {took[0]:.1f} s, {took[1]:.1f} CPU s; {len(golden)} questions\n")

        def accuracy(*broken: str) -> float:
            for name in broken:
                FAULTS[name].break_it(assembly)
            assembly.run_jobs(now=time.time())
            right = sum(assembly.answer(one.text).label == one.expected for one in golden)
            for name in broken:
                FAULTS[name].heal(assembly)
            assembly.run_jobs(now=time.time())
            return right / len(golden)

        print(f"| broken | accuracy |\n| --- | --- |\n| nothing | {accuracy():.1%} |")
        for name in FAULTS:
            print(f"| {name} | {accuracy(name):.1%} |")
        print(f"| all ({', '.join(THE_STORY)}) | {accuracy(*THE_STORY):.1%} |")
        print("\n| | " + " | ".join(FAULTS) + " |\n|" + " --- |" * (len(FAULTS) + 1))
        pairs = {frozenset(pair): accuracy(*pair) for pair in combinations(FAULTS, 2)}
        for row in FAULTS:
            cells = (
                f"{pairs[frozenset((row, column))]:.1%}" if row != column else ""
                for column in FAULTS
            )
            print(f"| {row} | " + " | ".join(cells) + " |")
        print("\n| data of | days behind | accuracy |\n| --- | --- | --- |")
        for release in facts.complete_until:
            assembly.feed.mirror = release
            print(f"| {release} | {facts.behind(release) / 86400:.0f} | {accuracy():.1%} |")


if __name__ == "__main__":
    main()
