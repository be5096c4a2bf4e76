"""ASGI middleware: answers 503 for the application while the gate denies."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from seamwatch.client.asynchronous import AsyncGate
from seamwatch.client.decision import Decision

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

RETRY_AFTER = 30  # seconds that a halted client is asked to wait


class GateMiddleware:
    """Puts *gate* before *app*, for paths that begin with one of *paths*; health pages stay open.

    A websocket is refused before it is accepted. Keep the way that seamwatch itself asks its golden
    questions outside of *paths*: a halt that its own probes cannot pass would never end.
    """

    def __init__(
        self, app: App, gate: AsyncGate, *, paths: Collection[str] = ("/",), status: int = 503
    ) -> None:
        self._app = app
        self._gate = gate
        self._paths = tuple(paths)
        self._status = status

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection as ASGI 3 says."""
        guarded = scope["type"] in ("http", "websocket") and scope["path"].startswith(self._paths)
        decision = await self._gate.decision() if guarded else None
        if decision is None or decision.allowed:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1013, "reason": decision.reason[:100]})
        else:
            await self._refuse(decision, send)

    async def _refuse(self, decision: Decision, send: Send) -> None:
        said = {
            "type": "about:blank",
            "title": "This pipeline is halted",
            "status": self._status,
            "detail": decision.reason,
            "state": decision.state,
        }
        body = json.dumps(said).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(RETRY_AFTER).encode()),
            (b"x-seamwatch-state", decision.state.encode("ascii", "replace")),
        ]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
