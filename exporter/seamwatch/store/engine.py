"""The SQLAlchemy engine for a store. Imports SQLAlchemy: import this where it is used."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from seamwatch.store.address import Address

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers do not wait for the writer
    "PRAGMA synchronous=FULL",  # what was committed survives a power cut, not only a crash
    "PRAGMA journal_size_limit=67108864",
)
_LOCK_WAIT = 0.5  # seconds


def create_engine(address: Address, *, timeout: float) -> AsyncEngine:
    """Return an engine that has not connected yet; *timeout* in seconds bounds each attempt."""
    options: dict[str, Any] = {"hide_parameters": True}
    if address.path is not None or not address.url.drivername.startswith("sqlite"):
        options |= {"pool_size": 2, "max_overflow": 0, "pool_timeout": timeout}
    if address.url.drivername.startswith("sqlite"):
        # A wait for a lock cannot be called off: it is short, and the journal tries again.
        wait = {"timeout": min(_LOCK_WAIT, timeout / 2)}
        engine = create_async_engine(address.url, connect_args=wait, **options)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    server = {"application_name": "seamwatch"}
    connect = {"timeout": timeout, "command_timeout": timeout, "server_settings": server}
    return create_async_engine(address.url, connect_args=connect, pool_pre_ping=True, **options)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Set a new connection up; it is closed again when the file turns out to be no database."""
    cursor = connection.cursor()
    try:
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
    except BaseException:
        cursor.close()
        connection.close()
        raise
    cursor.close()
