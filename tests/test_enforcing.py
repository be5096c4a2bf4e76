"""Orders carried out: on a real store, on a switch that anybody may throw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from seamwatch.actions import Memory, Order
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher
from seamwatch.gate import Halt, Mode, Resume, Rules
from seamwatch.snapshot import ActionReport
from seamwatch.store import Journal, Store
from seamwatch.store.gatestore import FOLLOWS
from seamwatch.store.orders import OrderRow
from seamwatch.watch.enforcing import GONE, Action, Enforcing
from seamwatch.watch.gates import Gates
from stores import journal

NOW = 1_000_000.0
HOUR = 3600.0
HELD = "somebody lets it run though it is ordered to halt"


class Switch:
    """A target that others throw as well; *trouble* is raised by whoever comes next."""

    def __init__(self) -> None:
        self.halted = False
        self.told: list[tuple[str, int]] = []
        self.trouble: list[Exception] = []
        self.obeys = True
        self.closed = False
        self.hangs = asyncio.Event()
        self.hangs.set()

    async def look(self, order: Order) -> Memory:
        return order.memory or {"was_halted": self.halted}

    async def apply(self, order: Order) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        await self.hangs.wait()
        self.told.append((order.desired, order.generation))
        if self.obeys and not order.memory.get("was_halted"):
            self.halted = order.desired == "halted"

    async def stands(self, order: Order) -> bool | None:
        if order.desired == "running" and order.memory.get("was_halted"):
            return True
        return self.halted == (order.desired == "halted")

    def render(self, order: Order) -> str:
        return f"throw the switch to {order.desired}"

    async def close(self) -> None:
        self.closed = True


class Told:
    """A gate of the pipeline rag with actions, at a time of its own."""

    def __init__(self, written: Journal) -> None:
        self.now = NOW
        self.journal = written
        self.leads = True
        self.switches: dict[str, Switch] = {}
        self.gates = Gates(
            clock=lambda: self.now,
            reset=lambda name: None,
            joined=lambda name, is_new: None,
            changed=lambda name: None,
        )
        self.enforcing = Enforcing(
            self.gates,
            store=self.store,
            leads=lambda: self.leads,
            changed=lambda name: None,
            clock=lambda: self.now,
        )

    async def store(self) -> Store:
        return await self.journal.store()

    async def wire(self, *names: str, mode: Mode = Mode.ENFORCE, **given: object) -> None:
        actions = {}
        for name in names:
            switch = self.switches.setdefault(name, Switch())
            values = {"name": name, "webhook": {"url": "http://127.0.0.1:9/"}, **given}
            actions["rag", name] = Action(ActionSection.model_validate(values), switch)
        self.gates.configure({"rag": (Rules(mode, "deny"), names)}, self.journal)
        await self.gates.read()
        await self.journal.flush()
        await self.enforcing.adopt(actions)

    async def work(self) -> None:
        """Carry out what is due, and what that leads to."""
        for _ in range(4):
            await self.enforcing.look()
            await self.enforcing.settled()

    async def halt(self, reason: str = "odd answers") -> None:
        await self.gates.happen("rag", Halt(reason), actor="ana")

    async def resume(self) -> None:
        await self.gates.happen("rag", Resume("mended"), actor="ana")

    def order(self, name: str = "dag") -> OrderRow:
        return next(row for row in self.gates.orders if row.target == name)

    def report(self, name: str = "dag") -> ActionReport:
        return next(one for one in self.enforcing.reports("rag") if one.name == name)

    async def audit(self) -> list[tuple[str, str]]:
        rows = await self.gates.audit(0)
        return [(row.event, row.reason) for row in rows if row.event.startswith("action_")]


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    async with journal(f"sqlite:///{tmp_path}/s.db") as written:
        one = Told(written)
        yield one
        await one.enforcing.close()


async def test_a_halt_is_effective_once_its_target_confirms_and_a_resume_gives_back(
    told: Told,
) -> None:
    await told.wire("dag")
    await told.halt()
    told.now += 0.2
    await told.work()
    assert told.switches["dag"].halted
    report = told.report()
    assert (report.halted, report.status) == (True, "effective")
    assert (report.decided_at, report.effective_at) == (NOW, NOW + 0.2)
    assert report.attempts == {"delivered": 1}
    assert await told.audit() == [("action_effective", "odd answers")]
    await told.resume()
    await told.work()
    assert not told.switches["dag"].halted
    assert (told.report().halted, told.report().status) == (False, "effective")
    assert told.order().memory == "{}"
    rows = await told.gates.audit(0)
    assert json.loads(rows[-1].detail) == {"action": "dag", "attempts": 1, "desired": "running"}


async def test_what_was_halted_before_stays_halted(told: Told) -> None:
    await told.wire("dag")
    told.switches["dag"].halted = True
    await told.halt()
    await told.work()
    await told.resume()
    await told.work()
    assert told.switches["dag"].halted
    assert told.report().status == "effective"


async def test_what_is_to_be_given_back_is_on_disk_before_anything_is_changed(told: Told) -> None:
    await told.wire("dag")
    switch = told.switches["dag"]
    switch.hangs.clear()
    await told.halt()
    await told.enforcing.look()
    store = await told.store()
    async with asyncio.timeout(5):
        while (await store.gates.load_orders())[0].memory == "{}":  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert switch.told == []
    switch.halted = True  # the request that was on its way when the process died
    async with journal(told.journal._url) as again:  # the next process
        other = Told(again)
        other.switches["dag"] = switch
        await told.enforcing.close()
        switch.hangs.set()
        other.now = NOW + HOUR
        await other.wire("dag")
        await other.work()
        assert other.report().status == "effective"
        await other.resume()
        await other.work()
    assert not switch.halted


async def test_a_halt_is_tried_until_it_is_done_and_waits_a_share_of_the_time_it_took(
    told: Told,
) -> None:
    await told.wire("dag")
    switch = told.switches["dag"]
    down = ReadError(Reason.UNREACHABLE, "switch: refused")
    switch.trouble = [down] * 1000
    await told.halt()
    tries = []
    while told.now < NOW + 3 * HOUR:
        before = len(switch.trouble)
        await told.enforcing.look()
        await told.enforcing.settled()
        if len(switch.trouble) < before:
            tries.append(told.now - NOW)
        told.now = max(told.order().next_at, told.now + 0.01)
    waits = [after - before for before, after in pairwise(tries)]
    assert max(waits) <= 60.1
    assert all(wait <= max(0.6, at / 14) for at, wait in zip(tries, waits, strict=False))
    assert told.report().status == "pending"
    assert told.order().last_error == "switch: refused"
    switch.trouble = []
    told.now += 60
    await told.work()
    assert switch.halted
    assert told.report().effective_at == told.now


async def test_an_attempt_that_a_kill_cut_off_is_made_again_at_once_by_whoever_comes_next(
    told: Told,
) -> None:
    await told.wire("dag")
    told.switches["dag"].hangs.clear()
    await told.halt()
    await told.enforcing.look()
    while told.order().attempts == 0:  # noqa: ASYNC110
        await asyncio.sleep(0.001)  # until the attempt is written down, and hangs
    successor = Told(told.journal)
    await successor.wire("dag")
    await successor.work()
    assert successor.switches["dag"].halted
    assert (successor.order().status, successor.order().attempts) == ("effective", 2)
    await successor.enforcing.close()


async def test_what_is_refused_is_told_once_and_tried_on_slowly(told: Told) -> None:
    await told.wire("dag")
    switch = told.switches["dag"]
    switch.trouble = [ReadError(Reason.UNAUTHORIZED, "switch answered 401")] * 3
    await told.halt()
    await told.work()
    assert told.report().status == "refused"
    assert told.report().effective_at is None
    assert len(switch.trouble) == 2
    for _ in range(3):
        told.now += 60.0
        await told.work()
    assert switch.halted
    assert await told.audit() == [
        ("action_refused", "switch answered 401"),
        ("action_effective", "odd answers"),
    ]
    assert told.report().attempts == {"refused": 3, "delivered": 1}


async def test_a_target_that_asks_for_time_gets_it_but_no_more_than_a_minute(told: Told) -> None:
    await told.wire("dag")
    switch = told.switches["dag"]
    switch.trouble = [ReadError(Reason.OVERLOADED, "switch answered 429", retry_after=20.0)]
    await told.halt()
    await told.work()
    assert 18.0 <= told.order().next_at - NOW <= 20.0
    told.now += 20.0
    switch.trouble = [ReadError(Reason.OVERLOADED, "switch answered 429", retry_after=9999.0)]
    await told.work()
    assert 54.0 <= told.order().next_at - told.now <= 60.0


async def test_a_target_that_takes_the_order_and_does_nothing_has_not_confirmed(told: Told) -> None:
    await told.wire("dag")
    told.switches["dag"].obeys = False
    await told.halt()
    await told.work()
    assert told.report().status == "pending"
    assert told.order().last_error == "it took the order, and does not stand as ordered yet"


async def test_a_resume_takes_the_place_of_a_halt_that_hangs_and_no_older_word_follows_it(
    told: Told,
) -> None:
    await told.wire("dag")
    switch = told.switches["dag"]
    switch.hangs.clear()
    await told.halt()
    await told.enforcing.look()
    await asyncio.sleep(0)
    await told.resume()
    await told.enforcing.look()  # gives the halt up
    await told.enforcing.settled()
    switch.hangs.set()
    await told.work()
    assert [desired for desired, _ in switch.told] == ["running"]
    assert not switch.halted


async def test_what_somebody_lets_run_is_put_back_twice_and_then_left_to_them(told: Told) -> None:
    await told.wire("dag")
    switch = told.switches["dag"]
    await told.halt()
    await told.work()
    for put_back in (1, 2):
        switch.halted = False
        told.now += 31.0
        await told.work()
        assert switch.halted
        assert told.report().drifts == put_back
    switch.halted = False
    told.now += 31.0
    await told.work()
    assert not switch.halted
    assert (told.report().status, told.report().effective_at) == ("yielded", None)
    events = [event for event, _ in await told.audit()]
    assert events == [
        "action_effective", "action_drift", "action_effective", "action_drift",
        "action_effective", "action_yielded",
    ]  # fmt: skip
    told.now += HOUR
    await told.work()
    assert switch.halted
    assert told.report().status == "effective"


async def test_with_reapply_it_is_put_back_each_time(told: Told) -> None:
    await told.wire("dag", on_drift="reapply")
    await told.halt()
    await told.work()
    for _ in range(5):
        told.switches["dag"].halted = False
        told.now += 31.0
        await told.work()
        assert told.switches["dag"].halted
    assert ("action_drift", HELD) in await told.audit()


async def test_a_dry_run_writes_what_it_would_do_and_does_nothing(told: Told) -> None:
    await told.wire("dag", dry_run=True)
    await told.halt()
    await told.work()
    assert told.switches["dag"].told == []
    assert (told.report().status, told.report().is_required) == ("dry_run", False)
    rows = [row for row in await told.gates.audit(0) if row.event == "action_dry_run"]
    assert [json.loads(row.detail)["would_do"] for row in rows] == ["throw the switch to halted"]


async def test_who_does_not_lead_sends_nothing(told: Told) -> None:
    await told.wire("dag")
    await told.halt()
    store = await told.store()
    store.gates.epoch = FOLLOWS
    looking = asyncio.ensure_future(told.work())
    await asyncio.sleep(0.2)
    looking.cancel()
    assert told.switches["dag"].told == []
    await told.enforcing.close()


async def test_in_shadow_nothing_is_ordered_and_leaving_enforce_gives_back(told: Told) -> None:
    await told.wire("dag", mode=Mode.SHADOW)
    await told.halt()
    await told.work()
    assert told.switches["dag"].told == []
    await told.wire("dag")
    await told.work()
    assert told.switches["dag"].halted
    await told.wire("dag", mode=Mode.SHADOW)
    await told.work()
    assert not told.switches["dag"].halted


async def test_an_action_that_is_not_configured_any_more_is_told_of_and_done_when_it_comes_back(
    told: Told,
) -> None:
    await told.wire("dag", "hook")
    await told.halt()
    await told.work()
    await told.wire("hook")
    await told.resume()
    await told.work()
    assert not told.switches["hook"].halted
    assert told.switches["dag"].halted
    assert told.switches["dag"].closed
    assert (told.order().status, told.order().last_error) == ("refused", GONE)
    await told.wire("dag", "hook")
    await told.work()
    assert not told.switches["dag"].halted


async def test_a_new_action_of_a_halted_gate_is_halted_too(told: Told) -> None:
    await told.wire("dag")
    await told.halt()
    await told.work()
    await told.wire("dag", "hook")
    await told.work()
    assert told.switches["hook"].halted


async def test_one_target_that_hangs_holds_up_no_other(told: Told) -> None:
    await told.wire("dag", "hook", timeout="50ms")
    told.switches["dag"].hangs.clear()
    await told.halt()
    await told.enforcing.look()
    async with asyncio.timeout(5):
        while not told.switches["hook"].halted:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert not told.switches["dag"].halted
    await told.enforcing.settled()
    assert told.order().last_error == "webhook: no end within 0.05 s"


async def test_an_action_that_cannot_be_is_refused_with_its_name(told: Told) -> None:
    section = ActionSection.model_validate(
        {"open_inference": {"url": "http://h/", "models": "m", "headers": {"é": "x"}}}
    )
    async with Fetcher() as fetcher:
        with pytest.raises(Exception, match=r"pipelines.rag.gate.actions: open_inference: "):
            told.enforcing.prepare({"rag": [section]}, fetcher)


async def test_a_reload_keeps_the_actions_that_did_not_change(told: Told) -> None:
    async with Fetcher() as fetcher:
        server = {"open_inference": {"url": "http://127.0.0.1:9/", "models": "m"}}
        section = ActionSection.model_validate(server)
        first = told.enforcing.prepare({"rag": [section]}, fetcher)
        await told.enforcing.adopt(first)
        slower = section.model_copy(update={"timeout": 9.0})
        assert told.enforcing.prepare({"rag": [section]}, fetcher) == first
        again = told.enforcing.prepare({"rag": [slower]}, fetcher)
        assert again["rag", "open_inference"] is not first["rag", "open_inference"]


def test_effective_is_a_halt_only_when_all_that_is_required_has_confirmed() -> None:
    from test_collectors import full

    gate = full().gate
    assert gate is not None
    state = replace(gate.state, halted_at=5.0, override=None)
    gate = replace(gate, state=state, answer=replace(gate.answer, decision="deny"))
    done = ActionReport("dag", True, "effective", True, 5.0, 6.0, {}, 0, (), 0.0)
    optional = replace(done, name="hook", is_required=False, status="pending", effective_at=None)
    assert gate.effective_at is None or gate.actions
    assert replace(gate, actions=()).effective_at == 5.0
    assert replace(gate, actions=(done, optional)).effective_at == 6.0
    assert replace(gate, actions=(done, replace(done, effective_at=None))).effective_at is None
    allowing = replace(gate.answer, decision="allow")
    assert replace(gate, actions=(done,), answer=allowing).effective_at is None
