"""The log of a pipeline's evidence, read back within one transaction each.

Imports SQLAlchemy: import this where it is used.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, func, select

from seamwatch.evidence import Event
from seamwatch.store.rows import (
    Asked,
    Checkpoint,
    EventRow,
    Evidence,
    EvidenceRow,
    Finding,
    TermsRow,
)
from seamwatch.store.statements import asked, names_of, select_asked
from seamwatch.store.tables import checkpoints, events, evidence, findings, probes, terms

_Kept = TypeVar("_Kept", TermsRow, EvidenceRow, Checkpoint, EventRow, Finding)


def evidence_of(connection: Connection, pipeline: str) -> Evidence:
    """Return the newest state by the terms in force, and the log and the events after it."""
    newest = terms.c.since_ordinal.desc()
    found = _rows(connection, TermsRow, _of(terms, TermsRow, pipeline).order_by(newest).limit(1))
    if not found:
        numbers = select(func.max(probes.c.ordinal)).where(
            probes.c.pipeline == pipeline, probes.c.ordinal.is_not(None)
        )
        return Evidence(None, None, [], [], connection.execute(numbers).scalar() or 0)
    in_force = found[0]
    state = _state(connection, pipeline, in_force)
    after = state.ordinal if state is not None else in_force.since_ordinal
    there = events.c
    later = _of(events, EventRow, pipeline).where(
        there.ordinal >= after, there.terms == in_force.terms
    )
    return Evidence(
        in_force,
        state,
        log_of(connection, pipeline, after, limit=None),
        _rows(connection, EventRow, later.order_by(there.seq)),
    )


def _state(connection: Connection, pipeline: str, by: TermsRow) -> EvidenceRow | None:
    """Return the state by the terms *by* that counts the most probes, None if there is none."""
    states = _rows(connection, EvidenceRow, _of(evidence, EvidenceRow, pipeline))
    state = states[0] if states else None
    if state is not None and (state.terms != by.terms or state.ordinal < by.since_ordinal):
        state = None
    least = state.ordinal if state is not None else by.since_ordinal
    there = checkpoints.c
    newer = (
        _of(checkpoints, Checkpoint, pipeline)
        .where(there.ordinal > least, there.terms == by.terms)
        .order_by(there.ordinal.desc())
        .limit(1)
    )
    for one in _rows(connection, Checkpoint, newer):
        return EvidenceRow(pipeline, "", one.terms, one.ordinal, one.state, by.at)
    return state


def log_of(
    connection: Connection,
    pipeline: str,
    after_ordinal: int,
    *,
    limit: int | None,
    last: int | None = None,
) -> list[Asked]:
    """Return the probes that evidence took after *after_ordinal*, up to *last*, in its order."""
    there = probes.c
    statement = (
        select_asked()
        .where(there.pipeline == pipeline, there.ordinal > after_ordinal)
        .order_by(there.ordinal)
        .limit(limit)
    )
    if last is not None:
        statement = statement.where(there.ordinal <= last)
    return [asked(row) for row in connection.execute(statement)]


def terms_of(connection: Connection, pipeline: str) -> list[TermsRow]:
    """Return all terms that were ever in force, oldest first."""
    statement = _of(terms, TermsRow, pipeline).order_by(terms.c.since_ordinal)
    return _rows(connection, TermsRow, statement)


def checkpoint_of(connection: Connection, pipeline: str, from_ordinal: int) -> Checkpoint | None:
    """Return the first checkpoint at *from_ordinal* or after it."""
    there = checkpoints.c
    statement = _of(checkpoints, Checkpoint, pipeline).where(there.ordinal >= from_ordinal)
    found = _rows(connection, Checkpoint, statement.order_by(there.ordinal).limit(1))
    return found[0] if found else None


def replay_of(connection: Connection, pipeline: str, ordinal: int) -> Evidence | None:
    """Return all that led to what the probe *ordinal* decided, which is the last of the tail.

    It begins where the last resume or the terms made everything begin anew, or at the oldest
    point that is kept. None where there is none.
    """
    by = _of(terms, TermsRow, pipeline).where(terms.c.since_ordinal < ordinal)
    found = _rows(connection, TermsRow, by.order_by(terms.c.since_ordinal.desc()).limit(1))
    if not found:
        return None
    in_force = found[0]
    since, there = in_force.since_ordinal, events.c
    told = _of(events, EventRow, pipeline).where(
        there.ordinal >= since, there.ordinal < ordinal, there.terms == in_force.terms
    )
    before = _rows(connection, EventRow, told.order_by(there.seq))
    anew = max((one.ordinal for one in before if one.event == Event.RESUME), default=since)
    state = _point(connection, in_force, ordinal, anew)
    begin = state.ordinal if state is not None else since
    tail = log_of(connection, pipeline, begin, limit=None, last=ordinal)
    return Evidence(in_force, state, tail, [one for one in before if one.ordinal >= begin])


def _point(connection: Connection, by: TermsRow, ordinal: int, anew: int) -> EvidenceRow | None:
    """Return the last state up to *anew*, the oldest after it where the log before it is gone."""
    there, since = checkpoints.c, by.since_ordinal
    kept = _of(checkpoints, Checkpoint, by.pipeline).where(
        there.ordinal >= since, there.ordinal < ordinal, there.terms == by.terms
    )
    up_to = kept.where(there.ordinal <= anew).order_by(there.ordinal.desc()).limit(1)
    found = _rows(connection, Checkpoint, up_to)
    first = log_of(connection, by.pipeline, since, limit=1)
    if not found and first and first[0].ordinal != since + 1:
        found = _rows(connection, Checkpoint, kept.order_by(there.ordinal).limit(1))
    for one in found:
        return EvidenceRow(by.pipeline, "", one.terms, one.ordinal, one.state, by.at)
    return None


def events_of(
    connection: Connection, pipeline: str, from_ordinal: int, limit: int | None
) -> list[EventRow]:
    """Return the newest *limit* events from *from_ordinal* on, oldest first."""
    statement = _of(events, EventRow, pipeline).where(events.c.ordinal >= from_ordinal)
    return _rows(connection, EventRow, statement.order_by(events.c.seq.desc()).limit(limit))[::-1]


def all_findings(connection: Connection) -> dict[str, Finding]:
    """Return pipeline -> its last finding."""
    columns = (findings.c[name] for name in names_of(Finding))
    return {one.pipeline: one for one in _rows(connection, Finding, select(*columns))}


def _of(table: Table, kind: type[_Kept], pipeline: str) -> Select[Any]:
    columns = (table.c[name] for name in names_of(kind))
    return select(*columns).where(table.c.pipeline == pipeline)


def _rows(connection: Connection, kind: type[_Kept], statement: Select[Any]) -> list[_Kept]:
    return [kind(*row) for row in connection.execute(statement)]
