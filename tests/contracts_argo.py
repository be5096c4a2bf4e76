"""CronWorkflows in the API of the Argo server, from its swagger document (v3.5).

Errors are those of its gRPC gateway: ``{"code": ..., "message": ...}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from contracts_serving import Contract, parsed


@dataclass
class Argo(Contract):
    """*crons* is namespace/name -> spec; ``suspend`` is absent until somebody sets it."""

    crons: dict[str, dict[str, Any]] = field(default_factory=dict)
    token: str = "sa-token-of-argo"

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        parts = request.path.removeprefix("/api/v1/cron-workflows/").split("/")
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _error(401, 16, "token not valid. see https://argo-workflows.readthedocs.io/")
        key = "/".join(parts[:2])
        if len(parts) == 3 and parts[2] in ("suspend", "resume"):
            if request.method != "PUT":
                return _error(501, 12, "Method Not Allowed")
            if (refused := _refused(request, body, parts)) is not None:
                return refused
            if key in self.crons:
                self.crons[key]["suspend"] = parts[2] == "suspend"
        elif len(parts) != 2 or not request.path.startswith("/api/v1/cron-workflows/"):
            return _error(404, 5, "Not Found")
        elif request.method != "GET":
            return _error(501, 12, "Method Not Allowed")
        if key not in self.crons:
            return _error(404, 5, f'cronworkflows.argoproj.io "{parts[1]}" not found')
        metadata = {"name": parts[1], "namespace": parts[0], "resourceVersion": "1"}
        return web.json_response({"metadata": metadata, "spec": self.crons[key], "status": None})


def _refused(request: web.Request, body: bytes, parts: list[str]) -> web.Response | None:
    if request.content_type != "application/json":
        return _error(415, 3, "Unsupported Media Type")
    document = parsed(body)
    if not isinstance(document, dict):
        return _error(400, 3, "invalid value")
    if unknown := document.keys() - {"name", "namespace"}:
        kind = f"in cronworkflow.CronWorkflow{parts[2].title()}Request"
        return _error(400, 3, f"unknown field {sorted(unknown)[0]!r} {kind}")
    if (document.get("namespace"), document.get("name")) != tuple(parts[:2]):
        return _error(400, 3, "name and namespace are not those of the path")
    return None


def _error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)
