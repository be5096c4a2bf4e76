"""Whether a halt followed from the answers: the evidence is weighed again from the probe log."""

from __future__ import annotations

import json
from dataclasses import dataclass

from seamwatch.errors import StoreError
from seamwatch.evidence import Event
from seamwatch.gate import CauseKind
from seamwatch.store.audit import AuditRow
from seamwatch.store.database import Store
from seamwatch.store.restoring import probe_of, restored_case
from seamwatch.store.rows import Evidence


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of weighing the evidence of a halt again."""

    follows: bool | None  # None: that cannot be told any more
    sentence: str


def is_proven_by_log(row: AuditRow) -> bool:
    """Say whether *row* tells of a halt, or of one more cause of it, on evidence."""
    return row.event in ("halt", "cause_added") and row.cause == CauseKind.EVIDENCE


async def verify_halt(store: Store, row: AuditRow) -> Replayed:
    """Weigh again what led to the halt that *row* tells of, for which `is_proven_by_log` holds.

    It begins with nothing where the log goes back to the last resume, or to the terms in force;
    else with the oldest state that was kept. Raises StoreError where the store cannot be read.
    """
    told = json.loads(row.detail).get("evidence", {})
    ordinal = told.get("ordinal")
    where = f"row {row.seq}: the halt of {row.pipeline}"
    if not isinstance(ordinal, int):
        return Replayed(None, f"{where} names no answer that it followed from")
    found = await store.load_replay(row.pipeline, ordinal)
    if found is None or found.terms is None:
        return Replayed(None, f"{where}: the terms it was decided by are not in the store")
    if told.get("terms") not in (None, found.terms.terms):
        return Replayed(False, f"{where} was not decided by the terms in force then")
    missing = _missing(found, ordinal)
    if missing:
        return Replayed(None, f"{where} cannot be replayed: {missing} of its answers are not kept")
    try:
        return _replayed(found, ordinal, where)
    except StoreError as error:
        return Replayed(None, f"{where} cannot be replayed: {error}")


def _replayed(found: Evidence, ordinal: int, where: str) -> Replayed:
    tail, last = found.tail[:-1], found.tail[-1]
    case = restored_case(found._replace(tail=tail))
    assert case is not None
    assert found.terms is not None
    answers = f"answers {tail[0].ordinal if tail else ordinal} to {ordinal}"
    was_halted = case.halted
    case.ordinal = ordinal - found.terms.since_ordinal - 1
    if was_halted or Event.HALT not in case.take(probe_of(last)):
        share = "it was halted before" if was_halted else f"{case.ratio:.0%} of the way"
        return Replayed(False, f"{where} does not follow from {answers}: {share}")
    return Replayed(True, f"{where} follows from {answers}")


def _missing(found: Evidence, ordinal: int) -> int:
    assert found.terms is not None
    begin = found.state.ordinal if found.state is not None else found.terms.since_ordinal
    return ordinal - begin - len(found.tail)
