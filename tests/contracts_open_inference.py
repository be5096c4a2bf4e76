"""The model repository of a V2 server, recorded from MLServer 1.7.1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from contracts_serving import Contract, parsed


@dataclass
class ModelServer(Contract):
    """*models* is name -> state; *older* are further rows of the index, as Triton has them."""

    models: dict[str, str] = field(default_factory=dict)
    older: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        path = request.path
        if path == "/v2/health/ready":
            return web.Response()  # whatever becomes of the models
        if request.method != "POST":
            return web.json_response({"detail": "Method Not Allowed"}, status=405)
        document = parsed(body) if request.content_type == "application/json" else None
        if path == "/v2/repository/index":
            if not isinstance(document, dict):
                missing = {"type": "missing", "loc": ["body"], "msg": "Field required"}
                return web.json_response({"detail": [missing]}, status=422)
            rows = [
                {"name": name, "version": "v1", "state": state, "reason": ""}
                for name, state in self.models.items()
            ]
            return web.json_response(self.older + rows)
        *_, name, verb = path.split("/")
        if path != f"/v2/repository/models/{name}/{verb}" or verb not in ("load", "unload"):
            return web.json_response({"detail": "Not Found"}, status=404)
        if name not in self.models or (verb == "unload" and self.models[name] != "READY"):
            return web.json_response({"error": f"Model {name} not found"}, status=404)
        self.models[name] = "READY" if verb == "load" else "UNAVAILABLE"
        return web.Response()
