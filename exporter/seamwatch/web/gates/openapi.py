"""The OpenAPI 3.1 document of ``/v1``. It is long because it says everything once.

`tests/test_web_openapi.py` holds the running routes to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from seamwatch import __version__
from seamwatch.web.gates.schemas import HEADERS, PARAMETERS, SCHEMAS

JSON, TEXT, LINES, EVENTS = (
    "application/json",
    "text/plain",
    "application/x-ndjson",
    "text/event-stream",
)
PROBLEM = "application/problem+json"

_ALWAYS = {
    "400": "the request cannot be read",
    "401": "a token is needed, or the one sent is unknown, revoked or expired",
    "403": "the token does not allow this; or there are no tokens and another machine asks",
    "429": "too many wrong tokens from this address; wait as Retry-After says",
}
_ONE = {"404": "there is no such gate"}
_WRITES = {
    "408": "the body did not come in time",
    "413": "the body is too large",
    "422": "a field is missing, unknown or wrong; the detail says which and what to write",
    "503": "the store cannot be written or read; nothing has changed; try again",
}
_TOLD = {
    "409": "it cannot be done to the gate as it stands; the detail says why",
    "412": "If-Match names another generation than the gate is at; read it again",
    "415": "the body is not application/json",
}
_READS = {"503": "the store cannot be read now; try again"}
_GO = {"200": ("go on", TEXT, "Text"), "403": ("stop, or not allowed to ask", TEXT, "Text")}
_GATE = "/v1/gates/{pipeline}"


@cache
def openapi() -> dict[str, Any]:
    """Return the document; do not change it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "seamwatch gates",
            "version": __version__,
            "description": "Ask whether a pipeline may go on, and tell it to stop.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": {**_asking(), **_telling(), **_audit()},
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `seamwatch token create`. Without any token only this"
                    " machine may ask.",
                }
            },
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "schemas": SCHEMAS,
        },
    }


def _asking() -> dict[str, Any]:
    flagger = "/v1/adapters/flagger/{pipeline}"
    check = {**_GO, "503": ("stop, where ?deny=503 was asked for", TEXT, "Text")}
    ready = {"200": _GO["200"], "503": ("stop", TEXT, "Text")}
    return {
        "/v1/gates": {
            "get": _operation(
                "listGates", "All gates that the token may see", {"200": ("them", JSON, "Gates")}
            )
        },
        _GATE: {
            "get": _operation(
                "readGate",
                "One gate",
                {"200": ("it", JSON, "Gate"), "304": ("it is as If-None-Match says", None, None)},
                parameters=("pipeline", "IfNoneMatch"),
                headers=("ETag",),
            )
        },
        f"{_GATE}/check": {
            method: _operation(
                f"check{suffix}",
                "Whether to go on, for gateways; the method is whatever the gateway passes on",
                check,
                parameters=("pipeline", "deny"),
                headers=("State", "Reason", "Generation"),
            )
            for method, suffix in (("get", ""), ("post", "ByPost"))
        },
        f"{_GATE}/decision": {
            "get": _operation(
                "readDecision",
                "Whether to go on; always 200, so that nobody takes a halt for a mistake",
                {"200": ("it", JSON, "Decision")},
                parameters=("pipeline",),
            )
        },
        f"{_GATE}/ready": {
            "get": _operation(
                "readReady", "200 or 503, for a kubelet", ready, parameters=("pipeline",)
            )
        },
        f"{_GATE}/analysis": {
            "get": _operation(
                "readAnalysis",
                "A verdict, for Argo Rollouts",
                {"200": ("it", JSON, "Analysis")},
                parameters=("pipeline",),
            )
        },
        f"{flagger}/confirm": {
            "post": _operation("confirmRollout", "200 while open", _GO, parameters=("pipeline",))
        },
        f"{flagger}/rollback": {
            "post": _operation(
                "rollBackRollout",
                "200 while halted: the other way round",
                {"200": ("roll back", TEXT, "Text"), "403": ("do not", TEXT, "Text")},
                parameters=("pipeline",),
            )
        },
        "/v1/openapi.json": {
            "get": _operation(
                "readOpenapi", "This", {"200": ("it", JSON, "Anything")}, is_open=True
            )
        },
    }


def _telling() -> dict[str, Any]:
    words = (
        ("halt", "haltGate", "Stop the pipeline. Scope halt"),
        ("resume", "resumeGate", "End a halt, whatever it stands on. Scope resume"),
        ("rebaseline", "rebaselineGate", "Begin the evidence anew. Scope bless"),
    )
    paths: dict[str, Any] = {
        f"{_GATE}/{word}": {"post": _word(name, summary, "Reason", may_wait=word == "halt")}
        for word, name, summary in words
    }
    paths[f"{_GATE}/override"] = {
        "put": _word(
            "setOverride", "Force the gate for a while. Scope override", "Override", match=True
        ),
        "delete": _word(
            "clearOverride",
            "Take the override back. Scope override",
            "Reason",
            match=True,
            needs_body=False,
        ),
    }
    paths["/v1/hooks/alertmanager/{pipeline}"] = {
        "post": _operation(
            "takeAlerts",
            "A notification of Alertmanager (webhook, version 4). Scope halt",
            {"200": ("it is written down", JSON, "Taken")},
            parameters=("pipeline",),
            body="Alerts",
            problems=_WRITES,
        )
    }
    return paths


def _audit() -> dict[str, Any]:
    rows = {"200": ("rows of the audit, oldest first; at most 1000", LINES, "Text")}
    return {
        f"{_GATE}/events": {
            "get": _operation(
                "readEvents",
                "What was done to the gate; as a stream with Accept: text/event-stream",
                rows,
                parameters=("pipeline", "after", "LastEventId"),
                problems=_READS,
                also=EVENTS,
            )
        },
        "/v1/audit": {
            "get": _operation(
                "readAudit", "What was done to all gates", rows, parameters=("after",),
                problems=_READS,
            )
        },
        "/v1/audit/head": {
            "get": _operation(
                "readHead",
                "Number and hash of the last row, to keep elsewhere",
                {"200": ("them", JSON, "Head")},
                problems=_READS,
            )
        },
    }  # fmt: skip


def _word(
    name: str,
    summary: str,
    body: str,
    *,
    match: bool = False,
    needs_body: bool = True,
    may_wait: bool = False,
) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": ("done, and written down", JSON, "Gate")}
    if may_wait:
        answers["202"] = ("in force here at once, and not written down yet", JSON, "Gate")
    problems = {**_TOLD, **_WRITES}
    if match:
        problems["428"] = "If-Match is missing: say which generation this replaces"
    return _operation(
        name,
        summary,
        answers,
        parameters=("pipeline", "IfMatchRequired" if match else "IfMatch", "IdempotencyKey"),
        headers=("ETag",),
        body=body,
        needs_body=needs_body,
        problems=problems,
    )


def _operation(
    name: str,
    summary: str,
    answers: Mapping[str, tuple[str, str | None, str | None]],
    *,
    parameters: tuple[str, ...] = (),
    headers: tuple[str, ...] = (),
    body: str | None = None,
    needs_body: bool = True,
    problems: dict[str, str] | None = None,
    is_open: bool = False,
    also: str | None = None,
) -> dict[str, Any]:
    """Describe one operation; where a status is answered and a problem too, both kinds are said."""
    wrong = {} if is_open else {**_ALWAYS, **(_ONE if "pipeline" in parameters else {})}
    wrong |= problems or {}
    responses: dict[str, Any] = {}
    for status, (text, kind, schema) in answers.items():
        content = _content(kind, schema)
        if also is not None and status == "200":
            content |= _content(also, "Text")
        if status in wrong:
            content |= _content(PROBLEM, "Problem")
        responses[status] = {"description": text} | ({"content": content} if content else {})
        if headers and status not in wrong:
            refs = {HEADER_NAMES[one]: {"$ref": f"#/components/headers/{one}"} for one in headers}
            responses[status]["headers"] = refs
    for status, text in wrong.items():
        told = {"description": text, "content": _content(PROBLEM, "Problem")}
        responses.setdefault(status, told)
    found: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        found["parameters"] = [{"$ref": f"#/components/parameters/{one}"} for one in parameters]
    if body is not None:
        found["requestBody"] = {"required": needs_body, "content": _content(JSON, body)}
    if is_open:
        found["security"] = []
    return found


HEADER_NAMES = {
    "ETag": "ETag",
    "State": "X-Seamwatch-State",
    "Reason": "X-Seamwatch-Reason",
    "Generation": "X-Seamwatch-Generation",
}


def _content(kind: str | None, schema: str | None) -> dict[str, Any]:
    if kind is None:
        return {}
    return {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
