"""What users of the demo ask: a service behind the gate, and a crowd that asks it all the time.

The service is what any team would write: `seamwatch.client` says whether to answer, and while it
does not, people get an honest 503 instead of a wrong answer. seamwatch itself asks the pipeline
directly, past this, or no recovery could ever be proven.

Started as ``python -m seamwatch.demo.front PORT EXPORTER PIPELINE``. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from itertools import cycle
from random import Random
from typing import Any

import aiohttp
from aiohttp import web

from seamwatch.client import AsyncGate
from seamwatch.client.decision import Decision
from seamwatch.demo.example import PIPELINE
from seamwatch.demo.facts import ABSTAIN, load
from seamwatch.demo.questions import Question, questions

HOST = "127.0.0.1"
EVERY = 0.25  # seconds between two questions of the crowd
RECENT = 15.0  # seconds that the figures are over
PATIENCE = aiohttp.ClientTimeout(total=5.0)
KINDS = ("right", "wrong", "declined", "held back", "failed")


class Front:
    """Answers users while the gate allows; *pipeline* is where the pipeline answers."""

    def __init__(self, gate: AsyncGate, pipeline: str, session: aiohttp.ClientSession) -> None:
        self._gate = gate
        self._pipeline = pipeline
        self._session = session
        self._last: Decision | None = None
        self._since = time.time()  # of what the gate says
        self._held_for: float | None = None  # seconds that the last halt lasted
        self._outcomes: deque[tuple[float, str]] = deque(maxlen=1000)
        self._total: Counter[str] = Counter()

    def application(self) -> web.Application:
        """Return what is served."""
        app = web.Application()
        app.router.add_post("/ask", self._ask)
        app.router.add_get("/status", self._status)
        return app

    def came_of_it(self, outcome: str) -> None:
        """Take what a question came to, one of KINDS."""
        self._outcomes.append((time.time(), outcome))
        self._total[outcome] += 1

    async def _ask(self, request: web.Request) -> web.Response:
        try:
            sent = await request.json()
        except ValueError:
            return web.json_response({"error": 'send {"question": "..."}'}, status=400)
        decision = await self._gate.decision()
        self._note(decision)
        if not decision.allowed:
            said = {"error": f"not answering: {decision.reason}"}
            return web.json_response(said, status=503, headers={"Retry-After": "5"})
        try:
            async with self._session.post(self._pipeline, json=sent, timeout=PATIENCE) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return web.json_response({"error": "the pipeline does not answer"}, status=502)
        return web.Response(body=body, status=answer.status, content_type="application/json")

    def _note(self, decision: Decision) -> None:
        if self._last is not None and self._last.allowed != decision.allowed:
            now = time.time()
            if decision.allowed:
                self._held_for = now - self._since
            self._since = now
        self._last = decision

    async def _status(self, _: web.Request) -> web.Response:
        since = time.time() - RECENT
        recent = Counter(outcome for at, outcome in self._outcomes if at >= since)
        last = self._last
        return web.json_response(
            {
                "allowed": last.allowed if last is not None else None,
                "reason": last.reason if last is not None else "",
                "since": self._since,
                "held_for": self._held_for,
                "recent": {kind: recent[kind] for kind in KINDS},
                "total": {kind: self._total[kind] for kind in KINDS},
            }
        )


async def crowd(front: Front, url: str, session: aiohttp.ClientSession) -> None:
    """Ask *url* for ever, and judge what comes: the crowd knows what is right, users do not."""
    asked = list(questions(load(), golden=False))  # the golden half is seamwatch's
    Random("crowd").shuffle(asked)
    due = time.monotonic()
    for question in cycle(asked):
        front.came_of_it(await _outcome(question, url, session))
        due = max(due + EVERY, time.monotonic() - 1.0)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _outcome(question: Question, url: str, session: aiohttp.ClientSession) -> str:
    try:
        sent = {"question": question.text}
        async with session.post(url, json=sent, timeout=PATIENCE) as answer:
            said: Any = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return "failed"
    if answer.status != 200:
        return "held back" if answer.status == 503 else "failed"
    if said["label"] == question.expected:
        return "right"
    return "declined" if said["label"] == ABSTAIN else "wrong"


async def serve(port: int, exporter: str, pipeline: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        AsyncGate(exporter, PIPELINE, on_unknown="allow", session=session) as gate,
    ):
        front = Front(gate, f"{pipeline}/answer", session)
        runner = web.AppRunner(front.application(), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            asking = asyncio.create_task(crowd(front, f"http://{HOST}:{port}/ask", session))
            await stop.wait()
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:4]))
