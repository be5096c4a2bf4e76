"""Evidence survives: kill -9 at any moment, a full disk, a database that goes away.

After each, the state in the store and the log after it are, bit for bit, what a process that was
never interrupted would know after the same probes, and no probe that was acknowledged is missing.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from disks import fill, small_disk
from evidence_writer import (
    CHECKPOINT_EVERY,
    SINCE,
    TERMS,
    TERMS_ROW,
    asked,
    event_row,
    resumed,
    state_row,
    state_text,
    taken,
    wants_resume,
)
from killing import nursery, write_and_kill
from postgres_server import postgres_control, postgres_server
from seamwatch.evidence import Case, Event, replay
from seamwatch.store import EventRow, Journal, Store, probe_of, restored_case
from stores import journal, new_database, opened

WRITER = Path(__file__).parent / "evidence_writer.py"


class Uninterrupted:
    """What a process that was never killed knows after each probe."""

    def __init__(self) -> None:
        self.case = Case(TERMS)
        self.ordinal = SINCE
        self.events: list[EventRow] = []

    def go_on_to(self, ordinal: int) -> None:
        while self.ordinal < ordinal:
            if wants_resume(self.case):
                self.resume()
            rows = taken(self.case)
            self.events += [row for row in rows if isinstance(row, EventRow)]
            self.ordinal += 1

    def resume(self) -> None:
        self.events += [event_row(self.case, event) for event in self.case.resume()]


async def check(store: Store, expected: Uninterrupted, acknowledged: int) -> int:
    """Check what *store* holds; return how long the tail was."""
    found = await store.load_evidence("rag")
    if found.terms is None:
        assert acknowledged == 0
        return 0
    assert found.terms == TERMS_ROW
    assert found.missing == 0
    assert found.ordinal >= acknowledged
    fresh = [row async for rows in store.load_log("rag", expected.ordinal) for row in rows]
    assert fresh == [asked(n) for n in range(expected.ordinal + 1, found.ordinal + 1)]

    expected.go_on_to(found.ordinal)
    events = await store.load_events("rag", limit=None)
    if len(events) > len(expected.events):
        assert wants_resume(expected.case)
        expected.resume()
    assert events == expected.events
    case = restored_case(found)
    assert case is not None
    assert state_text(case) == state_text(expected.case)
    assert found.ordinal == SINCE + case.ordinal
    return len(found.tail)


def written(process: subprocess.Popen[str], url: str, dice: random.Random) -> int:
    """Let a writer write, kill it at some moment; return the last ordinal that it acknowledged."""
    batch = dice.choice([3, 10, 100, 2_000])
    said = write_and_kill(process, f"{url} {batch} {dice.getrandbits(30)}", dice)
    return max((int(line) for line in said), default=0)


async def kill_often(url: str, *, times: int) -> int:
    """Kill writers, check after each; return how often the log was ahead of the state."""
    dice = random.Random(times)
    expected = Uninterrupted()
    tails = 0
    with nursery(WRITER) as process:
        for _ in range(times):
            acknowledged = written(process, url, dice)
            async with opened(url) as store:
                tails += await check(store, expected, acknowledged) > 0
    assert expected.ordinal > SINCE + 10 * times
    assert {event.event for event in expected.events} >= {Event.HALT, Event.RESUME, Event.TICKET}
    async with opened(url) as store:
        await check_replay(store, expected)
        await store.prune(before=expected.ordinal - 500.0, configured={"rag"})
        assert SINCE < await check_replay(store, expected) <= expected.ordinal - 500
        await check(store, expected, expected.ordinal)
    return tails


async def check_replay(store: Store, expected: Uninterrupted) -> int:
    """Check that the log from the oldest checkpoint on leads to today; return where it begins."""
    import json

    first = await store.load_checkpoint("rag")
    log = [row async for rows in store.load_log("rag", 0, chunk=170) for row in rows]
    begin = 0 if log[0].ordinal == SINCE + 1 else log[0].ordinal - 1  # type: ignore[operator]
    state = None
    if begin:
        assert first is not None
        assert first.ordinal == begin
        state = json.loads(first.state)
    resumes = {one.ordinal - SINCE for one in expected.events if one.event == Event.RESUME}
    case, events = replay(TERMS, map(probe_of, log), state, resumes=resumes)
    assert state_text(case) == state_text(expected.case)
    told = [(one.ordinal - SINCE, one.event) for one in expected.events if one.ordinal > begin]
    assert [one for one in events if one[0] > begin - SINCE] == told
    return begin


async def test_evidence_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    tails = await kill_often(f"sqlite:///{tmp_path}/seamwatch.db", times=60)
    assert tails > 0  # the interesting moments were among them


@pytest.mark.needs_postgres
async def test_evidence_in_postgresql_survives_kill_9_at_any_moment() -> None:
    with postgres_server() as server:
        await kill_often(await new_database(server), times=15)


def put_some(one: Journal, case: Case, count: int) -> None:
    for _ in range(count):
        if wants_resume(case):
            one.put(*resumed(case))
        one.put(*taken(case))


async def test_on_a_full_disk_evidence_is_never_ahead_of_its_log(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    expected = Uninterrupted()
    case = Case(TERMS)
    with small_disk(disk) as space_again:
        async with journal(f"sqlite:///{disk}/seamwatch.db", batch=50) as one:
            one.put(TERMS_ROW, state_row(case))
            put_some(one, case, 20)
            assert await one.flush()
            acknowledged = SINCE + case.ordinal
            ballast = disk / "ballast"
            fill(ballast)
            os.truncate(ballast, ballast.stat().st_size - (200 << 10))  # for a few batches
            while await one.flush():
                acknowledged = SINCE + case.ordinal
                put_some(one, case, 200)
            for copy in ("first", "second"):  # what kill -9 would leave behind now
                shutil.copytree(disk, tmp_path / copy, ignore=lambda *_: ["ballast"])
                async with opened(f"sqlite:///{tmp_path / copy}/seamwatch.db") as store:
                    await check(store, expected, acknowledged)
                put_some(one, case, 100)
                assert not await one.flush()
            ballast.unlink()
            space_again()
            assert await one.flush()
        async with opened(f"sqlite:///{disk}/seamwatch.db") as store:
            await check(store, expected, SINCE + case.ordinal)
            assert expected.ordinal == SINCE + case.ordinal


@pytest.mark.needs_postgres
async def test_a_lost_connection_leaves_evidence_and_log_together() -> None:
    expected = Uninterrupted()
    case = Case(TERMS)
    with postgres_server() as url:
        async with journal(url, batch=30) as one:
            one.put(TERMS_ROW, state_row(case))
            put_some(one, case, 100)
            assert await one.flush()
            for _ in range(2):
                acknowledged = SINCE + case.ordinal
                put_some(one, case, 300)
                writing = one.flush()
                postgres_control(url, "stop", "-m", "immediate")
                assert not await writing
                put_some(one, case, 10)
                postgres_control(url, "restart", "-l", "/dev/null")
                async with opened(url) as store:
                    await check(store, expected, acknowledged)
                assert await one.flush()
                async with opened(url) as store:
                    await check(store, expected, SINCE + case.ordinal)
        postgres_control(url, "stop", "-m", "immediate")  # whoever started it knows the old one


def test_the_stream_of_these_tests_has_all_kinds_of_events() -> None:
    expected = Uninterrupted()
    expected.go_on_to(SINCE + 40 * CHECKPOINT_EVERY)
    assert {event.event for event in expected.events} == set(Event)
