"""A gate as JSON: what `GET /v1/gates/{pipeline}` and all that changes a gate answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from seamwatch.gate import GateState
from seamwatch.store.audit import AuditRow
from seamwatch.watch.gates import GateView
from seamwatch.web.problems import Problem

UNKNOWN = "unknown"  # the cause of an answer that rests on `on_unknown`
TTL = 5.0
"""Seconds that a permission holds for a caller who cannot ask again."""


def document(view: GateView) -> dict[str, Any]:
    """Return all that is known of a gate; times are RFC 3339, ratios in [0, 1]."""
    state, answer, evidence = view.state, view.answer, view.evidence
    return {
        "pipeline": view.pipeline,
        "state": state.base.value,
        "decision": answer.decision,
        "would_deny": answer.would_deny,
        "reason": answer.reason,
        "cause": answer.cause,
        "mode": view.rules.mode.value,
        "on_unknown": view.rules.on_unknown,
        "resume": view.rules.resume,
        "generation": state.generation,
        "since": time(state.since),
        "halted_at": time(state.halted_at),
        "stale": state.is_stale,
        "stale_reason": state.stale_reason,
        "causes": [
            {
                "key": key,
                "kind": cause.kind.value,
                "since": time(cause.since),
                "by": cause.by,
                "reason": cause.reason,
                "course": cause.course.value,
            }
            for key, cause in state.causes.items()
        ],
        "override": _override(state),
        "evidence": {
            "standing": evidence.standing.value,
            "floor": evidence.floor,
            "baseline": evidence.baseline,
            "ratios": dict(evidence.ratios),
        }
        if evidence is not None
        else None,
        "suspects": _suspects(view),
        "actions": [
            {
                "target": order.target,
                "desired": order.desired,
                "status": order.status,
                "decided_at": time(order.decided_at),
                "effective_at": time(order.confirmed_at)
                if order.confirmed_generation == order.generation
                else None,
                "attempts": order.attempts,
                "last_error": order.last_error,
            }
            for order in view.orders
        ],
        "durable": view.is_durable,
        "as_of": time(view.as_of),
    }


def decision(view: GateView) -> dict[str, Any]:
    """Return what a caller needs; *as_of* is seconds since the epoch."""
    answer = view.answer
    return {
        "decision": answer.decision,
        "state": answer.state,
        "reason": answer.reason,
        "generation": answer.generation,
        "would_deny": answer.would_deny,
        "ttl_s": TTL,
        "as_of": view.as_of,
    }


def analysis(view: GateView) -> dict[str, Any]:
    """Return a verdict as Argo Rollouts reads it: what is not known is neither pass nor fail.

    A gate that does not enforce stops no rollout either.
    """
    answer, evidence = view.answer, view.evidence
    verdict = "fail" if answer.decision == "deny" else "pass"
    ratio = evidence.ratios.get("floor") if evidence is not None else None
    return {
        "data": {
            "verdict": "inconclusive" if answer.cause == UNKNOWN else verdict,
            "state": answer.state,
            "reason": answer.reason,
            "would_deny": answer.would_deny,
            "evidence_ratio": ratio,
        }
    }


def audit_row(row: AuditRow) -> dict[str, Any]:
    """Return one row of the audit."""
    return {
        "seq": row.seq,
        "at": time(row.at),
        "pipeline": row.pipeline,
        "actor": row.actor,
        "event": row.event,
        "from": row.from_state,
        "to": row.to_state,
        "cause": row.cause,
        "reason": row.reason,
        "generation": row.generation,
        "detail": orjson.loads(row.detail),
        "prev_hash": row.prev_hash,
        "hash": row.hash,
    }


def said(what: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return *what* as an answer in JSON."""
    return web.Response(
        status=status,
        body=orjson.dumps(what),
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def etag(generation: int) -> str:
    """Return what `If-Match` and `If-None-Match` name a generation by."""
    return f'"g-{generation}"'


def unknown(pipeline: str) -> Problem:
    """Return the answer to who asks for a gate that is not there."""
    return Problem(404, f"there is no gate {pipeline[:100]!r}; GET /v1/gates lists them")


def time(at: float | None) -> str | None:
    """Return a wall clock time as RFC 3339; None for None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _override(state: GateState) -> dict[str, Any] | None:
    override = state.override
    if override is None:
        return None
    return {
        "kind": override.kind.value,
        "by": override.by,
        "reason": override.reason,
        "since": time(override.since),
        "expires_at": time(override.expires_at),
    }


def _suspects(view: GateView) -> list[dict[str, Any]]:
    known = view.attribution
    if known is None:
        return []
    found = known.attribution
    top = {found.top, *found.tied}
    return [
        {
            "suspect": known.blamed.get(name, name),
            "repair": name,
            "points": share.value,
            "is_top": name in top,
        }
        for name, share in sorted(found.shares.items(), key=lambda one: -one[1].value)
    ]
