"""Attribution promises: whoever breaks a real model is named, and nobody else, at a known price.

The model below is a web server with a cache, an index and a threshold that can each be broken, and
ways to ask round each of them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest
from aiohttp import web

from seamwatch.attribution import Attribution, Outcome, Phase
from seamwatch.config.models import ModelSection
from seamwatch.config.threshold import ThresholdSection
from seamwatch.evidence import Blessing, Standing
from seamwatch.fetch import Fetcher
from seamwatch.golden import GoldenSet
from seamwatch.models import AdaptiveLimit, variant
from seamwatch.pipeline import GoldenItem, Judged, Task
from seamwatch.scoring import Rules, judge
from seamwatch.snapshot import AttributionState
from seamwatch.watch.attributing import Attributing
from seamwatch.watch.worker import Worker

NOW = 1_700_000_000.0
ITEMS, OFF_TOPIC = 240, 40
FAULTS = {"late": "late-data", "cache": "stale-cache", "threshold": "wrong-threshold"}
BLAMED = {"late-data": "ingest", "stale-cache": "cache", "wrong-threshold": "decision"}


def golden() -> GoldenSet:
    items = tuple(
        GoldenItem(f"q-{n}", {"n": n}, None if n < OFF_TOPIC else f"label {n % 5}")
        for n in range(ITEMS)
    )
    return GoldenSet("digest", Task.MULTICLASS, items, {})


@dataclass
class World:
    """The model: what is broken, and what it was asked."""

    broken: set[str] = field(default_factory=set)
    hangs: bool = False  # whoever bypasses the cache waits for ever
    down: bool = False  # nobody gets an answer
    scoreless: bool = False
    flicker: float = 0.0  # share of answers that are wrong for no reason
    asked: list[tuple[int, bool, bool]] = field(default_factory=list)  # n, bypass, shadow
    url: str = ""
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    async def answer(self, request: web.Request) -> web.Response:
        n = (await request.json())["n"]
        bypass = request.headers.get("Cache-Control") == "no-cache"
        shadow = request.path == "/shadow"
        self.asked.append((n, bypass, shadow))
        if self.hangs and bypass:
            await asyncio.Event().wait()
        if self.down:
            return web.json_response({"error": "broken"}, status=500)
        return web.json_response(self.says(n, bypass=bypass, shadow=shadow))

    def says(self, n: int, *, bypass: bool, shadow: bool) -> dict[str, Any]:
        label = f"label {n % 5}"
        luck = (n * 7919) % 1000 / 1000
        score = 0.2 + 0.25 * luck if n < OFF_TOPIC else 0.55 + 0.4 * luck
        if "late" in self.broken and not shadow and n % 10 < 3:
            label = "old label"
        if "cache" in self.broken and not bypass and n % 7 < 3:
            label = "cached label"
        if "model" in self.broken and n % 3 == 0:
            label = "nonsense"
        if self.dice.random() < self.flicker:
            label = "flicker"
        threshold = 0.65 if "threshold" in self.broken else 0.5
        declined = score < threshold
        return {
            "label": None if declined else label,
            "declined": declined,
            "candidate": label,
            "score": None if self.scoreless else score,
        }


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    app = web.Application()
    for path in ("/answer", "/shadow"):
        app.router.add_post(path, made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


class Driven:
    """Attribution of that model with everything it needs, and a stand-in for probing."""

    def __init__(
        self,
        world: World,
        fetcher: Fetcher,
        worker: Worker,
        *,
        seed: int = 1,
        blessed: bool = True,
        repairs: dict[str, Any] | None = None,
        concurrency: int = 8,
        timeout: str = "5s",
        **attribution: Any,
    ) -> None:
        self.world, self.fetcher, self.worker = world, fetcher, worker
        self.now = 1000.0
        self.wall = NOW
        self.spendable = 10_000
        self.results: list[Attribution] = []
        self.limits: dict[str, AdaptiveLimit] = {}
        self.rules = Rules(Task.MULTICLASS)
        self.golden = golden()
        self.rng = random.Random(seed)
        self.blessed = blessed
        known = {
            "late-data": {"url": f"{world.url}/shadow"},
            "stale-cache": {"headers": {"Cache-Control": "no-cache", "X-Api-Key": "sesame-7"}},
            "wrong-threshold": {"threshold": "best"},
        }
        known |= repairs or {}
        self.section = ModelSection.model_validate(
            {
                "http": {
                    "url": f"{world.url}/answer",
                    "json": {"n": "{{ input.n }}"},
                    "answer": "label",
                    "refused": "declined",
                    "candidate": "candidate",
                    "score": "score",
                },
                "repairs": {n: {"blames": BLAMED.get(n, n)} | one for n, one in known.items()},
                "attribution": attribution,
                "concurrency": concurrency,
                "timeout": timeout,
            }
        )
        self.attributing = self.made()

    def made(self) -> Attributing:
        return Attributing(
            pipeline="p",
            section=self.section,
            golden=self.golden,
            rules=self.rules,
            blessing=self.blessing() if self.blessed else None,
            threshold=ThresholdSection(stage="decision"),
            fetcher=self.fetcher,
            limits=self.limits,
            spend=self.spend,
            worker=self.worker,
            clock=lambda: self.wall,
            found=self.results.append,
            rng=self.rng,
            elapsed=lambda: self.now,
        )

    def spend(self, spare: float) -> bool:
        assert 0 < spare < 1
        self.spendable -= 1
        return self.spendable >= 0

    def blessing(self) -> Blessing:
        passes = []
        for _ in range(3):
            healthy = World(scoreless=self.world.scoreless)
            answers = []
            for item in self.golden.items:
                said = healthy.says(item.input["n"], bypass=False, shadow=False)
                answers.append(self.judged(item, said))
            passes.append(answers)
        return Blessing.of(passes, digest="digest", rules="rules", at=NOW, score="verdict")

    def judged(self, item: GoldenItem, said: dict[str, Any]) -> Judged:
        from seamwatch.pipeline import Answer

        answer = Answer(
            value=said["label"],
            score=said["score"],
            candidate=said["candidate"],
            refused=said["declined"],
        )
        return judge(item, answer, self.rules, at=self.wall)

    async def probe(self, items: int = ITEMS, *, to: Attributing | None = None) -> None:
        """Ask so many items over HTTP as probing does, in a random order, and tell."""
        client = variant(self.section, (), self.fetcher)
        order = self.rng.sample(self.golden.items, items)
        right = 0.0
        for item in order:
            judged = judge(item, await client.ask(item, timeout=5), self.rules, at=self.wall)
            right += judged.credit or 0.0
            (to or self.attributing).heard(judged)
        (to or self.attributing).observed(right / items)
        self.world.asked.clear()

    async def halted(self, *broken: str) -> AttributionState:
        """Break, suspect it, probe the whole set, halt, and ask until nothing is left to ask."""
        self.world.broken = set(broken)
        await self.probe(40)
        self.attributing.begin(Standing.SUSPECT)
        await self.probe()
        self.attributing.begin(Standing.HALTED)
        await self.attributing.step()
        return self.state()

    def state(self) -> AttributionState:
        state = self.attributing.state
        assert state is not None
        return state


@pytest.mark.parametrize("fault", FAULTS)
async def test_whoever_breaks_the_model_alone_is_named(
    world: World, fetcher: Fetcher, worker: Worker, fault: str
) -> None:
    state = await Driven(world, fetcher, worker).halted(fault)
    found = state.attribution
    assert (found.outcome, found.top, found.phase) == (
        Outcome.DECIDED,
        FAULTS[fault],
        Phase.DONE,
    )
    assert state.blamed[FAULTS[fault]] == BLAMED[FAULTS[fault]]
    assert state.asked == len(world.asked) <= 300
    others = [found.shares[name].value for name in found.shares if name != found.top]
    assert all(abs(value) < 0.03 for value in others)


@pytest.mark.parametrize("faults", list(combinations(FAULTS, 2)))
async def test_of_two_who_break_it_one_is_named_and_both_have_a_share(
    world: World, fetcher: Fetcher, worker: Worker, faults: tuple[str, str]
) -> None:
    state = await Driven(world, fetcher, worker).halted(*faults)
    found = state.attribution
    guilty = {FAULTS[fault] for fault in faults}
    (innocent,) = set(FAULTS.values()) - guilty
    if found.outcome is Outcome.DECIDED:
        assert found.top in guilty
    else:
        assert set(found.tied) == guilty
    assert all(found.shares[name].value > 0.05 for name in guilty)
    assert abs(found.shares[innocent].value) < 0.05
    assert found.explained == pytest.approx(sum(one.value for one in found.shares.values()))
