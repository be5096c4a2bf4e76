"""The application: which paths there are, and what every request goes through."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from seamwatch.exposition import Exposition, Page, accepted_format, accepts_gzip
from seamwatch.web.auth import BasicAuth
from seamwatch.web.gates import GateRoutes
from seamwatch.web.guard import CONFIG, IS_CHECK, Guard
from seamwatch.web.landing import CONTENT_SECURITY_POLICY, landing_page, what_exists
from seamwatch.web.limits import RESPONSE, Deadlines, body, deadline
from seamwatch.web.problems import refusal
from seamwatch.web.runbooks import Runbooks
from seamwatch.web.webconfig import WebConfigFile

log = logging.getLogger(__name__)

_BODY_LIMIT = 256 * 1024
_SLICE = 256 * 1024  # of a page: what one slow reader holds of our memory
_SCRAPES_AT_ONCE = 16
_DEFAULT_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Reload = Callable[[], Awaitable[str | None]]
"""Reads the configuration again; returns what is wrong with it, None when it is in use now."""


@dataclass(slots=True)
class Routes:
    """Everything that is served."""

    exposition: Exposition
    ready: Callable[[], bool]
    reload: Reload
    deadlines: Deadlines
    gates: GateRoutes | None = None
    runbooks: Runbooks | None = None
    is_draining: bool = False
    scrapes: int = 0  # under way
    _reloading: asyncio.Task[str | None] | None = None

    def table(self) -> list[web.RouteDef]:
        """Return the routes; `landing.PAGES` names the same ones."""
        return [
            web.get("/", self.landing),
            web.get("/metrics", self.metrics),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.is_ready),
            web.post("/-/reload", self.reloaded),
            web.put("/-/reload", self.reloaded),
            *(self.gates.table() if self.gates is not None else ()),
            *(self.runbooks.table() if self.runbooks is not None else ()),
        ]

    async def landing(self, request: web.Request) -> web.Response:
        """Say what this is."""
        return web.Response(text=landing_page(), content_type="text/html")

    async def healthy(self, request: web.Request) -> web.Response:
        """Say that the exporter runs."""
        return web.Response(text="healthy\n")

    async def is_ready(self, request: web.Request) -> web.Response:
        """Say whether the page is whole."""
        if self.is_draining:
            return web.Response(status=503, text="stopping\n")
        if not self.ready():
            return web.Response(status=503, text="starting: not every pipeline has been judged\n")
        return web.Response(text="ready\n")

    async def reloaded(self, request: web.Request) -> web.Response:
        """Read the configuration again; those who ask meanwhile wait for the same reading."""
        await body(request, self.deadlines)
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.ensure_future(self.reload())
        wrong = await asyncio.shield(self._reloading)  # goes on when the client leaves
        if wrong is not None:
            text = f"the configuration was not changed:\n{wrong.rstrip()}\n"
            return web.Response(status=500, text=text)
        return web.Response(text="reloaded\n")

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Write the page, in slices, so that a slow reader never holds a copy of it."""
        if self.scrapes >= _SCRAPES_AT_ONCE:
            return web.Response(
                status=503,
                text=f"{self.scrapes} scrapes are under way; scrape less often\n",
                headers={"Retry-After": "15"},
            )
        self.scrapes += 1
        try:
            began = time.monotonic()
            page = await self.exposition.page(
                accepted_format(_joined(request, "Accept")),
                is_gzip=accepts_gzip(_joined(request, "Accept-Encoding")),
            )
            response = await _write(request, page)
            self.exposition.own.scraped(time.monotonic() - began)
            return response
        finally:
            self.scrapes -= 1


def _joined(request: web.Request, name: str) -> str | None:
    return ",".join(request.headers.getall(name, ())) or None


async def _write(request: web.Request, page: Page) -> web.StreamResponse:
    headers = {"Content-Type": page.format.content_type, "Vary": "Accept, Accept-Encoding"}
    if page.is_gzip:
        headers["Content-Encoding"] = "gzip"
    response = web.StreamResponse(headers=headers)
    response.content_length = page.length
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    for part in _slices(page):
        await response.write(part)
    await response.write_eof()
    return response


def _slices(page: Page) -> Iterator[bytes | memoryview]:
    """Yield the page in pieces of at most _SLICE bytes; neighbours that are small are joined."""
    small: list[bytes] = []
    size = 0
    for part in page.parts:
        if size + len(part) > _SLICE:
            yield b"".join(small)
            small, size = [], 0
        if len(part) > _SLICE:
            view = memoryview(part)
            for start in range(0, len(part), _SLICE):
                yield view[start : start + _SLICE]
        else:
            small.append(part)
            size += len(part)
    yield b"".join(small)


def application(routes: Routes, file: WebConfigFile) -> web.Application:
    """Return the application that serves *routes* under the rules of *file*."""
    auth = BasicAuth()
    knows = routes.gates.knows if routes.gates is not None else lambda _: False
    guard = Guard(file, auth, knows=knows).middleware()
    middlewares = [deadline(routes.deadlines), guard, _explain]
    if routes.gates is not None:
        middlewares.insert(0, _straight(routes.gates.check, guard))
    app = web.Application(client_max_size=_BODY_LIMIT, middlewares=middlewares)
    app.add_routes(routes.table())
    app.on_response_prepare.append(_add_headers)

    async def close(_: web.Application) -> None:
        auth.close()

    app.on_cleanup.append(close)
    return app


def _straight(check: Handler, guard: Middleware) -> Middleware:
    """Lead checks of a gate straight to their handler, which waits for nothing and always answers.

    A gateway asks before each request of its users: what the other middlewares cost, all pay.
    """

    @web.middleware
    async def straight(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.handler != check:
            return await handler(request)
        request[IS_CHECK] = True
        return await guard(request, check)

    return straight


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say what exists to whoever asks for something else."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return refusal(request, f"There is no such page. {_instead(request)}", status=404)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"This page takes {allowed}. {_instead(request)}"
        return refusal(request, text, status=405, headers={"Allow": allowed})


def _instead(request: web.Request) -> str:
    if request.path.startswith("/v1/"):
        return "GET /v1/openapi.json says what there is."
    return what_exists()


async def _add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Set the headers that every answer carries; those of the file win over ours."""
    assert isinstance(request, web.Request)
    config = request.get(CONFIG)
    configured = config.http_server_config.headers if config is not None else {}
    if not configured and IS_CHECK in request:
        return  # what reads it is no browser
    request[RESPONSE] = response
    for name, value in {**_DEFAULT_HEADERS, **configured}.items():
        response.headers.setdefault(name, value)
