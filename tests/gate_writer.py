"""A process that does things to gates, several at once, and tells what it knows to be on disk.

Run as a program it reads lines ``URL SEED``: see killing.
"""

from __future__ import annotations

import asyncio
import json
import random

from killing import fork_for_each_line, say
from seamwatch.errors import StoreError
from seamwatch.evidence import Event
from seamwatch.gate import (
    Alerted,
    ClearOverride,
    Evidence,
    Halt,
    Happening,
    Kind,
    Mode,
    NotLegal,
    Resume,
    Rules,
    SetOverride,
)
from seamwatch.store import GateStore, Happened, IdempotencyKey, Journal, Store

PIPELINES = ("rag", "search", "agent")
TARGETS = ("dag", "hook")
RULES = Rules(Mode.ENFORCE)


def happening(dice: random.Random, now: float) -> Happening:
    """Return something that may happen."""
    return dice.choice(
        [
            Halt("odd answers"),
            Resume("looked at it"),
            SetOverride(dice.choice(list(Kind)), "for now", now + 100.0),
            ClearOverride("done"),
            Evidence((Event.HALT,), "under its floor"),
            Evidence((dice.choice([Event.RECOVERING, Event.RELAPSE, Event.RECOVERED]),)),
            Alerted("f1", "t1", "Fire", "it burns", dice.random() < 0.5),
        ]
    )


async def people(gates: GateStore, seed: int) -> None:
    """Say one thing after another, each with a key of its own; acknowledge what was written."""
    dice, count, now = random.Random(seed), 0, 1000.0
    while True:
        count, now = count + 1, now + dice.random()
        what, key = happening(dice, now), IdempotencyKey("ana", f"{seed}/{count}", "d")
        happened = Happened(dice.choice(PIPELINES), what, RULES, now, f"{seed}/{count}", TARGETS)
        try:
            written = await gates.happen(happened, key=key)
        except NotLegal:
            continue
        if written.changes:
            said = [happened.pipeline, happened.actor, written.state.generation, written.seq]
            say(json.dumps(said))


async def actions(gates: GateStore, seed: int) -> None:
    """Carry orders out."""
    from dataclasses import replace

    dice = random.Random(-seed)
    while True:
        for order in await gates.load_orders():
            if order.status == "pending" and dice.random() < 0.5:
                done = replace(order, status="effective", confirmed_generation=order.generation)
                await gates.keep_order(done)
        await asyncio.sleep(0)


async def write(url: str, seed: str) -> None:
    """Write until killed."""
    store = await Store.open(url)
    journal = Journal(url, every=0.0)
    writing = asyncio.create_task(journal.run())
    number = int(seed)
    tasks = [asyncio.create_task(people(store.gates, number + n)) for n in range(3)]
    tasks.append(asyncio.create_task(actions(store.gates, number)))
    dice = random.Random(number)
    while not any(task.done() for task in (writing, *tasks)):
        what = Evidence((dice.choice([Event.HALT, Event.SUSPECT, Event.CALM]),))
        journal.put(Happened(dice.choice(PIPELINES), what, RULES, 1.0, "evidence", TARGETS))
        await asyncio.sleep(0.02)
    for task in tasks:
        if task.done() and (error := task.exception()) is not None:
            say(f"failed: {error!r}" if isinstance(error, StoreError) else repr(error))


if __name__ == "__main__":
    import sqlalchemy.dialects.postgresql
    import sqlalchemy.dialects.sqlite  # noqa: F401 (a fork has what was imported)

    import seamwatch.store.engine
    import seamwatch.store.gatebook
    import seamwatch.store.schema  # noqa: F401

    fork_for_each_line(write)
