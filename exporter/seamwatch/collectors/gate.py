"""The gate of a pipeline: how it stands, what callers are told, and how often it changed."""

from __future__ import annotations

from collections.abc import Iterator

from seamwatch.collectors.sample import Distribution, Sample
from seamwatch.gate import Base, Mode
from seamwatch.snapshot import ACTION_BUCKETS, ActionReport, Snapshot

DECISIONS = ("allow", "deny")
STATUSES = ("pending", "effective", "refused", "yielded", "dry_run")
RESULTS = ("delivered", "failed", "refused")


def gate_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield the gate's state; nothing for a pipeline without one.

    seamwatch_gate_state{pipeline="support",state="halted"} 1.0
    seamwatch_gate_mode{mode="enforce",pipeline="support"} 1.0
    seamwatch_gate_denies{pipeline="support"} 1.0
    seamwatch_gate_would_deny{pipeline="support"} 1.0
    seamwatch_gate_stale{pipeline="support"} 0.0
    seamwatch_gate_generation{pipeline="support"} 4.0
    seamwatch_gate_since_timestamp_seconds{pipeline="support"} 1.7639e+09
    seamwatch_gate_cause{cause="evidence",pipeline="support"} 1.0
    seamwatch_gate_override_expires_timestamp_seconds{kind="force_open",pipeline="support"} 1.7e+09
    seamwatch_gate_transitions_total{cause="evidence",pipeline="support",to="halted"} 1.0
    seamwatch_gate_checks_total{decision="deny",pipeline="support"} 17.0
    seamwatch_gate_effective_timestamp_seconds{pipeline="support"} 1.7639e+09
    """
    gate = snapshot.gate
    if gate is None:
        return
    name, state = snapshot.pipeline.name, gate.state
    one = (name,)
    for base in Base:
        yield "seamwatch_gate_state", (name, base.value), float(base is state.base)
    for mode in Mode:
        yield "seamwatch_gate_mode", (name, mode.value), float(mode is gate.rules.mode)
    yield "seamwatch_gate_denies", one, float(gate.answer.decision == "deny")
    yield "seamwatch_gate_would_deny", one, float(gate.answer.would_deny)
    yield "seamwatch_gate_stale", one, float(state.is_stale)
    yield "seamwatch_gate_generation", one, state.generation
    yield "seamwatch_gate_since_timestamp_seconds", one, state.since
    for kind in sorted({cause.kind.value for cause in state.causes.values()}):
        yield "seamwatch_gate_cause", (name, kind), 1.0
    if (override := state.override) is not None:
        labels = (name, override.kind.value)
        yield "seamwatch_gate_override_expires_timestamp_seconds", labels, override.expires_at
    for (to, cause), count in sorted(gate.transitions.items()):
        yield "seamwatch_gate_transitions_total", (name, to, cause), count
    for decision in DECISIONS:
        yield "seamwatch_gate_checks_total", (name, decision), gate.checks.get(decision, 0)
    if (effective_at := gate.effective_at) is not None:
        yield "seamwatch_gate_effective_timestamp_seconds", one, effective_at


def action_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield how it goes on with what is pushed; nothing for a pipeline without actions.

    seamwatch_action_required{action="airflow",pipeline="support"} 1.0
    seamwatch_action_halted{action="airflow",pipeline="support"} 1.0
    seamwatch_action_state{action="airflow",pipeline="support",state="effective"} 1.0
    seamwatch_action_decided_timestamp_seconds{action="airflow",pipeline="support"} 1.7639e+09
    seamwatch_action_effective_timestamp_seconds{action="airflow",pipeline="support"} 1.7639e+09
    seamwatch_action_attempts_total{action="airflow",pipeline="support",result="failed"} 3.0
    seamwatch_action_drifts_total{action="airflow",pipeline="support"} 0.0
    seamwatch_action_effective_seconds_count{action="airflow",pipeline="support"} 2.0
    """
    if snapshot.gate is not None:
        for action in snapshot.gate.actions:
            yield from _action(snapshot.pipeline.name, action)


def _action(pipeline: str, action: ActionReport) -> Iterator[Sample]:
    one = (pipeline, action.name)
    yield "seamwatch_action_required", one, float(action.is_required)
    yield "seamwatch_action_halted", one, float(action.halted)
    if action.status is not None:
        for status in STATUSES:
            yield "seamwatch_action_state", (*one, status), float(action.status == status)
    if action.decided_at is not None:
        yield "seamwatch_action_decided_timestamp_seconds", one, action.decided_at
    if action.effective_at is not None:
        yield "seamwatch_action_effective_timestamp_seconds", one, action.effective_at
    for result in RESULTS:
        yield "seamwatch_action_attempts_total", (*one, result), action.attempts.get(result, 0)
    yield "seamwatch_action_drifts_total", one, action.drifts
    durations = Distribution(ACTION_BUCKETS, action.durations, action.duration_sum)
    yield "seamwatch_action_effective_seconds", one, durations
