"""What the store keeps of a case, so that it survives a kill and can be replayed bit for bit."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import orjson

from seamwatch.errors import StoreError
from seamwatch.store import (
    Asked,
    Checkpoint,
    EventRow,
    Evidence,
    EvidenceRow,
    Pass,
    Row,
    TermsRow,
    restored_case,
)
from seamwatch.watch.casework import STANDS_ANEW, Casework, Taken
from seamwatch.watch.probing import Probing

log = logging.getLogger(__name__)

CHECKPOINT_EVERY = 1000  # probes; a replay begins at one of them


def terms_row(pipeline: str, casework: Casework) -> TermsRow:
    """Return the terms in force from the next probe on."""
    return TermsRow(pipeline, casework.key, casework.terms_text, casework.offset, casework.clock())


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
    state = orjson.dumps(casework.case.state()).decode()
    yield EvidenceRow(pipeline, digest, casework.key, ordinal, state, at)
    if ordinal % CHECKPOINT_EVERY == 0:
        yield Checkpoint(pipeline, casework.key, ordinal, state)
    for event in taken.events:
        ratio = casework.case.ratio
        yield EventRow(pipeline, ordinal, at, event.value, ratio, casework.key, _detail(casework))


def _detail(casework: Casework) -> str:
    case = casework.case
    said = {"severity": case.severity, "worst_slice": case.worst_slice, "errors": case.errors}
    return orjson.dumps(said).decode()


def restore(casework: Casework, found: Evidence) -> bool:
    """Put *casework* where the kill found it; say whether there was something to go on with.

    Under other terms than before it begins anew, but goes on counting. So it does, after an error
    in the log, with what cannot be used.
    """
    casework.offset = found.ordinal
    if found.terms is None or found.terms.terms != casework.key:
        return False
    try:
        case = restored_case(found)
    except StoreError as error:
        log.error("%s", error, extra=dict(casework.where))
        return False
    if case is None:
        return False
    if found.missing:
        log.error("%d probes are not in the log", found.missing, extra=dict(casework.where))
    changes = [row.at for row in found.events if row.event in STANDS_ANEW]
    casework.restore(case, offset=found.ordinal - case.ordinal, since=max(changes, default=None))
    return True
