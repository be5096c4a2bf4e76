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

VERSION = 2
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
