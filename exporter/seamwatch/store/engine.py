"""How a store's database is reached. Imports SQLAlchemy: import this where it is used."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine

from seamwatch.errors import Reason, StoreError
from seamwatch.store.address import Address

T = TypeVar("T")

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers do not wait for the writer
    "PRAGMA synchronous=FULL",  # what was committed survives a power cut, not only a crash
    "PRAGMA journal_size_limit=67108864",
)
_LOCK_WAIT = 0.5  # seconds
_IDLE_IN_TRANSACTION = "10s"
"""After which PostgreSQL ends a session that stands still while it holds locks.

A process that was stopped, or a machine that is gone, would keep all others from halting a gate.
"""
_CLOSE_WAIT = 2.0  # seconds


class Engine(Protocol):
    """Does work on a connection in a transaction of its own, off the event loop."""

    dialect: str

    async def transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        """Return what *work* returns, once it is committed; TimeoutError after *timeout* seconds.

        Work that was too slow may still be committed later.
        """

    async def close(self) -> None:
        """Let go of all connections; safe to call twice."""


class SqliteEngine:
    """SQLite by its synchronous driver in one thread of our own.

    The asynchronous driver has a thread for each connection too, and a close that meets another
    close under way waits for ever: a process that could not end.
    """

    dialect = "sqlite"

    def __init__(self, address: Address, *, timeout: float) -> None:
        # A wait for a lock cannot be called off: it is short, and the journal tries again.
        wait = {"timeout": min(_LOCK_WAIT, timeout / 2)}
        self._engine = create_engine(address.url, connect_args=wait, hide_parameters=True)
        event.listen(self._engine, "connect", _prepare_sqlite)
        event.listen(self._engine, "do_connect", partial(_check_directory, address))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._is_closed = False

    async def transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        """See Engine."""

        def run() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        async with asyncio.timeout(timeout):
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def close(self) -> None:
        """See Engine; a disk that hangs is not waited for long."""
        if self._is_closed:
            return
        self._is_closed = True
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=False)
        await asyncio.wait([closing], timeout=_CLOSE_WAIT)


class PostgresEngine:
    """PostgreSQL by its asynchronous driver."""

    dialect = "postgresql"

    def __init__(self, address: Address, *, timeout: float) -> None:
        server = {"application_name": "seamwatch"}
        self._engine = create_async_engine(
            address.url,
            connect_args={
                "timeout": timeout,
                "command_timeout": timeout,
                "server_settings": server,
            },
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=2,
            max_overflow=0,
            pool_timeout=timeout,
        )
        event.listen(self._engine.sync_engine, "connect", _prepare_postgres)

    async def transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        """See Engine."""
        async with asyncio.timeout(timeout), self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """See Engine."""
        await self._engine.dispose()


def connect(address: Address, *, timeout: float) -> Engine:
    """Return an engine that has not connected yet; *timeout* in seconds bounds each attempt."""
    kind = SqliteEngine if address.url.drivername.startswith("sqlite") else PostgresEngine
    return kind(address, timeout=timeout)


def write_alone(connection: Connection) -> None:
    """Begin to write, so that nothing that is read from now on is out of date when it is used.

    SQLite's driver begins a transaction at the first write only. PostgreSQL has locks for rows.
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def _check_directory(address: Address, *_: object) -> None:
    """Refuse a directory without which SQLite would only say that it cannot open the file."""
    if address.path is None:
        return
    where = address.path.parent
    if not where.is_dir():
        raise StoreError(
            f"store {address.shown}: there is no directory {where}; create it, or correct `store`",
            reason=Reason.UNREACHABLE,
        )
    if not os.access(where, os.W_OK | os.X_OK):  # SQLite makes files beside its own
        raise StoreError(
            f"store {address.shown}: cannot write in {where}; let user {_user()} write there,"
            f" or set `store` to a place where it may, such as sqlite:///{_ELSEWHERE}",
            reason=Reason.UNAUTHORIZED,
        )


_ELSEWHERE = "/var/lib/seamwatch/seamwatch.db"


def _user() -> str:
    """Return the name of the user that this process is, its number if it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Set a new connection up; it is closed again when the file turns out to be no database."""
    cursor = connection.cursor()
    try:
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
    except BaseException:
        cursor.close()
        connection.close()
        raise
    cursor.close()


def _prepare_postgres(connection: Any, _record: object) -> None:
    """Set a new connection up; not at its start, where a connection pooler would refuse it."""
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION}'")
    cursor.close()
    connection.commit()
