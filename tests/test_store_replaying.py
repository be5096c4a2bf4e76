"""Each halt on evidence can be weighed again from what the store keeps of its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evidence_writer import SINCE, TERMS, TERMS_ROW, resumed, state_row, taken, wants_resume
from postgres_server import postgres_server
from seamwatch.evidence import Case, Event
from seamwatch.gate import Resume
from seamwatch.store import Asked, Checkpoint, EventRow, Row, Store
from seamwatch.store.replaying import Replayed, is_proven_by_log, verify_halt
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


def told(rows: list[Row]) -> list[Row]:
    """Return *rows* and what they mean to the gate."""
    found: list[Row] = list(rows)
    for row in rows:
        if isinstance(row, EventRow) and row.event in (Event.HALT, Event.RESUME):
            evidence = {"ordinal": row.ordinal, "terms": row.terms}
            what = HALT if row.event == Event.HALT else Resume("looked at it")
            found.append(happened(what, at=row.at, detail={"evidence": evidence}))
    return found


def history(count: int) -> list[Row]:
    """Return all that is written of *count* answers, with several halts and resumes."""
    case = Case(TERMS)
    rows: list[Row] = [TERMS_ROW, state_row(case)]
    while case.ordinal < count:
        if wants_resume(case):
            rows += told(resumed(case))
        rows += told(taken(case))
    return rows


async def verified(store: Store) -> list[Replayed]:
    rows = [row for row in await store.gates.load_audit(0) if is_proven_by_log(row)]
    return [await verify_halt(store, row) for row in rows]


async def test_each_halt_follows_from_its_answers(store: Store) -> None:
    await store.save(history(1_500))
    found = await verified(store)
    assert len(found) > 3
    assert {one.follows for one in found} == {True}
    assert found[0].sentence.startswith("row 2: the halt of rag follows from answers ")
    begins = [int(one.sentence.split("answers ")[1].split(" ")[0]) for one in found]
    assert begins[0] == SINCE + 1
    assert begins == sorted(begins)
    assert begins[-1] > SINCE + 1_000  # near the last resume, not at the beginning


async def test_without_checkpoints_they_follow_from_the_beginning(store: Store) -> None:
    await store.save(row for row in history(700) if not isinstance(row, Checkpoint))
    found = await verified(store)
    assert len(found) > 1
    assert {one.follows for one in found} == {True}


async def test_a_halt_that_its_answers_do_not_prove_is_found(store: Store) -> None:
    rows = history(700)
    first = next(row for row in rows if isinstance(row, EventRow) and row.event == Event.HALT)
    await store.save(
        replace(row, x=1.0)
        if isinstance(row, Asked) and (row.ordinal or 0) > first.ordinal - 30 and row.x is not None
        else row
        for row in rows
    )
    found = (await verified(store))[0]
    assert found.follows is False
    assert "does not follow from answers 1001 to " in found.sentence
    assert found.sentence.endswith("% of the way")


async def test_a_halt_after_which_nothing_was_resumed_is_no_second_halt(store: Store) -> None:
    rows = history(700)
    halt = next(row for row in rows if isinstance(row, EventRow) and row.event == Event.HALT)
    await store.save(rows)
    (row, *_) = [one for one in await store.gates.load_audit(0) if is_proven_by_log(one)]
    later = row.detail.replace(f'"ordinal":{halt.ordinal}', f'"ordinal":{halt.ordinal + 1}')
    found = await verify_halt(store, replace(row, detail=later))
    assert found.follows is False
    assert "it was halted before" in found.sentence


async def test_answers_that_are_not_kept_prove_nothing(store: Store) -> None:
    rows = history(1_500)
    await store.save(row for row in rows if not (isinstance(row, Asked) and row.ordinal == 1010))
    await store.prune(before=SINCE + 900.0, configured={"rag"})
    found = await verified(store)
    assert found[0].follows is None
    assert "of its answers are not kept" in found[0].sentence
    assert found[-1].follows is True


async def test_a_halt_from_before_there_was_a_log_names_no_answer(store: Store) -> None:
    await store.gates.happen(happened(HALT))
    await store.gates.happen(happened(HALT, pipeline="x", detail={"evidence": {"ordinal": 7}}))
    one, two = await verified(store)
    assert one == Replayed(None, "row 2: the halt of rag names no answer that it followed from")
    assert two.follows is None
    assert two.sentence.endswith("the terms it was decided by are not in the store")


async def test_a_halt_by_other_terms_than_those_in_force_is_found(store: Store) -> None:
    await store.save([TERMS_ROW])
    evidence = {"ordinal": SINCE + 1, "terms": "others"}
    await store.gates.happen(happened(HALT, detail={"evidence": evidence}))
    (found,) = await verified(store)
    assert found.follows is False
