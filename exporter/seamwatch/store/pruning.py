"""Deleting what is old, in short transactions: others write in between.

Imports SQLAlchemy: import this where it is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, func, select, union_all
from sqlalchemy.sql import Executable

from seamwatch.store.statements import (
    delete_abandoned,
    delete_unnumbered,
    select_last_seen,
    select_pipelines,
)
from seamwatch.store.tables import checkpoints, probes, terms

Transact = Callable[[Callable[[Connection], Any]], Awaitable[Any]]


class Pruning:
    """Deletes what is from before *before*, at most *chunk* probes in one call of *transact*."""

    def __init__(self, transact: Transact, before: float, *, chunk: int) -> None:
        self._transact = transact
        self._before = before
        self._chunk = chunk

    async def prune(self, configured: Collection[str]) -> int:
        """Do it all; return the number of rows deleted. See `Store.prune`."""
        old = partial(_delete, [delete_unnumbered(self._before, self._chunk)])
        removed = await self._in_chunks(old)
        for name in await self._transact(partial(_all, select_pipelines())):
            if name not in configured:
                removed += await self._transact(partial(self._abandon, name))
        for name in await self._transact(_pipelines_with_terms):
            removed += await self._shorten_log(name)
        return removed

    def _abandon(self, pipeline: str, connection: Connection) -> int:
        last_seen = connection.execute(select_last_seen(pipeline)).scalar()
        if last_seen is None or last_seen >= self._before:
            return 0
        return _delete(delete_abandoned(pipeline), connection)

    async def _shorten_log(self, pipeline: str) -> int:
        """Delete what no replay needs of the log of evidence."""
        begin = await self._transact(partial(_replay_begin, pipeline, self._before))
        if begin is None:
            return 0
        return await self._in_chunks(partial(_shorten, pipeline, begin, self._chunk))

    async def _in_chunks(self, work: Callable[[Connection], int]) -> int:
        """Do *work*, which deletes a chunk at most, until it finds less."""
        removed, done = 0, self._chunk
        while done >= self._chunk:
            done = await self._transact(work)
            removed += done
        return removed


def _delete(statements: Iterable[Executable], connection: Connection) -> int:
    """Execute *statements*; return the number of rows deleted."""
    done = [(statement, connection.execute(statement)) for statement in statements]
    return sum(result.rowcount for statement, result in done if statement.is_delete)


def _all(statement: Executable, connection: Connection) -> list[Any]:
    return list(connection.execute(statement).scalars())


def _replay_begin(pipeline: str, before: float, connection: Connection) -> int | None:
    """Return the ordinal up to which no replay needs the log; None if it needs all of it.

    That is the last from which a replay can begin (a checkpoint, or new terms, which begin with
    nothing) such that every probe before it is from before *before*.
    """
    there = probes.c
    young = (
        select(there.ordinal)
        .where(there.pipeline == pipeline, there.ordinal.is_not(None), there.at >= before)
        .order_by(there.ordinal)
        .limit(1)
    )
    first = connection.execute(young).scalar()
    begins = union_all(
        *(
            select(func.max(column).label("ordinal")).where(
                table.c.pipeline == pipeline, *(() if first is None else (column < first,))
            )
            for table, column in (
                (checkpoints, checkpoints.c.ordinal),
                (terms, terms.c.since_ordinal),
            )
        )
    ).subquery()
    return connection.execute(select(func.max(begins.c.ordinal))).scalar()


def _shorten(pipeline: str, begin: int, limit: int, connection: Connection) -> int:
    """Delete at most *limit* probes up to *begin*, then checkpoints before it."""
    there = probes.c
    old = (
        select(there.seq)
        .where(there.pipeline == pipeline, there.ordinal <= begin)
        .order_by(there.ordinal)
        .limit(limit)
    )
    removed = connection.execute(delete(probes).where(there.seq.in_(old))).rowcount
    if removed < limit:
        older = (checkpoints.c.pipeline == pipeline, checkpoints.c.ordinal < begin)
        removed += connection.execute(delete(checkpoints).where(*older)).rowcount
    return removed


def _pipelines_with_terms(connection: Connection) -> list[str]:
    """Return the pipelines that have, or had, evidence."""
    return list(connection.execute(select(terms.c.pipeline).distinct()).scalars())
