"""The sql source: one row of SQLite or PostgreSQL, and nothing that a database does hurts us."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hostile import HANG, Hostile, sends
from postgres_server import postgres_control, postgres_server
from seamwatch.config.sources import SourceSection
from seamwatch.errors import ReadError, SeamwatchError
from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Observation
from seamwatch.sources import Reach, build
from seamwatch.sources.contract import contract
from seamwatch.sources.row import FIELDS, check_columns, one_row, values
from stages import NOW, failure, read, until

FOREVER = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS rows FROM n"
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "features.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE features (event_time TEXT, loaded_at INTEGER, batch TEXT, amount REAL);
            INSERT INTO features VALUES
                ('2026-11-22 07:00:00', 1795334400, 'batch-411', 1.5),
                ('2026-11-22 08:00:00', 1795337000, 'batch-412', NULL);
            CREATE TABLE writes (n INTEGER);
            """
        )
    return path


def sqlite(path: Path, query: str, **more: Any) -> dict[str, Any]:
    return {"sql": {"url": f"sqlite:///{path}", "query": query, **more}}


async def test_a_row_becomes_an_observation(database: Path) -> None:
    query = """
        SELECT 'ok' AS status, 'v7' AS version, max(event_time) AS WATERMARK,
               max(loaded_at) AS updated_at, count(*) AS rows,
               '{"threshold": 0.72}' AS settings, '{"crawler": "c-1"}' AS tuned_on,
               max(batch) AS built_from_ingest, NULL AS built_from_other
        FROM features; -- the newest
    """
    assert await read(sqlite(database, query, zone="UTC")) == Observation(
        healthy=True,
        version="v7",
        watermark=NOW - 3600,
        updated_at=1_795_337_000.0,
        built_from={"ingest": "batch-412"},
        tuned_on={"crawler": "c-1"},
        rows=2.0,
        settings={"threshold": 0.72},
    )


async def test_a_path_is_relative_to_the_configuration_file(database: Path) -> None:
    section = sqlite(Path("features.db"), "SELECT max(batch) AS version FROM features")
    assert (await read(section, base=database.parent)).version == "batch-412"


@pytest.mark.parametrize(
    ("query", "reason", "message"),
    [
        (
            "SELECT batch AS version FROM features WHERE 0",
            "no_data",
            "the query gave no row; it should give one",
        ),
        (
            "SELECT batch AS version FROM features",
            "ambiguous",
            "the query gave more than one row; aggregate, or ORDER BY ... LIMIT 1",
        ),
        (
            "SELECT max(batch) AS versoin FROM features",
            "bad_contract",
            '"versoin" is no field of the stage contract; name the columns status, version,'
            " watermark, updated_at, built_from, tuned_on, rows, settings, built_from_<stage>"
            " or tuned_on_<stage>",
        ),
        ("SELECT 1 AS rows, 2 AS ROWS", "ambiguous", 'the column "rows" occurs twice'),
        ("SELECT * FROM missing", "query", "no such table: missing"),
        ("SELEKT", "query", 'near "SELEKT": syntax error'),
        ("INSERT INTO writes VALUES (1)", "query", "the query writes; write a SELECT"),
        ("DROP TABLE writes", "query", "the query writes; write a SELECT"),
        (
            "SELECT 'v' AS version; SELECT 2",
            "query",
            "You can only execute one statement at a time.",
        ),
        (
            "SELECT NULL AS version, NULL AS watermark",
            "bad_contract",
            "none of version, watermark, updated_at is known; give at least one",
        ),
        (
            "SELECT max(event_time) AS watermark FROM features",
            "bad_time",
            'watermark is "2026-11-22 08:00:00", without a time zone; write it with one,'
            " e.g. 2026-11-22T09:00:00Z, or declare `zone:`",
        ),
        (
            "SELECT 1 AS version, 'batch-1' AS built_from",
            "bad_contract",
            'built_from is "batch-1"; write JSON, e.g. {"ingest": "batch-412"}',
        ),
        ("SELECT x'00ff' AS version", "bad_contract", "version is 2 bytes; write text"),
        ("SELECT CAST(x'ff' AS TEXT) AS version", "bad_encoding", "a text is not UTF-8"),
        (
            "SELECT hex(zeroblob(100000)) AS version",
            "too_large",
            'the column "version" has more than 65536 characters',
        ),
        ("SELECT zeroblob(900000000) AS version", "too_large", "string or blob too big"),
        ("SELECT 1.10 AS version", "bad_contract", None),
    ],
)
async def test_a_query_that_gives_no_observation_says_why(
    database: Path, query: str, reason: str, message: str | None
) -> None:
    if message is None:
        message = (
            "version is the number 1.1; write it as text, in quotes: as a number 1.10 becomes 1.1"
        )
    found = await failure(sqlite(database, query))
    assert found == (reason, f"sqlite:///{database}: {message}")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM writes").fetchone() == (0,)


async def test_an_endless_query_ends_and_gives_its_thread_back(database: Path) -> None:
    async with Fetcher() as fetcher:
        reach = Reach(fetcher)
        section = SourceSection.model_validate(sqlite(database, FOREVER))
        source = build(section, reach, timeout=0.3, base_dir=Path("/"))

        async def said() -> str:
            with pytest.raises(ReadError) as caught:
                await source.read(now=NOW)
            return str(caught.value)

        async def times_out() -> bool:  # BUSY while the one before still runs
            return await said() == f"sqlite:///{database}: no answer within 0.3 s"

        assert await times_out()
        await until(times_out)


async def test_a_locked_database_is_said_to_be_locked(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        found = await failure(sqlite(database, "SELECT 1 AS version FROM features"), timeout=0.4)
    assert found == ("locked", f"sqlite:///{database}: database is locked")


async def test_a_database_in_use_by_a_writer_is_read(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO writes VALUES (1)")
        found = await read(sqlite(database, "SELECT 'v' AS version, count(*) AS rows FROM writes"))
        other.execute("ROLLBACK")
    assert found.rows == 0


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    assert await failure(sqlite(path, "SELECT 1 AS version")) == (
        "unreachable",
        f"sqlite:///{path}: there is no such file",
    )
    assert not path.exists()


async def test_a_database_that_goes_between_two_readings_is_missed_and_found_again(
    database: Path,
) -> None:
    query = "SELECT min(batch) AS version FROM features"
    section = SourceSection.model_validate(sqlite(database, query))
    whole = _replace(database, None)
    async with Fetcher() as fetcher:
        source = build(section, Reach(fetcher), timeout=5, base_dir=Path("/"))
        for content in (whole, None, whole[: len(whole) // 2], whole):
            _replace(database, content)
            if content == whole:
                assert (await source.read(now=NOW)).version == "batch-411"
                continue
            with pytest.raises(ReadError) as caught:
                await source.read(now=NOW)
            assert caught.value.reason == ("unreachable" if content is None else "not_json")


def _replace(path: Path, content: bytes | None) -> bytes:
    """Put *content* in the place of what *path* holds, or nothing; return what it held."""
    before = path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    return before


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rubbish.db"
    path.write_bytes(os.urandom(8192))
    assert await failure(sqlite(path, "SELECT name AS version FROM sqlite_master")) == (
        "not_json",
        f"sqlite:///{path}: file is not a database",
    )
    assert await failure(sqlite(tmp_path, "SELECT 1 AS version")) == (
        "not_json",
        f"sqlite:///{tmp_path}: this is a directory; write the path of a file",
    )
    os.mkfifo(tmp_path / "pipe")
    assert await failure(sqlite(tmp_path / "pipe", "SELECT 1 AS version")) == (
        "not_json",
        f"sqlite:///{tmp_path}/pipe: this is a pipe; write the path of a file",
    )


@pytest.fixture
def damaged(database: Path) -> Path:
    content = bytearray(database.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    database.write_bytes(content)
    return database


async def test_a_damaged_database_is_refused(damaged: Path) -> None:
    assert await failure(sqlite(damaged, "SELECT count(*) AS version FROM features")) == (
        "not_json",
        f"sqlite:///{damaged}: database disk image is malformed",
    )


async def test_the_address_may_stand_in_a_file_and_change_there(
    database: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "url"
    section = {"sql": {"url_file": "url", "query": "SELECT max(batch) AS version FROM features"}}
    assert await failure(section, base=tmp_path) == (
        "unauthorized",
        f"url_file {secret} cannot be read: No such file or directory",
    )
    secret.write_text("mysql://root:s3cret@db/x\n")
    assert await failure(section, base=tmp_path) == (
        "unreachable",
        f"{secret}: this database cannot be read; write sqlite:///file.db or"
        " postgresql://user@host/db",
    )
    secret.write_text(f"sqlite:///{database}\n")
    assert (await read(section, base=tmp_path)).version == "batch-412"


def test_another_database_is_refused_when_the_file_is_checked() -> None:
    with pytest.raises(ValidationError) as caught:
        SourceSection.model_validate(
            {"sql": {"url": "mysql://root:s3cret@db/x", "query": "SELECT 1"}}
        )
    assert [error["msg"] for error in caught.value.errors()] == [
        "Value error, mysql databases cannot be read;"
        " write sqlite:///file.db or postgresql://user@host/db"
    ]
    assert "s3cret" not in str(caught.value)


async def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(SeamwatchError) as caught:
        await read({"sql": {"url": "sqlite://", "query": "SELECT 1 AS version"}})
    assert str(caught.value) == (
        "source.sql.url: a database in memory has nothing to read; write sqlite:///file.db"
    )


CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=4)
    | st.datetimes()
    | st.dates()
    | st.decimals()
    | st.sampled_from(['{"a": "b"}', "[1]", "{", "null", '"x"'])
)
COLUMNS = st.sampled_from([*FIELDS, "VERSION", "built_from_a", "built_from_", "tuned_on_x", "x"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(COLUMNS, CELLS))
def test_any_row_is_an_observation_or_a_reason(row: dict[str, Any]) -> None:
    try:
        check_columns(list(row), where="here")
        found = values(one_row([row], where="here"), where="here")
        contract("auto", "UTC").observe(found, now=NOW, where="here")
    except ReadError as error:
        message = str(error)
        assert message.startswith("here: ")
        assert message.isprintable()


# --- PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        asyncio.run(_prepare(url))
        yield url


async def _prepare(url: str) -> None:
    connection = await asyncpg.connect(url)
    data = Path(await connection.fetchval("SHOW data_directory"))
    await connection.execute(
        """
        CREATE TABLE features (event_time timestamptz, loaded_at timestamp, batch text);
        INSERT INTO features VALUES
            ('2026-11-22T07:00:00Z', '2026-11-22 09:40', 'batch-411'),
            ('2026-11-22T08:00:00Z', '2026-11-22 09:50', 'batch-412');
        CREATE TABLE writes (n int);
        CREATE TYPE mood AS ENUM ('ok', 'sad');
        CREATE ROLE reader LOGIN PASSWORD 's3cret-right';
        GRANT SELECT ON features TO reader;
        """
    )
    access = data / "pg_hba.conf"
    access.write_text(f"local all reader scram-sha-256\n{access.read_text()}")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


def postgres(url: str, query: str, **more: Any) -> dict[str, Any]:
    return {"sql": {"url": url, "query": query, **more}}


def place(url: str) -> str:
    return f"postgresql://[{url.partition('host=')[2]}]:5432/postgres"


pg = pytest.mark.needs_postgres


@pg
async def test_a_row_of_postgresql_becomes_an_observation(server: str) -> None:
    query = """
        SELECT 'sad'::mood AS status, max(batch) AS version, max(event_time) AS watermark,
               max(loaded_at) AS updated_at, count(*) AS rows,
               '{"threshold": 0.72}'::jsonb AS settings,
               json_build_object('ingest', 'b-1') AS built_from, 7::bigint AS "tuned_on_My.Stage"
        FROM features -- no semicolon, but a comment
    """
    assert await read(postgres(server, query, zone="Europe/Berlin")) == Observation(
        healthy=False,
        version="batch-412",
        watermark=NOW - 3600,
        updated_at=NOW - 600,
        built_from={"ingest": "b-1"},
        tuned_on={"My.Stage": "7"},
        rows=2.0,
        settings={"threshold": 0.72},
    )
    url = server.replace("postgresql://", "postgresql+asyncpg://")
    date = "SELECT DATE '2026-11-22' AS watermark, 3::numeric AS rows;"
    found = await read(postgres(url, date, zone="UTC"))
    assert (found.watermark, found.rows) == (NOW - 9 * 3600, 3.0)


@pg
@pytest.mark.parametrize(
    ("query", "reason", "message"),
    [
        ("SELECT 'v' AS version WHERE false", "no_data", None),
        ("SELECT batch AS version FROM features", "ambiguous", None),
        ("SELECT generate_series(1, 100000000) AS version", "ambiguous", None),
        ("SELECT 1 AS a", "bad_contract", None),
        ("SELECT 1 AS rows, 2 AS rows", "ambiguous", 'the column "rows" occurs twice'),
        ("SELECT * FROM nothing", "query", 'relation "nothing" does not exist'),
        ("SELECT 1/0 AS rows", "query", "division by zero"),
        ("SHOW server_version", "bad_contract", None),
        (
            "WITH w AS (INSERT INTO writes VALUES (1) RETURNING n) SELECT n AS version FROM w",
            "query",
            None,
        ),
        ("INSERT INTO writes VALUES (1) RETURNING n AS version", "query", None),
        ("SELECT setval('x', 1) AS version", "query", 'relation "x" does not exist'),
        ("SELECT 'NaN'::float8 AS rows", "bad_contract", "rows is nan; write a number, 0 or more"),
        ("SELECT 'infinity'::timestamptz AS watermark", "bad_time", None),
        (
            "SELECT repeat('x', 20000000) AS version",
            "too_large",
            'the column "version" has more than 65536 characters',
        ),
        ("SELECT now()::timestamp AS watermark", "bad_time", None),
    ],
)
async def test_a_query_of_postgresql_that_gives_no_observation_says_why(
    server: str, query: str, reason: str, message: str | None
) -> None:
    found, text = await failure(postgres(server, query))
    assert (found, text[: len(place(server)) + 2]) == (reason, f"{place(server)}: ")
    if message is not None:
        assert text == f"{place(server)}: {message}"
    connection = await asyncpg.connect(server)
    try:
        assert await connection.fetchval("SELECT count(*) FROM writes") == 0
    finally:
        await connection.close()


@pg
async def test_a_query_that_sleeps_is_ended_on_the_server_too(server: str) -> None:
    section = postgres(server, "SELECT 'v' AS version, pg_sleep(60)::text AS status")
    assert await failure(section, timeout=0.3) == (
        "timeout",
        f"{place(server)}: no answer within 0.3 s",
    )
    await until(lambda: _none_sleeps(server))


async def _sleeping(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
        )
        return found
    finally:
        await connection.close()


async def _none_sleeps(url: str) -> bool:
    return not await _sleeping(url)


@pg
async def test_a_reading_that_is_given_up_leaves_nothing_behind(server: str) -> None:
    section = postgres(server, "SELECT 'v' AS version, pg_sleep(60)::text AS status")
    task = asyncio.create_task(read(section, timeout=2))
    await until(lambda: _sleeping(server))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: _none_sleeps(server))


@pg
async def test_a_connection_that_dies_half_way_is_replaced(server: str) -> None:
    section = SourceSection.model_validate(
        postgres(server, "SELECT 'v' AS version, pg_sleep(60)::text AS status")
    )
    good = SourceSection.model_validate(postgres(server, "SELECT 'v' AS version"))
    async with Fetcher() as fetcher:
        reach = Reach(fetcher)
        source = build(section, reach, timeout=20, base_dir=Path("/"))
        after = build(good, reach, timeout=20, base_dir=Path("/"))
        reading = asyncio.create_task(source.read(now=NOW))
        other = await asyncpg.connect(server)
        kill = (
            "SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE state = 'active'"
            " AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
        )
        await until(lambda: other.fetchval(kill))
        await other.close()
        with pytest.raises(ReadError) as caught:
            await reading
        assert caught.value.reason == "unreachable"
        # which of the two depends on how far the query had come
        told = ("terminating connection due to administrator command", "the connection was closed")
        assert str(caught.value).endswith(told)
        assert (await after.read(now=NOW)).version == "v"
        await reach.close()


@pg
async def test_a_server_that_stops_between_two_readings_is_missed_and_found_again() -> None:
    with postgres_server() as url:
        section = SourceSection.model_validate(postgres(url, "SELECT 'v' AS version"))
        async with Fetcher() as fetcher:
            reach = Reach(fetcher)
            source = build(section, reach, timeout=5, base_dir=Path("/"))
            assert (await source.read(now=NOW)).version == "v"
            postgres_control(url, "stop", "-m", "immediate")
            for _ in range(2):  # over the connection that was open, and over a new one
                with pytest.raises(ReadError) as caught:
                    await source.read(now=NOW)
                assert caught.value.reason == "unreachable"
            postgres_control(url, "restart", "-l", "/dev/null")
            assert (await source.read(now=NOW)).version == "v"
            await reach.close()
        postgres_control(url, "stop", "-m", "immediate")  # whoever started it knows the old one


@pg
async def test_a_server_that_freezes_is_given_up_in_time(server: str) -> None:
    section = SourceSection.model_validate(postgres(server, "SELECT 'v' AS version"))
    async with Fetcher() as fetcher:
        reach = Reach(fetcher)
        source = build(section, reach, timeout=0.5, base_dir=Path("/"))
        await source.read(now=NOW)
        other = await asyncpg.connect(server)
        process = await other.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'seamwatch'"
        )
        await other.close()
        os.kill(process, signal.SIGSTOP)
        try:
            with pytest.raises(ReadError) as caught:
                await source.read(now=NOW)
            assert str(caught.value) == f"{place(server)}: no answer within 0.5 s"

            async def reads_again() -> bool:  # over a new connection
                with suppress(ReadError):
                    return (await source.read(now=NOW)).version == "v"
                return False

            await until(reads_again)
            await reach.close()
        finally:
            os.kill(process, signal.SIGCONT)


@pg
async def test_a_locked_table_is_said_to_be_locked(server: str) -> None:
    other = await asyncpg.connect(server)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE features IN ACCESS EXCLUSIVE MODE")
            section = postgres(server, "SELECT max(batch) AS version FROM features")
            assert await failure(section, timeout=0.6) == (
                "locked",
                f"{place(server)}: canceling statement due to lock timeout",
            )
    finally:
        await other.close()


@pg
async def test_a_wrong_password_is_refused_and_never_shown(server: str) -> None:
    query = "SELECT max(batch) AS version FROM features"
    right = server.replace("postgres:@", "reader:s3cret-right@")
    wrong = server.replace("postgres:@", "reader:s3cret-wrong@")
    assert (await read(postgres(right, query))).version == "batch-412"
    assert await failure(postgres(wrong, query)) == (
        "unauthorized",
        f'{place(server)}: password authentication failed for user "reader"',
    )
    assert await failure(postgres(right, "SELECT n AS version FROM writes")) == (
        "unauthorized",
        f"{place(server)}: permission denied for table writes",
    )


@pg
async def test_a_database_that_does_not_exist_is_unreachable(server: str) -> None:
    section = postgres(server.replace("/postgres?", "/nothing?"), "SELECT 1 AS version")
    reason, message = await failure(section)
    assert (reason, message.rpartition(": ")[2]) == (
        "unreachable",
        'database "nothing" does not exist',
    )


@pg
async def test_connections_are_shared_bounded_and_closed_with_their_last_user(server: str) -> None:
    section = SourceSection.model_validate(
        postgres(server, "SELECT 'v' AS version, pg_sleep(0.02)::text AS status")
    )
    async with Fetcher() as fetcher:
        reach = Reach(fetcher)
        sources = [build(section, reach, timeout=20, base_dir=Path("/")) for _ in range(20)]
        assert {source.host for source in sources} == {place(server)}
        await asyncio.gather(*(source.read(now=NOW) for source in sources))
        other = await asyncpg.connect(server)
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'seamwatch'"
        try:
            assert await other.fetchval(count) == 4
            for source in sources:
                await source.close()
            await until(lambda: other.fetchval(f"SELECT ({count}) = 0"))
        finally:
            await other.close()


async def test_nothing_listens_where_postgresql_should_be() -> None:
    async with Hostile() as hostile:
        port = hostile.port
    section = postgres(f"postgresql://u:s3cret@127.0.0.1:{port}/db", "SELECT 1 AS version")
    assert await failure(section) == (
        "unreachable",
        f"postgresql://127.0.0.1:{port}/db: connection refused",
    )


@pytest.mark.parametrize(
    ("says", "reason", "message"),
    [
        (b"", "timeout", "no answer within 0.3 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "unreachable", None),
        (b"E" + bytes([127, 255, 255, 255]) + bytes(100), "unreachable", None),
    ],
)
async def test_something_else_listens_where_postgresql_should_be(
    says: bytes, reason: str, message: str | None
) -> None:
    async with Hostile(greets=sends(says, then=HANG)) as hostile:
        url = f"postgresql://u:s3cret@127.0.0.1:{hostile.port}/db"
        found, text = await failure(postgres(url, "SELECT 1 AS version"), timeout=0.3)
    assert found == reason
    assert text.startswith(f"postgresql://127.0.0.1:{hostile.port}/db: ")
    assert "s3cret" not in text
    if message is not None:
        assert text.endswith(f": {message}")


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cret@[::1/db", "postgresql://u:s3cret@h:x/db?sslmode=nonsense"]
)
async def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    try:
        found = await failure(postgres(url, "SELECT 1 AS version"))
    except SeamwatchError as error:
        found = ("", str(error))
    assert "s3cret" not in found[1]


async def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    section = postgres("postgresql://db/x", "SELECT 1 AS version")
    assert await failure(section) == (
        "missing_driver",
        "postgresql://db:5432/x: PostgreSQL needs a driver; run pip install 'seamwatch[postgres]'",
    )


@pytest.mark.parametrize(
    "password", ["123/secret", "s3c/secret", "a#secret", "a?secret", "a@secret"]
)
async def test_a_password_that_is_not_encoded_is_refused_and_never_shown(password: str) -> None:
    url = f"postgresql://u:{password}@127.0.0.1:5999/db"
    section = SourceSection.model_validate({"sql": {"url": url, "query": "SELECT 1"}})
    async with Fetcher() as fetcher:
        with pytest.raises(SeamwatchError, match="percent-encode") as caught:
            build(section, Reach(fetcher), timeout=1, base_dir=Path("/"))
    assert "secret" not in str(caught.value)
