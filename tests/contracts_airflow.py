"""The parts of Airflow's REST APIs that pause DAGs.

Airflow3: recorded from Airflow 3.3.2 (standalone, simple auth manager). Airflow2: from the OpenAPI
document of Airflow 2.5 to 2.11, with connexion's problem documents.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from contracts_serving import Contract, parsed

Json = dict[str, Any]


def _json(request: web.Request, body: bytes) -> Any:
    return parsed(body) if request.content_type == "application/json" else None


@dataclass
class Airflow3(Contract):
    """*dags* is name -> is_paused; a token holds as long as it is in *tokens*."""

    dags: dict[str, bool] = field(default_factory=dict)
    user: tuple[str, str] = ("admin", "correct horse")
    tokens: dict[str, str] = field(default_factory=dict)  # -> ok, expired or viewer
    given: int = 0
    grant: str = "ok"

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        path = request.path
        if path.startswith("/api/v1"):
            error = "/api/v1 has been removed in Airflow 3, please use its upgraded version /api/v2"
            return web.json_response({"error": error}, status=404)
        if path == "/auth/token":
            return self._token(request, body)
        if path == "/api/v2/version":
            return web.json_response({"version": "3.3.2", "git_version": None})
        if path.startswith("/api/v2/dags/"):
            return self._dag(request, body, path.removeprefix("/api/v2/dags/"))
        return _detail(404, "Not Found")

    def _token(self, request: web.Request, body: bytes) -> web.Response:
        if request.method != "POST":
            return _detail(405, "Method Not Allowed")
        if request.content_type != "application/json":
            kinds = "application/json or application/x-www-form-urlencoded"
            return _detail(415, f"Only {kinds} is supported")
        document = _json(request, body)
        if not isinstance(document, dict) or document.keys() != {"username", "password"}:
            return _detail(422, f"1 validation error for LoginBody input_value={document}")
        if (document["username"], document["password"]) != self.user:
            return _detail(401, "Invalid credentials")
        self.given += 1
        token = f"eyJ.token-{self.given}"
        self.tokens[token] = self.grant
        return web.json_response({"access_token": token}, status=201)

    def _dag(self, request: web.Request, body: bytes, dag: str) -> web.Response:
        if request.method not in ("GET", "PATCH"):
            return _detail(405, "Method Not Allowed")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return _detail(401, "Not authenticated")
        state = self.tokens.get(token)
        if state is None:
            return _detail(403, "Invalid JWT token")
        if state == "expired":
            return _detail(401, "Token Expired")
        if request.method == "GET":
            if dag not in self.dags:
                return _detail(404, f"The Dag with ID: `{dag}` was not found")
        elif state == "viewer":
            return _detail(403, "Forbidden")
        elif (refused := self._patch(request, body, dag)) is not None:
            return refused
        return web.json_response({"dag_id": dag, "is_paused": self.dags[dag], "is_stale": False})

    def _patch(self, request: web.Request, body: bytes, dag: str) -> web.Response | None:
        document = _json(request, body)
        if not isinstance(document, dict):
            return _detail(422, [{"type": "model_attributes_type", "loc": ["body"]}])
        if extra := document.keys() - {"is_paused"}:
            return _detail(422, [{"type": "extra_forbidden", "loc": ["body", *sorted(extra)]}])
        if not isinstance(document.get("is_paused"), bool):
            return _detail(422, [{"type": "bool_parsing", "loc": ["body", "is_paused"]}])
        if dag not in self.dags:
            return _detail(404, f"Dag with id: {dag} was not found")
        if request.query.getall("update_mask", []) != ["is_paused"]:
            return _detail(400, "Only `is_paused` field can be updated through the REST API")
        self.dags[dag] = document["is_paused"]
        return None


@dataclass
class Airflow2(Contract):
    """*dags* is name -> is_paused; basic authentication only."""

    dags: dict[str, bool] = field(default_factory=dict)
    user: tuple[str, str] = ("admin", "correct horse")

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        path = request.path
        if path == "/api/v1/version":
            return web.json_response({"version": "2.11.0", "git_version": None})
        if not path.startswith("/api/v1/dags/"):
            return _problem(404, "Not Found", "NotFound", None)
        credential = base64.b64encode(":".join(self.user).encode()).decode()
        if request.headers.get("Authorization") != f"Basic {credential}":
            return _problem(401, "Unauthorized", "Unauthenticated", None)
        dag = path.removeprefix("/api/v1/dags/")
        if request.method not in ("GET", "PATCH"):
            return _problem(405, "Method Not Allowed", "MethodNotAllowed", None)
        if request.method == "PATCH":
            if (refused := _refused(request, body)) is not None:
                return refused
            if dag in self.dags:
                self.dags[dag] = parsed(body)["is_paused"]
        if dag not in self.dags:
            return _problem(404, f"Dag with id: '{dag}' not found", "NotFound", None)
        return web.json_response({"dag_id": dag, "is_paused": self.dags[dag], "is_active": True})


def _refused(request: web.Request, body: bytes) -> web.Response | None:
    document = _json(request, body)
    if request.content_type != "application/json":
        return _problem(415, "Unsupported Media Type", "Unknown", "Invalid Content-type")
    if not isinstance(document, dict) or document.keys() != {"is_paused"}:
        return _problem(400, "Bad Request", "BadRequest", "Property is read-only - 'dag_id'")
    if request.query.get("update_mask", "is_paused") != "is_paused":
        detail = "Only `is_paused` field can be updated through the REST API"
        return _problem(400, "Bad Request", "BadRequest", detail)
    return None


def _detail(status: int, detail: Any) -> web.Response:
    return web.json_response({"detail": detail}, status=status)


def _problem(status: int, title: str, kind: str, detail: str | None) -> web.Response:
    base = "https://airflow.apache.org/docs/apache-airflow/2.11.0/stable-rest-api-ref.html"
    document = {"detail": detail, "status": status, "title": title, "type": f"{base}#{kind}"}
    return web.json_response(document, status=status, content_type="application/problem+json")
