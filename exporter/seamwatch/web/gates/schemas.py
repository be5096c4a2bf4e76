"""The shapes of what ``/v1`` takes and says, as JSON Schema."""

from __future__ import annotations

from typing import Any

from seamwatch.web.gates.requests import LONGEST_REASON

_TEXT = {"type": "string"}
_TIME = {"type": ["string", "null"], "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_NUMBER = {"type": ["number", "null"]}
_BOOLEAN = {"type": "boolean"}
_STATES = ["starting", "running", "suspect", "halted", "recovering"]
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$|^$"}
# one printable line that is not blank: a control character would forge a second one in a log
_REASON = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_REASON,
    "description": "One line, for whoever reads the audit.",
}


def _object(*, is_closed: bool = True, needs: tuple[str, ...] | None = None, **fields: Any) -> Any:
    return {
        "type": "object",
        "required": list(fields if needs is None else needs),
        "properties": fields,
        "additionalProperties": not is_closed,
    }


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(shape: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [shape, {"type": "null"}]}


_GATE = _object(
    pipeline=_TEXT,
    state={"enum": _STATES},
    decision={"enum": ["allow", "deny"]},
    would_deny=_BOOLEAN,
    reason=_TEXT,
    cause=_TEXT,
    mode={"enum": ["off", "shadow", "enforce"]},
    on_unknown={"enum": ["allow", "deny"]},
    resume={"enum": ["manual", "automatic"]},
    generation=_COUNT,
    since=_TIME,
    halted_at=_TIME,
    stale=_BOOLEAN,
    stale_reason=_TEXT,
    causes=_list(
        _object(
            key=_TEXT,
            kind={"enum": ["evidence", "data_age", "person", "alert"]},
            since=_TIME,
            by=_TEXT,
            reason=_TEXT,
            course={"enum": ["holds", "easing", "over"]},
        )
    ),
    override=_or_null(
        _object(
            kind={"enum": ["force_halt", "force_open"]},
            by=_TEXT,
            reason=_TEXT,
            since=_TIME,
            expires_at=_TIME,
        )
    ),
    evidence=_or_null(
        _object(
            standing=_TEXT,
            floor=_NUMBER,
            baseline=_NUMBER,
            ratios={"type": "object", "additionalProperties": _NUMBER},
        )
    ),
    suspects=_list(_object(suspect=_TEXT, repair=_TEXT, points=_NUMBER, is_top=_BOOLEAN)),
    actions=_list(
        _object(
            target=_TEXT,
            desired={"enum": ["halted", "running"]},
            status=_TEXT,
            decided_at=_TIME,
            effective_at=_TIME,
            attempts=_COUNT,
            last_error={"type": ["string", "null"]},
        )
    ),
    durable=_BOOLEAN,
    as_of=_TIME,
)

SCHEMAS: dict[str, Any] = {
    "Gate": _GATE,
    "Gates": _object(gates=_list({"$ref": "#/components/schemas/Gate"})),
    "Decision": _object(
        decision={"enum": ["allow", "deny"]},
        state={"enum": [*_STATES, "stale"]},
        reason=_TEXT,
        generation=_COUNT,
        would_deny=_BOOLEAN,
        ttl_s={"type": "number", "description": "Seconds that a permission holds."},
        as_of={"type": "number", "description": "When the store was last read; Unix time."},
    ),
    "Analysis": _object(
        data=_object(
            verdict={"enum": ["pass", "fail", "inconclusive"]},
            state={"enum": [*_STATES, "stale"]},
            reason=_TEXT,
            would_deny=_BOOLEAN,
            evidence_ratio=_NUMBER,
        )
    ),
    "Reason": _object(reason=_REASON),
    "Override": {
        **_object(
            needs=("kind", "reason"),
            kind={"enum": ["force_halt", "force_open"]},
            reason=_REASON,
            expires_at={"type": "string", "format": "date-time"},
            expires_in_s={
                "type": "number",
                "exclusiveMinimum": 0,
                "description": "Seconds; an hour where neither this nor expires_at is given.",
            },
        ),
        "not": {"required": ["expires_at", "expires_in_s"]},
    },
    "Alerts": _object(
        is_closed=False,
        needs=("alerts",),
        alerts=_list(
            _object(
                is_closed=False,
                needs=("labels",),
                labels={"type": "object"},
                status=_TEXT,
                annotations={"type": "object"},
                startsAt=_TEXT,
                fingerprint=_TEXT,
            )
        ),
    ),
    "Taken": _object(
        taken={**_COUNT, "description": "Alerts that may halt this gate; the others are ignored."}
    ),
    "Head": _object(seq=_COUNT, hash=_HASH),
    "Problem": _object(
        is_closed=False,
        needs=("type", "title", "status", "detail"),
        type=_TEXT,
        title=_TEXT,
        status={"type": "integer"},
        detail=_TEXT,
        generation={**_COUNT, "description": "With 412: where the gate is now."},
    ),
    "Text": _TEXT,
    "Anything": {"type": "object"},
}


def _parameter(name: str, place: str, about: str, shape: Any, *, needed: bool = False) -> Any:
    return {"name": name, "in": place, "description": about, "required": needed, "schema": shape}


_MATCH = {"type": "string", "pattern": '^\\*$|^"g-[0-9]{1,18}"$'}
_SEEN = {"type": "string", "pattern": "^[0-9]{1,18}$"}

PARAMETERS: dict[str, Any] = {
    "pipeline": _parameter("pipeline", "path", "Its name.", _TEXT, needed=True),
    "deny": _parameter(
        "deny", "query", "Be told to stop by 503 instead of 403.", {"type": "string"}
    ),
    "after": _parameter(
        "after", "query", "The last row that is known.", {"type": "integer", "minimum": 0,
        "maximum": 10**18 - 1},
    ),
    "LastEventId": _parameter("Last-Event-ID", "header", "The same, for streams.", _SEEN),
    "IfNoneMatch": _parameter("If-None-Match", "header", "An ETag that is known.", _TEXT),
    "IfMatch": _parameter("If-Match", "header", "The ETag that this replaces.", _MATCH),
    "IfMatchRequired": _parameter(
        "If-Match", "header", "The ETag that this replaces.", _MATCH, needed=True
    ),
    "IdempotencyKey": _parameter(
        "Idempotency-Key", "header", "The same key and body again get the answer of the first;"
        " kept for a day.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
}  # fmt: skip

HEADERS: dict[str, Any] = {
    "ETag": {"description": "The generation of the gate.", "schema": _TEXT},
    "State": {"description": "A state, or stale.", "schema": {"enum": [*_STATES, "stale"]}},
    "Reason": {
        "description": "Why; percent-encoded where it is not plain ASCII.",
        "schema": _TEXT,
    },
    "Generation": {"description": "Grows with each change of the gate.", "schema": _COUNT},
}
