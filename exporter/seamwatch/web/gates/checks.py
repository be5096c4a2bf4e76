"""What a check of a gate is answered, made once for each change of the gate.

A gateway asks before every request of its users, so what a check costs all of them pay. Most are
answered here before anything of the application sees them, with bytes that lie ready; what is out
of the ordinary in any way goes to the application, whose answers are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from seamwatch.config.problems import ConfigError
from seamwatch.gate import Answer, GateState, Rules
from seamwatch.watch.gates import Gates
from seamwatch.web.gates.rights import Rights
from seamwatch.web.webconfig import WebConfig, WebConfigFile

HALTED_RETRY = 30  # seconds that a halted caller is asked to wait

_BEFORE, _AFTER = "/v1/gates/", "/check"
_DENY_503 = "deny=503"


class Ready(web.StreamResponse):
    """An answer that is bytes already; it may be given any number of times."""

    def __init__(self, status: int, raw: bytes) -> None:
        super().__init__(status=status)
        self._raw = raw

    @property
    def keep_alive(self) -> bool:
        """Say that the connection goes on."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send all of it."""
        await request.writer.write(self._raw)
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""


class Told:
    """What callers of one gate are told for as long as *state* and *rules* hold."""

    def __init__(self, answer: Answer, state: GateState, rules: Rules, now: float) -> None:
        self.decision = answer.decision
        self.state, self.rules = state, rules
        override = state.override
        is_timed = override is not None and now < override.expires_at
        self.until = override.expires_at if override is not None and is_timed else math.inf
        self.headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Seamwatch-State": answer.state,
            "X-Seamwatch-Reason": as_header(answer.reason),
            "X-Seamwatch-Generation": str(answer.generation),
        }
        self._status, self.body = 200, b"allow\n"
        if answer.decision == "deny":
            self._status, self.body = 403, f"deny: {answer.reason}\n".encode()
            self.headers["Retry-After"] = str(HALTED_RETRY)
        self._second = -1
        self._ready: dict[int, Ready] = {}

    def status(self, query: str) -> int:
        """Return 200 or 403; 503 for 403 where the whole *query* asks for it.

        The whole of it: what a proxy's own client puts into its address must not count.
        """
        return 503 if self._status == 403 and query == _DENY_503 else self._status

    def ready(self, query: str, now: float) -> Ready:
        """Return the answer as bytes, with the date of *now*."""
        if int(now) != self._second:
            self._second = int(now)
            self._ready.clear()
        status = self.status(query)
        found = self._ready.get(status)
        if found is None:
            found = self._ready[status] = Ready(status, self._bytes(status))
        return found

    def _bytes(self, status: int) -> bytes:
        named = {
            **self.headers,
            "Content-Length": str(len(self.body)),
            "Date": formatdate(self._second, usegmt=True),
        }
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in named.items()]
        return "\r\n".join((*lines, "", "")).encode() + self.body


class Checks:
    """Answers checks of *gates* from memory; *clock* is wall clock, seconds since the epoch."""

    def __init__(self, gates: Gates, rights: Rights, *, clock: Callable[[], float]) -> None:
        self._gates = gates
        self._rights = rights
        self._clock = clock
        self._told: dict[str, Told] = {}

    def told(self, pipeline: str) -> Told | None:
        """Return what a caller is told, and count it; None where there is no such gate."""
        return self._found(pipeline, self._clock())

    def quick(self, request: web.BaseRequest) -> Ready | None:
        """Return the answer to a plain check by who may; None: the application looks into it."""
        path, _, query = request.raw_path.partition("?")
        if not (path.endswith(_AFTER) and path.startswith(_BEFORE)):
            return None
        if request.method != "GET" or request.version != HttpVersion11 or not request.keep_alive:
            return None
        if request.body_exists or "Expect" in request.headers:
            return None
        pipeline, now = path[len(_BEFORE) : -len(_AFTER)], self._clock()
        if not self._rights.allows_check(request.headers.get("Authorization"), pipeline, now):
            return None
        told = self._found(pipeline, now)
        return told.ready(query, now) if told is not None else None

    def _found(self, pipeline: str, now: float) -> Told | None:
        basis = self._gates.basis(pipeline)
        if basis is None:
            self._told.pop(pipeline, None)
            return None
        told = self._told.get(pipeline)
        state, rules = basis
        if told is None or told.state is not state or told.rules is not rules or now >= told.until:
            answer = self._gates.answer(pipeline)
            assert answer is not None
            told = self._told[pipeline] = Told(answer, state, rules, now)
        self._gates.counted(pipeline, told.decision)
        return told


class Plain:
    """Says whether the web configuration leaves checks alone, so that they can be quick."""

    def __init__(self, file: WebConfigFile) -> None:
        self._file = file
        self._seen: WebConfig | None = None
        self._is_plain = False

    def __call__(self) -> bool:
        """Look at the file as it is now."""
        try:
            config = self._file.current()
        except ConfigError:
            return False
        if config is not self._seen:
            tls = config.tls_server_config
            self._seen = config
            self._is_plain = (
                not config.rate_limit.interval
                and not config.http_server_config.headers
                and not (tls is not None and tls.client_allowed_sans)
            )
        return self._is_plain


def as_header(text: str) -> str:
    """Return *text* as a header may have it: what is not plain ASCII as percent-encoded UTF-8."""
    if text.isascii() and text.isprintable():
        return text
    return quote(text, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
