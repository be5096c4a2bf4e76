"""What asking a gate costs, and whether anything holds it up.

    python benchmarks/gate.py [--seconds 5]

Runs the real exporter on a model that answers as fast as it can, with a token, and beside it a
bare aiohttp handler; `wrk` asks both. Requests for each CPU second of the process that serves are
compared: wall clock depends on who else is on the machine. Then questions at half of that rate,
each timed, while a golden set is being asked and the database is locked for two seconds.
Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from urllib.request import Request, urlopen

RATIO = 0.8  # of the bare handler's requests for each CPU second
P99 = 0.005  # seconds
CONNECTIONS = 16
LOCKED = 2.0  # seconds

MODEL = """
import asyncio, json, sys, time
from aiohttp import web
async def answer(request):
    await request.read()
    return web.json_response({"label": "yes"})
async def meta(request):
    return web.json_response({"status": "ok", "version": "1", "updated_at": time.time(),
                              "watermark": time.time()})
async def bare(request):
    return web.Response(text="allow\\n")
app = web.Application()
app.router.add_post("/answer", answer)
app.router.add_get("/meta", meta)
app.router.add_get("/bare", bare)
try:
    import uvloop  # as the exporter does
    loop = uvloop.new_event_loop()
except ImportError:
    loop = None
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, loop=loop)
"""

CONFIG = """
teams: {{ml: {{}}}}
pipelines:
  answers:
    owner: ml
    stages:
      ingest: {{team: ml, kind: source, source: {{http: {{url: {base}/meta}}}}}}
      model: {{team: ml, kind: model, after: ingest, source: {{http: {{url: {base}/meta}}}}}}
    model:
      http: {{url: {base}/answer, json: {{q: "{{{{ input }}}}"}}, answer: label}}
      budget: {{per_hour: 10000000, per_day: 100000000}}
    golden: {{file: golden.jsonl, task: multiclass, every: {every}}}
    gate: {{mode: enforce, on_unknown: allow, floor: 90%}}
store: sqlite:///gate.db
"""


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(*command: str, cwd: Path, ready: str) -> Iterator[int]:
    """Run *command* until the block ends; yield its process id once *ready* answers."""
    with (cwd / f"{Path(command[-1]).name or 'log'}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log)
    try:
        for _ in range(600):
            try:
                with urlopen(ready, timeout=1):
                    break
            except OSError:
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def cpu(pid: int) -> float:
    """Return the CPU seconds of one process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def served(url: str, token: str, pid: int, seconds: float) -> tuple[float, float]:
    """Return requests a second of wall clock, and for each CPU second of *pid*."""
    header = ["-H", f"Authorization: Bearer {token}"]
    before = cpu(pid)
    said = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", *header, url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    assert found is not None, said
    assert "Non-2xx" not in said, said
    count, took = int(found[1]), float(found[2])
    return count / took, count / (cpu(pid) - before)


async def latencies(port: int, token: str, rate: float, seconds: float) -> list[float]:
    """Return how long each of rate * seconds questions took, sent by the clock."""
    request = (
        f"GET /v1/gates/answers/check HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()
    took: list[float] = []

    async def ask(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began, every = time.perf_counter(), CONNECTIONS / rate
        for turn in range(int(seconds / every)):
            due = began + (turn + number / CONNECTIONS) * every
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
            took.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(ask(number) for number in range(CONNECTIONS)))
    return took


async def disturbed(folder: Path, port: int, token: str, rate: float) -> tuple[float, float, int]:
    """Return p99, the longest and the number of questions while the database is locked."""

    def lock() -> None:
        holder = sqlite3.connect(folder / "gate.db", isolation_level=None, timeout=10.0)
        holder.execute("BEGIN EXCLUSIVE")
        time.sleep(LOCKED)
        holder.execute("ROLLBACK")
        holder.close()

    locking = asyncio.create_task(asyncio.to_thread(lock))
    took = await latencies(port, token, rate, LOCKED + 2.0)
    await locking
    return quantiles(took, n=100)[98], max(took), len(took)


@contextmanager
def exporter(folder: Path, base: str, port: int, *, every: str) -> Iterator[int]:
    """Run the exporter until the block ends; yield its process id."""
    (folder / "seamwatch.yaml").write_text(CONFIG.format(base=base, every=every))
    with running(
        sys.executable, "-m", "seamwatch", "run", "--config", "seamwatch.yaml",
        "--web.listen-address", f"127.0.0.1:{port}",
        cwd=folder, ready=f"http://127.0.0.1:{port}/-/ready",
    ) as pid:  # fmt: skip
        time.sleep(1.0)  # what a start does is not what a question costs
        yield pid


def show(pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> float:
    """Print what both served; return the median of what the gate reaches of the bare handler."""
    ratio = median(asked[1] / bare[1] for bare, asked in pairs)
    (bare, asked) = pairs[-1]
    print("| | requests a second | for each CPU second | of the bare handler's |")
    print("| --- | --- | --- | --- |")
    print(f"| bare aiohttp handler | {bare[0]:.0f} | {bare[1]:.0f} | 1 |")
    print(f"| check with a token | {asked[0]:.0f} | {asked[1]:.0f} | {ratio:.2f} (median of 3) |")
    return ratio


def main() -> int:
    """Print the figures; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    if shutil.which("wrk") is None:
        print("wrk is not installed: apt-get install wrk", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.py").write_text(MODEL)
        items = ({"id": str(n), "input": str(n), "expected": "yes"} for n in range(500))
        (folder / "golden.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items))
        model, port = free_port(), free_port()
        base = f"http://127.0.0.1:{model}"
        (folder / "seamwatch.yaml").write_text(CONFIG.format(base=base, every="1s"))
        made = subprocess.run(
            [sys.executable, "-m", "seamwatch", "token", "create", "bench", "--scope", "check"],
            cwd=folder, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        token, url = made.stdout.strip(), f"http://127.0.0.1:{port}"
        check = f"{url}/v1/gates/answers/check"
        with running(
            sys.executable, "model.py", str(model), cwd=folder, ready=f"{base}/meta"
        ) as bare:
            with exporter(folder, base, port, every="10s") as gate:
                request = Request(check, headers={"Authorization": f"Bearer {token}"})
                with urlopen(request, timeout=5) as answer:
                    assert answer.status == 200
                pairs = [
                    (
                        served(f"{base}/bare", token, bare, seconds),
                        served(check, token, gate, seconds),
                    )
                    for _ in range(3)
                ]
            ratio = show(pairs)
            rate = pairs[-1][1][0] / 2
            with exporter(folder, base, port, every="5ms"):
                p99, longest, count = asyncio.run(disturbed(folder, port, token, rate))
            print(
                f"\n{count} questions at {rate:.0f} a second while 200 golden questions a second"
                f" are asked and the database is locked for {LOCKED:g} s: p99 {1000 * p99:.1f} ms,"
                f" longest {1000 * longest:.0f} ms"
            )
    met = ratio >= RATIO and p99 <= P99
    print(f"targets: {RATIO} of bare, p99 {1000 * P99:g} ms: {'met' if met else 'NOT'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
