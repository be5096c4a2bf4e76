"""The pipeline's process: each stage on its own port, the jobs on a schedule, two ports more.

One is the shadow deployment's, which answers from an index of its own; one breaks and heals.

Started as ``python -m seamwatch.demo.serve FOLDER [FIRST_PORT]``. When everything listens, the
addresses are written to ``FOLDER/pipeline.json``. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from seamwatch.demo.answer import Route
from seamwatch.demo.assembly import Assembly, StagePage
from seamwatch.demo.example import STAGES
from seamwatch.demo.facts import load
from seamwatch.demo.faults import FAULTS, expand
from seamwatch.demo.questions import canaries, golden_items, write_golden
from seamwatch.errors import SeamwatchError

EVERY = 3.0  # seconds between two runs of the jobs
HOST = "127.0.0.1"
LONGEST_QUESTION = 1000  # characters
ENCODERS = ("service", "index")  # that a question may be encoded with: ours, the index's
TIERS = ("standard", "priority")

log = logging.getLogger("seamwatch.demo")


class Service:
    """The assembly behind HTTP. Everything that changes it goes through one lock."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.broken: tuple[str, ...] = ()
        self._changing = asyncio.Lock()

    async def run_jobs(self) -> None:
        """Run the jobs of all teams once."""
        async with self._changing:
            await asyncio.to_thread(self.assembly.run_jobs, now=time.time())

    async def keep_running(self) -> None:
        """Run the jobs every few seconds until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.run_jobs()
            except Exception:  # a scheduler outlives its jobs
                log.exception("a job failed")

    async def put(self, broken: tuple[str, ...]) -> None:
        """Break and heal until exactly *broken* is broken, and run the jobs on it."""
        async with self._changing:
            for name, fault in FAULTS.items():
                if (name in broken) != (name in self.broken):
                    change = fault.break_it if name in broken else fault.heal
                    await asyncio.to_thread(change, self.assembly)
            self.broken = broken
            await asyncio.to_thread(self.assembly.run_jobs, now=time.time())

    def control(self) -> web.Application:
        """Return the control port: what is broken, break, heal."""
        app = web.Application()
        app.router.add_get("/status", self._status)
        app.router.add_post("/break", self._break)
        app.router.add_post("/heal", self._heal)
        return app

    def pages(self, stage: StagePage) -> web.Application:
        """Return what *stage* serves: its team's page, its contract and, at the end, answers."""

        async def health(_: web.Request) -> web.Response:
            page = stage.health(now=time.time())
            status = 200 if page["status"] == "ok" else 503
            return web.json_response(
                {"stage": stage.name, "team": stage.team} | page, status=status
            )

        async def meta(_: web.Request) -> web.Response:
            return web.json_response(stage.meta())

        app = web.Application()
        app.router.add_get("/health", health)
        app.router.add_get("/meta", meta)
        if stage.name == "answer":
            app.router.add_post("/answer", self._answer)
        return app

    def shadow(self) -> web.Application:
        """Return the shadow deployment: the same way to an answer, through an index of its own."""
        app = web.Application()
        app.router.add_post("/answer", self._shadow_answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        return await self._ask(request, shadow=False)

    async def _shadow_answer(self, request: web.Request) -> web.Response:
        return await self._ask(request, shadow=True)

    async def _ask(self, request: web.Request, *, shadow: bool) -> web.Response:
        body = await _json(request)
        question = body.get("question") if isinstance(body, dict) else None
        if not isinstance(question, str) or not 0 < len(question) <= LONGEST_QUESTION:
            text = f'send {{"question": "..."}} with at most {LONGEST_QUESTION} characters'
            raise web.HTTPBadRequest(text=text)
        route = Route(
            bypass_cache="no-cache" in request.headers.get("Cache-Control", ""),
            shadow=shadow,
            index_encoder=_choice(body, "encoder", ENCODERS) == "index",
            priority=_choice(body, "tier", TIERS) == "priority",
        )
        return web.json_response(asdict(self.assembly.answer(question, route)))

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({"pid": os.getpid(), "broken": list(self.broken)})

    async def _break(self, request: web.Request) -> web.Response:
        body = await _json(request)
        names = body.get("faults") if isinstance(body, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise web.HTTPBadRequest(text='send {"faults": ["late-data", ...]}')
        try:
            wanted = expand([*self.broken, *names])
        except SeamwatchError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        await self.put(wanted)
        return await self._status(request)

    async def _heal(self, request: web.Request) -> web.Response:
        await _json(request)
        await self.put(())
        return await self._status(request)


async def _json(request: web.Request) -> Any:
    """Return the body; a web page in a browser cannot send this type without being asked."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send Content-Type: application/json")
    try:
        return await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from error


def _choice(body: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """Return the field *name*, the first of *choices* where it is absent."""
    found = body.get(name, choices[0])
    if found not in choices:
        raise web.HTTPBadRequest(text=f'"{name}" is one of {", ".join(choices)}')
    return str(found)


async def serve(folder: Path, first_port: int) -> None:
    """Serve until SIGTERM or SIGINT; *first_port* 0 lets the system choose every port."""
    facts = load()
    write_golden(folder / "golden.jsonl", golden_items(facts))
    write_golden(folder / "canary.jsonl", canaries())
    service = Service(await asyncio.to_thread(Assembly, facts, folder, started=time.time()))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runners: list[web.AppRunner] = []
    addresses = {}
    try:
        pages = {name: service.pages(service.assembly.stages[name]) for name in STAGES}
        apps = {**pages, "control": service.control(), "shadow": service.shadow()}
        for place, (name, app) in enumerate(apps.items()):
            runner = web.AppRunner(app, access_log=None)
            runners.append(runner)
            await runner.setup()
            site = web.TCPSite(runner, HOST, first_port + place if first_port else 0)
            await site.start()
            addresses[name] = f"http://{HOST}:{runner.addresses[0][1]}"
        _announce(folder / "pipeline.json", addresses)
        jobs = asyncio.create_task(service.keep_running())
        await stop.wait()
        jobs.cancel()
        with suppress(asyncio.CancelledError):
            await jobs
    finally:
        for runner in runners:
            await runner.cleanup()


def _announce(path: Path, addresses: dict[str, str]) -> None:
    """Write the addresses in one step, so that a reader never sees half of them."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"pid": os.getpid(), "addresses": addresses}, indent=1))
    partial.replace(path)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
