"""The audit: one chain, that the database keeps anybody from changing, and that tells if it was."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from postgres_server import postgres_server
from seamwatch.errors import StoreError
from seamwatch.gate import Aged, Alerted, Halt, Kind, SetOverride
from seamwatch.store import Store
from seamwatch.store.audit import AuditRow, Entry
from stores import HALT, happened, new_database, opened


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


async def run(store: Store, *statements: str) -> None:
    for statement in statements:
        await store._transact(lambda one, s=statement: one.exec_driver_sql(s), 5.0)


async def without_triggers(store: Store) -> None:
    """Be somebody who may do anything to the database."""
    if store._engine.dialect == "sqlite":
        names = ("update", "delete", "insert")
        await run(store, *(f"DROP TRIGGER seamwatch_audit_{name}" for name in names))
    else:
        names = ("append_only", "goes_on")
        await run(
            store, *(f"DROP TRIGGER seamwatch_audit_{name} ON seamwatch_audit" for name in names)
        )


def columns_and_values(row: AuditRow) -> str:
    names = ", ".join(AuditRow.__slots__)
    return f"({names}) VALUES {tuple(getattr(row, name) for name in AuditRow.__slots__)!r}"


async def test_the_database_itself_refuses_to_change_the_audit(store: Store) -> None:
    await store.gates.happen(happened(HALT))
    one, two = await store.gates.load_audit(0)
    forged = replace(two, reason="x")
    gap = replace(two, seq=4, prev_hash=two.hash)
    fork = replace(two, seq=3, prev_hash=one.hash)
    statements = [
        "UPDATE seamwatch_audit SET reason = 'x'",
        "DELETE FROM seamwatch_audit",
        f"INSERT INTO seamwatch_audit {columns_and_values(gap)}",
        f"INSERT INTO seamwatch_audit {columns_and_values(fork)}",
    ]
    if store._engine.dialect == "sqlite":
        statements.append(f"REPLACE INTO seamwatch_audit {columns_and_values(forged)}")
    else:
        statements.append("TRUNCATE seamwatch_audit")
    for statement in statements:
        with pytest.raises(StoreError, match=r"the audit (is append-only|goes on from its last)"):
            await run(store, statement)
    assert await store.gates.load_audit(0) == [one, two]
    assert await store.gates.verify() == []


async def test_a_chain_that_somebody_changed_is_found(store: Store) -> None:
    for number in range(5):
        await store.gates.note(Entry("rag", "ana", "blessed", reason=str(number)), at=float(number))
    assert await store.gates.verify(chunk=2) == []
    await without_triggers(store)

    async def change(statement: str) -> list[str]:
        await run(store, statement)
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


async def test_an_audit_whose_end_was_cut_off_is_found(store: Store) -> None:
    await store.gates.happen(happened(HALT))
    await without_triggers(store)
    await run(store, "DELETE FROM seamwatch_audit WHERE seq = 2")
    assert await store.gates.verify() == ["gate rag is at generation 2, but the audit ends at 1"]


async def test_an_audit_that_was_written_anew_does_not_hold_to_its_anchors(store: Store) -> None:
    for reason in ("first", "second"):
        await store.gates.note(Entry("rag", "ana", "blessed", reason=reason), at=1.0)
    one, two = await store.gates.load_audit(0)
    anchors = {0: "0" * 64, 1: one.hash, 2: two.hash}
    assert await store.gates.verify(anchors=anchors) == []
    await without_triggers(store)
    await run(store, "DELETE FROM seamwatch_audit")
    await store.gates.note(Entry("rag", "ben", "blessed", reason="first"), at=1.0)
    assert await store.gates.verify() == []
    assert await store.gates.verify(anchors=anchors) == [
        "row 1 is not the one that was anchored",
        "row 2, which was anchored, is missing",
    ]


async def test_anybody_can_compute_the_chain(store: Store) -> None:
    await store.gates.happen(happened(Aged(1e6, 60.125), at=1_790_000_000.25))
    await store.gates.note(Entry("rag", "Zo\u00eb", "blessed", detail={"b": 1, "a": None}), at=5)
    before = "0" * 64
    for row in await store.gates.load_audit(0):
        said = {name: value for name, value in asdict(row).items() if "hash" not in name}
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert row.hash == hashlib.sha256((before + text).encode()).hexdigest()
        before = row.hash
    assert (await store.gates.head())[1] == before


@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"])
async def test_a_text_that_no_database_takes_is_written_without_what_is_odd(
    store: Store, odd: str
) -> None:
    await store.gates.happen(happened(Halt(odd), actor=odd, detail={"said": [odd]}))
    alert = Alerted("f", "t", "Fire", odd, is_firing=True)
    await store.gates.happen(happened(alert))
    first, second = await store.gates.load_audit(0)
    assert first.reason == first.actor == second.reason
    assert first.reason[0] + first.reason[-1] == "ab"
    assert json.loads(first.detail)["said"] == [first.reason]
    assert await store.gates.verify() == []


async def test_a_slice_of_the_audit_is_of_one_gate_and_in_order(store: Store) -> None:
    for n in range(6):
        await store.gates.note(Entry(f"p{n % 2}", "ana", "blessed", reason=str(n)), at=float(n))
    rows = await store.gates.load_audit(1, pipeline="p1", limit=2)
    assert [(row.seq, row.reason) for row in rows] == [(2, "1"), (4, "3")]


async def test_two_writers_make_one_chain(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        until = 100.0 + 50.0
        words = [
            happened(SetOverride(Kind.FORCE_OPEN, f"{n}", until), pipeline=f"p{n % 3}")
            for n in range(20)
        ]
        await asyncio.gather(
            *((one, two)[n % 2].gates.happen(w) for n, w in enumerate(words)),
            *(two.gates.note(Entry("rag", "ana", "blessed"), at=1.0) for _ in range(3)),
        )
        assert (await one.gates.head())[0] == 23
        assert await two.gates.verify() == []
        assert sum(row.state.generation for row in await one.gates.load()) == 20
