"""What the recorded contracts share: a server on loopback that notes what it was asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from seamwatch.actions import Order


@dataclass
class Contract:
    """*asked* has every request as ``METHOD /path`` in order; *fails* answers instead, by path."""

    asked: list[str] = field(default_factory=list)
    fails: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    url: str = ""

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        raise NotImplementedError

    async def handle(self, request: web.Request) -> web.Response:
        query = f"?{request.query_string}" if request.query_string else ""
        self.asked.append(f"{request.method} {request.path}{query}")
        body = await request.read()
        if (failing := self.fails.get(request.path)) is not None:
            status, headers = failing
            return web.json_response({"detail": "failing"}, status=status, headers=headers)
        return await self.answer(request, body)


@asynccontextmanager
async def served(*contracts: Contract) -> AsyncIterator[None]:
    """Serve each of *contracts* at its ``url``."""
    runners = []
    try:
        for contract in contracts:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", contract.handle)
            runner = web.AppRunner(app)
            await runner.setup()
            runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            contract.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


def parsed(body: bytes) -> Any:
    """Return the JSON of *body*, None where it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def order(
    desired: str,
    memory: Mapping[str, Any] | None = None,
    *,
    generation: int = 7,
    pipeline: str = "rag",
) -> Order:
    assert desired in ("halted", "running")
    # what is written down comes back as JSON
    kept = json.loads(json.dumps(memory or {}))
    state: Any = desired
    return Order(pipeline, "work", state, generation, "accuracy fell", 1.0, kept)
