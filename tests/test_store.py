"""The store: what is acknowledged survives, what cannot be written waits, failures are told.

Everything here is real: files, a full disk, locks, killed processes, a PostgreSQL that is stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from disks import fill, small_disk
from postgres_server import postgres_control, postgres_server
from seamwatch.errors import Reason, StoreError
from seamwatch.freshness import KEEP, Publication, remember
from seamwatch.pipeline import Observation, Verdict
from seamwatch.store import Asked, Forgotten, Journal, Pass, Published, Store
from stores import journal, new_database, opened


def published(n: int, *, stage: str = "index", pipeline: str = "rag") -> Published:
    return Published(pipeline, stage, Publication(f"v{n}", 10.0 * n, 10.0 * n + 0.1))


def asked(n: int, *, digest: str = "d1", pipeline: str = "rag") -> Asked:
    right = Verdict.CORRECT if n % 3 else Verdict.WRONG
    return Asked(pipeline, digest, f"q{n}", right, n % 3 / 2, "m-1", 100.0 + n, 7, n)


async def versions(url: str, stage: str = "index") -> list[str | None]:
    """Return the versions of one stage that the store holds, in order."""
    async with opened(url) as store:
        return [one.version for one in (await store.load_history("rag")).get(stage, ())]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/seamwatch.db"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/seamwatch.db"
    return await new_database(request.getfixturevalue("server"))


# What is kept


async def test_publications_come_back_in_their_order_of_publication(url: str) -> None:
    past = [
        Publication("v1", 1.5, 30.0),
        Publication(None, None, 10.0),  # the clock went back: order is not time
        Publication("", 2.0, 20.0000001),
        Publication("日本 'quoted' \\ -- ", 1e9 + 1 / 3, 1.7e9 + 1 / 3),
    ]
    async with opened(url) as store:
        await store.save(Published("rag", "index", one) for one in past)
        await store.save([Published("other", "ingest", past[0])])
        assert await store.load_histories() == {
            "rag": {"index": tuple(past)},
            "other": {"ingest": (past[0],)},
        }
        assert await store.load_history("rag") == {"index": tuple(past)}
        assert await store.load_histories(["other"]) == {"other": {"ingest": (past[0],)}}
        assert await store.load_history("nobody") == {}


async def test_writing_a_row_again_changes_nothing(url: str) -> None:
    rows = [published(1), asked(1), Pass("rag", "d1", 7, 1), published(2)]
    async with opened(url) as store:
        for _ in range(2):
            await store.save(rows)
        assert await store.load_window("rag", "d1", 10) == [asked(1)]
        history = await store.load_history("rag")
        assert history["index"] == (published(1).publication, published(2).publication)


async def test_a_publication_is_completed_and_forgotten_by_its_time(url: str) -> None:
    async with opened(url) as store:
        await store.save([Published("rag", "index", Publication("v1", None, 5.0)), published(2)])
        await store.save([Published("rag", "index", Publication("v1", 4.0, 5.0))])
        assert (await store.load_history("rag"))["index"][0] == Publication("v1", 4.0, 5.0)
        await store.save([Forgotten("rag", "index", 5.0), Forgotten("rag", "index", 77.0)])
        assert (await store.load_history("rag"))["index"] == (published(2).publication,)


async def test_the_window_is_the_newest_probes_of_one_golden_set_oldest_first(url: str) -> None:
    silent = Asked("rag", "d1", "q9", Verdict.TIMEOUT, None, None, 109.0, -(2**63), 9)
    async with opened(url) as store:
        await store.save([*(asked(n) for n in range(9)), silent])
        await store.save([asked(1, digest="d2"), asked(2, pipeline="other")])
        assert await store.load_window("rag", "d1", 3) == [asked(7), asked(8), silent]
        assert await store.load_window("rag", "d3", 3) == []
        times = await store.load_asked_at(107.5)
        assert times == {"rag": (108.0, 109.0)}
        assert await store.load_asked_at(107.5, ["other"]) == {}


async def test_a_pass_goes_on_where_it_was(url: str) -> None:
    async with opened(url) as store:
        await store.save([Pass("rag", "d1", 7, 1), Pass("rag", "d2", 8, 2)])
        await store.save([Pass("rag", "d1", 9, 3)])
        assert await store.load_passes() == {
            ("rag", "d1"): Pass("rag", "d1", 9, 3),
            ("rag", "d2"): Pass("rag", "d2", 8, 2),
        }


async def test_pruning_takes_old_probes_and_pipelines_that_are_gone(url: str) -> None:
    async with opened(url) as store:
        await store.save([asked(n) for n in range(10)])
        await store.save([published(1), published(1, pipeline="gone"), Pass("gone", "d", 1, 1)])
        await store.save([published(90, pipeline="just gone")])
        assert await store.prune(before=105.0, configured={"rag"}) == 5 + 2
        assert [one.at for one in await store.load_window("rag", "d1", 99)] == [
            105.0 + n for n in range(5)
        ]
        assert set(await store.load_histories()) == {"rag", "just gone"}
        assert await store.prune(before=105.0, configured={"rag"}) == 0
        assert await store.prune(before=1e6, configured={"rag", "just gone"}) == 5


async def test_what_the_store_holds_is_what_is_remembered(url: str) -> None:
    rng = random.Random(4)
    past: tuple[Publication, ...] = ()
    async with journal(url) as one:
        for tick in range(400):
            seen = Observation(version=rng.choice(["a", "b", f"v{tick // 40}"]))
            effective = rng.choice([None, float(tick // 3)])
            after = remember(past, seen, effective, now=float(tick), keep=20)
            one.put_history("rag", "index", past, after)
            past = after
            if rng.random() < 0.2:
                assert await one.flush()
        assert await one.flush()
        async with opened(url) as store:
            assert await store.load_history("rag") == {"index": past}


async def test_no_more_comes_back_than_is_ever_remembered(sqlite_url: str) -> None:
    moved = [Publication("m", float(n), float(n)) for n in range(5 * KEEP)]
    old = [Publication(f"v{n}", 0.0, -100.0 + n) for n in range(100)]
    async with opened(sqlite_url) as store:
        await store.save(Published("rag", "index", one) for one in [*old, *moved])
        found = (await store.load_history("rag"))["index"]
    assert len(found) <= KEEP
    assert found[:100] == tuple(old)
    assert moved[0] in found
    assert found[-1] == moved[-1]


async def test_all_stages_of_a_fleet_come_back_together(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        await store.save(
            published(n, stage=f"s{s}", pipeline=f"p{p}")
            for n in range(3)
            for p in range(200)
            for s in range(8)
        )
        found = await store.load_histories()
        some = await store.load_histories({f"p{p}" for p in range(150)})
    assert len(found) == 200
    assert len(some) == 150
    assert all(len(stages) == 8 for stages in found.values())
    assert found["p199"]["s7"] == tuple(published(n).publication for n in range(3))


# Kill -9


WRITER = """
import asyncio, sys
from seamwatch.freshness import Publication
from seamwatch.pipeline import Verdict
from seamwatch.store import Asked, Journal, Pass, Published

async def main():
    journal = Journal(sys.argv[1])
    n = int(sys.argv[2])
    while True:
        for _ in range(7):
            n += 1
            journal.put(
                Published("rag", "index", Publication(f"v{n}", float(n), float(n))),
                Asked("rag", "d", f"q{n}", Verdict.WRONG, 0.0, None, float(n), 1, n),
                Pass("rag", "d", 1, n),
            )
        assert await journal.flush()
        print(n, flush=True)

asyncio.run(main())
"""


def write_and_kill(url: str, start: int, *, batches: int) -> int:
    """Kill a writer once it has acknowledged *batches*; return the last row it acknowledged."""
    command = [sys.executable, "-c", WRITER, url, str(start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(batches)]
        writer.kill()
    return acknowledged[-1]


async def test_what_was_acknowledged_survives_kill_9(url: str) -> None:
    done = 0
    for trial in range(3):
        acknowledged = write_and_kill(url, done, batches=10 + 13 * trial)
        async with opened(url) as store:
            window = await store.load_window("rag", "d", 10_000)
            there = [int(one.at) for one in window]
            done = (await store.load_passes())["rag", "d"].position
            past = (await store.load_history("rag"))["index"]
        assert done >= acknowledged
        assert there == list(range(1, done + 1))  # whole batches, none missing, none twice
        assert past[-1] == Publication(f"v{done}", float(done), float(done))


# Disks and files that fail


async def test_a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_space(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk) as space_again:
        url = f"sqlite:///{disk}/seamwatch.db"
        ballast = disk / "ballast"
        async with journal(url, clock=lambda: 123.0) as one:
            one.put(published(1))
            assert await one.flush()
            fill(ballast)
            for n in range(2, 2_000):
                one.put(published(n), asked(n))
            for _ in range(3):
                assert not await one.flush()
            state = one.state
            assert state.pending > 3_000
            assert state.dropped == 0
            assert state.last_success == 123.0
            assert sum(state.failures.values()) >= 3
            errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
            assert len(errors) == 1
            assert str(disk) in errors[0]
            assert "rows wait in memory and will be tried again" in errors[0]
            if state.failures.keys() == {Reason.DISK_FULL}:
                assert "free space on that disk" in errors[0]

            ballast.unlink()
            space_again()
            assert await one.flush()
            assert one.state.pending == 0
            assert "written again after 3 failed attempts" in caplog.text
        async with opened(url) as store:
            assert len(await store.load_window("rag", "d1", 10_000)) == 1_998


async def test_a_locked_database_makes_rows_wait_and_nothing_else(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with journal(sqlite_url) as one:
        one.put(published(1))
        assert await one.flush()
        other = sqlite3.connect(tmp_path / "seamwatch.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        one.put(published(2))
        waiting = asyncio.create_task(one.flush())
        turns = 0
        while not waiting.done():
            one.put(published(3 + turns % 50))
            turns += 1
            await asyncio.sleep(0)
        assert turns > 10  # nobody else had to wait for the lock
        assert not waiting.result()
        assert one.state.failures == {Reason.LOCKED: 1}
        other.rollback()
        other.close()
        assert await one.flush()
    assert len(await versions(sqlite_url)) == 2 + min(turns, 50)


async def test_a_removed_file_is_noticed_and_a_new_one_is_filled_again(
    sqlite_url: str, tmp_path: Path
) -> None:
    refilled = []
    async with journal(sqlite_url, on_new=lambda: refilled.append(True)) as one:
        one.put(published(1))
        assert await one.flush()
        refilled.clear()
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"seamwatch.db{suffix}").unlink()
        one.put(published(2))
        assert not await one.flush()
        assert one.state.failures == {Reason.UNREACHABLE: 1}
        assert await one.flush()
        assert refilled == [True]
    assert await versions(sqlite_url) == ["v2"]


async def test_a_directory_that_vanishes_is_told_and_its_return_is_enough(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "state"
    home.mkdir()
    url = f"sqlite:///{home}/seamwatch.db"
    async with journal(url) as one:
        one.put(published(1))
        assert await one.flush()
        shutil.rmtree(home)
        one.put(published(2))
        assert not await one.flush()
        assert not await one.flush()
        assert one.state.pending == 1
        assert one.state.failures == {Reason.UNREACHABLE: 2}
        home.mkdir()
        assert await one.flush()
    assert await versions(url) == ["v2"]


async def test_without_its_directory_the_store_says_which_one_to_create(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        await Store.open(f"sqlite:///{tmp_path}/nowhere/seamwatch.db")
    assert str(caught.value) == (
        f"store {tmp_path}/nowhere/seamwatch.db: there is no directory {tmp_path}/nowhere; "
        "create it, or correct `store`"
    )
    assert caught.value.reason is Reason.UNREACHABLE


@pytest.mark.parametrize("rubbish", [bytes(range(256)) * 32, b"# notes, not a database\n" * 99])
async def test_a_file_that_is_no_database_is_left_alone_and_rows_wait(
    rubbish: bytes, sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "seamwatch.db"
    path.write_bytes(rubbish)
    with pytest.raises(StoreError) as caught:
        await Store.open(sqlite_url)
    assert caught.value.reason is Reason.CORRUPT
    assert str(caught.value) == (
        f"store {path}: file is not a database; move the file away and restart to begin a new one,"
        " or restore a backup"
    )
    async with journal(sqlite_url) as one:
        one.put(published(1))
        for _ in range(4):
            assert not await one.flush()
        assert one.state.failures == {Reason.CORRUPT: 4}
        assert len(caplog.records) == 1
        assert path.read_bytes() == rubbish
        path.unlink()
        assert await one.flush()
    assert await versions(sqlite_url) == ["v1"]


async def test_a_database_that_is_damaged_in_the_middle_is_told(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with opened(sqlite_url) as store:
        await store.save(published(n) for n in range(2_000))
    path = tmp_path / "seamwatch.db"
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=str(path)) as caught:
        async with opened(sqlite_url) as store:
            await store.load_histories()
    assert caught.value.reason is Reason.CORRUPT


async def test_a_store_of_a_later_version_is_refused_and_left_alone(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with opened(sqlite_url):
        pass
    with sqlite3.connect(tmp_path / "seamwatch.db") as connection:
        connection.execute("UPDATE seamwatch_schema SET version = 7")
    connection.close()
    with pytest.raises(StoreError, match=r"written by a later seamwatch \(schema 7") as e:
        await Store.open(sqlite_url)
    assert e.value.reason is Reason.BAD_CONTRACT


async def test_tables_that_somebody_dropped_are_made_again_and_no_row_is_given_up(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with journal(sqlite_url) as one:
        one.put(published(1))
        assert await one.flush()
        with sqlite3.connect(tmp_path / "seamwatch.db") as connection:
            connection.execute("DROP TABLE seamwatch_publications")
        connection.close()
        one.put(published(2), asked(2))
        assert not await one.flush()
        assert await one.flush()
        assert one.state.dropped == 0
    assert await versions(sqlite_url) == ["v2"]


# The journal


async def test_a_row_that_no_database_takes_is_given_up_alone(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Published("rag", "index", Publication("\ud800", 1.0, 1.0))
    async with journal(url) as one:
        one.put(*(published(n) for n in range(5)), broken, *(published(n) for n in range(5, 9)))
        assert await one.flush()
        assert one.state.dropped == 1
        assert one.state.failures == {Reason.QUERY: 1}
        assert one.state.pending == 0
    assert await versions(url) == [f"v{n}" for n in range(9)]
    assert "rows are given up" in caplog.text


async def test_above_the_limit_the_oldest_rows_go_and_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/later/seamwatch.db"
    async with journal(url, limit=10) as one:
        for n in range(25):
            one.put(published(n))
        assert not await one.flush()
        assert (one.state.pending, one.state.dropped) == (10, 15)
        assert caplog.text.count("more than 10 wait for the store") == 1
        (tmp_path / "later").mkdir()
        assert await one.flush()
    assert await versions(url) == [f"v{n}" for n in range(15, 25)]


async def test_a_later_row_replaces_the_one_that_waits(sqlite_url: str) -> None:
    async with journal(sqlite_url) as one:
        for position in range(1_000):
            one.put(Pass("rag", "d1", 7, position))
        assert one.state.pending == 1
        assert await one.flush()
        async with opened(sqlite_url) as store:
            assert (await store.load_passes())["rag", "d1"].position == 999


async def until(holds: Callable[[], object]) -> None:
    """Wait until *holds*; the test's own time-out ends it."""
    while not holds():  # noqa: ASYNC110 (the journal tells nobody, by design)
        await asyncio.sleep(0.001)


async def test_a_row_that_changes_while_it_is_written_is_written_again(sqlite_url: str) -> None:
    async with journal(sqlite_url) as one:
        one.put(Pass("rag", "d1", 7, 1))
        writing = asyncio.create_task(one.flush())
        await asyncio.sleep(0)  # the batch is on its way
        one.put(Pass("rag", "d1", 7, 2))
        assert await writing
        assert one.state.pending == 1
        assert await one.flush()
        async with opened(sqlite_url) as store:
            assert (await store.load_passes())["rag", "d1"].position == 2


async def test_a_store_that_was_only_out_of_reach_is_not_filled_again(
    sqlite_url: str,
) -> None:
    refilled = []
    async with opened(sqlite_url):
        pass
    async with journal(sqlite_url, on_new=lambda: refilled.append(True)) as one:
        one.put(published(1))
        assert await one.flush()
    assert refilled == []


async def test_the_writer_writes_without_being_asked_and_again_after_a_failure(
    tmp_path: Path,
) -> None:
    home = tmp_path / "later"
    url = f"sqlite:///{home}/seamwatch.db"
    one = Journal(url, every=0.001, longest_pause=0.002)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(one.run())
        one.put(published(1))
        await until(lambda: one.state.failures)
        home.mkdir()
        await until(lambda: not one.state.pending)
        one.put(published(2))
        await until(lambda: not one.state.pending)
        one.put(published(3))
        assert await one.close()
    assert await versions(url) == ["v1", "v2", "v3"]


async def test_closing_ends_at_its_deadline_and_tells_what_is_lost(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = Journal(sqlite_url, timeout=60.0)
    one.put(published(1))
    assert await one.flush()
    other = sqlite3.connect(tmp_path / "seamwatch.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    one.put(published(2), published(3))
    assert not await one.close(deadline=0.1)
    assert "2 rows were not written before the end" in caplog.text
    other.close()


def test_the_store_costs_nothing_until_it_is_opened() -> None:
    code = "import sys, seamwatch.store; sys.exit('sqlalchemy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# PostgreSQL


@pytest.mark.needs_postgres
async def test_a_login_or_database_that_does_not_exist_is_told(server: str) -> None:
    for wrong, reason in (
        (server.replace("postgres:@", "nobody:s3cret@"), Reason.UNAUTHORIZED),
        (server.replace("/postgres?", "/missing?"), Reason.UNREACHABLE),
    ):
        with pytest.raises(StoreError, match="does not exist") as caught:
            await Store.open(wrong)
        assert caught.value.reason is reason
        assert "s3cret" not in str(caught.value)


@pytest.mark.needs_postgres
async def test_replicas_that_start_together_make_the_tables_once(server: str) -> None:
    url = await new_database(server)
    stores = await asyncio.gather(*(Store.open(url) for _ in range(4)))
    assert sorted(store.is_new for store in stores) == [False, False, False, True]
    await asyncio.gather(*(s.save([published(n)]) for n, s in enumerate(stores)))
    for store in stores:
        await store.close()
    assert sorted(await versions(url)) == ["v0", "v1", "v2", "v3"]


@pytest.mark.needs_postgres
async def test_a_table_that_somebody_locks_ends_at_the_timeout(server: str) -> None:
    import asyncpg

    url = await new_database(server)
    async with journal(url, timeout=0.5) as one:
        one.put(published(1))
        assert await one.flush()
        other = await asyncpg.connect(url)
        async with other.transaction():
            await other.execute("LOCK TABLE seamwatch_publications")
            one.put(published(2))
            assert not await one.flush()
            assert one.state.failures == {Reason.TIMEOUT: 1}
        await other.close()
        assert await one.flush()
    assert await versions(url) == ["v1", "v2"]


@pytest.mark.needs_postgres
async def test_a_server_that_goes_away_and_comes_back_loses_no_row() -> None:
    with postgres_server() as url:
        async with journal(url) as one:
            one.put(published(1))
            assert await one.flush()
            postgres_control(url, "stop", "-m", "immediate")
            one.put(published(2), asked(2))
            assert not await one.flush()
            assert not await one.flush()
            assert one.state.failures == {Reason.UNREACHABLE: 2}
            assert one.state.pending == 2
            postgres_control(url, "restart", "-l", "/dev/null")
            assert await one.flush()
            one.put(published(3))
            assert await one.flush()
        assert await versions(url) == ["v1", "v2", "v3"]
        postgres_control(url, "stop", "-m", "immediate")  # whoever started it knows the old one
