"""The tables, for SQLite and PostgreSQL alike. Imports SQLAlchemy: import this where it is used."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 1
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
    UniqueConstraint("pipeline", "digest", "at", "item_id"),
)

passes = Table(
    "seamwatch_passes",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("seed", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
)
