"""The SQL, built from the tables. Imports SQLAlchemy: import this where it is used."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Delete, Row, Select, bindparam, delete, func, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import Executable

from seamwatch.pipeline import Verdict
from seamwatch.store import rows as written
from seamwatch.store.tables import VERSION, metadata, passes, probes, publications, schema

_FEW = 100  # pipelines up to which the database picks them; above, all are read and picked here
_Batch = list[tuple[Executable, list[dict[str, Any]]]]


def create_tables(connection: Connection) -> int | None:
    """Make the tables that are not there; return the schema version found, None if it is new."""
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
    found = connection.execute(select(func.max(schema.c.version))).scalar_one()
    if found is None:
        connection.execute(schema.insert(), [{"version": VERSION}])
        return None
    return int(found)


def grouped(some: Iterable[written.Row], dialect: str) -> _Batch:
    """Return statements with their parameters that write *some*, in an order that cannot clash."""
    published, forgotten, asked_, passed = [], [], [], []
    for row in some:
        match row:
            case written.Published(pipeline, stage, one):
                values = (one.since, one.version, one.watermark)
                named = dict(zip(("since", "version", "watermark"), values, strict=True))
                published.append({"pipeline": pipeline, "stage": stage, **named})
            case written.Forgotten(pipeline, stage, since):
                forgotten.append({"p": pipeline, "s": stage, "t": since})
            case written.Asked():
                asked_.append({name: getattr(row, name) for name in _ASKED})
            case written.Pass():
                passed.append({name: getattr(row, name) for name in _PASS})
    insert = _inserts(dialect)
    batches: _Batch = [
        (_forget(), forgotten),
        (insert["publications"], published),
        (insert["probes"], asked_),
        (insert["passes"], passed),
    ]
    return [(statement, values) for statement, values in batches if values]


_PASS = ("pipeline", "digest", "seed", "position")
_ASKED = (*_PASS, "item_id", "verdict", "credit", "answered_by", "at")


@cache
def _forget() -> Delete:
    there = publications.c
    return delete(publications).where(
        there.pipeline == bindparam("p"),
        there.stage == bindparam("s"),
        there.since == bindparam("t"),
    )


@cache
def _inserts(dialect: str) -> dict[str, Executable]:
    """Return statements under which writing a row again replaces it or changes nothing."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    published, passed = insert(publications), insert(passes)
    return {
        "publications": published.on_conflict_do_update(
            index_elements=["pipeline", "stage", "since"],
            set_={name: published.excluded[name] for name in ("version", "watermark")},
        ),
        "probes": insert(probes).on_conflict_do_nothing(),
        "passes": passed.on_conflict_do_update(
            index_elements=["pipeline", "digest"],
            set_={name: passed.excluded[name] for name in ("seed", "position")},
        ),
    }


def select_publications(pipelines: Collection[str] | None) -> Select[Any]:
    """Select publications in the order in which they were made."""
    there = publications.c
    columns = (there.pipeline, there.stage, there.version, there.watermark, there.since)
    statement = select(*columns).order_by(there.seq)
    if pipelines is not None and len(pipelines) <= _FEW:
        return statement.where(there.pipeline.in_(pipelines))
    return statement


def select_window(pipeline: str, digest: str, limit: int) -> Select[Any]:
    """Select the newest probes of one golden set, newest first."""
    there = probes.c
    return (
        select(*(there[name] for name in _ASKED))
        .where(there.pipeline == pipeline, there.digest == digest)
        .order_by(there.at.desc(), there.item_id.desc())
        .limit(limit)
    )


def asked(row: Row[Any]) -> written.Asked:
    """Return one row of `select_window` as a value."""
    named = dict(row._mapping)
    return written.Asked(**{**named, "verdict": Verdict(named["verdict"])})


def select_asked_at(since: float) -> Select[Any]:
    """Select when each probe was sent."""
    there = probes.c
    return select(there.pipeline, there.at).where(there.at >= since).order_by(there.seq)


def delete_probes(before: float, limit: int) -> Delete:
    """Delete at most *limit* of the probes from before *before*.

    Rows come in order of time but for jumps of the clock, so that the search ends at the first
    one that stays: nobody reads the whole table to find that there is nothing to delete.
    """
    there = probes.c
    stays = select(there.seq).where(there.at >= before).order_by(there.seq).limit(1)
    first = func.coalesce(stays.scalar_subquery(), 1 << 62)
    old = select(there.seq).where(there.seq < first).order_by(there.seq).limit(limit)
    return delete(probes).where(there.seq.in_(old))


def select_pipelines() -> Select[Any]:
    """Select the pipelines that anything is known of, and when that was last added to."""
    published = select(publications.c.pipeline, func.max(publications.c.since).label("last"))
    sent = select(probes.c.pipeline, func.max(probes.c.at).label("last"))
    both = union_all(
        published.group_by(publications.c.pipeline), sent.group_by(probes.c.pipeline)
    ).subquery()
    return select(both.c.pipeline, func.max(both.c.last)).group_by(both.c.pipeline)


def delete_abandoned(pipeline: str) -> list[Delete]:
    """Delete all that is known of *pipeline*."""
    return [delete(table).where(table.c.pipeline == pipeline) for table in _OF_PIPELINE]


_OF_PIPELINE = (publications, probes, passes)
