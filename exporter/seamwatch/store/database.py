"""The store itself: one database, SQLite or PostgreSQL, written in whole transactions."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from seamwatch.errors import Reason, StoreError
from seamwatch.freshness import Publication
from seamwatch.store.address import Address, parse_address
from seamwatch.store.histories import Histories
from seamwatch.store.reasons import store_error
from seamwatch.store.rows import Asked, Pass, Row

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

LOAD_TIMEOUT = 60.0
"""Seconds that reading everything back at the start may take."""

_CHUNK = 2_000  # rows read or deleted at a time: the event loop gets its turn in between
_SCHEMA_LOCK = 0x5EA3_3A7C  # advisory lock of PostgreSQL under which tables are made


class Store:
    """A database that is open. Every method raises StoreError, with a reason, when it fails.

    Each call is one transaction: all of it is there, also after a crash, or nothing.
    """

    def __init__(self, engine: AsyncEngine, address: Address, *, timeout: float) -> None:
        self._engine = engine
        self._path = address.path
        self._timeout = timeout
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="store")  # a disk may hang
        self._identity: tuple[int, int] | None = None
        self.shown = address.shown  # where it is, for logs: without password
        self.is_new = False  # the tables were made by this opening

    @classmethod
    async def open(cls, url: str, *, timeout: float = 5.0) -> Self:
        """Open the database at *url* and make its tables if they are not there.

        Args:
            url: ``sqlite:///path`` or ``postgresql://user:password@host/database``.
            timeout: seconds for each transaction, and for connecting.
        """
        address = parse_address(url)
        try:
            from seamwatch.store.engine import create_engine

            store = cls(create_engine(address, timeout=timeout), address, timeout=timeout)
        except Exception as error:  # drivers are imported here, each with errors of its own
            raise store_error(error, address.shown) from error
        try:
            await store._prepare()
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Let go of the database; safe to call twice."""
        self._disk.shutdown(wait=False)
        await self._engine.dispose()

    async def save(self, rows: Iterable[Row]) -> None:
        """Write *rows* in one transaction; writing a row again changes nothing.

        Raises StoreError also when the SQLite file was removed or replaced under the open
        connection: SQLite itself would go on writing into the file that has no name any more.
        """
        from seamwatch.store.statements import grouped

        async with self._transaction(self._timeout) as connection:
            await self._check_identity()
            for statement, values in grouped(rows, self._engine.dialect.name):
                await connection.execute(statement, values)

    async def load_histories(
        self, pipelines: Collection[str] | None = None
    ) -> dict[str, dict[str, tuple[Publication, ...]]]:
        """Return pipeline -> stage -> publications, oldest first; of all, or of *pipelines*."""
        from seamwatch.store.statements import select_publications

        histories = Histories()
        async with self._transaction(LOAD_TIMEOUT) as connection:
            result = await connection.stream(select_publications(pipelines))
            async for rows in result.partitions(_CHUNK):
                histories.add(rows, pipelines)
        return histories.by_pipeline()

    async def load_history(self, pipeline: str) -> Mapping[str, tuple[Publication, ...]]:
        """Return stage -> publications of one pipeline, oldest first."""
        return (await self.load_histories((pipeline,))).get(pipeline, {})

    async def load_window(self, pipeline: str, digest: str, limit: int) -> list[Asked]:
        """Return the newest *limit* probes of one golden set, oldest first."""
        from seamwatch.store.statements import asked, select_window

        async with self._transaction(self._timeout) as connection:
            rows = (await connection.execute(select_window(pipeline, digest, limit))).all()
        return [asked(row) for row in reversed(rows)]

    async def load_asked_at(self, since: float) -> dict[str, tuple[float, ...]]:
        """Return pipeline -> wall clock of each probe from *since* on, oldest first."""
        from seamwatch.store.statements import select_asked_at

        times: dict[str, list[float]] = {}
        async with self._transaction(LOAD_TIMEOUT) as connection:
            result = await connection.stream(select_asked_at(since))
            async for rows in result.partitions(_CHUNK):
                for pipeline, at in rows:
                    times.setdefault(pipeline, []).append(at)
        return {pipeline: tuple(sorted(found)) for pipeline, found in times.items()}

    async def load_passes(self) -> dict[tuple[str, str], Pass]:
        """Return (pipeline, digest) -> how far its pass had come."""
        from sqlalchemy import select

        from seamwatch.store.tables import passes

        async with self._transaction(LOAD_TIMEOUT) as connection:
            rows = (await connection.execute(select(passes))).all()
        return {(row.pipeline, row.digest): Pass(*row) for row in rows}

    async def prune(self, *, before: float, configured: Collection[str]) -> int:
        """Delete probes from before *before*, and what is older of pipelines not *configured*.

        Publications of configured pipelines stay, however old: an index may still stand on them.
        Returns the number of rows deleted.
        """
        from seamwatch.store.statements import delete_abandoned, delete_probes, select_pipelines

        removed = 0
        while True:
            async with self._transaction(self._timeout) as connection:
                done = await connection.execute(delete_probes(before, _CHUNK))
            removed += done.rowcount
            if done.rowcount < _CHUNK:
                break
        async with self._transaction(LOAD_TIMEOUT) as connection:
            last_seen = (await connection.execute(select_pipelines())).all()
        for name, since in last_seen:
            if name not in configured and since < before:
                async with self._transaction(self._timeout) as connection:
                    for statement in delete_abandoned(name):
                        removed += (await connection.execute(statement)).rowcount
        return removed

    @contextlib.asynccontextmanager
    async def _transaction(self, timeout: float) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction, all of it within *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout), self._engine.begin() as connection:
                yield connection
        except StoreError:
            raise
        except Exception as error:  # each driver raises a family of its own
            raise store_error(error, self.shown) from error

    async def _prepare(self) -> None:
        """Make the tables, and refuse those of a later version."""
        from seamwatch.store.statements import create_tables
        from seamwatch.store.tables import VERSION

        if self._path is not None and not await self._on_disk(self._path.parent.is_dir):
            where = self._path.parent
            raise StoreError(
                f"store {self.shown}: there is no directory {where}; create it, or correct `store`",
                reason=Reason.UNREACHABLE,
            )
        async with self._transaction(self._timeout) as connection:
            if self._engine.dialect.name == "postgresql":
                await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
            found = await create_tables(connection)
        self.is_new = found is None
        if found is not None and found > VERSION:
            raise StoreError(
                f"store {self.shown}: written by a later seamwatch (schema {found}, this one knows "
                f"{VERSION}); run that one, or set `store` to another place",
                reason=Reason.BAD_CONTRACT,
            )
        if self._path is not None:
            self._identity = await self._on_disk(lambda: _identity(self._path))

    async def _check_identity(self) -> None:
        if self._identity is None:
            return
        now = await self._on_disk(lambda: _identity(self._path))
        if now != self._identity:
            found = "removed" if now is None else "replaced by another file"
            raise StoreError(
                f"store {self.shown}: the open file was {found}; it will be opened anew",
                reason=Reason.UNREACHABLE,
            )

    async def _on_disk(self, ask: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._disk, ask)


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Return device and inode of *path*, None if there is no such file."""
    try:
        status = os.stat(path) if path is not None else None  # noqa: PTH116 (one call, no object)
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino) if status is not None else None
