"""How it goes on with an order: when it is tried again, and what a failure or a drift makes of it.

Pure: nothing here reads a clock, the network or the store.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import orjson

from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Rejected
from seamwatch.store.orders import OrderRow

SHORTEST = 0.5  # seconds between two attempts
LONGEST = (
    60.0  # seconds between two attempts, also of what was refused and when asked to wait longer
)
SHARE = 1 / 15  # of the time that it has been tried for: what was down for 60 s has it 4 s later
PUT_BACK = 2  # times that a drift is put back before a target is left to whoever changed it
LEFT_ALONE = 3600.0  # seconds
ERROR_LENGTH = 400  # characters of an error that are kept

_COMES_BACK = (408, 409, 425, 429)  # a client's fault by number, but not for good
_FOR_GOOD = frozenset(
    {
        Reason.UNAUTHORIZED,
        Reason.TLS,
        Reason.REDIRECT,
        Reason.NOT_JSON,
        Reason.BAD_CONTRACT,
        Reason.MISSING_DRIVER,
        Reason.QUERY,
    }
)
"""What trying again does not mend: somebody has to look at it."""


def is_refusal(error: ReadError) -> bool:
    """Say whether the target will not have it, so that somebody must mend something."""
    if isinstance(error, Rejected):
        return 400 <= error.status < 500 and error.status not in _COMES_BACK
    return error.reason in _FOR_GOOD


def pause(row: OrderRow, error: ReadError, *, now: float, dice: random.Random) -> float:
    """Return the seconds until *row* is tried again: a halt is never given up."""
    if is_refusal(error):
        wait = LONGEST
    else:
        wait = min(max((now - row.decided_at) * SHARE, SHORTEST), LONGEST)
        if error.retry_after is not None:
            wait = min(max(wait, error.retry_after), LONGEST)
    return wait * dice.uniform(0.9, 1.0)


def begun(row: OrderRow, *, now: float) -> OrderRow:
    """Return *row* as it is written before an attempt: if we die in it, it is tried at once."""
    drifts = 0 if row.status == "yielded" else row.drifts
    return replace(row, status="pending", attempts=row.attempts + 1, next_at=now, drifts=drifts)


def done(row: OrderRow, *, now: float) -> OrderRow:
    """Return *row* once its target has confirmed it; what was given back is forgotten."""
    return replace(
        row,
        status="effective",
        confirmed_generation=row.generation,
        confirmed_at=now,
        last_error="",
        memory=row.memory if row.desired == "halted" else "{}",
    )


def failed(row: OrderRow, error: ReadError, *, now: float, dice: random.Random) -> OrderRow:
    """Return *row* after an attempt that came to nothing."""
    return replace(
        row,
        status="refused" if is_refusal(error) else "pending",
        next_at=now + pause(row, error, now=now, dice=dice),
        last_error=str(error)[:ERROR_LENGTH],
    )


def drifted(row: OrderRow, on_drift: Literal["yield", "reapply"], *, now: float) -> OrderRow:
    """Return *row* when somebody let go on what was halted: put back, or left to them."""
    yields = on_drift == "yield" and row.drifts >= PUT_BACK
    return replace(
        row,
        status="yielded" if yields else "pending",
        drifts=row.drifts + 1,
        next_at=now + (LEFT_ALONE if yields else 0.0),
        confirmed_generation=None,
        confirmed_at=None,
        last_error="somebody lets it run though it is ordered to halt",
    )


def memory_of(row: OrderRow) -> Mapping[str, Any]:
    """Return what the target is to give back."""
    found = orjson.loads(row.memory)
    return found if isinstance(found, dict) else {}


def text_of(memory: Mapping[str, Any]) -> str:
    """Return *memory* as it is written down."""
    return orjson.dumps(memory).decode()
