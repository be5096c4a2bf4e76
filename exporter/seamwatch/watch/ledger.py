"""What the store keeps of a case, so that it survives a kill and can be replayed bit for bit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from seamwatch.errors import StoreError
from seamwatch.evidence import Case, Event
from seamwatch.store import (
    Asked,
    Checkpoint,
    EventRow,
    Evidence,
    EvidenceRow,
    Pass,
    Row,
    Store,
    TermsRow,
    restored_case,
)
from seamwatch.watch.casework import STANDS_ANEW, Casework, Taken
from seamwatch.watch.probing import Probing

log = logging.getLogger(__name__)

CHECKPOINT_EVERY = 1000  # probes; a replay begins at one of them
RECENT = 100  # events that are looked through for the last change of standing


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store had of one pipeline's case."""

    evidence: Evidence
    since: float | None = None  # wall clock at which it came to stand as it does
    is_halted: bool = False  # as the events say; for when the state cannot be used


async def kept(store: Store, pipeline: str) -> Kept:
    """Return what *store* has of the case of *pipeline*; raises StoreError."""
    evidence = await store.load_evidence(pipeline)
    events = await store.load_events(pipeline, limit=RECENT) if evidence.terms else []
    changes = [row.at for row in events if row.event in STANDS_ANEW]
    halts = [row.event for row in events if row.event in (Event.HALT, Event.RESUME)]
    return Kept(evidence, max(changes, default=None), halts[-1:] == [Event.HALT])


def terms_rows(pipeline: str, casework: Casework, *, digest: str) -> Iterator[Row]:
    """Yield the terms in force from the next probe on, and the state that they begin with.

    A state that does not begin with nothing (a halt that stands, probes that were taken while the
    store was away) is a checkpoint: what comes later cannot be replayed from the terms alone.
    """
    if not casework.is_recalled:
        return
    now, key, state = casework.clock(), casework.key, _state(casework)
    yield TermsRow(pipeline, key, casework.terms_text, casework.offset, now)
    if casework.case.ordinal or casework.case.halted:
        yield Checkpoint(pipeline, key, casework.ordinal, state)
    yield EvidenceRow(pipeline, digest, key, casework.ordinal, state, now)
    if casework.untold is not None:
        at, casework.untold = casework.untold, None
        yield EventRow(pipeline, casework.ordinal, at, Event.HALT, 1.0, key, _detail(casework))


def _state(casework: Casework) -> str:
    return orjson.dumps(casework.case.state()).decode()


def rows_of(pipeline: str, probing: Probing, taken: Taken) -> Iterator[Row]:
    """Yield what is to be written of one answer, all of it in one transaction."""
    judged, probe = taken.judged, taken.probe
    passes, digest = probing.passes, probing.golden.digest
    asked = Asked(
        pipeline,
        digest,
        judged.item.id,
        judged.verdict,
        judged.credit,
        judged.answer.answered_by,
        judged.at,
        taken.seed,
        taken.position,
        ordinal=taken.ordinal,
        slice=probe.slice if probe else "",
        item_class=probe.item_class if probe else "",
        focused=taken.focused,
        x=probe.x if probe else None,
        purpose="focus" if taken.focused else "pass",
    )
    yield asked
    if not taken.focused:
        yield Pass(pipeline, digest, passes.seed, passes.position)
    if probing.casework is not None and taken.ordinal is not None:
        yield from _case_rows(pipeline, digest, probing.casework, taken)


def _case_rows(pipeline: str, digest: str, casework: Casework, taken: Taken) -> Iterator[Row]:
    ordinal, at = casework.ordinal, taken.judged.at
    state = _state(casework)
    yield EvidenceRow(pipeline, digest, casework.key, ordinal, state, at)
    if ordinal % CHECKPOINT_EVERY == 0:
        yield Checkpoint(pipeline, casework.key, ordinal, state)
    for event in taken.events:
        ratio = casework.case.ratio
        yield EventRow(pipeline, ordinal, at, event.value, ratio, casework.key, _detail(casework))


def resume_rows(
    pipeline: str, casework: Casework, events: Iterable[Event], *, digest: str
) -> Iterator[Row]:
    """Yield what is to be written when the gate has let the case run again."""
    if not casework.is_recalled:
        return
    now, key, ordinal = casework.clock(), casework.key, casework.ordinal
    yield EvidenceRow(pipeline, digest, key, ordinal, _state(casework), now)
    for event in events:
        yield EventRow(pipeline, ordinal, now, event.value, None, key, _detail(casework))


def _detail(casework: Casework) -> str:
    case = casework.case
    said = {"severity": case.severity, "worst_slice": case.worst_slice, "errors": case.errors}
    return orjson.dumps(said).decode()


def restore(casework: Casework, found: Kept) -> bool:
    """Put *casework* where the kill found it; say whether there was something to go on with.

    Under other terms than before it begins anew, but goes on counting, and a halt stands. It
    begins anew as well where the log cannot be used, which is logged.
    """
    evidence = found.evidence
    casework.offset = evidence.ordinal
    case = _case(casework, evidence)
    if case is None or evidence.terms is None:
        if found.is_halted and found.since is not None:
            casework.stay_halted(ordinal=evidence.ordinal, since=found.since)
        return False
    if evidence.missing:
        log.error("%d probes are not in the log", evidence.missing, extra=dict(casework.where))
    since = casework.since if found.since is None else found.since
    if evidence.terms.terms != casework.key:
        casework.since = since
        casework.begin_anew(case, ordinal=evidence.ordinal)
        return False
    casework.restore(case, offset=evidence.ordinal - case.ordinal, since=since)
    return True


def catch_up(casework: Casework, found: Kept) -> None:
    """Tell *casework*, which began without the store, what the store had."""
    case = _case(casework, found.evidence)
    casework.catch_up(case, ordinal=found.evidence.ordinal, since=found.since)
    if case is None and found.is_halted and found.since is not None:
        casework.stay_halted(ordinal=found.evidence.ordinal, since=found.since)


def _case(casework: Casework, evidence: Evidence) -> Case | None:
    try:
        return restored_case(evidence)
    except StoreError as error:
        log.error("%s", error, extra=dict(casework.where))
        return None
