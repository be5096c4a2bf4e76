"""One process leads at a time, and who led before writes nothing more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from postgres_server import postgres_server
from seamwatch.errors import Reason, StoreError
from seamwatch.gate import Halt, Mode, Probed, Rules, Tick
from seamwatch.store import EventRow, Store
from seamwatch.store.gatestore import FOLLOWS
from seamwatch.store.leading import Leadership
from stores import HALT, happened, journal, new_database, opened

EVENT = EventRow("rag", 1, 1.0, "suspect", 0.5, "terms")


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


async def led(store: Store) -> Leadership:
    """Lead, as soon as that is possible: a server may take a moment to notice a death."""
    for _ in range(200):
        leads = await store.gates.lead("here", now=3.0)
        if leads is not None:
            return leads
        await asyncio.sleep(0.05)
    raise AssertionError("nobody leads, and yet the lock is held")


@asynccontextmanager
async def child(program: str, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run *program* until it says that it is so far, and for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"True\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


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
    async with child(LEADER, url) as process:
        assert await store.gates.lead("here", now=2.0) is None
        process.kill()
        leads = await led(store)
    assert leads.epoch == 2
    await leads.release()


STOPPED_LEADER = """
import asyncio, sys, time
from seamwatch.store import Store, leading
leading._SETTLE = leading._SETTLE.replace("10s", "300ms")
async def main():
    store = await Store.open(sys.argv[1])
    print(bool(await store.gates.lead("child", now=1.0)), flush=True)
    time.sleep(60)  # as if it were stopped
asyncio.run(main())
"""

STOPPED_WRITER = """
import asyncio, sys, time
from seamwatch.store import Store, audit, engine
engine._IDLE_IN_TRANSACTION = "300ms"
def stop(connection):
    audit.hold(connection)
    print(True, flush=True)
    time.sleep(60)
async def main():
    store = await Store.open(sys.argv[1])
    await store._transact(stop, 60.0)
asyncio.run(main())
"""


@pytest.mark.needs_postgres
async def test_a_leader_that_stands_still_leads_no_more(server: str) -> None:
    url = await new_database(server)
    async with child(STOPPED_LEADER, url), opened(url) as store:
        leads = await led(store)
        assert leads.epoch == 2
        await leads.release()


@pytest.mark.needs_postgres
async def test_a_process_that_stands_still_keeps_nobody_from_halting(server: str) -> None:
    url = await new_database(server)
    async with child(STOPPED_WRITER, url), opened(url) as store:
        assert (await store.gates.happen(happened(HALT))).state.is_halted


@pytest.mark.needs_postgres
async def test_a_leader_whose_session_ends_is_told_so(server: str) -> None:
    url = await new_database(server)
    async with opened(url) as store:
        leads = await store.gates.lead("here", now=1.0)
        assert leads is not None
        watching = asyncio.create_task(leads.lost())
        await store._transact(
            lambda one: one.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'seamwatch leader' AND datname = current_database()"
            ),
            5.0,
        )
        async with asyncio.timeout(20):
            await watching
        again = await led(store)
        assert again.epoch == leads.epoch + 1
        await leads.release()
        await again.release()


async def test_a_leader_whose_lock_file_is_gone_is_told_so(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/store.db") as store:
        leads = await led(store)
        watching = asyncio.create_task(leads.lost())
        await asyncio.sleep(0)
        assert not watching.done()
        (tmp_path / "store.db.lock").unlink()
        async with asyncio.timeout(20):
            await watching
        await leads.release()


async def test_who_does_not_lead_writes_only_what_people_say(store: Store) -> None:
    store.gates.epoch = FOLLOWS
    await store.save([happened(Halt("odd"))])
    assert [row.event for row in await store.gates.load_audit(0)] == ["halt"]
    for row in (EVENT, happened(Probed())):
        with pytest.raises(StoreError, match="this process does not lead"):
            await store.save([row, happened(Halt("again"), pipeline="search")])
    (halt,) = await store.gates.load()
    assert halt.pipeline == "rag"


async def test_rules_that_a_follower_has_not_read_yet_stand(store: Store) -> None:
    await store.gates.happen(happened(Tick()))
    store.gates.epoch = FOLLOWS
    old = happened(Halt("odd"), rules=Rules(Mode.SHADOW), targets=("dag",))
    written = await store.gates.happen(old)
    assert written.rules.mode is Mode.ENFORCE
    assert [order.desired for order in await store.gates.load_orders()] == ["halted"]


async def test_an_order_is_not_carried_on_by_who_led_before(store: Store) -> None:
    await store.gates.happen(happened(HALT, targets=("dag",)))
    (order,) = await store.gates.load_orders()
    first = await led(store)
    store.gates.epoch = first.epoch
    assert await store.gates.keep_order(replace(order, attempts=1))
    await first.release()
    second = await led(store)
    with pytest.raises(StoreError) as caught:
        await store.gates.keep_order(replace(order, attempts=2))
    assert caught.value.reason is Reason.NOT_LEADER
    await second.release()


async def test_what_waits_when_another_begins_to_lead_is_given_up_but_for_words(url: str) -> None:
    async with opened(url) as other, journal(url) as one:
        leads = await led(await one.store())
        one.lead(leads.epoch)
        one.put(EVENT)
        assert await one.flush()
        await leads.release()
        successor = await led(other)
        one.put(replace(EVENT, ordinal=2), happened(HALT))
        one.put(happened(Halt("odd")))
        assert not await one.flush()
        assert one.state.failures == {Reason.NOT_LEADER: 1}
        one.follow()
        assert await one.flush()
        assert one.state.dropped == 2
        assert await other.load_events("rag") == [EVENT]
        assert [row.cause for row in await other.gates.load_audit(0)] == ["person"]
        await successor.release()
