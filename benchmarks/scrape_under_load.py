"""How long a scrape takes while 64 stages hang and a 10,000-item golden set is scored.

Starts `seamwatch run` on a configuration of its own and, in another process, the stages (each on an
address of its own, which accepts and never answers) and the model (which answers at once). Scrapes
as Prometheus does, 10 times a second on one connection, and prints what a scrape took beside what
`/-/healthy` took in the same seconds: that is what the machine and the event loop cost. It fails
when the 99th percentile reaches 50 ms, when a stage did not hang, or when fewer items were asked
than the golden set has.

Run: python benchmarks/scrape_under_load.py [--seconds 30]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import http.client
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STAGES = 64
ITEMS = 10_000
PROMISE = 0.050  # seconds, 99th percentile
LABELS = ("billing", "delivery", "returns", "account")
SCRAPE = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    "Accept-Encoding": "gzip",
}


async def serve(port: int) -> None:
    """Be the stages, which never answer, and the model, which does."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET /hang"):
                    await reader.read()
                    break
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                question = await reader.readexactly(int(length[1]) if length else 0)
                number = int(re.search(rb"\d+", question)[0])  # type: ignore[index]
                body = json.dumps({"label": LABELS[number * number % 7 % 4], "version": "m-1"})
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body.encode())
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "0.0.0.0", port, backlog=256)
    await server.serve_forever()


def configuration(directory: Path, port: int) -> Path:
    """Write the golden set and the configuration that asks it; return the latter."""
    rows = (
        {
            "id": f"q{n}",
            "input": {"question": f"question {n}"},
            "expected": LABELS[n % 4],
            "slice": f"s{n % 20}",
        }
        for n in range(ITEMS)
    )
    (directory / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    url = f"http://127.0.0.1:{port}"
    stages = {
        f"stage-{n}": {
            "team": f"team-{n % 5}",
            "kind": "transform" if n else "source",
            "after": [f"stage-{n - 1}"] if n else [],
            "every": "1s",
            "timeout": "4s",
            "source": {"http": {"url": f"http://127.0.0.{n + 2}:{port}/hang"}},
        }
        for n in range(STAGES)
    }
    watched = {
        "owner": "team-0",
        "stages": {
            "ingest": {"team": "team-1", "kind": "source"},
            "answer": {
                "team": "team-0",
                "kind": "model",
                "after": "ingest",
                "source": {"static": {"version": "m-1"}},
            },
        },
        "model": {
            "http": {
                "url": f"{url}/model",
                "json": {"question": "{{ input.question }}"},
                "answer": "label",
                "answered_by": "version",
            },
            "concurrency": 32,
        },
        "golden": {"file": "golden.jsonl", "task": "multiclass", "every": "1ms"},
    }
    teams = {f"team-{n}": {} for n in range(5)}
    hanging = {"owner": "team-1", "stages": stages}
    path = directory / "seamwatch.json.yaml"
    settings = {
        "teams": teams,
        "pipelines": {"hanging": hanging, "scored": watched},
        "store": f"sqlite:///{directory / 'seamwatch.db'}",
    }
    path.write_text(json.dumps(settings))
    return path


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(*command: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the end, beginning when it listens on *port*."""
    process = subprocess.Popen([sys.executable, *command])
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[float, bytes]:
    """Return what one GET took, in seconds, and its body."""
    began = time.perf_counter()
    connection.request("GET", path, headers=SCRAPE)
    response = connection.getresponse()
    body = response.read()
    took = time.perf_counter() - began
    if response.status != 200:
        raise SystemExit(f"{path} answered {response.status}: {body[:200]!r}")
    return took, gzip.decompress(body) if response.headers["Content-Encoding"] else body


def value(page: str, pattern: str) -> float:
    """Return the sum of the series whose name and labels match *pattern*."""
    return sum(float(v) for v in re.findall(rf"^{pattern} (\S+)$", page, re.MULTILINE))


def measure(port: int, seconds: float) -> tuple[list[float], list[float], str]:
    """Return what scrapes and health checks took while the load is on, and the last page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    scrapes: list[float] = []
    checks: list[float] = []
    page = b""
    due = time.monotonic()
    end = due + seconds
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        took, page = ask(connection, "/metrics")
        scrapes.append(took)
        checks.append(ask(connection, "/-/healthy")[0])
        due += 0.1
    connection.close()
    return scrapes, checks, page.decode()


def percentile(values: list[float], share: float) -> float:
    """Return the value that *share* of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def report(name: str, values: list[float]) -> None:
    """Print percentiles in milliseconds."""
    figures: list[tuple[str, Callable[[list[float]], float]]] = [
        ("p50", lambda v: percentile(v, 0.5)),
        ("p90", lambda v: percentile(v, 0.9)),
        ("p99", lambda v: percentile(v, 0.99)),
        ("max", max),
    ]
    texts = "  ".join(f"{label} {figure(values) * 1e3:6.1f}" for label, figure in figures)
    print(f"{name:<12} n {len(values):4}  {texts}  ms")


def main() -> int:
    """Measure and return the exit code."""
    parser = argparse.ArgumentParser(description="measure a scrape under load")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(args.serve))
        return 0
    stub, port = free_port(), free_port()
    listen = f"127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as directory:
        config = configuration(Path(directory), stub)
        command = ["-m", "seamwatch", "run", "--config", str(config), "--log.level", "error"]
        with (
            running(__file__, "--serve", str(stub), port=stub),
            running(*command, "--web.listen-address", listen, port=port) as exporter,
        ):
            time.sleep(2)  # until all stages hang
            began = cpu_seconds(exporter.pid)
            scrapes, checks, page = measure(port, args.seconds)
            used = cpu_seconds(exporter.pid) - began
    asked = value(page, r"seamwatch_golden_answers_total\{.*\}")
    series = value(page, "seamwatch_exposition_series")
    unread = STAGES - value(page, r'seamwatch_stage_read_success\{pipeline="hanging".*\}')
    print(f"{STAGES} stages, {unread:.0f} without an answer; {asked:,.0f} items asked")
    print(f"{series:.0f} series; the exporter used {used / args.seconds:.0%} of a core")
    report("/metrics", scrapes)
    report("/-/healthy", checks)
    kept = percentile(scrapes, 0.99) < PROMISE and unread == STAGES and asked >= ITEMS
    print(f"promise kept: {kept}")
    return 0 if kept else 1


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    sys.exit(main())
