"""The store itself: one database, SQLite or PostgreSQL, written in whole transactions."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from seamwatch.errors import Reason, StoreError
from seamwatch.freshness import Publication
from seamwatch.store.address import Address, parse_address
from seamwatch.store.gatestore import FOLLOWS, LOAD_TIMEOUT, GateStore
from seamwatch.store.histories import Histories
from seamwatch.store.reasons import store_error
from seamwatch.store.rows import (
    Asked,
    Checkpoint,
    EventRow,
    Evidence,
    Finding,
    Happened,
    Pass,
    Row,
    TermsRow,
    is_word,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.sql import Executable

    from seamwatch.store.engine import Engine

T = TypeVar("T")

MIGRATION_TIMEOUT = 600.0
"""Seconds that bringing an old store to this version may take: about 1.5 for a million probes."""

_CHUNK = 2_000  # rows read or deleted at a time: the event loop gets its turn in between


class Store:
    """A database that is open. Every method raises StoreError, with a reason, when it fails.

    Each call is one transaction: all of it is there, also after a crash, or nothing.
    """

    def __init__(self, engine: Engine, address: Address, *, timeout: float) -> None:
        self._engine = engine
        self._address = address
        self._path = address.path
        self._timeout = timeout
        self._identity: tuple[int, int] | None = None
        self.shown = address.shown  # where it is, for logs: without password
        self.gates = GateStore(self._transact, address, timeout=timeout)
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
            from seamwatch.store.engine import connect

            store = cls(connect(address, timeout=timeout), address, timeout=timeout)
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
        await self._engine.close()

    async def save(self, rows: Iterable[Row]) -> None:
        """Write *rows* in one transaction; writing a row again changes nothing.

        Raises StoreError also when the SQLite file was removed or replaced under the open
        connection: SQLite itself would go on writing into the file that has no name any more.
        """
        from seamwatch.store.audit import hold
        from seamwatch.store.gatebook import happen_all
        from seamwatch.store.statements import grouped

        some = list(rows)
        happened = [row for row in some if isinstance(row, Happened)]
        epoch = None if all(is_word(row) for row in some) else self.gates.epoch
        leads = self.gates.epoch != FOLLOWS
        batches = grouped(some, self._engine.dialect)

        def write(connection: Connection) -> None:
            self._check_identity()
            self.gates.check_epoch(connection, epoch)
            if happened:
                hold(connection)
            for statement, values in batches:
                connection.execute(statement, values)
            happen_all(connection, happened, leads=leads)

        await self._transact(write, self._timeout)

    async def load_histories(
        self, pipelines: Collection[str] | None = None
    ) -> dict[str, dict[str, tuple[Publication, ...]]]:
        """Return pipeline -> stage -> publications, oldest first; of all, or of *pipelines*."""
        from seamwatch.store.statements import select_publications

        def read(connection: Connection) -> dict[str, dict[str, tuple[Publication, ...]]]:
            histories = Histories()
            for rows in _chunks(connection, select_publications(pipelines)):
                histories.add(rows, pipelines)
            return histories.by_pipeline()

        return await self._transact(read, LOAD_TIMEOUT)

    async def load_history(self, pipeline: str) -> Mapping[str, tuple[Publication, ...]]:
        """Return stage -> publications of one pipeline, oldest first."""
        return (await self.load_histories((pipeline,))).get(pipeline, {})

    async def load_window(
        self, pipeline: str, digest: str, limit: int, *, purpose: str | None = None
    ) -> list[Asked]:
        """Return the newest *limit* probes of one golden set, oldest first.

        *purpose* picks those that were asked for it, None all.
        """
        from seamwatch.store.statements import asked, select_window

        statement = select_window(pipeline, digest, limit, purpose)

        def read(connection: Connection) -> list[Asked]:  # what is no row of ours is an error too
            return [asked(row) for row in reversed(connection.execute(statement).all())]

        return await self._transact(read, self._timeout)

    async def load_asked_at(
        self, since: float, pipelines: Collection[str] | None = None
    ) -> dict[str, tuple[float, ...]]:
        """Return pipeline -> wall clock of each probe from *since* on, oldest first.

        Of all, or of *pipelines*: a day of a large fleet is millions of probes.
        """
        from seamwatch.store.statements import select_asked_at

        def read(connection: Connection) -> dict[str, tuple[float, ...]]:
            times: dict[str, list[float]] = {}
            for rows in _chunks(connection, select_asked_at(since, pipelines)):
                for pipeline, at in rows:
                    if pipelines is None or pipeline in pipelines:
                        times.setdefault(pipeline, []).append(at)
            return {pipeline: tuple(sorted(found)) for pipeline, found in times.items()}

        return await self._transact(read, LOAD_TIMEOUT)

    async def load_passes(self) -> dict[tuple[str, str], Pass]:
        """Return (pipeline, digest) -> how far its pass had come."""
        from sqlalchemy import select

        from seamwatch.store.tables import passes

        rows = await self._transact(lambda one: one.execute(select(passes)).all(), LOAD_TIMEOUT)
        return {(row.pipeline, row.digest): Pass(*row) for row in rows}

    async def load_evidence(self, pipeline: str) -> Evidence:
        """Return the terms in force, the state by them, and what came after it."""
        from seamwatch.store.evidence_log import evidence_of

        return await self._transact(lambda one: evidence_of(one, pipeline), LOAD_TIMEOUT)

    async def load_log(
        self, pipeline: str, after_ordinal: int = 0, *, chunk: int = _CHUNK
    ) -> AsyncIterator[list[Asked]]:
        """Yield the probes that evidence took after *after_ordinal*, in order, *chunk* at a time.

        Each chunk is read by itself: what is written meanwhile comes too.
        """
        from seamwatch.store.evidence_log import log_of

        while True:
            read = partial(log_of, pipeline=pipeline, after_ordinal=after_ordinal, limit=chunk)
            rows = await self._transact(read, self._timeout)
            if rows:
                yield rows
            if len(rows) < chunk or rows[-1].ordinal is None:
                return
            after_ordinal = rows[-1].ordinal

    async def load_terms(self, pipeline: str) -> list[TermsRow]:
        """Return all terms that were ever in force for *pipeline*, oldest first."""
        from seamwatch.store.evidence_log import terms_of

        return await self._transact(lambda one: terms_of(one, pipeline), self._timeout)

    async def load_checkpoint(self, pipeline: str, from_ordinal: int = 0) -> Checkpoint | None:
        """Return the first checkpoint at *from_ordinal* or after it: the oldest that is kept."""
        from seamwatch.store.evidence_log import checkpoint_of

        return await self._transact(
            lambda one: checkpoint_of(one, pipeline, from_ordinal), self._timeout
        )

    async def load_events(
        self, pipeline: str, *, from_ordinal: int = 0, limit: int | None = 1_000
    ) -> list[EventRow]:
        """Return the newest *limit* events of *pipeline* from *from_ordinal* on, oldest first."""
        from seamwatch.store.evidence_log import events_of

        read = partial(events_of, pipeline=pipeline, from_ordinal=from_ordinal, limit=limit)
        return await self._transact(read, self._timeout)

    async def load_replay(self, pipeline: str, ordinal: int) -> Evidence | None:
        """Return what led to the decision after the probe *ordinal*; None if its terms are gone.

        The probe itself is the last of the tail: `restored_case` of the rest is what it met.
        """
        from seamwatch.store.evidence_log import replay_of

        read = partial(replay_of, pipeline=pipeline, ordinal=ordinal)
        return await self._transact(read, LOAD_TIMEOUT)

    async def load_findings(self) -> dict[str, Finding]:
        """Return pipeline -> what the last attribution found."""
        from seamwatch.store.evidence_log import all_findings

        return await self._transact(all_findings, LOAD_TIMEOUT)

    async def prune(self, *, before: float, configured: Collection[str]) -> int:
        """Delete probes from before *before*, and what is older of pipelines not *configured*.

        Publications of configured pipelines stay, however old: an index may still stand on them.
        Probes that evidence took stay from the last point before them that a replay can begin
        at. Terms, evidence, events and findings always stay. Returns the number of rows deleted.
        """
        from seamwatch.store.pruning import Pruning

        work = partial(self._transact, timeout=LOAD_TIMEOUT)
        return await Pruning(work, before, chunk=_CHUNK).prune(configured)

    async def _transact(self, work: Callable[[Connection], T], timeout: float) -> T:
        try:
            return await self._engine.transact(work, timeout=timeout)
        except StoreError:
            raise
        except Exception as error:  # each driver raises a family of its own
            raise store_error(error, self.shown) from error

    async def _prepare(self) -> None:
        """Bring the tables to this version, and refuse those of a later one."""
        from seamwatch.store.schema import version_of
        from seamwatch.store.tables import VERSION

        found = await self._transact(version_of, self._timeout)
        is_old = found is not None and found < VERSION
        self.is_new = await self.gates.patiently(
            self._tables, MIGRATION_TIMEOUT if is_old else self._timeout
        )

    def _tables(self, connection: Connection) -> bool:
        from seamwatch.store.schema import bring_up

        is_new = bring_up(connection, self.shown)
        self._identity = _identity(self._path)
        return is_new

    def _check_identity(self) -> None:
        if self._identity is None:
            return
        now = _identity(self._path)
        if now != self._identity:
            found = "removed" if now is None else "replaced by another file"
            raise StoreError(
                f"store {self.shown}: the open file was {found}; it will be opened anew",
                reason=Reason.UNREACHABLE,
            )


def _chunks(connection: Connection, statement: Executable) -> Iterator[Iterable[Any]]:
    """Yield the rows of *statement*, as they come from the server."""
    streaming = connection.execution_options(stream_results=True)
    return streaming.execute(statement).partitions(_CHUNK)


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Return device and inode of *path*, None if there is no such file."""
    try:
        status = os.stat(path) if path is not None else None  # noqa: PTH116 (one call, no object)
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino) if status is not None else None
