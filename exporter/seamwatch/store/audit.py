"""The audit: one row for each thing that was done to a gate, chained, never changed.

``hash = SHA-256(prev_hash || canonical JSON of the row without hash and prev_hash)``: keys sorted,
numbers as orjson writes them. A chain shows that a row was changed or left out, but not that all of
it was written anew: the head is exported as a metric and sent with webhooks, so that others hold
anchors. Imports SQLAlchemy: import this where it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select

from seamwatch.store.engine import write_alone
from seamwatch.store.tables import audit, gates

LOCK = 0x5EA3_0A0D  # advisory lock of PostgreSQL: one row at a time, or the chain would fork

GENESIS = "0" * 64
"""The hash before the first row."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row; times are wall clock, seconds since the epoch."""

    seq: int
    at: float
    pipeline: str
    actor: str
    event: str
    from_state: str
    to_state: str
    cause: str
    reason: str
    generation: int
    detail: str  # JSON
    prev_hash: str
    hash: str

    def digest(self) -> str:
        """Return what `hash` must be."""
        said = {name: value for name, value in asdict(self).items() if name not in _CHAIN}
        canonical = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(self.prev_hash.encode() + canonical).hexdigest()


_CHAIN = ("hash", "prev_hash")
_COLUMNS = tuple(audit.c[name] for name in AuditRow.__slots__)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be written down."""

    pipeline: str
    actor: str
    event: str
    from_state: str = ""
    to_state: str = ""
    cause: str = ""
    reason: str = ""
    generation: int = 0
    detail: Mapping[str, Any] | None = None


def hold(connection: Connection) -> None:
    """Keep everybody else from writing to the audit until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    write_alone(connection)


def head(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the last row; 0 and GENESIS where there is none."""
    last = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    found = connection.execute(last).first()
    return (found[0], found[1]) if found else (0, GENESIS)


def append(connection: Connection, entries: Iterable[Entry], *, at: float) -> int:
    """Write *entries*, after `hold`; return the number of the last row."""
    seq, before = head(connection)
    rows = []
    for entry in entries:
        seq += 1
        given = writable(asdict(entry))
        given["detail"] = orjson.dumps(given["detail"] or {}).decode()
        row = AuditRow(seq=seq, at=float(at), prev_hash=before, hash="", **given)
        before = row.digest()
        rows.append(asdict(row) | {"hash": before})
    if rows:
        connection.execute(insert(audit), rows)
    return seq


def writable(value: Any) -> Any:
    """Return plain *value* with texts that every database takes: no NUL, no half characters."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, Mapping):
        return {writable(key): writable(one) for key, one in value.items()}
    return [writable(one) for one in value] if isinstance(value, list | tuple) else value


def rows_after(
    connection: Connection, after: int, *, pipeline: str | None, limit: int
) -> list[AuditRow]:
    """Return at most *limit* rows after number *after*, oldest first."""
    statement = select(*_COLUMNS).where(audit.c.seq > after)
    if pipeline is not None:
        statement = statement.where(audit.c.pipeline == pipeline)
    found = connection.execute(statement.order_by(audit.c.seq).limit(limit))
    return [AuditRow(*row) for row in found]


def broken(rows: Iterable[AuditRow], *, after: int, before: str) -> Iterator[str]:
    """Yield what is wrong with a run of *rows* that follows number *after* with hash *before*."""
    expected = after + 1
    for row in rows:
        if row.seq != expected:
            yield f"row {expected} is missing: {row.seq} follows {expected - 1}"
        elif row.prev_hash != before:
            yield f"row {row.seq} does not follow row {row.seq - 1}: one of them was replaced"
        if row.digest() != row.hash:
            yield f"row {row.seq} was changed after it was written"
        expected, before = row.seq + 1, row.hash


def cut_off(connection: Connection) -> list[str]:
    """Return which gates have changed later than the audit tells: its end is missing."""
    there = gates.c
    last = (
        select(func.coalesce(func.max(audit.c.generation), 0))
        .where(audit.c.pipeline == there.pipeline)
        .scalar_subquery()
    )
    found = connection.execute(
        select(there.pipeline, there.generation, last.label("last"))
        .where(there.generation > last)
        .order_by(there.pipeline)
    )
    return [
        f"gate {row.pipeline} is at generation {row.generation}, but the audit ends at {row.last}"
        for row in found
    ]


TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER IF NOT EXISTS seamwatch_audit_update BEFORE UPDATE ON seamwatch_audit"
        " BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
        "CREATE TRIGGER IF NOT EXISTS seamwatch_audit_delete BEFORE DELETE ON seamwatch_audit"
        " BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
        # REPLACE deletes without asking a trigger
        "CREATE TRIGGER IF NOT EXISTS seamwatch_audit_insert BEFORE INSERT ON seamwatch_audit"
        " WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM seamwatch_audit)"
        " OR NEW.prev_hash <> coalesce("
        f"(SELECT hash FROM seamwatch_audit ORDER BY seq DESC LIMIT 1), '{GENESIS}')"
        " BEGIN SELECT RAISE(ABORT, 'the audit goes on from its last row'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION seamwatch_audit_append_only() RETURNS trigger AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$ LANGUAGE plpgsql",
        "DROP TRIGGER IF EXISTS seamwatch_audit_append_only ON seamwatch_audit",
        "CREATE TRIGGER seamwatch_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
        " ON seamwatch_audit FOR EACH STATEMENT EXECUTE FUNCTION seamwatch_audit_append_only()",
        "CREATE OR REPLACE FUNCTION seamwatch_audit_goes_on() RETURNS trigger AS $$ BEGIN"
        " IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM seamwatch_audit)"
        " OR NEW.prev_hash <> coalesce("
        f"(SELECT hash FROM seamwatch_audit ORDER BY seq DESC LIMIT 1), '{GENESIS}')"
        " THEN RAISE EXCEPTION 'the audit goes on from its last row'; END IF; RETURN NEW; END $$"
        " LANGUAGE plpgsql SET search_path FROM CURRENT",
        "DROP TRIGGER IF EXISTS seamwatch_audit_goes_on ON seamwatch_audit",
        "CREATE TRIGGER seamwatch_audit_goes_on BEFORE INSERT"
        " ON seamwatch_audit FOR EACH ROW EXECUTE FUNCTION seamwatch_audit_goes_on()",
    ),
}
"""Make the database itself refuse to change what was written, and to let a chain fork."""
