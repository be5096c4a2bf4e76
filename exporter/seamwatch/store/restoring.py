"""A pipeline's case as it stood when the process ended, made of what the store kept."""

from __future__ import annotations

import json

from seamwatch.errors import Reason, StoreError
from seamwatch.evidence import Case, Event, Probe, Terms
from seamwatch.store.rows import Asked, Evidence


def probe_of(asked: Asked) -> Probe:
    """Return what the evidence took of *asked*."""
    return Probe(asked.x, asked.slice, asked.item_class, asked.focused, asked.at)


def restored_case(found: Evidence) -> Case | None:
    """Return the case that *found* amounts to, bit for bit; None where there was no evidence.

    Its ordinal and the `since_ordinal` of its terms add up to the last ordinal in the store, also
    where probes are missing: they were taken, only what they were is lost.

    Raises:
        StoreError: terms, state or log are not such as this version writes.
    """
    if found.terms is None:
        return None
    try:
        return _restored(found, Terms.from_json(json.loads(found.terms.text)))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StoreError(
            f"store: the evidence of pipeline {found.terms.pipeline} cannot be used"
            f" ({type(error).__name__}: {error}); it begins anew",
            reason=Reason.BAD_CONTRACT,
        ) from error


def _restored(found: Evidence, terms: Terms) -> Case:
    since = found.terms.since_ordinal if found.terms is not None else 0
    state = found.state
    case = Case(terms) if state is None else Case.restored(terms, json.loads(state.state))
    resumed = {one.ordinal for one in found.events if one.event == Event.RESUME}
    if state is not None and state.ordinal in resumed:
        case.resume()  # changes nothing if the state is from after it
    for asked in found.tail:
        assert asked.ordinal is not None
        case.ordinal = asked.ordinal - since - 1
        case.take(probe_of(asked))
        if asked.ordinal in resumed:
            case.resume()
    return case
