"""How a database gets this version's tables. Imports SQLAlchemy: import this where it is used."""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, inspect, select
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from seamwatch.errors import Reason, StoreError
from seamwatch.store.audit import TRIGGERS
from seamwatch.store.tables import VERSION, metadata, schema

_LOCK = 0x5EA3_3A7C  # advisory lock of PostgreSQL under which tables are made


def bring_up(connection: Connection, shown: str) -> bool:
    """Make the tables or columns that are not there; say whether there were none at all.

    All of it happens in the transaction of *connection*, or nothing. What a version adds may be
    absent or has a default, so that bringing a large store here takes no longer than a small one.

    Raises:
        StoreError: the tables are of a later version; they are left alone.
    """
    found = version_of(connection)
    if found is None or found < VERSION:
        _hold(connection)
        found = version_of(connection)  # another process may just have done it
    if found is not None and found > VERSION:
        raise StoreError(
            f"store {shown}: written by a later seamwatch (schema {found}, this one knows "
            f"{VERSION}); run that one, or set `store` to another place",
            reason=Reason.BAD_CONTRACT,
        )
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        if found != VERSION:
            _add_columns(connection, table)
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    if found != VERSION:
        for trigger in TRIGGERS[connection.dialect.name]:
            connection.exec_driver_sql(trigger)
        connection.execute(schema.delete())
        connection.execute(schema.insert(), [{"version": VERSION}])
    return found is None


def version_of(connection: Connection) -> int | None:
    """Return the version of the tables that are there, None where there are none."""
    if not inspect(connection).has_table(schema.name):
        return None
    version = connection.execute(select(func.max(schema.c.version))).scalar_one()
    return int(version) if version is not None else None


def _hold(connection: Connection) -> None:
    """Keep every other process from making tables until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    else:  # the driver begins a transaction for rows only, and each table would be one of its own
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _add_columns(connection: Connection, table: Table) -> None:
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name not in there:
            added = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {added}")
