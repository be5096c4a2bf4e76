"""What asking a golden set costs: ``ask_all`` beside a bare aiohttp loop and httpx, in one run.

    python benchmarks/scoring_client.py [--items 2000] [--runs 15] [--concurrency 8] [--loop uvloop]

The model is nginx (or, without it, a small asyncio server) in a process of its own that answers
every POST with the same 154 bytes; a question has about 350. Counted are CPU seconds of this
process. Each run asks with every client, in an order that turns round from run to run; a ratio is
the median of the runs' own ratios, because other work on the machine changes what a CPU second is
worth. It fails when ``ask_all`` reaches less than 0.85 of the bare loop or 5 times httpx.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from yarl import URL

from seamwatch.config.models import ModelSection
from seamwatch.fetch import Fetcher
from seamwatch.models import AdaptiveLimit, ask_all, build
from seamwatch.pipeline import GoldenItem

OF_BARE = 0.85
OF_HTTPX = 5.0
HTTPX_SHARE = (
    10  # httpx asks a tenth of the items: the ratio is the same and the run is not endless
)

ANSWER = orjson.dumps(
    {
        "label": "limited",
        "score": 0.8734,
        "model_version": "answer-2026-11-22",
        "retrieved": ["feature-0412", "feature-0077", "feature-0981"],
        "took_ms": 3.25,
        "ok": True,
    }
)

NGINX = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000;
  client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
  uwsgi_temp_path {dir}; scgi_temp_path {dir};
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{answer}'; }}
  }}
}}
"""

SERVER = """
import asyncio, sys
ANSWER = {answer!r}
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
PAGE = HEAD % len(ANSWER) + ANSWER
class Model(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        while True:
            head, end, rest = self.data.partition(b"\\r\\n\\r\\n")
            if not end: return
            length = int(head.lower().partition(b"content-length:")[2].split(b"\\r\\n")[0] or 0)
            if len(rest) < length: return
            self.data = rest[length:]
            self.transport.write(PAGE)
async def main():
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", {port})
    await server.serve_forever()
asyncio.run(main())
"""


def items(count: int) -> list[GoldenItem]:
    """Return *count* items whose questions are about 350 bytes of JSON."""
    text = "which of the features that a page about layout may use is in all browsers today? " * 4
    return [
        GoldenItem(f"q-{number}", {"question": f"{number} {text}", "k": 5}, "limited")
        for number in range(count)
    ]


async def ours(url: str, asked: list[GoldenItem], concurrency: int) -> int:
    """Ask with ask_all; return how many answers were right."""
    section = ModelSection.model_validate(
        {
            "http": {
                "url": url,
                "json": {"question": "{{ input.question }}", "k": "{{ input.k }}"},
                "answer": "label",
                "score": "score",
                "answered_by": "model_version",
            }
        }
    )
    answered = 0
    async with Fetcher() as fetcher:
        client = build(section, fetcher)
        asking = ask_all(client, asked, timeout=10.0, limit=AdaptiveLimit(concurrency))
        async for _, answer in asking:
            answered += answer.value == "limited"
    return answered


async def bare(url: str, asked: list[GoldenItem], concurrency: int) -> int:
    """Ask with what one would write by hand: workers over one iterator, aiohttp, orjson."""
    answered = 0
    queue = iter(asked)
    target = URL(url, encoded=True)
    headers = {"Content-Type": "application/json"}

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        for item in queue:
            question = {"question": item.input["question"], "k": item.input["k"]}
            body = orjson.dumps(question)
            async with session.post(target, data=body, headers=headers) as response:
                found = orjson.loads(await response.read())
            answered += response.status == 200 and found["label"] == "limited"

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=concurrency, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=10.0),
    ) as session:
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
    return answered


async def peer(url: str, asked: list[GoldenItem], concurrency: int) -> int:
    """Ask with httpx, in the same way."""
    import httpx

    answered = 0
    queue = iter(asked)
    headers = {"Content-Type": "application/json"}

    async def work(client: httpx.AsyncClient) -> None:
        nonlocal answered
        for item in queue:
            body = orjson.dumps(item.input)
            response = await client.post(url, content=body, headers=headers)
            found = orjson.loads(response.content)
            answered += response.status_code == 200 and found["label"] == "limited"

    async with httpx.AsyncClient(timeout=10.0) as client:
        await asyncio.gather(*(work(client) for _ in range(concurrency)))
    return answered


def cpu_seconds() -> float:
    """Return the CPU seconds that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rate(
    ask: Callable[[str, list[GoldenItem], int], Awaitable[int]],
    url: str,
    asked: list[GoldenItem],
    options: argparse.Namespace,
) -> float:
    """Return items per CPU second of this process."""
    run: Callable[[Any], Any] = asyncio.run
    if options.loop == "uvloop":
        import uvloop

        run = uvloop.run
    start = cpu_seconds()
    answered = run(ask(url, asked, options.concurrency))
    used = cpu_seconds() - start
    if answered != len(asked):
        raise SystemExit(f"{ask.__name__}: only {answered} of {len(asked)} items were answered")
    return len(asked) / used


@contextmanager
def model() -> Iterator[tuple[str, str]]:
    """Run the model; give its address and what it is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        if nginx := shutil.which("nginx"):
            config = Path(directory, "nginx.conf")
            config.write_text(NGINX.format(dir=directory, port=port, answer=ANSWER.decode()))
            command, kind = [nginx, "-p", directory, "-c", str(config)], "nginx"
        else:
            command = [sys.executable, "-c", SERVER.format(answer=ANSWER, port=port)]
            kind = "asyncio server"
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/answer", kind
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the model did not start")


def compared(rates: dict[str, list[float]], peer_name: str, least: float) -> float:
    """Print and return how ask_all compares with a peer, run by run."""
    ratios = [mine / its for mine, its in zip(rates["ask_all"], rates[peer_name], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"ask_all / {peer_name:12} {middle:6.2f}  (quartiles {low:.2f}, {high:.2f};"
        f" at least {least})"
    )
    return middle


def main() -> int:
    """Run every client in turn and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    options = parser.parse_args()
    asked = items(options.items)
    few = asked[: max(1, options.items // HTTPX_SHARE)]
    rates: dict[str, list[float]] = {"ask_all": [], "bare aiohttp": [], "httpx": []}
    with model() as (url, kind):
        for ask, share in ((ours, few), (bare, few), (peer, few[:50])):  # imports, caches
            rate(ask, url, share, options)
        turns = [("bare aiohttp", bare, asked), ("ask_all", ours, asked), ("httpx", peer, few)]
        for run in range(options.runs):
            for name, ask, share in turns if run % 2 else turns[::-1]:
                rates[name].append(rate(ask, url, share, options))
    print(
        f"{options.items} items ({len(few)} for httpx), {options.runs} runs, concurrency"
        f" {options.concurrency}, {options.loop}, model: {kind}"
    )
    for name, found in rates.items():
        low, middle, high = statistics.quantiles(found, n=4)
        print(f"{name:14} {middle:8.0f} items per CPU second  (quartiles {low:.0f}, {high:.0f})")
    of_bare = compared(rates, "bare aiohttp", OF_BARE)
    of_httpx = compared(rates, "httpx", OF_HTTPX)
    return 0 if of_bare >= OF_BARE and of_httpx >= OF_HTTPX else 1


if __name__ == "__main__":
    raise SystemExit(main())
