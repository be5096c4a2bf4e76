"""Detection and blame on the real demo: how many questions until the halt, and who is named.

    python benchmarks/demo_detection.py [--runs 20] [--broken late-data,stale-cache] [--exporter]

Starts the demo's pipeline as a process of its own, blesses its golden set with `seamwatch golden
bless`, and then, for each single fault, pair and the three of the story, and for each seed: asks
healthy questions, breaks the running pipeline over HTTP, and goes on asking over HTTP until the
halt and until attribution is done. The demo's own configuration says how: evidence, order of the
questions and attribution are those of the exporter, driven one question after another instead of
twenty a second, so that time is counted and not waited for. The seed orders the questions.

The truth to compare with comes from healing: the whole set is asked with every subset of the faults
healed, and the loss shared out by brute force. A tie that is called one counts as no right answer.
With --exporter the real `seamwatch demo` runs instead, and is read from its /metrics in real time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

from demo_states import shapley, subsets

from seamwatch import golden, models
from seamwatch.attribution import Outcome, Phase
from seamwatch.config import load
from seamwatch.demo.example import PIPELINE, configuration
from seamwatch.demo.exposed import Page
from seamwatch.demo.faults import THE_STORY
from seamwatch.demo.launch import Demo, Running, control, fetch
from seamwatch.evidence import Case, Event, Probe, outcome
from seamwatch.fetch import Fetcher
from seamwatch.golden.blessed import path_of, read
from seamwatch.golden.terms import terms_for
from seamwatch.pipeline import GoldenItem, Judged
from seamwatch.scoring import judge
from seamwatch.watch.attributing import Attributing
from seamwatch.watch.probing import Passes
from seamwatch.watch.worker import Worker

HEALTHY = 300  # questions before something breaks
MOST = 3000  # questions after it: so many without a halt are no detection
PORT = 23064
WANTED = 0.95  # share of runs in which the right suspect is named
COMBINATIONS = [some for size in (1, 2, 3) for some in combinations(THE_STORY, size)]


@dataclass(slots=True)
class Run:
    """What happened in one run; questions count from the break."""

    suspect: int | None = None
    halt: int | None = None
    named: int | None = None  # calls of attribution until somebody was named
    calls: int = 0  # calls of attribution in all
    outcome: str = "open"
    top: str | None = None
    tied: tuple[str, ...] = ()
    shares: dict[str, float] | None = None


class Lab:
    """The pipeline's process and everything of the exporter that decides."""

    def __init__(self, folder: Path, running: Running, fetcher: Fetcher, worker: Worker) -> None:
        config = load([str(folder / "seamwatch.yaml")])
        self.section = config.settings.pipelines[PIPELINE]
        asked = self.section.golden
        assert asked is not None
        assert self.section.model is not None
        self.model = self.section.model
        self.every = asked.every
        self.running = running
        self.fetcher = fetcher
        self.worker = worker
        self.golden = golden.load(folder / asked.file, asked)
        self.rules = golden.rules(asked, self.section.quality, base_dir=folder)
        blessing = read(path_of(asked, folder), self.golden, self.rules)
        assert blessing is not None
        self.blessing = blessing
        self.terms = terms_for(self.section, self.golden, self.blessing)
        self.client = models.build(self.model, fetcher)
        self.clock = 0.0  # seconds that the questions would have taken

    async def ask(self, item: GoldenItem) -> Judged:
        """Ask one question as users ask, and judge the answer."""
        answer = await self.client.ask(item, timeout=self.model.timeout)
        return judge(item, answer, self.rules, at=time.time())

    async def put(self, *broken: str) -> None:
        """Break exactly *broken*."""
        await asyncio.to_thread(control, self.running, "heal")
        if broken:
            await asyncio.to_thread(control, self.running, "break", broken)

    async def truth(self, broken: Sequence[str]) -> dict[str, float]:
        """Return each fault's share of the loss, from healing every subset of them."""
        worth = {}
        for healed in subsets(broken):
            await self.put(*(name for name in broken if name not in healed))
            right = [outcome(await self.ask(item), "verdict") for item in self.golden.items]
            worth[healed] = sum(x or 0.0 for x in right) / len(right)
        return shapley(worth, broken)

    async def run(self, broken: Sequence[str], seed: int) -> Run:
        """Break *broken* and ask until it is halted and attribution is done."""
        await self.put()
        dice = random.Random(seed)
        passes = Passes(self.golden, rng=dice)
        case, found = Case(self.terms), Run()
        window: deque[float] = deque(maxlen=len(self.golden.items))
        attributing = Attributing(
            pipeline=PIPELINE,
            section=self.model,
            golden=self.golden,
            rules=self.rules,
            blessing=self.blessing,
            threshold=self.section.threshold,
            fetcher=self.fetcher,
            limits={},
            spend=lambda _: True,
            worker=self.worker,
            clock=time.time,
            found=lambda _: None,
            rng=dice,
            elapsed=lambda: self.clock,
        )
        for count in range(1 - HEALTHY, MOST + 1):
            if count == 1:
                await self.put(*broken)
            self.clock += self.every
            item = passes.next(now=time.time())
            assert item is not None
            judged = await self.ask(item)
            x = outcome(judged, self.blessing.score)
            assert x is not None, judged.answer.failure
            window.append(x)
            attributing.heard(judged)
            attributing.observed(mean(window))
            kind = self.blessing.item_class(item.id)
            for event in case.take(Probe(x, item.slice, kind, at=judged.at)):
                if event is Event.CALM:
                    attributing.end()
                elif event in (Event.SUSPECT, Event.HALT):
                    assert count > 0, "the healthy pipeline was suspected"
                    found.suspect = found.suspect or count
                    found.halt = count if event is Event.HALT else found.halt
                    attributing.begin(case.standing)
            await attributing.step()
            state = attributing.state
            if found.halt and state and state.attribution.phase is Phase.DONE:
                break
        if (state := attributing.state) is not None:
            said = state.attribution
            found.named, found.calls = said.named_after, state.asked
            found.outcome, found.top, found.tied = said.outcome.value, said.top, said.tied
            found.shares = {name: share.value for name, share in said.shares.items()}
        return found


@contextmanager
def pipeline(folder: Path) -> Iterator[Running]:
    """Run the demo's pipeline in a process of its own, and bless its golden set."""
    with (folder / "pipeline.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "seamwatch.demo.serve", str(folder)], stdout=log, stderr=log
        )
    try:
        file = folder / "pipeline.json"
        while not file.exists():
            if child.poll() is not None:
                raise SystemExit((folder / "pipeline.log").read_text())
            time.sleep(0.05)
        addresses = json.loads(file.read_text())["addresses"]
        settings = folder / "seamwatch.yaml"
        settings.write_text(configuration(addresses, port=PORT), encoding="utf-8")
        bless = [sys.executable, "-m", "seamwatch", "golden", "bless", "--passes", "2"]
        said = subprocess.run(
            [*bless, "--config", str(settings)], capture_output=True, text=True, check=False
        )
        if said.returncode:
            raise SystemExit(said.stdout + said.stderr)
        yield Running("", addresses)
    finally:
        child.terminate()
        child.wait(10)


async def direct(chosen: Sequence[tuple[str, ...]], runs: int) -> bool:
    """Drive the deciding parts over HTTP; print the table and return whether targets are met."""
    with tempfile.TemporaryDirectory() as name, pipeline(Path(name)) as running:
        worker = Worker()
        try:
            async with Fetcher() as fetcher:
                lab = Lab(Path(name), running, fetcher, worker)
                head(lab)
                met = True
                for broken in chosen:
                    truth = await lab.truth(broken)
                    found = [await lab.run(broken, seed) for seed in range(runs)]
                    met &= row(broken, truth, found, every=lab.every)
                return met
        finally:
            worker.close()


def head(lab: Lab) -> None:
    """Print what the table is about."""
    print(
        f"{len(lab.golden.items)} items, one each {1000 * lab.every:.0f} ms; floor"
        f" {lab.terms.floor:.1%}, A = {lab.terms.limit:.2g}, items {lab.terms.items.value};"
        f" confidence {lab.model.attribution.confidence:.0%},"
        f" {len(lab.model.repairs)} repairs; {HEALTHY} healthy questions first\n"
    )
    print(
        "| broken | detected | probes to suspect | to halt, mean (most) | minutes | truth, points"
        " | top right | tie | wrong | calls to name, mean (most) | calls in all |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )


def row(
    broken: Sequence[str], truth: dict[str, float], found: Sequence[Run], *, every: float
) -> bool:
    """Print one row; return whether its targets are met."""
    halts = [one.halt for one in found if one.halt is not None]
    right = max(truth, key=truth.__getitem__)
    kinds = Counter(
        "right" if one.top == right else "wrong" if one.top else one.outcome for one in found
    )
    named = [one.named for one in found if one.named is not None]
    shares = ", ".join(f"{name} {100 * share:.1f}" for name, share in truth.items())
    suspects = [one.suspect for one in found if one.suspect is not None]
    print(
        f"| {', '.join(broken)} | {len(halts)}/{len(found)} | {_mean(suspects)} |"
        f" {_mean(halts)} ({max(halts, default=0)}) |"
        f" {mean(halts) * every / 60 if halts else 0:.2f} | {shares} |"
        f" {kinds['right']}/{len(found)} | {kinds[Outcome.UNDECIDED]} | {kinds['wrong']} |"
        f" {_mean(named)} ({max(named, default=0)}) | {_mean([one.calls for one in found])} |",
        flush=True,
    )
    for one in found:
        if one.top != right:
            said = one.top or (f"{one.outcome} {' '.join(one.tied)}")
            points = {name: round(100 * share, 1) for name, share in (one.shares or {}).items()}
            print(f"  not {right} but {said}: {points}", file=sys.stderr)
    return len(halts) == len(found) and kinds["right"] >= WANTED * len(found)


def _mean(values: Sequence[float]) -> str:
    return f"{mean(values):.0f}" if values else "-"


def exporter(chosen: Sequence[tuple[str, ...]], runs: int) -> None:
    """Run the real demo in real time; print what /metrics says."""
    with tempfile.TemporaryDirectory() as name:
        demo = Demo(Path(name) / "demo", port=PORT)
        running = demo.start()
        try:
            print("| broken | seconds to suspect | to halt | to a name | says |")
            print("| --- | --- | --- | --- | --- |")
            for broken in chosen:
                for _ in range(runs):
                    watch(running, broken)
        finally:
            demo.stop()


def watch(running: Running, broken: Sequence[str], patience: float = 240.0) -> None:
    """Break *broken*, print when /metrics says what, and heal it."""
    until(running, 600.0, lambda page: standing(page) == "running")
    control(running, "break", broken)
    began = time.monotonic()
    seen: dict[str, float] = {}

    def settled(page: Page) -> bool:
        now = time.monotonic() - began
        if (word := standing(page)) is not None:
            seen.setdefault(word, now)
        outcomes = page.named("attribution_outcome", "outcome")
        if "halted" in seen and outcomes and outcomes[0] != "open":
            seen.setdefault("named", now)
        return "named" in seen

    page = until(running, patience, settled)
    tops = " and ".join(page.named("suspect_top", "suspect"))
    said = f"{' '.join(page.named('attribution_outcome', 'outcome'))} {tops}"
    cells = (
        f"{seen[word]:.1f}" if word in seen else "-" for word in ("suspect", "halted", "named")
    )
    print(f"| {', '.join(broken)} | {' | '.join(cells)} | {said} |", flush=True)
    control(running, "heal")


def standing(page: Page) -> str | None:
    """Return what the page says of the evidence."""
    words = page.named("evidence_standing", "standing")
    return words[0] if words else None


def until(running: Running, seconds: float, holds: Any) -> Page:
    """Return the first page on which *holds*, or the last one before the time was up."""
    deadline = time.monotonic() + seconds
    while True:
        page = Page((fetch(f"{running.exporter}/metrics") or b"").decode())
        if holds(page) or time.monotonic() > deadline:
            return page
        time.sleep(0.2)


def main() -> int:
    """Print the table; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--broken", help="only this combination, e.g. late-data,stale-cache")
    parser.add_argument("--exporter", action="store_true", help="the real demo, in real time")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    chosen = [tuple(args.broken.split(","))] if args.broken else COMBINATIONS
    if args.exporter:
        exporter(chosen, args.runs)
        return 0
    met = asyncio.run(direct(chosen, args.runs))
    print(f"\ntargets: detected in every run, top right in {WANTED:.0%}: {'met' if met else 'NOT'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
