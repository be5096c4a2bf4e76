"""Which of several exporters on one store watches: the one that holds a lock the system frees.

SQLite: a lock on a file beside the database. PostgreSQL: an advisory lock of a session of its own.
Either is free again the moment its process is dead, and no clock is compared. Whoever gets it
raises the epoch, and rows of an earlier epoch are refused: a leader that was stopped for a while
and comes back cannot write over what its successor wrote. Imports SQLAlchemy: import this where it
is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from seamwatch.errors import Reason, StoreError
from seamwatch.store.address import Address
from seamwatch.store.engine import write_alone
from seamwatch.store.tables import leader

NAME = "watch"
_LOCK = 0x5EA3_1EAD  # advisory lock of PostgreSQL
_LOOK_EVERY = 1.0  # seconds
_LOOK_WAIT = 4.0  # seconds that an answer may take: whoever gets none stops before another begins
_SETTLE = """
    SELECT set_config(name, CASE name WHEN 'idle_session_timeout' THEN '10s' ELSE '3' END, false)
    FROM pg_settings WHERE name IN ('idle_session_timeout', 'tcp_keepalives_idle',
        'tcp_keepalives_interval', 'tcp_keepalives_count')
"""
"""So that the server ends, within about 12 s, the session of a leader whose machine is gone, and
(PostgreSQL 14 and later) of one that was stopped and does not look any more.
"""


class Lock(Protocol):
    """A lock that is held."""

    async def watch(self) -> None:
        """Return when it is not held any more."""

    async def release(self) -> None:
        """Let go of it; safe to call twice."""


class Leadership:
    """Held until `release`, or until `lost` returns. *epoch* grows with each leader."""

    def __init__(self, lock: Lock, epoch: int) -> None:
        self._lock = lock
        self.epoch = epoch

    async def lost(self) -> None:
        """Return when somebody else may lead: nothing may be written or ordered any more."""
        await self._lock.watch()

    async def release(self) -> None:
        """Let another lead; safe to call twice."""
        await self._lock.release()


class FileLock:
    """A lock on a file; the file stays, or two could hold locks on two files of one name."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor: int | None = descriptor
        self._path = path

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """Return the lock, None where another process has it. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, path)

    async def watch(self) -> None:
        """See Lock: the system takes it from nobody, but somebody may remove the file."""
        while self._descriptor is not None and self._is_there(  # noqa: ASYNC110 (no event)
            self._descriptor
        ):
            await asyncio.sleep(_LOOK_EVERY)

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except OSError:
            return False

    async def release(self) -> None:
        """See Lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class SessionLock:
    """An advisory lock of a PostgreSQL session."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection, timeout: float) -> None:
        self._engine = engine
        self._connection = connection
        self._timeout = timeout

    @classmethod
    async def take(cls, address: Address, *, timeout: float) -> SessionLock | None:
        """Return the lock, None where another session has it."""
        server = {"application_name": "seamwatch leader"}
        arguments = {"timeout": timeout, "command_timeout": timeout, "server_settings": server}
        engine = create_async_engine(
            address.url,
            connect_args=arguments,
            hide_parameters=True,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
        try:
            async with asyncio.timeout(timeout):
                connection = await engine.connect()
                found = await connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})")
                if found.scalar_one():
                    await connection.exec_driver_sql(_SETTLE)
                    return cls(engine, connection, min(timeout, _LOOK_WAIT))
                await connection.close()
        except BaseException:
            await engine.dispose()
            raise
        await engine.dispose()
        return None

    async def begin_epoch(self, *, holder: str, now: float) -> int:
        """Return the number of the epoch that begins; in this session, so that it is still ours."""
        async with asyncio.timeout(self._timeout):
            return await self._connection.run_sync(partial(begin_epoch, holder=holder, now=now))

    async def watch(self) -> None:
        """See Lock: it goes with the session."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                async with asyncio.timeout(self._timeout):
                    await self._connection.exec_driver_sql("SELECT 1")
            except Exception:  # whatever it was, the session cannot be relied on any more
                return

    async def release(self) -> None:
        """See Lock."""
        with contextlib.suppress(Exception):  # the session may be gone already
            async with asyncio.timeout(self._timeout):
                await self._connection.close()
        with contextlib.suppress(Exception):
            await self._engine.dispose()


async def take(address: Address, *, timeout: float) -> Lock | None:
    """Return the lock of the store at *address*, None where another process has it."""
    if not address.url.drivername.startswith("sqlite"):
        return await SessionLock.take(address, timeout=timeout)
    if address.path is None:  # in memory: nobody else sees it
        return FileLock(os.open(os.devnull, os.O_RDONLY), Path(os.devnull))
    return FileLock.take(address.path.with_name(f"{address.path.name}.lock"))


def begin_epoch(connection: Connection, *, holder: str, now: float) -> int:
    """Return the number of the epoch that begins, after the lock was taken: one statement."""
    kinds = postgresql if connection.dialect.name == "postgresql" else sqlite
    first = kinds.insert(leader).values(name=NAME, epoch=1, holder=holder, at=now)
    next_one = {"epoch": leader.c.epoch + 1, "holder": holder, "at": now}
    begun = first.on_conflict_do_update(index_elements=["name"], set_=next_one)
    return int(connection.execute(begun.returning(leader.c.epoch)).scalar_one())


def check_epoch(connection: Connection, epoch: int, shown: str) -> None:
    """Raise StoreError where a later epoch has begun; none begins before the transaction ends."""
    write_alone(connection)
    there = leader.c
    found = connection.execute(
        select(there.epoch, there.holder).where(there.name == NAME).with_for_update(read=True)
    ).first()
    if found is None and epoch > 0:
        return  # the database is a new one
    if found is None or found.epoch != epoch:
        leads = f"{found.holder} leads now" if found is not None else "this process does not lead"
        raise StoreError(
            f"store {shown}: {leads}; nothing of this process is written",
            reason=Reason.NOT_LEADER,
        )
