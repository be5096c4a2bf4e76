"""One row from PostgreSQL: read-only, ended by the server itself, cells cut to a bound."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from seamwatch.errors import ReadError, Reason
from seamwatch.sources.quoting import problem
from seamwatch.sources.row import MAX_CELL, Row, check_columns, one_row

if TYPE_CHECKING:
    import asyncpg

CONNECTIONS = 4  # to one database
IDLE = 120.0  # seconds after which an unused connection is closed
SERVER_SHARE = 0.9  # the server gives up this much earlier, so that its own word reaches us
LOCK_SHARE = 0.5  # and waits for a lock no longer than this

# Types that come as they are; all others come as text, cut to MAX_CELL by the server.
_NATIVE = frozenset(
    "bool int2 int4 int8 float4 float8 numeric date timestamp timestamptz".split()  # noqa: SIM905
)


def dsn(url: str) -> str:
    """Return *url* as asyncpg wants it: without the driver that SQLAlchemy URLs may name."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="postgresql"))


def named(url: str) -> str:
    """Return postgresql://host:port/database of *url*: no user, no password, no options."""
    try:
        parts = urlsplit(url)
        socket_dir = "".join(parse_qs(parts.query).get("host", []))
        host = parts.hostname or socket_dir or "localhost"
        where = f"[{host}]" if ":" in host or "/" in host else host
        return f"postgresql://{where}:{parts.port or 5432}{parts.path}"
    except ValueError:
        return "postgresql://"


class Pools:
    """A pool of connections for each URL, kept while some source uses it. Belongs to one loop."""

    def __init__(self) -> None:
        self._pools: dict[str, asyncpg.Pool] = {}
        self._users: dict[str, int] = {}

    def retain(self, url: str) -> None:
        """Note one more user of *url*."""
        self._users[url] = self._users.get(url, 0) + 1

    async def release(self, url: str) -> None:
        """Note one user less; the last one closes the connections."""
        self._users[url] -= 1
        if not self._users[url]:
            del self._users[url]
            await self._close(url)

    async def close(self) -> None:
        """Close all connections at once; queries under way are abandoned."""
        for url in list(self._pools):
            await self._close(url)

    async def _close(self, url: str) -> None:
        pool = self._pools.pop(url, None)
        if pool is not None:
            pool.terminate()  # close() would wait for a hung server

    async def pool(self, url: str) -> asyncpg.Pool:
        """Return the pool of *url*; nothing is connected yet."""
        import asyncpg

        if url not in self._pools:
            self._pools[url] = asyncpg.create_pool(
                dsn(url),
                min_size=0,
                max_size=CONNECTIONS,
                max_inactive_connection_lifetime=IDLE,
                statement_cache_size=0,  # prepared statements do not survive pgbouncer
                server_settings={"application_name": "seamwatch"},
            )
        pool = self._pools[url]
        await pool  # initialises once; with min_size=0 that opens no connection
        return pool


@dataclass(frozen=True, slots=True)
class Postgres:
    """Reads the row of one query."""

    pools: Pools
    url: str
    query: str
    timeout: float

    async def row(self) -> Row:
        """Return the only row, by column name; raise ReadError for anything else."""
        where = named(self.url)
        deadline = monotonic() + self.timeout
        try:
            import asyncpg
        except ImportError as error:
            raise ReadError(
                Reason.MISSING_DRIVER,
                f"{where}: PostgreSQL needs a driver; run pip install 'seamwatch[postgres]'",
            ) from error
        try:
            async with asyncio.timeout(self.timeout):
                return await self._row(where, deadline)
        except TimeoutError as error:
            raise ReadError(
                Reason.TIMEOUT, f"{where}: no answer within {self.timeout:g} s"
            ) from error
        except asyncpg.PostgresError as error:
            if error.sqlstate == "57014":  # the server was first to end it
                raise ReadError(
                    Reason.TIMEOUT, f"{where}: no answer within {self.timeout:g} s"
                ) from error
            raise _server_error(error, where) from error
        except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise _client_error(error, where) from None  # their texts may hold the password
        except (ValueError, OverflowError) as error:  # a date after the year 9999, say
            raise ReadError(
                Reason.BAD_CONTRACT, f"{where}: a value cannot be represented: {problem(error)}"
            ) from None

    async def _row(self, where: str, deadline: float) -> Row:
        import asyncpg

        pool = await self.pools.pool(self.url)
        connection = await pool.acquire()
        try:
            rows = await self._fetch(connection, where, deadline)
        except BaseException:
            # whatever state it is in, nobody waits for it: the server ends the query by itself
            with suppress(asyncpg.InterfaceError):  # it is closed already
                connection.terminate()
            raise
        finally:
            await pool.release(connection)
        return one_row(rows, where=where)

    async def _fetch(self, connection: Any, where: str, deadline: float) -> list[Row]:
        # not `async with`: rolling back over a dead connection would hide what happened to it
        transaction = connection.transaction(readonly=True)
        await transaction.start()
        left = (deadline - monotonic()) * 1000  # ms
        await connection.execute(
            f"SET LOCAL statement_timeout = {max(1, int(left * SERVER_SHARE))};"
            f"SET LOCAL lock_timeout = {max(1, int(left * LOCK_SHARE))}"
        )
        query = self.query.strip().rstrip(";")
        columns = (await connection.prepare(query)).get_attributes()
        check_columns([column.name for column in columns], where=where)
        cells = ", ".join(_cell(column.name, column.type.name) for column in columns)
        # a newline, because the query may end in a comment
        rows = await connection.fetch(f"SELECT {cells} FROM (\n{query}\n) AS seamwatch LIMIT 2")
        await transaction.rollback()
        return [dict(row) for row in rows]


def _cell(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if kind in _NATIVE:
        return quoted
    return f"left({quoted}::text, {MAX_CELL + 1}) AS {quoted}"


def _server_error(error: asyncpg.PostgresError, where: str) -> ReadError:
    state = error.sqlstate or ""
    text = problem(error)
    if state in ("55P03", "40P01"):
        return ReadError(Reason.LOCKED, f"{where}: {text}")
    if state.startswith("28") or state == "42501":
        return ReadError(Reason.UNAUTHORIZED, f"{where}: {text}")
    if state.startswith("53"):
        return ReadError(Reason.OVERLOADED, f"{where}: {text}")
    if state.startswith(("08", "57P", "3D")):
        return ReadError(Reason.UNREACHABLE, f"{where}: {text}")
    if state == "25006":
        return ReadError(Reason.QUERY, f"{where}: the query writes; write a SELECT ({text})")
    return ReadError(Reason.QUERY, f"{where}: {text}")


def _client_error(error: Exception, where: str) -> ReadError:
    if isinstance(error, socket.gaierror):
        return ReadError(Reason.DNS, f"{where}: the host name has no address")
    if isinstance(error, ssl.SSLError):
        return ReadError(Reason.TLS, f"{where}: TLS failed ({problem(error)})")
    if isinstance(error, ValueError):  # asyncpg's ClientConfigurationError
        return ReadError(Reason.UNREACHABLE, f"{where}: the url is not one asyncpg can use")
    if isinstance(error, ConnectionRefusedError):
        return ReadError(Reason.UNREACHABLE, f"{where}: connection refused")
    if isinstance(error, OSError):
        why = error.strerror or type(error).__name__
        return ReadError(Reason.UNREACHABLE, f"{where}: {why.lower()}")
    return ReadError(Reason.UNREACHABLE, f"{where}: the connection was closed")
