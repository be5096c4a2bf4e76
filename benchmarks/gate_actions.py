"""How soon a halt reaches what does not ask, what a dead target costs, and what kills lose.

    python benchmarks/gate_actions.py [--halts 300] [--down 60] [--kills 500]

The real exporter with a webhook (a receiver here) and a Redis (the real one). First halts and
resumptions, each timed from the question to the moment both have it. Then both targets are away
while a halt is ordered, and come back. Then the exporter is killed with SIGKILL at random moments
while several people halt, resume and override at once; nothing that was acknowledged may be
missing, the chain must verify, and no target may hear an older generation after a newer one.
Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

P99 = 0.250  # seconds from the word to both targets
RETURN = 5.0  # seconds after its return
PEOPLE = 4  # at once, while the exporter is killed
GATE = "v1/gates/answers"
CONFIG = """
teams: {{ml: {{}}}}
pipelines:
  answers:
    owner: ml
    stages:
      ingest: {{team: ml, kind: source, source: {{static: {{version: "1"}}}}}}
      model: {{team: ml, kind: model, after: ingest}}
    model: {{http: {{url: "http://127.0.0.1:9/", json: {{q: "{{{{ input }}}}"}}, answer: label}}}}
    golden: {{file: golden.jsonl, task: multiclass, every: 1h}}
    gate:
      mode: enforce
      on_unknown: allow
      floor: 90%
      actions:
        - {{redis: {{url: "redis://127.0.0.1:{redis}/0", key: gate}}}}
        - {{webhook: {{url: "http://127.0.0.1:{hook}/"}}}}
store: sqlite:///gate.db
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Targets:
    """A receiver and a Redis that can go away, and what they heard: (generation, desired, when)."""

    folder: Path
    hook: int = field(default_factory=free_port)
    redis: int = field(default_factory=free_port)
    heard: dict[str, list[tuple[int, str, float]]] = field(
        default_factory=lambda: {"webhook": [], "redis": []}
    )
    runner: web.AppRunner | None = None
    server: asyncio.subprocess.Process | None = None
    listening: asyncio.Task[None] | None = None

    async def receive(self, request: web.Request) -> web.Response:
        data = json.loads(await request.read())["data"]
        self.heard["webhook"].append((data["generation"], data["desired"], time.perf_counter()))
        return web.Response()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/", self.receive)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.hook).start()
        self.server = await asyncio.create_subprocess_exec(
            *("redis-server", "--port", str(self.redis), "--save", "", "--dir", str(self.folder)),
            stdout=asyncio.subprocess.DEVNULL,
        )
        client = Redis(port=self.redis)
        while True:
            with suppress(RedisConnectionError):
                await client.ping()
                break
            await asyncio.sleep(0.02)
        subscribed = asyncio.Event()
        self.listening = asyncio.create_task(self.listen(client, subscribed))
        await subscribed.wait()

    async def listen(self, client: Redis, subscribed: asyncio.Event) -> None:
        channel = client.pubsub()
        await channel.subscribe("gate")
        with suppress(RedisConnectionError):
            async for _ in channel.listen():
                at = time.perf_counter()
                # also at first: it may have been written before we could listen
                generation, state = await client.hmget("gate", "generation", "state")
                if generation is not None:
                    self.heard["redis"].append((int(generation), state.decode(), at))
                subscribed.set()

    async def stop(self) -> None:
        if self.listening is not None:
            self.listening.cancel()
        if self.runner is not None:
            await self.runner.cleanup()
        if self.server is not None:
            self.server.kill()
            await self.server.wait()

    async def have(self, generation: int) -> float:
        """Return when both have heard *generation* or a newer one."""
        while True:
            firsts = [
                min((at for number, _, at in heard if number >= generation), default=None)
                for heard in self.heard.values()
            ]
            known = [at for at in firsts if at is not None]
            if len(known) == len(firsts):
                return max(known)
            await asyncio.sleep(0.001)


class Exporter:
    """A process that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, session: aiohttp.ClientSession) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "seamwatch", "run", "--config", "seamwatch.yaml"),
                *("--web.listen-address", f"127.0.0.1:{self.port}"),
                cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip
        while True:
            assert self.process.returncode is None, (self.folder / "log").read_text()[-2000:]
            with suppress(aiohttp.ClientError):
                async with session.get(f"{self.url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.01)

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


async def delays(
    exporter: Exporter, targets: Targets, session: aiohttp.ClientSession, times: int
) -> list[float]:
    """Return seconds from the word to the moment when both targets have it."""
    took = []
    for turn in range(times):
        verb = "halt" if turn % 2 == 0 else "resume"
        began = time.perf_counter()
        address = f"{exporter.url}/{GATE}/{verb}"
        async with session.post(address, json={"reason": "timed"}) as answer:
            said = await answer.json()
        async with asyncio.timeout(30):
            took.append(await targets.have(said["generation"]) - began)
    return took


async def effective(exporter: Exporter, session: aiohttp.ClientSession) -> float:
    """Return seconds from the decision to both confirmations, as the page has it."""
    async with session.get(f"{exporter.url}/metrics") as answer:
        page = await answer.text()
    values = {
        line.partition("{")[0]: float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith("seamwatch_action_effective_seconds_")
    }
    total = values["seamwatch_action_effective_seconds_sum"]
    return total / values["seamwatch_action_effective_seconds_count"]


async def after_return(
    exporter: Exporter, targets: Targets, session: aiohttp.ClientSession, down: float
) -> float:
    """Return seconds from the return of both targets to the moment when both have the halt."""
    await targets.stop()
    address = f"{exporter.url}/{GATE}/halt"
    async with session.post(address, json={"reason": "nobody hears it"}) as answer:
        said = await answer.json()
    await asyncio.sleep(down)
    back = time.perf_counter()
    await targets.start()
    async with asyncio.timeout(60):
        return await targets.have(said["generation"]) - back


async def person(
    exporter: Exporter, session: aiohttp.ClientSession, dice: random.Random, acked: set[int]
) -> None:
    """Halt, resume and override until nobody answers; note which generations were acknowledged."""
    base = f"{exporter.url}/{GATE}"
    while True:
        what = dice.random()
        reason = {"reason": "under load"}
        if what < 0.4:
            asked = session.post(f"{base}/halt", json=reason)
        elif what < 0.8:
            asked = session.post(f"{base}/resume", json=reason)
        else:
            async with session.get(base) as answer:
                tag = {"If-Match": answer.headers["ETag"]}
            kind = dice.choice(("force_open", "force_halt"))
            body = {**reason, "kind": kind, "expires_in_s": 600}
            if what < 0.9:
                asked = session.put(f"{base}/override", json=body, headers=tag)
            else:
                asked = session.delete(f"{base}/override", json=reason, headers=tag)
        async with asked as answer:
            said: Any = await answer.json()
        if answer.status == 200 and said.get("durable"):
            acked.add(said["generation"])
        elif answer.status not in (200, 202, 204, 409, 412):
            raise AssertionError(f"{answer.status}: {said}")


async def killed(
    exporter: Exporter, targets: Targets, session: aiohttp.ClientSession, kills: int
) -> list[str]:
    """Kill at random moments; return what is wrong."""
    dice, acked, wrong = random.Random(7), set[int](), list[str]()
    for turn in range(kills):
        if turn:
            await exporter.start(session)
        generation = (await stands(exporter, session))["generation"]
        if acked and generation < max(acked):
            wrong.append(f"kill {turn}: {max(acked)} was acknowledged, it began at {generation}")
        people = [
            asyncio.create_task(person(exporter, session, dice, acked)) for _ in range(PEOPLE)
        ]
        await asyncio.sleep(dice.expovariate(1 / 0.15))
        await exporter.kill()
        for end in await asyncio.gather(*people, return_exceptions=True):
            if not isinstance(end, aiohttp.ClientError | OSError):
                wrong.append(f"kill {turn}: {end!r}")
        if turn % 50 == 49:
            print(f"  {turn + 1} kills, {len(acked)} acknowledged, {len(wrong)} wrong", flush=True)
    await exporter.start(session)
    wrong += heard_wrongly(targets, await settled(exporter, session))
    seen = await generations(exporter, session)
    if missing := acked.difference(seen):
        wrong.append(f"acknowledged and not in the audit: {sorted(missing)[:9]}")
    await exporter.kill()
    verifying = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "seamwatch", "gate", "verify"),
        cwd=exporter.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await verifying.communicate()
    if verifying.returncode != 0:
        wrong.append(f"gate verify: {said.decode()[-500:]}")
    heard = ", ".join(f"{len(orders)} by {name}" for name, orders in targets.heard.items())
    print(f"{kills} kills: {len(acked)} changes acknowledged, {len(seen)} rows; heard: {heard}")
    return wrong


async def stands(exporter: Exporter, session: aiohttp.ClientSession) -> Any:
    """Return how the gate stands."""
    async with session.get(f"{exporter.url}/{GATE}") as answer:
        return await answer.json()


async def settled(exporter: Exporter, session: aiohttp.ClientSession) -> Any:
    """Return how the gate stands once all orders are effective, or after 15 seconds."""
    last = await stands(exporter, session)
    for _ in range(150):
        if all(one["status"] == "effective" for one in last["actions"]):
            break
        await asyncio.sleep(0.1)
        last = await stands(exporter, session)
    return last


def heard_wrongly(targets: Targets, last: Any) -> list[str]:
    """Return what the targets should not have heard, or should have."""
    desired = "halted" if last["decision"] == "deny" else "running"
    wrong = [f"not effective: {one}" for one in last["actions"] if one["status"] != "effective"]
    for name, heard in targets.heard.items():
        if any(later[0] < sooner[0] for sooner, later in itertools.pairwise(heard)):
            wrong.append(f"{name} heard an older generation after a newer one")
        if heard and heard[-1][1] != desired:
            wrong.append(f"{name} heard {heard[-1][1]} last, the gate is {desired}")
    return wrong


async def generations(exporter: Exporter, session: aiohttp.ClientSession) -> Sequence[int]:
    """Return the generation of each row of the audit."""
    found: list[int] = []
    after = 0
    while True:
        async with session.get(f"{exporter.url}/{GATE}/events?after={after}") as answer:
            rows = [json.loads(line) for line in (await answer.text()).splitlines()]
        if not rows:
            return found
        found += [row["generation"] for row in rows]
        after = rows[-1]["seq"]


async def measured(arguments: argparse.Namespace, folder: Path) -> bool:
    targets, exporter, met = Targets(folder), Exporter(folder), True
    (folder / "golden.jsonl").write_text('{"id": "a", "input": "a", "expected": "yes"}\n')
    text = CONFIG.format(redis=targets.redis, hook=targets.hook)
    (folder / "seamwatch.yaml").write_text(text)
    await targets.start()
    wait = aiohttp.ClientTimeout(total=30)
    try:
        async with aiohttp.ClientSession(timeout=wait) as session:
            await exporter.start(session)
            if arguments.halts:
                took = await delays(exporter, targets, session, arguments.halts)
                p99 = quantiles(took, n=100)[98]
                mean = await effective(exporter, session)
                print(
                    f"{len(took)} halts and resumptions, word to webhook and Redis: median"
                    f" {1000 * median(took):.0f} ms, p99 {1000 * p99:.0f} ms, longest"
                    f" {1000 * max(took):.0f} ms; confirmed {1000 * mean:.0f} ms after the"
                    " decision on average"
                )
                met = met and p99 <= P99
            if arguments.down:
                late = await after_return(exporter, targets, session, arguments.down)
                print(
                    f"both away for {arguments.down:g} s: delivered {late:.1f} s after the return"
                )
                met = met and late <= RETURN
            if arguments.kills:
                targets.heard = {name: [] for name in targets.heard}
                wrong = await killed(exporter, targets, session, arguments.kills)
                print("\n".join(wrong) or "nothing lost, nothing out of order, the chain verifies")
                met = met and not wrong
    finally:
        await exporter.kill()
        await targets.stop()
    return met


def main() -> int:
    """Print the figures; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--halts", type=int, default=300)
    parser.add_argument("--down", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=500)
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        print("redis-server is not installed: apt-get install redis-server", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        met = asyncio.run(measured(arguments, Path(name)))
        if not met and (keep := os.environ.get("KEEP")):
            shutil.copytree(name, keep, dirs_exist_ok=True)
    verdict = "met" if met else "NOT"
    print(f"targets: p99 {1000 * P99:g} ms, {RETURN:g} s after a return, nothing lost: {verdict}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
