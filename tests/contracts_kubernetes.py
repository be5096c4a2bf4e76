"""One object after the other of a Kubernetes API server: GET and JSON merge patches.

From the API conventions and reference: Status documents as errors, resourceVersion as
compare-and-set, names and versions that nobody may change, nulls that are never kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from contracts_serving import Contract, parsed

_PATCHES = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"


@dataclass
class Kubernetes(Contract):
    """*objects* by path; *known* are the fields of spec that their schema has (None: any)."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    token: str = "sa-token-of-kubernetes"
    known: set[str] | None = None
    before_patch: list[Callable[[], None]] = field(default_factory=list)
    version: int = 100

    def put(self, path: str, **fields: Any) -> None:
        """Make or replace the object at *path*, as somebody with kubectl does."""
        self.version += 1
        metadata = {"name": path.rsplit("/", 1)[1], "resourceVersion": str(self.version)}
        given = copy.deepcopy(fields)
        given["metadata"] = metadata | given.get("metadata", {})
        self.objects[path] = given

    def change(self, path: str, **spec: Any) -> None:
        """Set fields of spec, as somebody with kubectl does."""
        found = self.objects[path]
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        found["spec"] |= spec

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized", "Unauthorized")
        found = self.objects.get(request.path)
        name = request.path.rsplit("/", 1)[1]
        if found is None:
            return _status(404, "NotFound", f'deployments.apps "{name}" not found')
        if request.method == "PATCH":
            if request.content_type != "application/merge-patch+json":
                what = "the body of the request was in an unknown format"
                return _status(
                    415,
                    "UnsupportedMediaType",
                    f"{what} - accepted media types include: {_PATCHES}",
                )
            if self.before_patch:
                self.before_patch.pop(0)()
            return self._patched(request.path, name, parsed(body))
        if request.method != "GET":
            return _status(405, "MethodNotAllowed", "the server does not allow this method")
        return web.json_response(found)

    def _patched(self, path: str, name: str, patch: Any) -> web.Response:
        if not isinstance(patch, dict):
            return _status(400, "BadRequest", "json: cannot unmarshal into Go value")
        before = self.objects[path]
        after = _merge(before, patch)
        metadata = after.get("metadata", {})
        if metadata.get("resourceVersion") != before["metadata"]["resourceVersion"]:
            what = f'Operation cannot be fulfilled on deployments.apps "{name}"'
            why = "the object has been modified; please apply your changes to the latest version"
            return _status(409, "Conflict", f"{what}: {why} and try again")
        if metadata.get("name") != name:
            return _status(422, "Invalid", "metadata.name: field is immutable")
        annotations = metadata.get("annotations", {})
        if not all(isinstance(value, str) for value in annotations.values()):
            return _status(400, "BadRequest", "cannot unmarshal number into annotations string")
        if self.known is not None and (extra := after["spec"].keys() - self.known):
            return _status(422, "Invalid", f'unknown field "spec.{sorted(extra)[0]}"')
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self.objects[path] = after
        return web.json_response(after)


def _merge(target: Any, patch: Any) -> Any:
    """The pseudocode of RFC 7386, line by line: not the code under test."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = copy.deepcopy(target)
        for name in patch:
            if patch[name] is None:
                if name in target:
                    del target[name]
            else:
                target[name] = _merge(target.get(name), patch[name])
        return target
    return copy.deepcopy(patch)


def _status(code: int, reason: str, message: str) -> web.Response:
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return web.json_response(document, status=code)
