"""The tables, for SQLite and PostgreSQL alike. Imports SQLAlchemy: import this where it is used."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)

VERSION = 3
"""Version of this schema; a store of a later one is refused, of an earlier one is brought here."""

metadata = MetaData()

_sequence = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts INTEGER keys only

schema = Table(
    "seamwatch_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

publications = Table(
    "seamwatch_publications",
    metadata,
    Column("seq", _sequence, primary_key=True),  # order of publication: clocks jump, this does not
    Column("pipeline", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("version", Text),
    Column("watermark", Double),
    UniqueConstraint("pipeline", "stage", "since"),
)

probes = Table(
    "seamwatch_probes",
    metadata,
    Column("seq", _sequence, primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("credit", Double),
    Column("answered_by", Text),
    Column("seed", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("ordinal", BigInteger),
    Column("slice", Text, nullable=False, server_default=""),
    Column("item_class", Text, nullable=False, server_default=""),
    Column("focused", Boolean, nullable=False, server_default=false()),
    Column("x", Double),
    Column("purpose", Text, nullable=False, server_default="pass"),
    UniqueConstraint("pipeline", "digest", "at", "item_id"),
)

# The log of a pipeline's evidence in its order. Partial, so that it costs a store of an earlier
# version nothing to make, and a pipeline without evidence nothing to have.
_numbered = probes.c.ordinal.is_not(None)
log_order = Index(
    "seamwatch_probes_log",
    probes.c.pipeline,
    probes.c.ordinal,
    unique=True,
    sqlite_where=_numbered,
    postgresql_where=_numbered,
)

passes = Table(
    "seamwatch_passes",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("seed", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
)

terms = Table(
    "seamwatch_terms",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("since_ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("terms", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Double, nullable=False),
)

evidence = Table(
    "seamwatch_evidence",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", Double, nullable=False),
)

checkpoints = Table(
    "seamwatch_checkpoints",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("terms", Text, nullable=False),
    Column("state", Text, nullable=False),
)

events = Table(
    "seamwatch_events",
    metadata,
    Column("seq", _sequence, primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("event", Text, nullable=False),
    Column("value", Double),
    Column("terms", Text, nullable=False),
    Column("detail", Text, nullable=False),
    UniqueConstraint("pipeline", "ordinal", "event", "at"),
)

findings = Table(
    "seamwatch_findings",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("text", Text, nullable=False),
)

gates = Table(
    "seamwatch_gates",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False, index=True),  # of the audit, when it last changed
    Column("state", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("at", Double, nullable=False),
)

audit = Table(
    "seamwatch_audit",
    metadata,
    Column("seq", _sequence, primary_key=True, autoincrement=False),  # without gaps, from 1
    Column("at", Double, nullable=False),
    Column("pipeline", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("seamwatch_audit_of", "pipeline", "seq"),
)

orders = Table(
    "seamwatch_orders",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("desired", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("decided_at", Double, nullable=False),
    Column("confirmed_generation", BigInteger),
    Column("confirmed_at", Double),
    Column("memory", Text, nullable=False),
    Column("drifts", BigInteger, nullable=False),
    Column("last_error", Text, nullable=False),
)

idempotency = Table(
    "seamwatch_idempotency",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),  # sha256 of what was asked, hex
    Column("generation", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # of the gate afterwards, JSON
    Column("at", Double, nullable=False, index=True),
)

tokens = Table(
    "seamwatch_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),  # sha256 of the secret, hex
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # JSON
    Column("gates", Text, nullable=False),  # globs, JSON
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("revoked", Double),
)

leader = Table(
    "seamwatch_leader",
    metadata,
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("at", Double, nullable=False),
)
