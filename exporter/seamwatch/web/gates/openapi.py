"""The OpenAPI 3.1 document of ``/v1``."""

from __future__ import annotations

from functools import cache
from typing import Any

from seamwatch import __version__

_TEXT = {"type": "string"}
_TIME = {"type": ["string", "null"], "format": "date-time"}
_PIPELINE = {"name": "pipeline", "in": "path", "required": True, "schema": _TEXT}
_DECISION = {"type": "string", "enum": ["allow", "deny"]}
_REASON = {
    "type": "object",
    "required": ["reason"],
    "additionalProperties": False,
    "properties": {"reason": {"type": "string", "minLength": 1, "maxLength": 1000}},
}
_OVERRIDE = {
    "type": "object",
    "required": ["kind", "reason"],
    "additionalProperties": False,
    "properties": {
        "kind": {"type": "string", "enum": ["force_halt", "force_open"]},
        "reason": {"type": "string", "minLength": 1, "maxLength": 1000},
        "expires_at": {"type": "string", "format": "date-time"},
        "expires_in_s": {"type": "number", "exclusiveMinimum": 0},
    },
}
_ALERTS = {
    "type": "object",
    "required": ["alerts"],
    "properties": {
        "version": _TEXT,
        "alerts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["labels"],
                "properties": {"labels": {"type": "object"}, "status": _TEXT},
            },
        },
    },
}
_GATE = {
    "type": "object",
    "required": ["pipeline", "state", "decision", "mode", "generation", "durable"],
    "properties": {
        "pipeline": _TEXT,
        "state": {
            "type": "string",
            "enum": ["starting", "running", "suspect", "halted", "recovering"],
        },
        "decision": _DECISION,
        "would_deny": {"type": "boolean"},
        "reason": _TEXT,
        "mode": {"type": "string", "enum": ["off", "shadow", "enforce"]},
        "generation": {"type": "integer", "minimum": 0},
        "since": _TIME,
        "halted_at": _TIME,
        "stale": {"type": "boolean"},
        "causes": {"type": "array", "items": {"type": "object"}},
        "override": {"type": ["object", "null"]},
        "evidence": {"type": ["object", "null"]},
        "suspects": {"type": "array", "items": {"type": "object"}},
        "actions": {"type": "array", "items": {"type": "object"}},
        "durable": {"type": "boolean"},
        "as_of": _TIME,
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
    },
}
_ERRORS = {
    400: "the request cannot be read",
    401: "no token, or one that is good for nothing",
    403: "not with this token",
    404: "there is no such gate",
    429: "too many wrong tokens, or too many streams",
    503: "the store cannot be used now",
}
_TOLD = {
    409: "it cannot be done to the gate as it stands",
    412: "the gate has changed since",
    413: "the body is too large",
    415: "the body is not application/json",
    422: "a field is missing, unknown or wrong",
    428: "If-Match is missing",
}


@cache
def openapi() -> dict[str, Any]:
    """Return the document; do not change it."""
    gate = "/v1/gates/{pipeline}"
    flagger = "/v1/adapters/flagger/{pipeline}"
    gates = {"type": "object", "properties": {"gates": {"type": "array", "items": _ref("Gate")}}}
    plain = {200: ("go on", None), 403: ("stop", None)}
    paths: dict[str, Any] = {
        "/v1/gates": {"get": _asks("all gates", {200: ("the gates", gates)}, pipeline=False)},
        gate: {"get": _asks("one gate", {200: ("it", _ref("Gate")), 304: ("unchanged", None)})},
        f"{gate}/check": {
            method: _asks("whether to go on, for gateways", {**plain, 503: ("stop", None)})
            for method in ("get", "head", "post")
        },
        f"{gate}/decision": {"get": _asks("whether to go on", {200: ("it", _ref("Decision"))})},
        f"{gate}/ready": {
            "get": _asks("200 or 503, for a kubelet", {200: ("go on", None), 503: ("stop", None)})
        },
        f"{gate}/analysis": {
            "get": _asks("a verdict for rollouts", {200: ("it", {"type": "object"})})
        },
        f"{gate}/events": {"get": _listed("what was done to the gate")},
        f"{gate}/halt": {"post": _tells("stop the pipeline", _REASON)},
        f"{gate}/resume": {"post": _tells("end a halt", _REASON)},
        f"{gate}/rebaseline": {"post": _tells("begin the evidence anew", _REASON)},
        f"{gate}/override": {
            "put": _tells("force the gate for a while", _OVERRIDE, if_match=True),
            "delete": _tells("take the override back", None, if_match=True),
        },
        f"{flagger}/confirm": {"post": _asks("200 while open", plain)},
        f"{flagger}/rollback": {"post": _asks("200 while halted", plain)},
        "/v1/hooks/alertmanager/{pipeline}": {
            "post": _tells("take a notification of Alertmanager", _ALERTS, says={"type": "object"})
        },
        "/v1/audit": {"get": _listed("what was done to all gates", pipeline=False)},
        "/v1/audit/head": {
            "get": _asks("the last row", {200: ("it", {"type": "object"})}, pipeline=False)
        },
        "/v1/openapi.json": {
            "get": _asks("this", {200: ("it", {"type": "object"})}, pipeline=False)
        },
    }
    decision = {
        "type": "object",
        "required": ["decision", "state", "reason", "generation", "ttl_s", "as_of"],
        "properties": {
            "decision": _DECISION,
            "state": _TEXT,
            "reason": _TEXT,
            "generation": {"type": "integer"},
            "would_deny": {"type": "boolean"},
            "ttl_s": {"type": "number"},
            "as_of": {"type": "number"},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "seamwatch gates", "version": __version__},
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Gate": _GATE, "Decision": decision, "Problem": _PROBLEM},
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _asks(
    summary: str, answers: dict[int, tuple[str, Any]], *, pipeline: bool = True
) -> dict[str, Any]:
    """Describe a question; what it answers as text has no schema."""
    responses: dict[str, Any] = {
        str(status): {"description": text} | (_content(schema) if schema else {})
        for status, (text, schema) in answers.items()
    }
    for status, text in _ERRORS.items():
        responses.setdefault(str(status), {"description": text})
    found: dict[str, Any] = {"summary": summary, "responses": responses}
    if pipeline:
        found["parameters"] = [_PIPELINE]
    return found


def _listed(summary: str, *, pipeline: bool = True) -> dict[str, Any]:
    found = _asks(summary, {200: ("JSON lines, oldest first", None)}, pipeline=pipeline)
    after = {"name": "after", "in": "query", "schema": {"type": "integer", "minimum": 0}}
    return found | {"parameters": [*found.get("parameters", []), after]}


def _tells(
    summary: str, body: dict[str, Any] | None, *, if_match: bool = False, says: Any = None
) -> dict[str, Any]:
    answer = says or _ref("Gate")
    found = _asks(summary, {200: ("done", answer), 202: ("in force, not written yet", answer)})
    for status, text in _TOLD.items():
        found["responses"][str(status)] = {"description": text} | _content(
            _ref("Problem"), kind="application/problem+json"
        )
    if body is not None:
        found["requestBody"] = {"required": True, **_content(body)}
    if if_match:
        header = {"name": "If-Match", "in": "header", "required": True, "schema": _TEXT}
        found["parameters"] = [*found["parameters"], header]
    return found


def _content(schema: Any, *, kind: str = "application/json") -> dict[str, Any]:
    return {"content": {kind: {"schema": schema}}}
