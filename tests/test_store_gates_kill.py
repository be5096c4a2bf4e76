"""What was said to gates survives kill -9 at any moment: state, audit and orders together.

Nothing that was acknowledged is missing, the chain is whole, each gate is what the last row of its
audit says, and its orders are those that this state gives.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

import pytest

from gate_writer import PIPELINES, TARGETS
from killing import nursery, write_and_kill
from postgres_server import postgres_server
from seamwatch.gate import wanted
from seamwatch.store import Store
from seamwatch.store.audit import AuditRow
from stores import new_database, opened

SAME_GENERATION = {"configured", "noted", "override_expiring"}
WRITER = Path(__file__).parent / "gate_writer.py"


async def audit_of(store: Store) -> list[AuditRow]:
    rows: list[AuditRow] = []
    while more := await store.gates.load_audit(len(rows)):
        rows += more
    return rows


async def check(store: Store, acknowledged: list[str], generations: dict[str, int]) -> None:
    """Check all that *store* holds; *generations* of orders only ever grow."""
    assert await store.gates.verify() == []
    rows = await audit_of(store)
    for line in acknowledged:
        pipeline, actor, generation, seq = json.loads(line)
        row = rows[seq - 1]
        assert (row.pipeline, row.actor, row.generation) == (pipeline, actor, generation)
    by_gate = defaultdict(list)
    for row in rows:
        by_gate[row.pipeline].append(row)
    orders = await store.gates.load_orders()
    for gate in await store.gates.load():
        told = by_gate[gate.pipeline]
        grown = [row.generation for row in told if row.event not in SAME_GENERATION]
        assert grown == list(range(1, gate.state.generation + 1))
        assert (gate.seq, gate.state.base) == (told[-1].seq, told[-1].to_state)
        ours = [order for order in orders if order.pipeline == gate.pipeline]
        desired = wanted(gate.state, gate.rules, now=gate.at)
        assert desired == "running" or len(ours) == len(TARGETS)
        for order in ours:
            assert order.desired == desired
            assert order.confirmed_generation in (None, order.generation)
            name = f"{order.pipeline}/{order.target}"
            assert generations.get(name, 0) <= order.generation <= gate.state.generation
            generations[name] = order.generation


async def kill_often(url: str, *, times: int) -> list[AuditRow]:
    dice = random.Random(times)
    generations: dict[str, int] = {}
    with nursery(WRITER) as process:
        for _ in range(times):
            said = write_and_kill(process, f"{url} {dice.getrandbits(40)}", dice, at_most=30)
            async with opened(url) as store:
                await check(store, said, generations)
    async with opened(url) as store:
        rows = await audit_of(store)
    assert len(generations) == len(PIPELINES) * len(TARGETS)
    assert {row.event for row in rows} >= {"halt", "resume", "override_set", "override_cleared"}
    assert {row.actor for row in rows} >= {"evidence"}
    return rows


async def test_gates_survive_kill_9_at_any_moment(tmp_path: Path) -> None:
    assert len(await kill_often(f"sqlite:///{tmp_path}/seamwatch.db", times=25)) > 120


@pytest.mark.needs_postgres
async def test_gates_in_postgresql_survive_kill_9_at_any_moment() -> None:
    with postgres_server() as server:
        assert len(await kill_often(await new_database(server), times=6)) > 40
