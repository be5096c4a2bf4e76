"""Gates in the store, on SQLite and PostgreSQL: one transaction, one chain, one leader."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from postgres_server import postgres_server
from seamwatch.errors import Reason, StoreError
from seamwatch.gate import (
    Aged,
    Alerted,
    Base,
    Configured,
    Halt,
    Mode,
    NotLegal,
    Probed,
    Resume,
    Rules,
    Tick,
)
from seamwatch.store import EventRow, IdempotencyKey, Store
from seamwatch.store.gatebook import KeyReused, StaleGeneration
from seamwatch.store.queue import Queue
from stores import HALT, RULES, happened, journal, new_database, opened


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return await new_database(request.getfixturevalue("server"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url) as one:
        yield one


async def test_state_audit_and_orders_come_of_one_happening(store: Store) -> None:
    gates = store.gates
    written = await gates.happen(happened(HALT, targets=("hook", "dag")))
    assert (written.state.base, written.state.generation) == (Base.HALTED, 2)
    assert [one.event for one in written.changes] == ["started", "halt"]
    (row,) = await gates.load()
    assert (row.state, row.rules, row.seq) == (written.state, RULES, 2)
    started, halt = await gates.load_audit(0)
    assert (halt.actor, halt.event, halt.to_state, halt.reason, halt.generation) == (
        "ana", "halt", "halted", "accuracy is under 88%", 2
    )  # fmt: skip
    assert halt.prev_hash == started.hash
    assert json.loads(halt.detail)["happening"]["what"] == "evidence"
    assert await gates.head() == (2, halt.hash)
    assert [(one.target, one.desired, one.status) for one in await gates.load_orders()] == [
        ("dag", "halted", "pending"),
        ("hook", "halted", "pending"),
    ]
    assert await gates.load(after_seq=2) == []


async def test_what_changes_nothing_writes_nothing(store: Store) -> None:
    await store.gates.happen(happened(HALT))
    before = await store.gates.load(), await store.gates.head()
    written = await store.gates.happen(happened(Tick(), at=200.0))
    assert written.changes == ()
    assert (await store.gates.load(), await store.gates.head()) == before


async def test_a_refusal_says_why_and_writes_nothing(store: Store) -> None:
    await store.gates.happen(happened(Probed()))
    with pytest.raises(NotLegal, match="not halted but running"):
        await store.gates.happen(happened(Resume("why not")))
    with pytest.raises(StaleGeneration, match="is at generation 1, not 7; read it again") as caught:
        await store.gates.happen(happened(Halt("now")), expected=7)
    assert caught.value.state.generation == 1
    assert (await store.gates.happen(happened(Halt("now")), expected=1)).state.generation == 2
    assert (await store.gates.head())[0] == 2


async def test_a_request_that_comes_twice_is_done_once(store: Store) -> None:
    key = IdempotencyKey("ana", "k1", "digest")
    first = await store.gates.happen(happened(Halt("odd answers")), key=key)
    again = await store.gates.happen(happened(Halt("odd answers"), at=150.0), key=key)
    assert again.is_replayed
    assert again.state == first.state
    with pytest.raises(KeyReused, match="make a new one"):
        await store.gates.happen(happened(Resume("ok")), key=replace(key, request="other"))
    a_day_later = happened(Resume("ok"), at=100.0 + 86401.0)
    assert not (await store.gates.happen(a_day_later, key=key)).is_replayed


async def test_a_later_order_takes_the_place_of_one_that_was_not_delivered(store: Store) -> None:
    gates = store.gates
    await gates.happen(happened(Halt("odd"), targets=("dag",)))
    (halt,) = await gates.load_orders()
    memory = replace(halt, memory='{"was_paused": true}', attempts=3, last_error="refused")
    assert await gates.keep_order(memory)
    await gates.happen(happened(Resume("well"), at=200.0, targets=("dag", "new")))
    (resume,) = await gates.load_orders()
    assert (resume.target, resume.desired, resume.attempts) == ("dag", "running", 0)
    assert resume.memory == '{"was_paused": true}'
    assert not await gates.keep_order(replace(halt, status="effective"))
    assert await gates.load_orders() == [resume]


async def test_leaving_enforce_lets_go_of_what_was_halted(store: Store) -> None:
    await store.gates.happen(happened(Halt("odd"), targets=("dag",)))
    await store.gates.happen(happened(Configured(), rules=Rules(Mode.SHADOW), targets=("dag",)))
    assert [one.desired for one in await store.gates.load_orders()] == ["running"]


async def test_evidence_is_on_disk_together_with_the_halt_that_it_proves(
    url: str, store: Store
) -> None:
    event = EventRow("rag", 5, 100.0, "halt", 1.0, "terms")
    async with journal(url) as one:
        one.put(event, happened(HALT, actor="evidence"))
        one.put(happened(Halt("by hand")), happened(Resume("well")), happened(Resume("again")))
        assert await one.flush()
        assert one.state.pending == 0
    rows = await store.gates.load_audit(0)
    assert [row.event for row in rows] == ["started", "halt", "cause_added", "resume"]
    assert await store.load_events("rag") == [event]


async def test_what_was_written_once_does_not_happen_again_after_a_person_undid_it(
    store: Store,
) -> None:
    """A transaction that took too long may have been committed, and comes again."""
    halt = happened(HALT)
    await store.save([halt])
    await store.gates.happen(happened(Resume("looked at it")))
    await store.save([halt])
    (row,) = await store.gates.load()
    assert not row.state.is_halted
    await store.save([happened(HALT)])
    assert (await store.gates.load())[0].state.is_halted


async def test_whoever_reads_what_is_new_finds_new_rules(store: Store) -> None:
    await store.gates.happen(happened(Probed()))
    seq, _ = await store.gates.head()
    rules = replace(RULES, on_unknown="deny")
    await store.gates.happen(happened(Configured(), rules=rules))
    assert [row.rules for row in await store.gates.load(seq)] == [rules]
    configured = (await store.gates.load_audit(seq))[0]
    assert (configured.event, configured.generation) == ("configured", 1)
    assert json.loads(configured.detail)["rules"]["on_unknown"] == "deny"


async def test_a_target_that_is_added_while_halted_is_ordered_to_halt(store: Store) -> None:
    await store.gates.happen(happened(Halt("odd"), targets=("dag",)))
    await store.gates.happen(happened(Configured(), targets=("dag", "hook"), at=200.0))
    orders = await store.gates.load_orders()
    assert [(one.target, one.desired, one.reason) for one in orders] == [
        ("dag", "halted", "odd"),
        ("hook", "halted", "odd"),
    ]


async def test_what_can_never_be_decided_holds_nothing_else_up(url: str, store: Store) -> None:
    senseless = happened(Aged("old", "older"))  # type: ignore[arg-type]
    async with journal(url) as one:
        one.put(EventRow("rag", 1, 1.0, "suspect", 0.5, "terms"))
        one.put(senseless)
        one.put(happened(HALT))
        assert await one.flush()
        assert one.state.dropped == 1
    assert [row.event for row in await store.gates.load_audit(0)] == ["started", "halt"]
    assert len(await store.load_events("rag")) == 1


async def test_a_gate_that_cannot_be_read_is_named(store: Store) -> None:
    await store.gates.happen(happened(HALT))
    await store._transact(
        lambda one: one.exec_driver_sql("UPDATE seamwatch_gates SET state = '{}'"), 5.0
    )
    with pytest.raises(StoreError, match="gate of pipeline rag cannot be used") as caught:
        await store.gates.load()
    assert caught.value.reason is Reason.BAD_CONTRACT


async def test_happenings_wait_for_the_store_however_many_they_are(tmp_path: Path) -> None:
    there = tmp_path / "later"
    async with journal(f"sqlite:///{there}/store.db", limit=3) as one:
        for _ in range(5):
            one.put(happened(HALT), EventRow("rag", 1, 1.0, "halt", 1.0, "terms"))
        assert not await one.flush()
        assert one.state.pending == 5
        there.mkdir()
        assert await one.flush()


async def test_a_word_waits_for_who_holds_the_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(f"sqlite:///{path}") as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            halting = asyncio.create_task(store.gates.happen(happened(HALT)))
            await asyncio.wait({halting}, timeout=0.7)  # longer than a driver waits for a lock
            assert not halting.done()
            other.execute("ROLLBACK")
            assert (await halting).state.is_halted


async def test_whoever_reads_what_is_new_finds_what_has_no_generation(store: Store) -> None:
    """An alert that a person resumed in spite of is over: if it comes back it halts again."""
    fires = Alerted("f", "t", "Fire", "it burns", is_firing=True)
    await store.gates.happen(happened(fires))
    resumed = await store.gates.happen(happened(Resume("known")))
    over = await store.gates.happen(happened(replace(fires, is_firing=False)))
    assert over.state.generation == resumed.state.generation
    (row,) = await store.gates.load(resumed.seq)
    assert row.state.acknowledged == frozenset()
    assert [one.event for one in await store.gates.load_audit(resumed.seq)] == ["noted"]


def test_a_whole_fleet_that_starts_is_written_in_more_than_one_transaction() -> None:
    queue = Queue()
    for n in range(150):
        queue.put([happened(Probed(), pipeline=f"p{n}")])
    sizes = []
    while batch := queue.batch(2_000):
        sizes.append(len(batch))
        queue.remove(batch)
    assert sizes == [100, 50]
