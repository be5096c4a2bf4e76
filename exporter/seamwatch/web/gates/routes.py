"""The handlers of ``/v1``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from aiohttp import web
from aiohttp.typedefs import Handler

from seamwatch.errors import StoreError
from seamwatch.watch.gates import Gates, GateView
from seamwatch.web.gates import requests
from seamwatch.web.gates.checks import Checks
from seamwatch.web.gates.documents import (
    TTL,
    UNKNOWN,
    analysis,
    decision,
    document,
    etag,
    said,
    unknown,
)
from seamwatch.web.gates.openapi import openapi
from seamwatch.web.gates.rights import Rights
from seamwatch.web.gates.streams import Streams
from seamwatch.web.gates.telling import Telling
from seamwatch.web.problems import RETRY, Problem


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
        self._checks = Checks(gates, rights, clock=clock)
        self._telling = Telling(gates, rights, clock=clock, alerts=alerts)
        self._streams = Streams(gates)
        self._asking: frozenset[Handler] = frozenset()

    def quick(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Return the answer to a plain check; None for everything else: see `Checks.quick`."""
        return self._checks.quick(request)

    def knows(self, request: web.Request) -> bool:
        """Say whether *request* needs no password: see `Rights.knows`."""
        if not request.path.startswith("/v1/"):
            return False
        only_asks = request.match_info.handler in self._asking
        return self._rights.knows(request, only_asks=only_asks)

    def end_streams(self) -> None:
        """Let nobody who follows events hold up the end."""
        self._streams.end()

    def table(self) -> list[web.RouteDef]:
        """Return the routes."""
        gate, telling = "/v1/gates/{pipeline}", self._telling
        flagger = "/v1/adapters/flagger/{pipeline}"
        asking = [
            web.route("*", f"{gate}/check", self.check),
            web.get(f"{gate}/decision", _explained(self.decision)),
            web.get(f"{gate}/ready", _explained(self.ready)),
            web.get(f"{gate}/analysis", _explained(self.analysis)),
            web.post(f"{flagger}/confirm", _explained(self.confirm)),
            web.post(f"{flagger}/rollback", _explained(self.rollback)),
        ]
        self._asking = frozenset(route.handler for route in asking)
        return [
            *asking,
            web.get("/v1/gates", _explained(self.every)),
            web.get(gate, _explained(self.one)),
            web.get(f"{gate}/events", _explained(self.events)),
            web.post(f"{gate}/halt", _explained(telling.halt)),
            web.post(f"{gate}/resume", _explained(telling.resume)),
            web.post(f"{gate}/rebaseline", _explained(telling.rebaseline)),
            web.put(f"{gate}/override", _explained(telling.set_override)),
            web.delete(f"{gate}/override", _explained(telling.clear_override)),
            web.post("/v1/hooks/alertmanager/{pipeline}", _explained(telling.alertmanager)),
            web.get("/v1/audit", _explained(self.audit)),
            web.get("/v1/audit/head", _explained(self.head)),
            web.get("/v1/openapi.json", _explained(self.openapi)),
        ]

    async def check(self, request: web.Request) -> web.Response:
        """Answer 200 to go on, 403 to stop: for gateways. Never 5xx but by ``?deny=503``."""
        pipeline = request.match_info["pipeline"]
        try:
            self._rights.client(request, "check", pipeline)
        except Problem as problem:
            return problem.response()
        told = self._checks.told(pipeline)
        if told is None:
            return unknown(pipeline).response()
        status = told.status(request.query_string)
        return web.Response(status=status, body=told.body, headers=told.headers)

    async def every(self, request: web.Request) -> web.Response:
        """Return all gates that the caller may see."""
        client = self._rights.client(request, "read", None)
        names = sorted(name for name in self._gates.names() if client.sees(name))
        views = [view for name in names if (view := self._gates.view(name)) is not None]
        return said({"gates": [document(view) for view in views]})

    async def one(self, request: web.Request) -> web.Response:
        """Return one gate."""
        view = self._view(request, "read")
        tag = etag(view.state.generation)
        if requests.matches(request, tag):
            return web.Response(status=304, headers={"ETag": tag})
        return said(document(view), headers={"ETag": tag})

    async def decision(self, request: web.Request) -> web.Response:
        """Return the decision; always 200, so that nobody takes a halt for a mistake."""
        view = self._asked(request)
        return said(decision(view), headers={"Cache-Control": f"max-age={TTL:.0f}"})

    async def ready(self, request: web.Request) -> web.Response:
        """Answer 200 or 503, as a kubelet asks."""
        told = self._asked(request).answer.decision
        return web.Response(status=200 if told == "allow" else 503, text=f"{told}\n")

    async def analysis(self, request: web.Request) -> web.Response:
        """Return a verdict for a rollout."""
        return said(analysis(self._view(request, "check")))

    async def confirm(self, request: web.Request) -> web.Response:
        """Answer 200 while open, 403 while closed: Flagger goes on at 200."""
        closed = self._asked(request).answer.decision == "deny"
        return web.Response(status=403 if closed else 200, text="closed\n" if closed else "open\n")

    async def rollback(self, request: web.Request) -> web.Response:
        """Answer 200 while halted, 403 otherwise: Flagger rolls back at 200.

        That nothing is known stops a rollout, and takes none back.
        """
        answer = self._view(request, "check").answer
        halted = answer.decision == "deny" and answer.cause != UNKNOWN
        text = "halted\n" if halted else "not halted\n"
        return web.Response(status=200 if halted else 403, text=text)

    async def head(self, request: web.Request) -> web.Response:
        """Return number and hash of the last row of the audit."""
        self._rights.client(request, "read", None)
        try:
            number, digest = await self._gates.read_head()
        except StoreError as error:
            detail = "the audit cannot be read now; try again"
            raise Problem(503, detail, headers={"Retry-After": str(RETRY)}) from error
        return said({"seq": number, "hash": digest})

    async def audit(self, request: web.Request) -> web.StreamResponse:
        """Return rows of the whole audit, as JSON lines."""
        client = self._rights.client(request, "read", None)
        if client.gates != ("*",):
            raise Problem(403, f"{client.name} may not see all gates; ask for the events of one")
        return await self._streams.lines(request, None)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Return what was done to one gate: JSON lines, or a stream where that is accepted."""
        view = self._view(request, "read")
        wants_stream = "text/event-stream" in request.headers.get("Accept", "")
        if wants_stream and request.method == "GET":
            return await self._streams.stream(request, view.pipeline)
        return await self._streams.lines(request, view.pipeline)

    async def openapi(self, request: web.Request) -> web.Response:
        """Return the description of all this for machines."""
        return said(openapi())

    def _asked(self, request: web.Request) -> GateView:
        """Return the gate to who wants to know whether to go on, and count it."""
        view = self._view(request, "check")
        self._gates.counted(view.pipeline, view.answer.decision)
        return view

    def _view(self, request: web.Request, scope: str) -> GateView:
        pipeline = request.match_info["pipeline"]
        self._rights.client(request, scope, pipeline)
        view = self._gates.view(pipeline)
        if view is None:
            raise unknown(pipeline)
        return view


def _explained(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    """Answer a Problem as one."""

    async def explained(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return problem.response()

    return explained
