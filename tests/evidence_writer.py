"""A pipeline whose evidence can be told for every ordinal, and a process that writes it down.

Run as a program it reads lines ``URL BATCH SEED``, and each writer goes on where the store says
that the last one was: it prints each ordinal that it knows to be on disk. See killing.
"""

from __future__ import annotations

import asyncio
import json
import random

from killing import fork_for_each_line, say
from seamwatch.evidence import Case, Event, Probe, Terms
from seamwatch.pipeline import Verdict
from seamwatch.store import (
    Asked,
    Checkpoint,
    EventRow,
    EvidenceRow,
    Journal,
    Pass,
    Row,
    Store,
    TermsRow,
    restored_case,
)

SINCE = 1_000  # the ordinal of the last probe by earlier terms
CHECKPOINT_EVERY = 50
TERMS = Terms(
    limit=1e3,
    floor=0.9,
    baseline=0.94,
    slice_floors={"a": 0.8, "b": 0.85},
    ticket_limit=200.0,
    ticket_floor=0.93,
    resume_limit=20.0,
)
TERMS_ROW = TermsRow("rag", TERMS.digest, json.dumps(TERMS.to_json()), SINCE, 0.0)


def probe(ordinal: int) -> Probe:
    """Return the probe with this number: good times and bad ones, and errors in both."""
    dice = random.Random(ordinal)
    if dice.random() < 0.05:
        return Probe(None, dice.choice("ab"), at=float(ordinal))
    quality = 0.97 if ordinal // 70 % 2 else 0.5
    x = round(dice.random(), 3) if dice.random() < 0.1 else float(dice.random() < quality)
    return Probe(x, dice.choice("ab"), focused=dice.random() < 0.2, at=float(ordinal))


def asked(ordinal: int) -> Asked:
    """Return the row of that probe."""
    one = probe(ordinal)
    verdict = Verdict.ERROR if one.x is None else Verdict.CORRECT if one.x else Verdict.WRONG
    return Asked(
        "rag",
        "d",
        f"q{ordinal % 97}",
        verdict,
        one.x,
        None,
        one.at,
        1,
        ordinal,
        ordinal=ordinal,
        slice=one.slice,
        focused=one.focused,
        x=one.x,
        purpose="focus" if one.focused else "pass",
    )


def wants_resume(case: Case) -> bool:
    """Say whether somebody resumes now, before the next probe."""
    return case.halted and case.ordinal % 40 == 0


def state_text(case: Case) -> str:
    return json.dumps(case.state())


def state_row(case: Case) -> EvidenceRow:
    ordinal = SINCE + case.ordinal
    return EvidenceRow("rag", "d", TERMS.digest, ordinal, state_text(case), float(ordinal))


def event_row(case: Case, event: Event) -> EventRow:
    ordinal = SINCE + case.ordinal
    return EventRow("rag", ordinal, float(ordinal), event.value, case.ratio, TERMS.digest)


def resumed(case: Case) -> list[Row]:
    """Resume; return what must be written together."""
    return [*(event_row(case, event) for event in case.resume()), state_row(case)]


def taken(case: Case) -> list[Row]:
    """Take the next probe; return what must be written together."""
    row = asked(SINCE + case.ordinal + 1)
    events = case.take(probe(SINCE + case.ordinal + 1))
    rows: list[Row] = [row, Pass("rag", "d", 1, case.ordinal)]
    rows += [event_row(case, event) for event in events]
    if case.ordinal % CHECKPOINT_EVERY == 0:
        ordinal = SINCE + case.ordinal
        rows.append(Checkpoint("rag", TERMS.digest, ordinal, state_text(case)))
    return [*rows, state_row(case)]


async def write(url: str, batch: str, seed: str) -> None:
    """Write until killed."""
    store = await Store.open(url)
    case = restored_case(await store.load_evidence("rag"))
    journal = Journal(url, store=store, every=0.0, batch=int(batch))
    if case is None:
        case = Case(TERMS)
        journal.put(TERMS_ROW, state_row(case))
    dice = random.Random(int(seed))
    writing = asyncio.create_task(journal.run())
    while not writing.done():
        for _ in range(dice.randrange(30)):
            if wants_resume(case):
                journal.put(*resumed(case))
            if dice.random() < 0.1:
                await asyncio.sleep(0)
            journal.put(*taken(case))
        ordinal = SINCE + case.ordinal
        if dice.random() < 0.5 and await journal.flush():
            say(ordinal)
        await asyncio.sleep(0)


if __name__ == "__main__":
    import sqlalchemy.dialects.postgresql
    import sqlalchemy.dialects.sqlite  # noqa: F401 (a fork has what was imported)

    import seamwatch.store.engine
    import seamwatch.store.evidence_log
    import seamwatch.store.schema  # noqa: F401

    fork_for_each_line(write)
