"""A halt of a running exporter reaches a real Redis, a receiver and a command; no kill loses it."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from contracts_serving import Contract, served
from redis_server import Server, redis_server
from running import PATIENCE, Running, World, configure, exporter

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver(Contract):
    orders: list[tuple[str, int]] = field(default_factory=list)

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        Webhook(KEY).verify(body, {name.lower(): value for name, value in request.headers.items()})
        data = json.loads(body)["data"]
        self.orders.append((data["desired"], data["generation"]))
        return web.Response()


def gate(folder: Path, redis: Server, receiver: Receiver, every: str = "100ms") -> str:
    (folder / "key").write_text(KEY)
    url = redis.url.replace("correct%20horse", "${REDIS_PASSWORD}")
    flag = folder / "halted"
    return f"""\
    gate:
      mode: enforce
      on_unknown: allow
      floor: 90%
      actions:
        - {{redis: {{url: "{url}", key: gate}}, check_every: {every}}}
        - {{webhook: {{url: "{receiver.url}/hook", secret_file: key}}}}
        - exec: {{halt: [touch, {flag}], resume: [rm, -f, {flag}], check: [test, "!", -e, {flag}]}}
        - {{name: rehearsed, exec: {{halt: [rm, {flag}], resume: ["true"]}}, dry_run: true}}
"""


def state(action: str, word: str) -> str:
    return f'seamwatch_action_state{{action="{action}",pipeline="answers",state="{word}"}} 1.0'


async def told(running: Running, verb: str, reason: str) -> int:
    """Let a person do it; return the generation."""
    address = f"{running.url}/v1/gates/answers/{verb}"
    async with aiohttp.request("POST", address, json={"reason": reason}) as answer:
        said = await answer.json()
        assert (answer.status, said["durable"]) == (200, True), said
        generation: int = said["generation"]
        return generation


async def events(running: Running) -> list[dict[str, Any]]:
    _, text = await running.get("/v1/gates/answers/events")
    return [json.loads(line) for line in text.splitlines()]


async def until_redis(server: Server, wanted: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while await server.said("HGET", "gate", "state") != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "correct%20horse")


async def test_proof_reaches_all_actions_and_an_order_outlives_a_kill_and_a_dead_redis(
    tmp_path: Path,
) -> None:
    flag, receiver = tmp_path / "halted", Receiver()
    async with World().served() as world, served(receiver), redis_server(tmp_path) as redis:
        config = configure(tmp_path, world, extra=gate(tmp_path, redis, receiver))
        async with exporter(config) as running:
            await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
            world.label = "no"
            page = await running.page(
                *(state(action, "effective") for action in ("redis", "webhook", "exec")),
                state("rehearsed", "dry_run"),
                'seamwatch_gate_effective_timestamp_seconds{pipeline="answers"} ',
            )
            assert 'seamwatch_action_halted{action="redis",pipeline="answers"} 1.0' in page
            assert 'seamwatch_action_required{action="rehearsed",pipeline="answers"} 0.0' in page
            assert "seamwatch_action_effective_seconds_bucket{" in page
            assert flag.exists()
            assert await redis.said("HGET", "gate", "state") == "halted"
            assert [desired for desired, _ in receiver.orders] == ["halted"]
            done = {one["cause"]: one for one in await events(running) if "action" in one["event"]}
            assert done["action/redis"]["event"] == "action_effective"
            would = done["action/rehearsed"]["detail"]["would_do"]
            assert would == f"[rm] [{flag}]"
            assert await running.end(signal.SIGKILL) == -signal.SIGKILL
        await redis.stop()
        config.write_text(config.read_text().replace("every: 20ms", "every: 1h"))
        async with exporter(config) as running:
            generation = await told(running, "resume", "index rebuilt")
            await running.page(
                state("redis", "pending"), state("webhook", "effective"), state("exec", "effective")
            )
            assert receiver.orders[-1] == ("running", generation)
            assert not flag.exists()
            assert await running.end(signal.SIGKILL) == -signal.SIGKILL
        async with exporter(config) as running:
            await redis.start()
            await until_redis(redis, "running")
            await running.page(state("redis", "effective"))
            assert int(await redis.said("HGET", "gate", "generation")) == generation
            assert await running.end() == 0
    generations = [number for _, number in receiver.orders]
    assert generations == sorted(generations)


async def test_what_somebody_lets_run_is_put_back_twice_and_then_left_to_them(
    tmp_path: Path,
) -> None:
    receiver = Receiver()
    async with World().served() as world, served(receiver), redis_server(tmp_path) as redis:
        text = gate(tmp_path, redis, receiver)
        config = configure(tmp_path, world, extra=text, golden_every="1h")
        async with exporter(config) as running:
            await told(running, "halt", "odd answers")
            await running.page(state("redis", "effective"))
            for _ in range(2):
                await redis.said("HSET", "gate", "state", "running")
                await until_redis(redis, "halted")
                await running.page(state("redis", "effective"))
            await redis.said("HSET", "gate", "state", "running")
            page = await running.page(state("redis", "yielded"))
            assert 'seamwatch_action_drifts_total{action="redis",pipeline="answers"} 3.0' in page
            assert await redis.said("HGET", "gate", "state") == "running"
            page = await running.page('seamwatch_gate_denies{pipeline="answers"} 1.0')
            assert 'seamwatch_gate_effective_timestamp_seconds{pipeline="answers"}' not in page
            said = [one["event"] for one in await events(running)]
            assert said.count("action_drift") == 2
            assert said.count("action_yielded") == 1
            assert await running.end() == 0


async def test_what_is_refused_is_told_and_goes_through_once_it_is_mended(tmp_path: Path) -> None:
    receiver = Receiver()
    async with World().served() as world, served(receiver), redis_server(tmp_path) as redis:
        text = gate(tmp_path, redis, receiver)
        config = configure(tmp_path, world, extra=text, golden_every="1h")
        (tmp_path / "key").write_text("whsec_not*base64")
        async with exporter(config) as running:
            await told(running, "halt", "odd answers")
            await running.page(state("webhook", "refused"), state("redis", "effective"))
            refused = [one for one in await events(running) if one["event"] == "action_refused"]
            assert "what follows whsec_ is not base64" in refused[0]["reason"]
            (tmp_path / "key").write_text(KEY)
            await told(running, "resume", "it was nothing")
            await running.page(state("webhook", "effective"))
            assert [desired for desired, _ in receiver.orders] == ["running"]
            assert await running.end() == 0
