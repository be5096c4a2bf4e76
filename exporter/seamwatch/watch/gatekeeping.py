"""What a snapshot and an answer mean to the gate of their pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seamwatch.config.gate import GateSection
from seamwatch.evidence import Event
from seamwatch.gate import Aged, Evidence, GateState, Happening, Probed, Staleness
from seamwatch.gate.deciding import DATA_AGE, EVIDENCE
from seamwatch.snapshot import Snapshot
from seamwatch.store import Happened
from seamwatch.watch.casework import Casework, Taken
from seamwatch.watch.gates import Gates

OURS = "seamwatch"  # the actor of what is found and not said


def happenings(snapshot: Snapshot, gate: GateSection, state: GateState) -> Iterator[Happening]:
    """Yield what of *snapshot* is new to a gate that stands at *state*."""
    evidence = snapshot.evidence
    if evidence is not None:
        answered = snapshot.golden is not None and snapshot.golden.last_answer is not None
        if answered and not state.has_begun:
            yield Probed()
        if evidence.is_stale is not state.is_stale and (state.has_begun or answered):
            yield Staleness(evidence.is_stale, _staleness(snapshot))
    watermark = snapshot.freshness.watermark
    if gate.max_data_age is not None and watermark is not None:
        aged = Aged(snapshot.at - watermark, gate.max_data_age)
        cause = state.causes.get(DATA_AGE)
        holds = cause is not None and not cause.is_over
        if aged.is_over is not holds and (
            cause is not None or aged.is_over is not (DATA_AGE in state.acknowledged)
        ):
            yield aged


def _staleness(snapshot: Snapshot) -> str:
    evidence, golden = snapshot.evidence, snapshot.golden
    if evidence is not None and not evidence.is_stale:
        return "valid answers come again"
    if evidence is not None and not evidence.judges_right:
        return "the judge gives answers of known worth the wrong verdict"
    last = golden.last_answer if golden is not None else None
    since = f" for {snapshot.at - last:.0f} s" if last is not None else " yet"
    return f"no valid answer{since}"


def evidence_row(gates: Gates, pipeline: str, casework: Casework, taken: Taken) -> Happened | None:
    """Tell the gate what an answer led to; return the row that goes on disk with the answer."""
    if not taken.events:
        return None
    reason = _reason(casework, taken)
    return gates.happened(
        pipeline,
        Evidence(taken.events, reason),
        actor=OURS,
        detail={"evidence": _detail(casework, taken)},
    )


def _reason(casework: Casework, taken: Taken) -> str:
    case, floor = casework.case, f"{casework.terms.floor:.1%}"
    if Event.HALT in taken.events:
        worst = f", worst in slice {case.worst_slice}" if case.worst_slice else ""
        return f"accuracy is proven to be under its floor of {floor}{worst}"
    if Event.RECOVERED in taken.events:
        return f"accuracy is proven to be above {casework.terms.resume_above:.1%} again"
    return ""


def _detail(casework: Casework, taken: Taken) -> Mapping[str, Any]:
    return {
        "ordinal": casework.ordinal,
        "events": [event.value for event in taken.events],
        "terms": casework.key,
        "golden": casework.digest,
        "floor": casework.terms.floor,
        "limit": casework.terms.limit,
        "ratio": casework.case.ratio,
        "severity": casework.case.severity,
        "worst_slice": casework.case.worst_slice,
        "item": taken.judged.item.id,
    }


def is_out_of_step(casework: Casework, state: GateState) -> bool:
    """Say whether the case is halted while the gate is not, on evidence: it was resumed."""
    return casework.case.halted and EVIDENCE not in state.causes
