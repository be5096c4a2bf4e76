"""Attribution promises: whoever breaks a real model is named, and nobody else, at a known price.

The model below is a web server with a cache, an index and a threshold that can each be broken, and
ways to ask round each of them.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest
from aiohttp import web

from ports import free_port
from seamwatch.attribution import Attribution, Outcome, Phase
from seamwatch.config.models import ModelSection
from seamwatch.config.threshold import ThresholdSection
from seamwatch.errors import Reason, SeamwatchError
from seamwatch.evidence import Blessing, Standing
from seamwatch.fetch import Fetcher
from seamwatch.golden import GoldenSet
from seamwatch.models import AdaptiveLimit
from seamwatch.pipeline import Answer, GoldenItem, Judged, Task
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
    over: asyncio.Event = field(default_factory=asyncio.Event)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    async def answer(self, request: web.Request) -> web.Response:
        n = (await request.json())["n"]
        bypass = request.headers.get("Cache-Control") == "no-cache"
        shadow = request.path == "/shadow"
        self.asked.append((n, bypass, shadow))
        if self.hangs and bypass:
            await self.over.wait()
        if self.down:
            return web.json_response({"error": "broken"}, status=500)
        return web.json_response(self.says(n, bypass=bypass, shadow=shadow))

    def says(self, n: int, *, bypass: bool = False, shadow: bool = False) -> dict[str, Any]:
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
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    made.over.set()
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
        tuned: bool = False,
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
        }
        if tuned:  # costs no question, but a turn of the worker process for half of the answers
            known["wrong-threshold"] = {"threshold": "best"}
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
                "attribution": {"max_probes": 120} | attribution,
                "concurrency": concurrency,
                "timeout": timeout,
            }
        )
        self.threshold: ThresholdSection | None = ThresholdSection(stage="decision")
        self.attributing = self.made()

    def made(self) -> Attributing:
        return Attributing(
            pipeline="p",
            section=self.section,
            golden=self.golden,
            rules=self.rules,
            blessing=self.blessing() if self.blessed else None,
            threshold=self.threshold,
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
                said = healthy.says(item.input["n"])
                answers.append(self.judged(item, said))
            passes.append(answers)
        return Blessing.of(passes, digest="digest", rules="rules", at=NOW, score="verdict")

    def judged(self, item: GoldenItem, said: dict[str, Any]) -> Judged:
        answer = Answer(
            value=said["label"],
            score=said["score"],
            candidate=said["candidate"],
            refused=said["declined"],
        )
        return judge(item, answer, self.rules, at=self.wall)

    def probe(self, items: int = ITEMS, *, to: Attributing | None = None) -> None:
        """Ask so many items as probing does, in a random order, and tell what came."""
        told, right = to or self.attributing, 0.0
        for item in self.rng.sample(self.golden.items, items):
            judged = self.judged(item, self.world.says(item.input["n"]))
            right += judged.credit or 0.0
            told.heard(judged)
        told.observed(right / items)

    async def halted(self, *broken: str) -> AttributionState:
        """Break, suspect it, probe the whole set, halt, and ask until nothing is left to ask."""
        self.world.broken = set(broken)
        self.probe(40)
        self.attributing.begin(Standing.SUSPECT)
        self.probe()
        self.attributing.begin(Standing.HALTED)
        await self.attributing.step()
        return self.state()

    def state(self) -> AttributionState:
        state = self.attributing.state
        assert state is not None
        return state


@pytest.fixture
def driven(world: World, fetcher: Fetcher, worker: Worker) -> Driven:
    return Driven(world, fetcher, worker)


@pytest.mark.parametrize("fault", FAULTS)
async def test_whoever_breaks_the_model_alone_is_named(
    world: World, fetcher: Fetcher, worker: Worker, fault: str
) -> None:
    state = await Driven(world, fetcher, worker, tuned=True).halted(fault)
    found = state.attribution
    assert (found.outcome, found.top, found.phase) == (
        Outcome.DECIDED,
        FAULTS[fault],
        Phase.DONE,
    )
    assert state.blamed[FAULTS[fault]] == BLAMED[FAULTS[fault]]
    assert state.asked == len(world.asked) <= 120
    others = [found.shares[name].value for name in found.shares if name != found.top]
    assert all(abs(value) < 0.03 for value in others)


@pytest.mark.parametrize("faults", list(combinations(FAULTS, 2)))
async def test_of_two_who_break_it_one_is_named_and_both_have_a_share(
    world: World, fetcher: Fetcher, worker: Worker, faults: tuple[str, str]
) -> None:
    driven = Driven(world, fetcher, worker, tuned=True, max_probes=300)
    found = (await driven.halted(*faults)).attribution
    guilty = {FAULTS[fault] for fault in faults}
    (innocent,) = set(FAULTS.values()) - guilty
    if found.outcome is Outcome.DECIDED:
        assert found.top in guilty
    else:
        assert set(found.tied) == guilty
    assert all(found.shares[name].value > 0.05 for name in guilty)
    assert abs(found.shares[innocent].value) < 0.05
    assert found.explained == pytest.approx(sum(one.value for one in found.shares.values()))


async def test_what_no_repair_wins_back_is_nobodys_fault(driven: Driven) -> None:
    found = (await driven.halted("model")).attribution
    assert (found.outcome, found.top) == (Outcome.UNEXPLAINED, None)
    assert driven.state().asked < 60


async def test_a_fault_that_is_over_before_anything_is_asked_is_nobodys_fault(
    world: World, driven: Driven
) -> None:
    world.broken = {"late"}
    driven.probe(160)
    world.broken = set()
    driven.attributing.begin(Standing.HALTED)
    await driven.attributing.step()
    found = driven.state().attribution
    assert found.top is None
    assert all(abs(share.value) < 0.05 for share in found.shares.values())


async def test_faults_that_come_one_by_one_are_looked_into_anew_once_all_were_asked(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    driven = Driven(world, fetcher, worker, max_probes=300)
    world.broken = {"cache"}
    driven.probe(120)
    driven.attributing.begin(Standing.HALTED)
    await driven.attributing.step()
    assert driven.state().attribution.top == "stale-cache"
    began = driven.state().began
    driven.wall += 30.0
    world.broken = {"late", "cache"}
    driven.probe()  # worse than when it was concluded, and nothing of it is from before
    await driven.attributing.step()
    state = driven.state()
    assert state.began == began + 30.0
    assert state.attribution.shares["late-data"].value > 0.05
    asked = len(world.asked)
    driven.probe()
    await driven.attributing.step()
    assert len(world.asked) == asked  # no worse than that: nothing to look into


async def test_answers_that_are_wrong_by_chance_do_not_mislead(
    world: World, driven: Driven
) -> None:
    world.flicker = 0.05
    assert (await driven.halted("cache")).attribution.top == "stale-cache"


async def test_without_a_blessing_items_count_that_were_right_before(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    driven = Driven(world, fetcher, worker, blessed=False)
    world.broken = {"model"}  # always wrong: no sign of the fault that comes later
    driven.probe()
    state = await driven.halted("model", "late")
    assert state.attribution.top == "late-data"
    assert all(n % 3 or n < OFF_TOPIC for n, _, _ in world.asked)
    assert state.attribution.loss is None  # of what, nobody has said


# what may not happen


async def test_nothing_is_asked_before_a_suspicion_and_after_its_end(
    world: World, driven: Driven
) -> None:
    world.broken = {"late"}
    driven.probe()
    assert await driven.attributing.step()
    assert (world.asked, driven.attributing.state) == ([], None)
    driven.attributing.begin(Standing.SUSPECT)
    driven.attributing.end()
    await driven.attributing.step()
    assert world.asked == []
    assert (driven.state().standing, driven.state().ended) == (Standing.RUNNING, NOW)


async def test_what_was_found_is_kept_when_the_case_is_calm_again(driven: Driven) -> None:
    await driven.halted("late")
    told = len(driven.results)
    driven.attributing.end()
    assert driven.state().attribution.top == "late-data"
    assert driven.state().ended == NOW
    assert len(driven.results) == told + 1  # so that it is kept
    driven.attributing.begin(Standing.SUSPECT)  # another case
    assert driven.state().attribution.top is None


async def test_a_repair_whose_address_is_dead_is_said_to_be_and_the_others_are_judged(
    world: World, fetcher: Fetcher, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    dead = {"late-data": {"url": f"http://127.0.0.1:{free_port()}/shadow"}}
    driven = Driven(world, fetcher, worker, repairs=dead)
    state = await driven.halted("cache", "late")
    assert dict(state.unavailable) == {"late-data": Reason.UNREACHABLE}
    assert state.attribution.top == "stale-cache"
    assert "late-data" not in state.attribution.shares
    assert state.attribution.unexplained is not None
    assert state.attribution.unexplained.value > 0.1
    assert "its stage is neither named nor cleared" in caplog.text
    assert state.failed == 4  # three tries together, and one of it alone


async def test_a_repair_that_hangs_is_cut_off_and_leaves_probing_its_turns(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    driven = Driven(world, fetcher, worker, timeout="100ms", concurrency=2)
    world.hangs = True
    refused = 0

    async def probes() -> None:
        nonlocal refused
        while True:
            await asyncio.sleep(0.02)
            for limit in driven.limits.values():
                began = limit.try_acquire()
                refused += began is None
                if began is not None:
                    limit.release()

    probing = asyncio.create_task(probes())
    state = await driven.halted("late", "cache")
    probing.cancel()
    assert dict(state.unavailable) == {"stale-cache": Reason.TIMEOUT}
    assert state.attribution.top == "late-data"
    assert refused == 0


async def test_a_model_that_does_not_answer_at_all_is_left_alone_for_a_while(
    world: World, driven: Driven
) -> None:
    world.down = True
    state = await driven.halted("late")
    assert state.attribution.outcome is Outcome.OPEN
    assert (dict(state.unavailable), state.failed) == ({}, state.asked)
    asked = len(world.asked)
    assert asked < 10
    assert not await driven.attributing.step()
    assert len(world.asked) == asked
    world.down = False
    driven.now += 301
    await driven.attributing.step()
    assert driven.state().attribution.top == "late-data"


async def test_a_spent_day_is_waited_for_and_seen(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    driven = Driven(world, fetcher, worker, per_day=20)
    state = await driven.halted("late")
    assert (len(world.asked), state.asked, state.over_budget) == (20, 20, True)
    assert state.attribution.outcome is Outcome.OPEN
    await driven.attributing.step()
    assert len(world.asked) == 20
    driven.now += 90_000
    await driven.attributing.step()
    assert len(world.asked) == 40


async def test_probes_keep_their_share_of_the_models_own_budget(
    world: World, driven: Driven
) -> None:
    driven.spendable = 15
    state = await driven.halted("late")
    assert (len(world.asked), state.over_budget) == (15, True)


async def test_no_inquiry_asks_more_than_it_may(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    driven = Driven(world, fetcher, worker, max_probes=12)
    state = await driven.halted("late", "cache")
    assert (len(world.asked), state.over_budget) == (12, False)
    assert state.attribution.outcome is Outcome.UNDECIDED


async def test_without_scores_no_threshold_is_tried_and_that_is_said(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    world.scoreless = True
    driven = Driven(world, fetcher, worker, tuned=True)
    state = await driven.halted("late")
    assert dict(state.unavailable) == {"wrong-threshold": Reason.NO_DATA}
    assert state.attribution.top == "late-data"


async def test_a_best_threshold_needs_the_section_that_says_what_best_is(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    driven = Driven(world, fetcher, worker, tuned=True)
    driven.threshold = None
    with pytest.raises(SeamwatchError, match=r"wrong-threshold.*write the section threshold"):
        driven.made()


# what it outlives


async def test_it_looks_again_while_something_stays_wrong_and_shows_what_it_knew(
    world: World, driven: Driven
) -> None:
    await driven.halted("late")
    await driven.attributing.step()
    first = driven.state()
    driven.now += 3601
    driven.wall += 3601
    await driven.attributing.step()
    assert driven.state().began == NOW  # nothing of the new inquiry yet
    assert driven.state().attribution.top == "late-data"
    world.broken = {"cache"}  # somebody else by now
    driven.probe()
    await driven.attributing.step()
    assert driven.state().attribution.top == "stale-cache"
    assert driven.state().began == first.began + 3601


async def test_a_mere_suspicion_is_looked_into_once(world: World, driven: Driven) -> None:
    world.broken = {"late"}
    driven.probe()
    driven.attributing.begin(Standing.SUSPECT)
    await driven.attributing.step()
    asked = len(world.asked)
    driven.now += 3601
    for _ in range(3):
        await driven.attributing.step()
    assert len(world.asked) == asked


async def test_a_cancelled_step_goes_on_where_it_was(world: World, driven: Driven) -> None:
    world.broken = {"late"}
    driven.probe()
    driven.attributing.begin(Standing.HALTED)
    cut_off = 0
    for _ in range(5):
        step, asked = asyncio.ensure_future(driven.attributing.step()), len(world.asked)
        while len(world.asked) == asked and not step.done():  # noqa: ASYNC110 no event tells of it
            await asyncio.sleep(0)
        step.cancel()  # while its question is under way
        await asyncio.gather(step, return_exceptions=True)
        cut_off += step.cancelled()
    assert cut_off == 5
    await driven.attributing.step()
    assert driven.state().attribution.top == "late-data"
    assert all(limit.in_use == 0 for limit in driven.limits.values())


async def half_done(driven: Driven, *broken: str) -> None:
    """Halt and stop after 15 questions, as a reload or a restart would."""
    driven.world.broken = set(broken)
    driven.probe(40)
    driven.attributing.begin(Standing.SUSPECT)
    driven.probe()
    driven.attributing.begin(Standing.HALTED)
    driven.spendable = 15
    await driven.attributing.step()
    driven.spendable = 10_000
    assert driven.state().attribution.outcome is Outcome.OPEN


async def test_a_reload_goes_on_with_the_inquiry(world: World, driven: Driven) -> None:
    await half_done(driven, "cache")
    before, driven.attributing = driven.attributing, driven.made()
    driven.attributing.take_over(before)
    await before.step()
    assert len(world.asked) == 15  # the old one asks nothing more
    await driven.attributing.step()
    state = driven.state()
    assert state.attribution.top == "stale-cache"
    assert state.asked == len(world.asked) == state.attribution.probes


async def test_a_reload_in_the_middle_of_a_question_hands_in_no_result_twice(
    world: World, driven: Driven
) -> None:
    world.broken = {"cache"}
    driven.probe()
    driven.attributing.begin(Standing.HALTED)
    asking = asyncio.create_task(driven.attributing.step())
    while len(world.asked) < 5:  # noqa: ASYNC110 - the model has no other way to tell
        await asyncio.sleep(0)
    before, driven.attributing = driven.attributing, driven.made()
    driven.attributing.take_over(before)
    await asyncio.gather(asking, driven.attributing.step())
    assert driven.state().attribution.top == "stale-cache"


async def test_a_reload_with_other_repairs_looks_anew_and_keeps_what_was_spent(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    driven = Driven(world, fetcher, worker, per_day=40)
    await half_done(driven, "cache")
    before = driven.attributing
    after = Driven(
        world, fetcher, worker, per_day=40, repairs={"late-data": {"headers": {"A": "b"}}}
    )
    after.attributing.take_over(before)
    await after.attributing.step()
    assert len(world.asked) == 40
    assert after.state().asked == 25


async def test_a_restart_goes_on_with_the_inquiry(
    world: World, fetcher: Fetcher, worker: Worker
) -> None:
    driven = Driven(world, fetcher, worker, tuned=True)
    await half_done(driven, "late")
    saved = json.dumps(driven.attributing.saved())
    driven.attributing = driven.made()
    driven.attributing.restore(json.loads(saved))
    await driven.attributing.step()
    assert len(world.asked) == 15  # nothing before somebody says that it is still halted
    driven.attributing.begin(Standing.HALTED)
    assert driven.state().ended is None
    await driven.attributing.step()  # no threshold can be chosen yet: no answers are remembered
    driven.probe()
    await driven.attributing.step()
    state = driven.state()
    assert (state.attribution.top, state.began) == ("late-data", NOW)
    assert state.asked == len(world.asked)


async def test_a_restart_into_a_calm_case_asks_nothing_and_keeps_what_was_found(
    world: World, driven: Driven
) -> None:
    await driven.halted("late")
    saved = driven.attributing.saved()
    world.asked.clear()
    driven.attributing = driven.made()
    driven.attributing.restore(saved)
    driven.wall += 60
    await driven.attributing.step()
    assert world.asked == []
    assert (driven.state().attribution.top, driven.state().ended) == ("late-data", NOW)
    driven.attributing.end()
    driven.attributing.begin(Standing.SUSPECT)
    assert driven.state().began == NOW + 60


async def test_what_is_saved_holds_no_answer_and_no_secret(driven: Driven) -> None:
    await half_done(driven, "late")
    saved = json.dumps(driven.attributing.saved())
    assert "sesame" not in saved
    assert "label" not in saved


@pytest.mark.parametrize("change", [{"golden": "other"}, {"search": {}}, {"budget": None}])
async def test_what_cannot_be_gone_on_with_is_left(driven: Driven, change: dict[str, Any]) -> None:
    await half_done(driven, "late")
    saved = driven.attributing.saved() | change
    driven.attributing = driven.made()
    driven.attributing.restore(saved)
    assert driven.attributing.state is None


async def test_every_new_result_is_told(driven: Driven) -> None:
    state = await driven.halted("late")
    assert driven.results[-1].top == state.attribution.top
    assert [one.probes for one in driven.results] == sorted(one.probes for one in driven.results)
