"""What actions are to bring about, one row for each target: the desired state, not a toggle.

A later generation takes the place of an earlier one that was not delivered; what a target was like
before the halt stays in *memory* until it is given back. Imports SQLAlchemy: import this where it
is used.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, insert, select, update

from seamwatch.store.tables import orders

Status = Literal["pending", "effective", "refused", "yielded", "dry_run"]


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order; times are wall clock, seconds since the epoch."""

    pipeline: str
    target: str
    desired: Literal["halted", "running"]
    generation: int  # of the gate's change that gave it
    reason: str
    decided_at: float
    status: Status = "pending"  # refused: tried on, slowly; yielded: left alone
    attempts: int = 0
    next_at: float = 0.0
    confirmed_generation: int | None = None
    confirmed_at: float | None = None
    memory: str = "{}"  # JSON: what was there before the halt
    drifts: int = 0  # how often somebody else changed it back
    last_error: str = ""


_COLUMNS = tuple(orders.c[name] for name in OrderRow.__slots__)


def load(connection: Connection, pipeline: str | None = None) -> list[OrderRow]:
    """Return all orders, or those of *pipeline*."""
    statement = select(*_COLUMNS).order_by(orders.c.pipeline, orders.c.target)
    if pipeline is not None:
        statement = statement.where(orders.c.pipeline == pipeline)
    return [OrderRow(*row) for row in connection.execute(statement)]


def give(
    connection: Connection,
    pipeline: str,
    desired: Literal["halted", "running"],
    targets: Collection[str],
    *,
    generation: int,
    reason: str,
    now: float,
) -> None:
    """Order *desired* from *targets*, and from all that were ordered to halt before.

    Who was never ordered to halt need not be told to run: it may be paused for reasons of its own.
    """
    there = {row.target: row for row in load(connection, pipeline)}
    names = {*targets, *(name for name, row in there.items() if row.desired == "halted")}
    for name in sorted(names):
        known = there.get(name)
        if known is None and desired == "running":
            continue
        if known is not None and known.desired == desired:
            continue
        values = asdict(
            OrderRow(
                pipeline,
                name,
                desired,
                generation,
                reason,
                now,
                next_at=now,
                memory=known.memory if known is not None else "{}",
            )
        )
        if known is None:
            connection.execute(insert(orders), [values])
        else:
            connection.execute(update(orders).where(*_is(known)).values(values))


def keep(connection: Connection, row: OrderRow) -> bool:
    """Write how it goes on with *row*; say whether it is still the order of its generation."""
    done = connection.execute(
        update(orders).where(*_is(row), orders.c.generation == row.generation).values(asdict(row))
    )
    return done.rowcount == 1


def _is(row: OrderRow) -> tuple[ColumnElement[bool], ...]:
    return (orders.c.pipeline == row.pipeline, orders.c.target == row.target)
