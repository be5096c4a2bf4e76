"""The handlers of ``/v1``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from seamwatch.errors import StoreError
from seamwatch.gate import ClearOverride, Halt, Happening, NotLegal, Rebaseline, Resume
from seamwatch.store.gatebook import KeyReused, StaleGeneration
from seamwatch.watch.gates import Gates, GateView, UnknownGateError
from seamwatch.web.gates import requests
from seamwatch.web.gates.checks import Checks
from seamwatch.web.gates.documents import TTL, analysis, audit_row, decision, document
from seamwatch.web.gates.openapi import openapi
from seamwatch.web.gates.problems import Problem
from seamwatch.web.gates.rights import Client, Rights

RETRY = 5  # seconds
STREAM = 25.0  # seconds after which a stream of events ends; its reader asks on by itself
STREAMS = 64  # at once
PAGE = 1000  # rows of the audit in one answer


class GateRoutes:
    """All that is served under ``/v1``."""

    def __init__(
        self,
        gates: Gates,
        rights: Rights,
        *,
        clock: Callable[[], float],
        alerts: Callable[[str], Collection[str]],
    ) -> None:
        self._gates = gates
        self._rights = rights
        self._clock = clock
        self._alerts = alerts  # pipeline -> names of alerts that halt it
        self._streams = 0
        self._checks = Checks(gates, rights, clock=clock)

    def quick(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Return the answer to a plain check; None for everything else: see `Checks.quick`."""
        return self._checks.quick(request)

    def table(self) -> list[web.RouteDef]:
        """Return the routes."""
        gate = "/v1/gates/{pipeline}"
        return [
            web.route("*", f"{gate}/check", self.check),
            web.get("/v1/gates", _explained(self.every)),
            web.get(gate, _explained(self.one)),
            web.get(f"{gate}/decision", _explained(self.decision)),
            web.get(f"{gate}/ready", _explained(self.ready)),
            web.get(f"{gate}/analysis", _explained(self.analysis)),
            web.get(f"{gate}/events", _explained(self.events)),
            web.post(f"{gate}/halt", _explained(self.halt)),
            web.post(f"{gate}/resume", _explained(self.resume)),
            web.post(f"{gate}/rebaseline", _explained(self.rebaseline)),
            web.put(f"{gate}/override", _explained(self.set_override)),
            web.delete(f"{gate}/override", _explained(self.clear_override)),
            web.post("/v1/adapters/flagger/{pipeline}/confirm", _explained(self.confirm)),
            web.post("/v1/adapters/flagger/{pipeline}/rollback", _explained(self.rollback)),
            web.post("/v1/hooks/alertmanager/{pipeline}", _explained(self.alertmanager)),
            web.get("/v1/audit", _explained(self.audit)),
            web.get("/v1/audit/head", _explained(self.head)),
            web.get("/v1/openapi.json", _explained(self.openapi)),
        ]

    # asking

    async def check(self, request: web.Request) -> web.Response:
        """Answer 200 to go on, 403 to stop: for gateways. Never 5xx but by ``?deny=503``."""
        pipeline = request.match_info["pipeline"]
        try:
            self._rights.client(request, "check", pipeline)
        except Problem as problem:
            return problem.response()
        told = self._checks.told(pipeline)
        if told is None:
            return _unknown(pipeline).response()
        status = told.status(request.query_string)
        return web.Response(status=status, body=told.body, headers=told.headers)

    async def every(self, request: web.Request) -> web.Response:
        """Return all gates that the caller may see."""
        client = self._rights.client(request, "read", None)
        names = sorted(name for name in self._gates.names() if client.sees(name))
        views = [view for name in names if (view := self._gates.view(name)) is not None]
        return _json({"gates": [document(view) for view in views]})

    async def one(self, request: web.Request) -> web.Response:
        """Return one gate."""
        view = self._view(request, "read")
        tag = _etag(view.state.generation)
        if request.headers.get("If-None-Match", "").strip() in (tag, f"W/{tag}"):
            return web.Response(status=304, headers={"ETag": tag})
        return _json(document(view), headers={"ETag": tag})

    async def decision(self, request: web.Request) -> web.Response:
        """Return the decision; always 200, so that nobody takes a halt for a mistake."""
        view = self._view(request, "check")
        self._gates.counted(view.pipeline, view.answer.decision)
        return _json(decision(view), headers={"Cache-Control": f"max-age={TTL:.0f}"})

    async def ready(self, request: web.Request) -> web.Response:
        """Answer 200 or 503, as a kubelet asks."""
        view = self._view(request, "check")
        self._gates.counted(view.pipeline, view.answer.decision)
        allowed = view.answer.decision == "allow"
        return web.Response(status=200 if allowed else 503, text=f"{view.answer.decision}\n")

    async def analysis(self, request: web.Request) -> web.Response:
        """Return a verdict for a rollout."""
        return _json(analysis(self._view(request, "check")))

    async def confirm(self, request: web.Request) -> web.Response:
        """Answer 200 while open, 403 while closed: Flagger goes on at 200."""
        closed = self._view(request, "check").answer.decision == "deny"
        return web.Response(status=403 if closed else 200, text="closed\n" if closed else "open\n")

    async def rollback(self, request: web.Request) -> web.Response:
        """Answer 200 while halted, 403 otherwise: Flagger rolls back at 200."""
        closed = self._view(request, "check").answer.decision == "deny"
        return web.Response(status=200 if closed else 403, text="closed\n" if closed else "open\n")

    # telling

    async def halt(self, request: web.Request) -> web.Response:
        """Stop a pipeline."""
        return await self._told(request, "halt", Halt)

    async def resume(self, request: web.Request) -> web.Response:
        """End a halt, whatever it stands on."""
        return await self._told(request, "resume", Resume)

    async def rebaseline(self, request: web.Request) -> web.Response:
        """Begin the evidence anew: what the pipeline does now is right."""
        return await self._told(request, "bless", Rebaseline)

    async def set_override(self, request: web.Request) -> web.Response:
        """Force the gate open or shut for a while."""
        client = self._client(request, "override")
        number = requests.expected(request, required=True)
        known = ("kind", "reason", "expires_at", "expires_in_s")
        given = await requests.fields(request, known)
        wanted = requests.override(given, self._clock())
        return await self._happen(request, client, wanted, given, number)

    async def clear_override(self, request: web.Request) -> web.Response:
        """Take an override back."""
        client = self._client(request, "override")
        number = requests.expected(request, required=True)
        given: dict[str, Any] = {}
        if request.can_read_body:
            given = await requests.fields(request, ("reason",))
        why = requests.reason(given) if given else "taken back"
        return await self._happen(request, client, ClearOverride(why), given, number)

    async def alertmanager(self, request: web.Request) -> web.Response:
        """Take a notification of Alertmanager; 200 once it is written down."""
        client = self._client(request, "halt")
        pipeline = request.match_info["pipeline"]
        if self._gates.view(pipeline) is None:
            raise _unknown(pipeline)
        try:
            given = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"the body is not JSON: {error}") from error
        taken = list(requests.alerts(given, self._alerts(pipeline)))
        for alert in taken:
            await self._do(pipeline, alert, actor=f"alertmanager ({client.actor})")
        return _json({"taken": len(taken)})

    async def _told(
        self, request: web.Request, scope: str, kind: Callable[[str], Happening]
    ) -> web.Response:
        client = self._client(request, scope)
        number = requests.expected(request, required=False)
        given = await requests.fields(request, ("reason",))
        return await self._happen(request, client, kind(requests.reason(given)), given, number)

    async def _happen(
        self,
        request: web.Request,
        client: Client,
        happening: Happening,
        given: dict[str, Any],
        number: int | None,
    ) -> web.Response:
        pipeline = request.match_info["pipeline"]
        key = requests.idempotency(request, client.actor, given)
        status = 200
        headers = {}
        try:
            written = await self._do(
                pipeline, happening, actor=client.actor, expected=number, key=key
            )
            if written is not None and written.is_replayed:
                headers["Idempotency-Replayed"] = "true"
            if written is None:
                status = 202
        except StaleGeneration as error:
            raise Problem(412, str(error), generation=error.state.generation) from error
        except KeyReused as error:
            raise Problem(422, str(error)) from error
        view = self._gates.view(pipeline)
        if view is None:
            raise _unknown(pipeline)
        headers["ETag"] = _etag(view.state.generation)
        return _json(document(view), status=status, headers=headers)

    async def _do(self, pipeline: str, happening: Happening, *, actor: str, **given: Any) -> Any:
        """Let it happen; None where a halt is in force here and waits to be written."""
        try:
            return await self._gates.happen(pipeline, happening, actor=actor, **given)
        except UnknownGateError as error:
            raise _unknown(pipeline) from error
        except NotLegal as error:
            raise Problem(409, str(error)) from error
        except (StaleGeneration, KeyReused):
            raise
        except StoreError as error:
            if isinstance(happening, Halt):
                return self._halt_at_once(pipeline, happening, actor)
            raise Problem(
                503,
                "it could not be written down, and nothing has changed; try again",
                headers={"Retry-After": str(RETRY)},
            ) from error

    def _halt_at_once(self, pipeline: str, happening: Halt, actor: str) -> None:
        try:
            self._gates.halt_at_once(pipeline, happening.reason, actor=actor)
        except NotLegal as error:
            raise Problem(409, str(error)) from error

    # the audit

    async def head(self, request: web.Request) -> web.Response:
        """Return number and hash of the last row."""
        self._rights.client(request, "read", None)
        try:
            number, digest = await self._gates.read_head()
        except StoreError as error:
            raise _unread() from error
        return _json({"seq": number, "hash": digest})

    async def audit(self, request: web.Request) -> web.StreamResponse:
        """Return rows of the whole audit, as JSON lines."""
        client = self._rights.client(request, "read", None)
        if client.gates != ("*",):
            raise Problem(403, f"{client.name} may not see all gates; ask for the events of one")
        return await self._rows(request, None)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Return what was done to one gate: JSON lines, or a stream where that is accepted."""
        view = self._view(request, "read")
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self._stream(request, view.pipeline)
        return await self._rows(request, view.pipeline)

    async def _rows(self, request: web.Request, pipeline: str | None) -> web.Response:
        rows = await self._audit(_after(request, "after"), pipeline)
        body = b"".join(orjson.dumps(audit_row(row)) + b"\n" for row in rows)
        return web.Response(body=body, content_type="application/x-ndjson")

    async def _audit(self, after: int, pipeline: str | None) -> Any:
        try:
            return await self._gates.audit(after, pipeline=pipeline, limit=PAGE)
        except StoreError as error:
            raise _unread() from error

    async def _stream(self, request: web.Request, pipeline: str) -> web.StreamResponse:
        if self._streams >= STREAMS:
            raise Problem(
                429, f"{STREAMS} streams are open; try again", headers={"Retry-After": str(RETRY)}
            )
        after = _after(request, "Last-Event-ID")
        rows = await self._audit(after, pipeline)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        self._streams += 1
        try:
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            async for line in self._lines(pipeline, after, rows):
                await response.write(line)
            await response.write_eof()
        finally:
            self._streams -= 1
        return response

    async def _lines(self, pipeline: str, after: int, rows: Any) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        until = loop.time() + STREAM
        while True:
            for row in rows:
                after = row.seq
                yield b"id: %d\ndata: %s\n\n" % (row.seq, orjson.dumps(audit_row(row)))
            try:
                async with asyncio.timeout_at(until):
                    await self._gates.news()
                rows = await self._gates.audit(after, pipeline=pipeline, limit=PAGE)
            except (TimeoutError, StoreError):
                return

    async def openapi(self, request: web.Request) -> web.Response:
        """Return the description of all this for machines."""
        return _json(openapi())

    def _client(self, request: web.Request, scope: str) -> Client:
        return self._rights.client(request, scope, request.match_info["pipeline"])

    def _view(self, request: web.Request, scope: str) -> GateView:
        self._client(request, scope)
        pipeline = request.match_info["pipeline"]
        view = self._gates.view(pipeline)
        if view is None:
            raise _unknown(pipeline)
        return view


def _explained(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    """Answer a Problem as one."""

    async def explained(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except web.HTTPRequestEntityTooLarge:
            return Problem(413, "the body is too large").response()

    return explained


def _unread() -> Problem:
    detail = "the audit cannot be read now; try again"
    return Problem(503, detail, headers={"Retry-After": str(RETRY)})


def _unknown(pipeline: str) -> Problem:
    return Problem(404, f"there is no gate {pipeline[:100]!r}; GET /v1/gates lists them")


def _json(
    said: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps(said),
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _etag(generation: int) -> str:
    return f'"g-{generation}"'


def _after(request: web.Request, name: str) -> int:
    text = request.headers.get(name, request.query.get("after", "0"))
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(400, f"{name}: write the number of the last row that you have")
    return int(text)
