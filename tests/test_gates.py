"""All gates in memory: what they know of the store, and what they do without it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from seamwatch.errors import StoreError
from seamwatch.evidence import Event
from seamwatch.gate import Base, Evidence, Halt, Mode, NotLegal, Probed, Resume, Rules
from seamwatch.store import Journal
from seamwatch.watch.gates import Gates, UnknownGateError
from stores import journal

RULES = Rules(Mode.ENFORCE, "deny")
NOW = 1000.0


class Told:
    """Gates, and what they called."""

    def __init__(self) -> None:
        self.now = NOW
        self.reset: list[str] = []
        self.joined: list[tuple[str, bool]] = []
        self.gates = Gates(
            clock=lambda: self.now,
            reset=self.reset.append,
            joined=lambda name, is_new: self.joined.append((name, is_new)),
            changed=lambda name: None,
        )

    def decision(self, name: str = "rag") -> tuple[str, str]:
        answer = self.gates.answer(name)
        assert answer is not None
        return answer.decision, answer.state


@pytest.fixture
async def written(tmp_path: Path) -> AsyncIterator[Journal]:
    async with journal(f"sqlite:///{tmp_path}/s.db") as one:
        yield one


def wanted(*names: str) -> dict[str, tuple[Rules, tuple[str, ...]]]:
    return {name: (RULES, ()) for name in names}


async def test_before_the_store_was_read_a_gate_is_starting_and_does_as_it_was_told(
    written: Journal,
) -> None:
    told = Told()
    told.gates.configure(wanted("rag"), written)
    assert told.decision() == ("deny", "starting")
    assert not told.gates.is_known
    assert told.gates.tokens is None


async def test_a_gate_joins_once_as_new_or_as_the_store_knows_it(written: Journal) -> None:
    first = Told()
    first.gates.configure(wanted("rag"), written)
    assert await first.gates.read()
    assert first.joined == [("rag", True)]
    await first.gates.happen("rag", Halt("odd"), actor="ana")
    other = Told()
    other.gates.configure(wanted("rag", "new"), written)
    assert await other.gates.read()
    assert await other.gates.read()
    assert other.joined == [("new", True), ("rag", False)]
    assert other.decision() == ("deny", "halted")


async def test_a_gate_that_leaves_the_configuration_comes_back_as_it_was(written: Journal) -> None:
    told = Told()
    told.gates.configure(wanted("rag"), written)
    await told.gates.read()
    await told.gates.happen("rag", Halt("odd"), actor="ana")
    told.gates.configure({}, written)
    assert told.gates.answer("rag") is None
    with pytest.raises(UnknownGateError):
        await told.gates.happen("rag", Resume("x"), actor="ana")
    told.gates.configure(wanted("rag"), written)
    await told.gates.read()
    assert told.decision() == ("deny", "halted")


async def test_a_halt_is_in_force_before_it_is_written_and_the_end_of_one_only_after(
    written: Journal,
) -> None:
    told = Told()
    rules = Rules(Mode.ENFORCE, resume="automatic", min_halt=0.0)
    told.gates.configure({"rag": (rules, ())}, written)
    await told.gates.read()
    told.gates.note("rag", Evidence((Event.HALT,), "under the floor"), actor="it")
    assert told.decision() == ("deny", "halted")
    view = told.gates.view("rag")
    assert view is not None
    assert not view.is_durable
    assert await written.flush()
    await told.gates.read()
    view = told.gates.view("rag")
    assert view is not None
    assert view.is_durable
    told.gates.note("rag", Evidence((Event.RECOVERED,), "above it"), actor="it")
    assert told.decision() == ("deny", "halted")
    assert await written.flush()
    await told.gates.read()
    assert told.decision() == ("allow", "running")


async def test_without_the_store_a_person_can_halt_and_not_resume(tmp_path: Path) -> None:
    told = Told()
    async with journal(f"sqlite:///{tmp_path}/missing/s.db") as broken:
        told.gates.configure(wanted("rag"), broken)
        assert not await told.gates.read()
        told.gates.note("rag", Probed(), actor="it")
        with pytest.raises(StoreError):
            await told.gates.happen("rag", Halt("odd"), actor="ana")
        told.gates.halt_at_once("rag", "odd", actor="ana")
        assert told.decision() == ("deny", "halted")
        with pytest.raises(NotLegal, match="by ana already"):
            told.gates.halt_at_once("rag", "again", actor="ben")
        with pytest.raises(StoreError):
            await told.gates.happen("rag", Resume("well"), actor="ana")
        assert told.decision() == ("deny", "halted")
        (tmp_path / "missing").mkdir()
        assert await broken.flush()
        assert await told.gates.read()
        state = told.gates.state("rag")
        assert state is not None
        assert (state.base, state.causes["person"].by) == (Base.HALTED, "ana")


async def test_many_halts_within_a_minute_have_one_cause(written: Journal) -> None:
    told = Told()
    names = [f"p{n}" for n in range(4)]
    told.gates.configure(wanted(*names), written)
    await told.gates.read()
    for name in names[:3]:
        await told.gates.happen(name, Halt("odd"), actor="ana")
    assert not told.gates.common_cause
    told.now += 30.0
    await told.gates.happen(names[3], Halt("odd"), actor="ana")
    assert told.gates.common_cause
    told.gates.configure(wanted(*names), written, few=4)
    assert not told.gates.common_cause
    told.gates.configure(wanted(*names), written, few=3)
    assert told.gates.common_cause
    told.now += 31.0
    assert not told.gates.common_cause
