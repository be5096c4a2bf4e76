"""What callers are told, what actions must bring about, and when time alone changes something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seamwatch.gate.deciding import ANNOUNCED, resumes_at
from seamwatch.gate.state import Base, Course, GateState, Kind, Mode, Rules


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether to let callers through, and why."""

    decision: Literal["allow", "deny"]
    state: str  # a base, or "stale"
    reason: str
    cause: str  # what it rests on: off, shadow, override, unknown, a cause's kind, or nothing
    generation: int
    would_deny: bool  # what it would be in mode enforce
    overridden: Kind | None = None


def answer(state: GateState, rules: Rules, *, now: float) -> Answer:
    """Return what callers are told at *now*; the first rule that applies decides.

    1. mode off and shadow allow. 2. force_halt denies. 3. force_open allows. 4. halted and
    recovering deny. 5. stale and starting do what ``on_unknown`` says. 6. all else is allowed.
    """
    denies, word, reason, cause, overridden = _found(state, rules, now)
    enforced = rules.mode is Mode.ENFORCE
    if not enforced:
        cause = rules.mode.value
    decision: Literal["allow", "deny"] = "deny" if denies and enforced else "allow"
    return Answer(decision, word, reason, cause, state.generation, denies, overridden)


def _found(state: GateState, rules: Rules, now: float) -> tuple[bool, str, str, str, Kind | None]:
    base, override = state.base, state.override
    if override is not None and now < override.expires_at:
        halts = override.kind is Kind.FORCE_HALT
        return halts, base.value, override.reason, "override", override.kind
    if state.is_halted:
        first = min(
            state.causes.values(), key=lambda one: (one.course is not Course.HOLDS, one.since)
        )
        return True, base.value, first.reason, first.kind.value, None
    if state.is_stale:
        return rules.on_unknown == "deny", "stale", state.stale_reason, "unknown", None
    if base is Base.STARTING:
        return rules.on_unknown == "deny", base.value, "no valid answer yet", "unknown", None
    return False, base.value, "", "", None


def wanted(state: GateState, rules: Rules, *, now: float) -> Literal["halted", "running"] | None:
    """Return what actions must bring about; None where they must leave things alone.

    What is not known orders nothing: a DAG is not paused because an exporter has just started.
    """
    if rules.mode is not Mode.ENFORCE:
        return None
    override = state.override
    if override is not None and now < override.expires_at:
        return "halted" if override.kind is Kind.FORCE_HALT else "running"
    return "halted" if state.is_halted else "running"


def next_at(state: GateState, rules: Rules) -> float | None:
    """Return when a `Tick` may change something next, wall clock; None: time changes nothing."""
    times = []
    if (override := state.override) is not None:
        times.append(override.expires_at)
        if not override.is_announced and state.is_halted:
            times.append(override.expires_at - ANNOUNCED)
    if (at := resumes_at(state, rules)) is not None:
        times.append(at)
    return min(times, default=None)
