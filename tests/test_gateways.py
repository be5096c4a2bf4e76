"""The examples under deploy/gateways: nginx for real, the others against what their tools read."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from conftest import require_tool
from ports import free_port
from running import PATIENCE, Running, World, configure, exporter

GATEWAYS = Path(__file__).parents[1] / "deploy" / "gateways"
GATE = """\
    gate: {mode: enforce, on_unknown: allow, floor: 90%, resume: {mode: manual, min_halt: 100ms}}
"""
ANSWER = "the answers of the model"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().served() as made:
        yield made


@asynccontextmanager
async def upstream() -> AsyncIterator[int]:
    """Serve what is behind the gate."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=ANSWER)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def nginx(folder: Path, *, seamwatch: str, answers: int, opens: bool) -> AsyncIterator[str]:
    """Run nginx with our example, its addresses replaced; *opens*: the line that fails open too."""
    port = free_port()
    example = (GATEWAYS / "nginx" / "seamwatch.conf").read_text()
    for old, new in (
        ("/var/cache/nginx/seamwatch", str(folder / "cache")),
        ("127.0.0.1:8000", f"127.0.0.1:{answers}"),
        ("http://127.0.0.1:10064", seamwatch),
        ("support-answers", "answers"),
        ("listen 8080", f"listen 127.0.0.1:{port}"),
        ('        proxy_set_header Authorization "Bearer sw_REPLACE_ME";', "        #"),
    ):
        assert old in example
        example = example.replace(old, new)
    if opens:
        assert "# error_page 500" in example
        example = example.replace("# error_page 500", "error_page 500")
    (folder / "gate.conf").write_text(example)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""  # else its workers could not write here
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; pid {folder}/pid; error_log {folder}/errors.log;\nevents {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/gate.conf; }}\n"
    )
    process = await asyncio.create_subprocess_exec(
        "nginx", "-e", str(folder / "errors.log"), "-c", str(folder / "nginx.conf")
    )
    try:
        yield f"http://127.0.0.1:{port}/ask"
    finally:
        process.send_signal(signal.SIGQUIT)
        await asyncio.wait_for(process.wait(), PATIENCE)


async def until(url: str, status: int, **request: Any) -> aiohttp.ClientResponse:
    """Ask until *status* comes; return the answer."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):
        while True:
            try:
                async with session.request(request.get("method", "GET"), url) as answer:
                    await answer.read()
                    if answer.status == status:
                        return answer
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


async def tell(running: Running, verb: str) -> None:
    url = f"{running.url}/v1/gates/answers/{verb}"
    async with aiohttp.request("POST", url, json={"reason": "a test"}) as answer:
        assert answer.status == 200


async def test_nginx_stops_traffic_and_keeps_the_last_word_when_seamwatch_dies(
    tmp_path: Path, world: World
) -> None:
    require_tool("nginx")
    config = configure(tmp_path, world, extra=GATE)
    async with (
        upstream() as answers,
        exporter(config) as running,
        nginx(tmp_path, seamwatch=running.url, answers=answers, opens=True) as url,
    ):
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        answer = await until(url, 200, method="POST")
        await tell(running, "halt")
        answer = await until(url, 503)
        assert answer.headers["X-Seamwatch-State"] == "halted"
        assert answer.headers["X-Seamwatch-Reason"] == "a test"
        assert answer.headers["Retry-After"] == "30"
        assert answer.content_type == "application/problem+json"
        await tell(running, "resume")
        await until(url, 200)
        await tell(running, "halt")
        await until(url, 503)
        assert await running.end(signal.SIGKILL) == -signal.SIGKILL
        await asyncio.sleep(2.5)  # what nginx keeps is out of date by then
        await until(url, 503)


@pytest.mark.parametrize("opens", [True, False])
async def test_nginx_without_any_word_does_what_its_configuration_says(
    tmp_path: Path, opens: bool
) -> None:
    require_tool("nginx")
    dead = f"http://127.0.0.1:{free_port()}"
    async with (
        upstream() as answers,
        nginx(tmp_path, seamwatch=dead, answers=answers, opens=opens) as url,
    ):
        await until(url, 200 if opens else 500)


def steps(name: str) -> list[str]:
    """Return the shell commands by which a CI job asks the gate."""
    found = yaml.safe_load((GATEWAYS / "ci" / f"{name}.yml").read_text())
    if name == "github":
        return [found["jobs"]["deploy"]["steps"][0]["run"]]
    return list(found["gate"]["script"])


@pytest.mark.parametrize("name", ["github", "gitlab"])
async def test_a_ci_job_goes_on_only_while_the_gate_is_open(
    tmp_path: Path, world: World, name: str
) -> None:
    require_tool("curl")
    config = configure(tmp_path, world, extra=GATE)

    async def ask(running: Running) -> int:
        # without tokens a token would be refused: the job of the example has one
        (command,) = steps(name)
        command = command.replace('--header "Authorization: Bearer $SEAMWATCH_TOKEN"', "")
        environ = {"SEAMWATCH_URL": running.url, "PIPELINE": "answers", "PATH": "/usr/bin:/bin"}
        shell = await asyncio.create_subprocess_shell(
            command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return await asyncio.wait_for(shell.wait(), PATIENCE)

    async with exporter(config) as running:
        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        assert await ask(running) == 0
        await tell(running, "halt")
        assert await ask(running) == 22  # curl: the server answered with an error


def documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((GATEWAYS / path).read_text()))


async def test_what_other_gateways_ask_is_served(tmp_path: Path, world: World) -> None:
    """The addresses in the examples, asked as their tools ask; the tools themselves are not run."""
    (envoy,) = documents("envoy/envoy.yaml")
    manager = envoy["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    service = manager["typed_config"]["http_filters"][0]["typed_config"]["http_service"]
    (traefik,) = documents("traefik/seamwatch.yaml")
    forward = traefik["http"]["middlewares"]["seamwatch-gate"]["forwardAuth"]
    (probe,) = documents("kubernetes/readiness-probe.yaml")
    container = probe["spec"]["template"]["spec"]["containers"][0]
    (rollouts,) = documents("kubernetes/argo-rollouts.yaml")
    provider = rollouts["spec"]["metrics"][0]["provider"]["web"]
    (flagger,) = documents("kubernetes/flagger.yaml")
    hooks = flagger["spec"]["analysis"]["webhooks"]
    asked = [
        ("PUT", service["path_prefix"] + "/ask", 200, 403),
        ("DELETE", service["path_prefix"] + "/ask?x=1", 200, 403),
        ("GET", forward["address"], 200, 503),
        ("GET", container["readinessProbe"]["httpGet"]["path"], 200, 503),
        ("POST", hooks[0]["url"], 200, 403),
        ("POST", hooks[2]["url"], 403, 200),
        ("GET", provider["url"].replace("{{args.pipeline}}", "answers"), "pass", "fail"),
    ]
    config = configure(tmp_path, world, extra=GATE)
    async with exporter(config) as running, aiohttp.ClientSession() as session:

        async def found(method: str, address: str) -> Any:
            path = address.replace("http://seamwatch.example:10064", "")
            url = running.url + path.replace("support-answers", "answers")
            async with session.request(method, url) as answer:
                text = await answer.text()
                if "analysis" in path:
                    return json.loads(text)["data"]["verdict"]
                return answer.status

        await running.page('seamwatch_gate_state{pipeline="answers",state="running"} 1.0')
        assert [await found(method, path) for method, path, _, _ in asked] == [
            one[2] for one in asked
        ]
        await tell(running, "halt")
        assert [await found(method, path) for method, path, _, _ in asked] == [
            one[3] for one in asked
        ]


def test_every_example_is_one_that_its_tool_can_read() -> None:
    for path in GATEWAYS.rglob("*.y*ml"):
        assert list(yaml.safe_load_all(path.read_text()))
    dag = GATEWAYS / "airflow" / "seamwatch_gate.py"
    compile(dag.read_text(), str(dag), "exec")
    assert shutil.which("python3")
