"""The SQL, built from the tables. Imports SQLAlchemy: import this where it is used."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from functools import cache
from typing import Any

from sqlalchemy import (
    Delete,
    Row,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    union,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable

from seamwatch.pipeline import Verdict
from seamwatch.store import rows as written
from seamwatch.store.tables import (
    checkpoints,
    events,
    evidence,
    findings,
    passes,
    probes,
    publications,
    terms,
)

_FEW = 100  # pipelines up to which the database picks them; above, all are read and picked here
_Batch = list[tuple[Executable, list[dict[str, Any]]]]


def grouped(some: Iterable[written.Row], dialect: str) -> _Batch:
    """Return statements with their parameters that write *some*, in an order that cannot clash."""
    forgotten: list[dict[str, Any]] = []
    values: dict[type[written.Row], list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
    for row in some:
        match row:
            case written.Published(pipeline, stage, one):
                named = {"since": one.since, "version": one.version, "watermark": one.watermark}
                values[type(row)].append({"pipeline": pipeline, "stage": stage, **named})
            case written.Forgotten(pipeline, stage, since):
                forgotten.append({"p": pipeline, "s": stage, "t": since})
            case written.Happened():
                continue  # decided one after another, after the rest: see gatebook
            case _:
                names = names_of(type(row))
                values[type(row)].append({name: getattr(row, name) for name in names})
    insert = _inserts(dialect)
    batches: _Batch = [(_forget(), forgotten), *((insert[kind], values[kind]) for kind in _KINDS)]
    return [(statement, values) for statement, values in batches if values]


_KINDS: dict[type[written.Row], tuple[Table, tuple[str, ...]]] = {
    # the table, and by what a later row replaces an earlier one; empty: the earlier one stays
    written.Published: (publications, ("pipeline", "stage", "since")),
    written.TermsRow: (terms, ("pipeline", "since_ordinal")),
    written.Asked: (probes, ()),
    written.Pass: (passes, ("pipeline", "digest")),
    written.Checkpoint: (checkpoints, ("pipeline", "ordinal")),
    written.EventRow: (events, ()),
    written.EvidenceRow: (evidence, ("pipeline",)),
    written.Finding: (findings, ("pipeline",)),
}


_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS}


def names_of(kind: type[written.Row]) -> tuple[str, ...]:
    """Return the columns of a row whose fields are its columns."""
    return _NAMES[kind]


@cache
def _forget() -> Delete:
    there = publications.c
    return delete(publications).where(
        there.pipeline == bindparam("p"),
        there.stage == bindparam("s"),
        there.since == bindparam("t"),
    )


@cache
def _inserts(dialect: str) -> dict[type[written.Row], Executable]:
    """Return statements under which writing a row again replaces it or changes nothing."""
    kinds = postgresql if dialect == "postgresql" else sqlite
    statements: dict[type[written.Row], Executable] = {}
    for kind, (table, same) in _KINDS.items():
        row = kinds.insert(table)
        others = [one.name for one in table.c if one.name not in (*same, "seq")]
        statements[kind] = (
            row.on_conflict_do_update(
                index_elements=same, set_={name: row.excluded[name] for name in others}
            )
            if same
            else row.on_conflict_do_nothing()
        )
    return statements


def select_publications(pipelines: Collection[str] | None) -> Select[Any]:
    """Select publications in the order in which they were made."""
    there = publications.c
    columns = (there.pipeline, there.stage, there.version, there.watermark, there.since)
    statement = select(*columns).order_by(there.seq)
    if pipelines is not None and len(pipelines) <= _FEW:
        return statement.where(there.pipeline.in_(pipelines))
    return statement


def select_window(pipeline: str, digest: str, limit: int, purpose: str | None) -> Select[Any]:
    """Select the newest probes of one golden set, newest first."""
    there = probes.c
    statement = select_asked().where(there.pipeline == pipeline, there.digest == digest)
    if purpose is not None:
        statement = statement.where(there.purpose == purpose)
    return statement.order_by(there.at.desc(), there.item_id.desc()).limit(limit)


def select_asked() -> Select[Any]:
    """Select probes as `asked` takes them."""
    return select(*(probes.c[name] for name in names_of(written.Asked)))


def asked(row: Row[Any]) -> written.Asked:
    """Return one row of `select_asked` as a value."""
    values: list[Any] = list(row)
    values[_VERDICT] = _VERDICTS[values[_VERDICT]]
    return written.Asked(*values)


_VERDICT = _NAMES[written.Asked].index("verdict")
_VERDICTS = {str(one): one for one in Verdict}


def select_asked_at(since: float, pipelines: Collection[str] | None) -> Select[Any]:
    """Select when each probe was sent; of more pipelines than these if they are many."""
    there = probes.c
    statement = select(there.pipeline, there.at).where(there.at >= since).order_by(there.seq)
    if pipelines is not None and len(pipelines) <= _FEW:
        return statement.where(there.pipeline.in_(pipelines))
    return statement


def delete_unnumbered(before: float, limit: int) -> Delete:
    """Delete at most *limit* of the probes from before *before* that no evidence took.

    Rows come in order of time but for jumps of the clock, so that the search ends at the first
    one that is younger: nobody reads the whole table to find that there is nothing to delete.
    """
    there = probes.c
    stays = select(there.seq).where(there.at >= before).order_by(there.seq).limit(1)
    first = func.coalesce(stays.scalar_subquery(), 1 << 62)
    old = select(there.seq).where(there.seq < first, there.ordinal.is_(None))
    return delete(probes).where(there.seq.in_(old.order_by(there.seq).limit(limit)))


def select_pipelines() -> Select[Any]:
    """Select the pipelines that anything is known of: one look at the index for each."""
    there = probes.c.pipeline
    names = select(func.min(there).label("pipeline")).cte("names", recursive=True)
    after = select(func.min(there)).where(there > names.c.pipeline).scalar_subquery()
    names = names.union_all(select(after).where(names.c.pipeline.is_not(None)))
    sent = select(names.c.pipeline).where(names.c.pipeline.is_not(None))
    return union(sent, select(publications.c.pipeline)).subquery().select()


def select_last_seen(pipeline: str) -> Select[Any]:
    """Select when anything was last added to what is known of *pipeline*."""
    both = union_all(
        select(func.max(probes.c.at).label("at")).where(probes.c.pipeline == pipeline),
        select(func.max(publications.c.since)).where(publications.c.pipeline == pipeline),
    ).subquery()
    return select(func.max(both.c.at))


def delete_abandoned(pipeline: str) -> list[Executable]:
    """Delete what is known of *pipeline* but for its evidence, which becomes a checkpoint."""
    seen = evidence.c
    names = names_of(written.Checkpoint)
    last = select(*(seen[name] for name in names)).where(
        seen.pipeline == pipeline, ~exists().where(*_same_checkpoint())
    )
    there = probes.c
    return [
        insert(checkpoints).from_select(names, last),
        delete(publications).where(publications.c.pipeline == pipeline),
        delete(passes).where(passes.c.pipeline == pipeline),
        delete(probes).where(there.pipeline == pipeline, there.ordinal.is_(None)),
    ]


def _same_checkpoint() -> tuple[Any, ...]:
    return (
        checkpoints.c.pipeline == evidence.c.pipeline,
        checkpoints.c.ordinal == evidence.c.ordinal,
    )
