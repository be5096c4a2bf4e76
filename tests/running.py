"""A real `seamwatch run` on a small pipeline and a model that can be told what to answer."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from ports import free_port

PATIENCE = 60.0  # seconds; machines under load are slow, and nothing here is about speed


class World:
    """A pipeline of two stages and a model that can be told what to answer."""

    def __init__(self) -> None:
        self.label = "yes"
        self.version = "m1"
        self.age = 60.0
        self.asked: list[str] = []
        self.hangs = asyncio.Event()
        self.port = 0
        self.clicks = "0.95"

    async def query(self, _: web.Request) -> web.Response:
        found = [{"metric": {}, "value": [time.time(), self.clicks]}]
        data = {"resultType": "vector", "result": found}
        return web.json_response({"status": "success", "data": data})

    async def meta(self, _: web.Request) -> web.Response:
        now = time.time()
        return web.json_response(
            {
                "status": "ok",
                "version": self.version,
                "watermark": now - self.age,
                "updated_at": now,
            }
        )

    async def answer(self, request: web.Request) -> web.Response:
        question = (await request.json())["q"]
        self.asked.append(question)
        return web.json_response({"label": self.label, "by": "m1"})

    async def hang(self, _: web.Request) -> web.Response:
        await self.hangs.wait()
        return web.Response()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[World]:
        app = web.Application()
        app.add_routes(
            [
                web.get("/meta", self.meta),
                web.get("/hang", self.hang),
                web.get("/api/v1/query", self.query),
                web.post("/answer", self.answer),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self.hangs.set()
            await runner.cleanup()


def configure(folder: Path, world: World, *, extra: str = "", golden_every: str = "20ms") -> Path:
    items = [
        {"id": f"q{n}", "input": f"question {n}", "expected": "yes", "superseded": ["used to be"]}
        for n in range(40)
    ]
    (folder / "golden.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    base = f"http://127.0.0.1:{world.port}"
    text = f"""\
teams: {{data: {{}}, serving: {{}}}}
pipelines:
  answers:
    owner: serving
    stages:
      ingest: {{team: data, kind: source, source: {{http: {{url: {base}/meta}}}}, every: 200ms}}
      model:
        team: serving
        kind: model
        after: ingest
        source: {{http: {{url: {base}/meta}}}}
        every: 200ms
{extra}
    model: {{http: {{url: {base}/answer, json: {{q: "{{{{ input }}}}"}}, answer: label,
      answered_by: by}}}}
    golden: {{file: golden.jsonl, task: multiclass, every: {golden_every}}}
    slos:
      freshness: {{data_age: 1h, objective: 99%}}
      accuracy: {{at_least: 90%, objective: 99%}}
store: sqlite:///memory.db
"""
    path = folder / "seamwatch.yaml"
    path.write_text(text)
    return path


class Running:
    """An exporter process and the page that it serves."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.log = log

    async def get(self, path: str, *, method: str = "GET") -> tuple[int, str]:
        async with aiohttp.request(method, self.url + path) as response:
            return response.status, await response.text()

    async def until(self, path: str, met: Callable[[int, str], bool]) -> str:
        """Ask *path* until what it answers is as awaited; tell what was there if it never is."""
        found = "nothing answered"
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    if self.process.returncode is not None:
                        pytest.fail(f"the exporter ended:\n{self.log.read_text()}")
                    try:
                        status, found = await self.get(path)
                        if met(status, found):
                            return found
                    except aiohttp.ClientConnectionError:
                        pass
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"never as awaited; last:\n{found}\n{self.log.read_text()}")

    async def page(self, *lines: str) -> str:
        """Return the page once it has each of *lines* as the beginning of a line."""
        return await self.until(
            "/metrics", lambda _, text: all(f"\n{line}" in text for line in lines)
        )

    async def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


@asynccontextmanager
async def exporter(config: Path, *arguments: str) -> AsyncIterator[Running]:
    port, log = free_port(), config.parent / f"exporter-{free_port()}.log"
    with log.open("w") as to:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "seamwatch", "run", "--config", str(config),
            "--web.listen-address", f"127.0.0.1:{port}", *arguments,
            stderr=to, stdout=to, cwd=config.parent,
        )  # fmt: skip
    running = Running(process, port, log)
    try:
        await running.until("/-/ready", lambda status, _: status == 200)
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
