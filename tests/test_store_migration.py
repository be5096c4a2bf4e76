"""A store of an earlier version becomes one of this version where it stands, or stays as it was."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from postgres_server import postgres_server
from seamwatch.errors import Reason, StoreError
from seamwatch.freshness import Publication
from seamwatch.pipeline import Verdict
from seamwatch.store import Asked, Evidence, EvidenceRow, Pass, Store, TermsRow
from stores import HALT, happened, journal, new_database, opened

FIRST_VERSION = """
CREATE TABLE seamwatch_passes (
    pipeline TEXT NOT NULL, digest TEXT NOT NULL, seed BIGINT NOT NULL, position BIGINT NOT NULL,
    PRIMARY KEY (pipeline, digest)
);
CREATE TABLE seamwatch_probes (
    seq {sequence} NOT NULL, pipeline TEXT NOT NULL, digest TEXT NOT NULL, at {double} NOT NULL,
    item_id TEXT NOT NULL, verdict TEXT NOT NULL, credit {double}, answered_by TEXT,
    seed BIGINT NOT NULL, position BIGINT NOT NULL,
    PRIMARY KEY (seq), UNIQUE (pipeline, digest, at, item_id)
);
CREATE TABLE seamwatch_publications (
    seq {sequence} NOT NULL, pipeline TEXT NOT NULL, stage TEXT NOT NULL, since {double} NOT NULL,
    version TEXT, watermark {double},
    PRIMARY KEY (seq), UNIQUE (pipeline, stage, since)
);
CREATE TABLE seamwatch_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
INSERT INTO seamwatch_schema VALUES (1);
INSERT INTO seamwatch_passes VALUES ('rag', 'd1', 7, 2);
INSERT INTO seamwatch_publications (pipeline, stage, since, version, watermark)
    VALUES ('rag', 'index', 5.25, 'v1', NULL);
INSERT INTO seamwatch_probes
    (pipeline, digest, at, item_id, verdict, credit, answered_by, seed, position)
    VALUES ('rag', 'd1', 100.1, 'q1', 'correct', 1.0, 'm-1', 7, 0),
           ('rag', 'd1', 100.2, 'q2', 'timeout', NULL, NULL, 7, 1);
"""
NAMES = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table'",
    "postgr": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}
OLD_PROBES = [
    Asked("rag", "d1", "q1", Verdict.CORRECT, 1.0, "m-1", 100.1, 7, 0),
    Asked("rag", "d1", "q2", Verdict.TIMEOUT, None, None, 100.2, 7, 1),
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/seamwatch.db"
    return await new_database(request.getfixturevalue("server"))


async def run(url: str, script: str) -> list[tuple[Any, ...]]:
    """Run *script* without seamwatch; return the rows of its only query, if it is one."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            if script.startswith(("SELECT", "PRAGMA")):
                return connection.execute(script).fetchall()
            connection.executescript(script)
            return []
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        if script.startswith("SELECT"):
            return [tuple(row) for row in await connection.fetch(script)]
        await connection.execute(script)
        return []
    finally:
        await connection.close()


async def first_version(url: str) -> None:
    kinds = {"sequence": "INTEGER", "double": "DOUBLE"}
    if not url.startswith("sqlite"):
        kinds = {"sequence": "BIGSERIAL", "double": "DOUBLE PRECISION"}
    await run(url, FIRST_VERSION.format(**kinds))


async def tables(url: str) -> list[str]:
    """Return all columns, indexes and triggers, but for the order of columns."""
    if url.startswith("sqlite"):
        columns = """SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk
            FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'"""
        indexes = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        triggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
    else:
        columns = """SELECT table_name, column_name, data_type, is_nullable, column_default
            FROM information_schema.columns WHERE table_schema = 'public'"""
        indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        triggers = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    found = [await run(url, query) for query in (columns, indexes, triggers)]
    return [line for rows in found for line in sorted(map(repr, rows))]


async def test_a_store_of_the_first_version_keeps_all_that_it_held(url: str) -> None:
    await first_version(url)
    async with opened(url) as store:
        assert not store.is_new
        assert await store.load_window("rag", "d1", 9) == OLD_PROBES
        assert await store.load_history("rag") == {"index": (Publication("v1", None, 5.25),)}
        assert await store.load_passes() == {("rag", "d1"): Pass("rag", "d1", 7, 2)}
        assert await store.load_evidence("rag") == Evidence(None, None, [], [])
        assert [rows async for rows in store.load_log("rag")] == []
        new = Asked("rag", "d1", "q1", Verdict.WRONG, 0.0, "m-1", 101.0, 8, 0, ordinal=1, x=0.0)
        terms = TermsRow("rag", "t", "{}", 0, 1.0)
        state = EvidenceRow("rag", "d1", "t", 0, "{}", 1.0)
        await store.save([*OLD_PROBES, new, terms, state])
        assert await store.load_evidence("rag") == Evidence(terms, state, [new], [])
        assert await store.load_window("rag", "d1", 9) == [*OLD_PROBES, new]
        assert await store.prune(before=100.15, configured={"rag"}) == 1
    assert await run(url, "SELECT version FROM seamwatch_schema") == [(3,)]


async def test_a_store_without_gates_keeps_its_evidence_and_gets_them(url: str) -> None:
    terms = TermsRow("rag", "t", "{}", 0, 1.0)
    state = EvidenceRow("rag", "d1", "t", 0, "{}", 1.0)
    async with opened(url) as store:
        await store.save([*OLD_PROBES, terms, state])
    whole = await tables(url)
    for name in ("gates", "audit", "orders", "idempotency", "tokens", "leader"):
        await run(url, f"DROP TABLE seamwatch_{name}")
    await run(url, "UPDATE seamwatch_schema SET version = 2")
    async with opened(url) as store:
        assert not store.is_new
        assert await store.load_evidence("rag") == Evidence(terms, state, [], [])
        assert await store.load_window("rag", "d1", 9) == OLD_PROBES
        assert await store.gates.load() == []
        assert (await store.gates.happen(happened(HALT))).state.is_halted
        assert await store.gates.verify() == []
    assert await tables(url) == whole
    assert await run(url, "SELECT version FROM seamwatch_schema") == [(3,)]


async def test_a_store_that_was_brought_here_is_like_a_new_one(url: str) -> None:
    await first_version(url)
    for _ in range(2):
        async with opened(url):
            pass
    brought = await tables(url)
    for name in {row[0] for row in await run(url, NAMES[url[:6]])}:
        await run(url, f"DROP TABLE {name}")
    async with opened(url) as store:
        assert store.is_new
    assert await tables(url) == brought


async def test_all_who_open_an_old_store_together_get_one_of_this_version(url: str) -> None:
    await first_version(url)
    stores = await asyncio.gather(*(Store.open(url) for _ in range(4)))
    for n, store in enumerate(stores):
        assert not store.is_new
        await store.save([Pass("rag", f"p{n}", 1, 1)])
        await store.close()
    async with opened(url) as store:
        assert len(await store.load_passes()) == 1 + 4


async def test_the_journal_goes_on_over_a_change_of_version(url: str) -> None:
    await first_version(url)
    refilled: list[bool] = []
    async with journal(url, on_new=lambda: refilled.append(True)) as one:
        one.put(Pass("rag", "d1", 8, 0))
        assert await one.flush()
    assert refilled == []


async def test_what_cannot_be_brought_to_this_version_stays_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/seamwatch.db"
    await first_version(url)
    before = await tables(url)
    await run(url, "CREATE INDEX seamwatch_terms ON seamwatch_passes (seed)")  # the last table
    with pytest.raises(StoreError, match="already an index named seamwatch_terms") as caught:
        await Store.open(url)
    assert caught.value.reason is Reason.BAD_CONTRACT
    await run(url, "DROP INDEX seamwatch_terms")
    assert await tables(url) == before
    assert await run(url, "SELECT version FROM seamwatch_schema") == [(1,)]
    async with opened(url) as store:
        assert await store.load_window("rag", "d1", 9) == OLD_PROBES


async def test_a_store_of_a_later_version_gets_no_table_of_ours(url: str) -> None:
    await run(url, "CREATE TABLE seamwatch_schema (version INTEGER PRIMARY KEY)")
    await run(url, "INSERT INTO seamwatch_schema VALUES (4)")
    before = await tables(url)
    with pytest.raises(StoreError, match=r"\(schema 4, this one knows 3\)"):
        await Store.open(url)
    assert await tables(url) == before
