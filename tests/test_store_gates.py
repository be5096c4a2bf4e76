"""Gates in the store, on SQLite and PostgreSQL: one transaction, one chain, one leader."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from postgres_server import postgres_server
from seamwatch.errors import Reason, StoreError
from seamwatch.evidence import Event
from seamwatch.gate import (
    Base,
    Configured,
    Evidence,
    Halt,
    Kind,
    Mode,
    NotLegal,
    Probed,
    Resume,
    Rules,
    SetOverride,
    Tick,
)
from seamwatch.store import EventRow, IdempotencyKey, Store
from seamwatch.store.audit import AuditRow, Entry
from seamwatch.store.gatebook import KeyReused, StaleGeneration
from seamwatch.store.rows import Happened
from seamwatch.store.tokens import Token
from stores import journal, new_database, opened

RULES = Rules(Mode.ENFORCE)
HALT = Evidence((Event.HALT,), "accuracy is under 88%")


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


def happened(what: object, at: float = 100.0, **given: object) -> Happened:
    settled = {"actor": "ana", "pipeline": "rag", "rules": RULES, **given}
    return Happened(happening=what, at=at, **settled)  # type: ignore[arg-type]


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


async def test_the_database_itself_refuses_to_change_the_audit(store: Store) -> None:
    from sqlalchemy import text

    await store.gates.happen(happened(HALT))
    for statement in ("UPDATE seamwatch_audit SET reason = 'x'", "DELETE FROM seamwatch_audit"):
        with pytest.raises(StoreError):
            await store._transact(lambda one, s=statement: one.execute(text(s)), 5.0)
    assert await store.gates.verify() == []


async def test_a_chain_that_somebody_changed_is_found(store: Store) -> None:
    from sqlalchemy import text

    for number in range(5):
        await store.gates.note(Entry("rag", "ana", "blessed", reason=str(number)), at=float(number))
    assert await store.gates.verify(chunk=2) == []
    is_sqlite = store._engine.dialect == "sqlite"
    for trigger in ("update", "delete") if is_sqlite else ("append_only",):
        drop = f"DROP TRIGGER seamwatch_audit_{trigger}{'' if is_sqlite else ' ON seamwatch_audit'}"
        await store._transact(lambda one, s=drop: one.execute(text(s)), 5.0)

    async def change(statement: str) -> list[str]:
        await store._transact(lambda one: one.execute(text(statement)), 5.0)
        return await store.gates.verify(chunk=2)

    assert await change("UPDATE seamwatch_audit SET reason = 'x' WHERE seq = 3") == [
        "row 3 was changed after it was written"
    ]
    assert await change("DELETE FROM seamwatch_audit WHERE seq = 3") == [
        "row 3 is missing: 4 follows 2"
    ]
    rows = await store.gates.load_audit(0)
    forged = replace(rows[1], seq=3, prev_hash=rows[1].hash)
    columns = ", ".join(AuditRow.__slots__)
    values = tuple(getattr(replace(forged, hash=forged.digest()), n) for n in AuditRow.__slots__)
    assert await change(f"INSERT INTO seamwatch_audit ({columns}) VALUES {values!r}") == [
        "row 4 does not follow row 3: one of them was replaced"
    ]


async def test_two_writers_make_one_chain(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        until = 100.0 + 50.0
        words = [
            happened(SetOverride(Kind.FORCE_OPEN, f"{n}", until), pipeline=f"p{n % 3}")
            for n in range(20)
        ]
        await asyncio.gather(*((one, two)[n % 2].gates.happen(w) for n, w in enumerate(words)))
        assert (await one.gates.head())[0] == 20
        assert await two.gates.verify() == []
        assert sum(row.state.generation for row in await one.gates.load()) == 20


async def test_tokens_are_kept_as_digests_and_can_be_revoked(store: Store) -> None:
    token = Token("id1", "0" * 64, "nginx", frozenset({"check"}), ("rag*",), 100.0, 900.0)
    await store.gates.add_token(token)
    assert await store.gates.load_tokens() == [token]
    assert token.is_valid(899.0)
    assert not token.is_valid(900.0)
    assert await store.gates.revoke_token("id1", now=200.0)
    assert not await store.gates.revoke_token("id1", now=300.0)
    assert not await store.gates.revoke_token("id2", now=300.0)
    assert not (await store.gates.load_tokens())[0].is_valid(300.0)


async def test_one_leads_and_who_led_before_writes_nothing_more(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        first = await one.gates.lead("one:1", now=1.0)
        assert first is not None
        one.gates.epoch = first.epoch
        assert await two.gates.lead("two:2", now=2.0) is None
        await one.save([EventRow("rag", 1, 1.0, "suspect", 0.5, "terms")])
        await first.release()
        second = await two.gates.lead("two:2", now=3.0)
        assert second is not None
        assert second.epoch == first.epoch + 1
        with pytest.raises(StoreError, match="two:2 leads now") as caught:
            await one.save([EventRow("rag", 2, 2.0, "halt", 1.0, "terms")])
        assert caught.value.reason is Reason.NOT_LEADER
        await second.release()


LEADER = """
import asyncio, sys
from seamwatch.store import Store
async def main():
    store = await Store.open(sys.argv[1])
    print(bool(await store.gates.lead("child", now=1.0)), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_leader_that_is_killed_leads_no_more(url: str, store: Store) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LEADER, url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"True\n"
        assert await store.gates.lead("here", now=2.0) is None
    finally:
        child.kill()
        await child.wait()
    for _ in range(200):  # the server may take a moment to notice
        leads = await store.gates.lead("here", now=3.0)
        if leads is not None:
            break
        await asyncio.sleep(0.05)
    assert leads is not None
    assert leads.epoch == 2
    await leads.release()
