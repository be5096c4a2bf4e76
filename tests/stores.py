"""Stores and journals to test with, closed at the end."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from seamwatch.evidence import Event
from seamwatch.gate import Evidence, Mode, Rules
from seamwatch.store import Happened, Journal, Store

RULES = Rules(Mode.ENFORCE)
HALT = Evidence((Event.HALT,), "accuracy is under 88%")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def journal(url: str, **options: object) -> AsyncIterator[Journal]:
    one = Journal(url, **{"timeout": 2.0, **options})  # type: ignore[arg-type]
    try:
        yield one
    finally:
        await one.close(deadline=1.0)


async def new_database(server: str) -> str:
    import asyncpg

    connection = await asyncpg.connect(server)
    name = f"seamwatch_{random.getrandbits(60)}"
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server.replace("/postgres?", f"/{name}?")


def happened(what: object, at: float = 100.0, **given: object) -> Happened:
    """Return something that happened to the gate of the pipeline ``rag``."""
    settled = {"actor": "ana", "pipeline": "rag", "rules": RULES, **given}
    return Happened(happening=what, at=at, **settled)  # type: ignore[arg-type]
