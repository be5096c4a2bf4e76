"""What happens to a gate, decided and written in one transaction. So the database serialises it.

Imports SQLAlchemy: import this where it is used.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from seamwatch.errors import Reason, StoreError
from seamwatch.gate import (
    Change,
    Configured,
    Decided,
    GateState,
    NotLegal,
    Rules,
    answer,
    decide,
    happening_from_json,
    happening_to_json,
    wanted,
)
from seamwatch.store import audit, orders
from seamwatch.store.rows import WORDS, Happened, IdempotencyKey
from seamwatch.store.tables import gates, idempotency

log = logging.getLogger(__name__)

_UNUSABLE = (ArithmeticError, AttributeError, LookupError, StoreError, TypeError, ValueError)
"""What deciding raises for a gate or a happening that is not as it should be."""

_BEHIND = ""  # the actor of keys of what was written behind

KEPT_KEYS = 86400.0  # seconds that the answer to a repeated request is kept


class StaleGeneration(StoreError):
    """The gate is not what the caller thought: *state* is how it stands."""

    def __init__(self, state: GateState, expected: int) -> None:
        super().__init__(
            f"the gate is at generation {state.generation}, not {expected}; read it again",
            reason=Reason.QUERY,
        )
        self.state = state


class KeyReused(StoreError):
    """An idempotency key came again with another request."""

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key was used for another request; make a new one",
            reason=Reason.QUERY,
        )


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate as it is written down; *seq* is the number of its last row in the audit."""

    pipeline: str
    state: GateState
    rules: Rules
    seq: int
    at: float


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a happening, once it is committed."""

    state: GateState
    rules: Rules
    changes: tuple[Change, ...]
    seq: int
    resets_evidence: bool = False
    is_replayed: bool = False  # the same request was answered before


def load(connection: Connection, after_seq: int) -> list[GateRow]:
    """Return the gates that changed after the audit's row *after_seq*; -1: all."""
    there = gates.c
    columns = (there.pipeline, there.state, there.rules, there.seq, there.at)
    statement = select(*columns).where(there.seq > after_seq).order_by(there.seq)
    return [_row(*found) for found in connection.execute(statement)]


def happen(
    connection: Connection,
    happened: Happened,
    *,
    expected: int | None = None,
    key: IdempotencyKey | None = None,
    leads: bool = True,
) -> Written | StaleGeneration | KeyReused | NotLegal:
    """Decide on *happened* and write all that comes of it; a refusal is returned, not raised.

    Args:
        connection: in a transaction that is committed afterwards.
        happened: what, to which gate, by whom.
        expected: the generation that the caller saw, None: whatever it is.
        key: of a request that may come twice.
        leads: its rules are those that count; a follower may not have read the new ones yet, and
            what people tell it is decided by those that are written down.

    Raises:
        StoreError: what is written down cannot be used.
    """
    happened = _writable(happened)
    audit.hold(connection)
    known = _known(connection, happened)
    if known is not None and not leads and isinstance(happened.happening, WORDS):
        happened = replace(happened, rules=known.rules)
    before = known.state if known else GateState.first(happened.rules.mode, happened.at)
    if key is not None and (replayed := _replayed(connection, key, happened, known)) is not None:
        return replayed
    if expected is not None and expected != before.generation:
        return StaleGeneration(before, expected)
    try:
        decided = decide(
            before, happened.happening, happened.rules, now=happened.at, actor=happened.actor
        )
    except NotLegal as refusal:
        return refusal
    seq = _write(connection, happened, decided, known)
    if key is not None:
        _remember(connection, key, decided.state, happened.at)
    return Written(decided.state, happened.rules, decided.changes, seq, decided.resets_evidence)


def happen_all(connection: Connection, some: Iterable[Happened], *, leads: bool) -> None:
    """Decide on what was written behind; what is refused is logged, for nobody waits for it.

    A transaction that was too slow may have been committed, and then comes again: what a person
    has undone since must not happen a second time.

    Raises:
        StoreError: one of them, or its gate, is such that it never can be written.
    """
    there = idempotency.c
    by_id = {one.id: one for one in some}
    before = select(there.key).where(there.actor == _BEHIND, there.key.in_(by_id))
    for done in connection.execute(before).scalars() if by_id else ():
        del by_id[done]
    for one in by_id.values():
        try:
            found = happen(connection, one, leads=leads)
        except _UNUSABLE as error:
            raise StoreError(f"gate {one.pipeline}: {error}", reason=Reason.QUERY) from error
        if not isinstance(found, Written):
            log.warning("not done to the gate: %s", found, extra={"pipeline": one.pipeline})
    if by_id:
        _forget(connection, min(one.at for one in by_id.values()))
        values = {"actor": _BEHIND, "request": "", "generation": 0, "state": ""}
        keys = [{**values, "key": one.id, "at": one.at} for one in by_id.values()]
        connection.execute(insert(idempotency), keys)


def _writable(happened: Happened) -> Happened:
    given = happening_to_json(happened.happening)
    said, actor = audit.writable(given), audit.writable(happened.actor)
    if said == given and actor == happened.actor:
        return happened
    return replace(happened, happening=happening_from_json(said), actor=actor)


def _known(connection: Connection, happened: Happened) -> GateRow | None:
    there = gates.c
    columns = (there.pipeline, there.state, there.rules, there.seq, there.at)
    statement = select(*columns).where(there.pipeline == happened.pipeline).with_for_update()
    found = connection.execute(statement).first()
    return _row(*found) if found else None


def _write(
    connection: Connection, happened: Happened, decided: Decided, known: GateRow | None
) -> int:
    state, rules = decided.state, happened.rules
    is_new = known is None or rules != known.rules
    if known is not None and state is known.state and not is_new:
        if isinstance(happened.happening, Configured):
            _order(connection, happened, decided)  # there may be other targets now
        return known.seq
    changes = decided.changes
    if not changes:  # a row all the same, so that whoever reads what is new finds it
        event = "configured" if is_new else "noted"
        changes = (Change(event, state.base, state.base, "", "", state.generation),)
    seq = audit.append(connection, _entries(happened, changes), at=happened.at)
    values = {
        "generation": state.generation,
        "seq": seq,
        "state": _dumps(state.to_json()),
        "rules": _dumps(rules.to_json()),
        "at": happened.at,
    }
    if known is None:
        connection.execute(insert(gates), [{"pipeline": happened.pipeline, **values}])
    else:
        connection.execute(
            update(gates).where(gates.c.pipeline == happened.pipeline).values(values)
        )
    _order(connection, happened, decided)
    return seq


def _order(connection: Connection, happened: Happened, decided: Decided) -> None:
    """Order what the gate wants; where actions are not to be taken, what they did is undone."""
    state, rules, now = decided.state, happened.rules, happened.at
    reasons = [change.reason for change in decided.changes]
    orders.give(
        connection,
        happened.pipeline,
        wanted(state, rules, now=now) or "running",
        happened.targets,
        generation=state.generation,
        reason=reasons[-1] if reasons else answer(state, rules, now=now).reason,
        now=now,
    )


def _entries(happened: Happened, changes: tuple[Change, ...]) -> list[audit.Entry]:
    detail = {
        "happening": happening_to_json(happened.happening),
        "rules": happened.rules.to_json(),
        **happened.detail,
    }
    return [
        audit.Entry(
            happened.pipeline,
            happened.actor,
            change.event,
            change.before.value,
            change.after.value,
            change.cause,
            change.reason,
            change.generation,
            detail,
        )
        for change in changes
    ]


def _replayed(
    connection: Connection, key: IdempotencyKey, happened: Happened, known: GateRow | None
) -> Written | KeyReused | None:
    there = idempotency.c
    _forget(connection, happened.at)
    statement = select(there.request, there.state).where(
        there.actor == key.actor, there.key == key.key
    )
    found = connection.execute(statement).first()
    if found is None:
        return None
    if found.request != key.request:
        return KeyReused()
    state = GateState.from_json(orjson.loads(found.state))
    return Written(state, happened.rules, (), known.seq if known else 0, is_replayed=True)


def _forget(connection: Connection, now: float) -> None:
    connection.execute(delete(idempotency).where(idempotency.c.at < now - KEPT_KEYS))


def _remember(connection: Connection, key: IdempotencyKey, state: GateState, now: float) -> None:
    values = {
        "actor": key.actor,
        "key": key.key,
        "request": key.request,
        "generation": state.generation,
        "state": _dumps(state.to_json()),
        "at": now,
    }
    connection.execute(insert(idempotency), [values])


def _row(pipeline: str, state: str, rules: str, seq: int, at: float) -> GateRow:
    try:
        stands = GateState.from_json(orjson.loads(state))
        return GateRow(pipeline, stands, Rules.from_json(orjson.loads(rules)), seq, at)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise StoreError(
            f"store: the gate of pipeline {pipeline} cannot be used"
            f" ({type(error).__name__}: {error}); restore a backup of the database",
            reason=Reason.BAD_CONTRACT,
        ) from error


def _dumps(values: Mapping[str, Any]) -> str:
    return orjson.dumps(values).decode()
