"""What the whole process costs: --help, the first metric, and 5,000 pipelines of 8 stages.

Prints CPU seconds and memory of real `seamwatch` processes beside what is promised, and fails when
a promise is broken. The stages of the 5,000 pipelines are read over HTTP, once a minute, from a
server in another process; a page is fetched every second meanwhile.

Run: python benchmarks/process.py [--pipelines 5000] [--seconds 60]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

KINDS = ("source", "transform", "embedding", "cache", "index", "retrieval", "decision", "model")
HELP_CPU, FIRST_METRIC_CPU, MEMORY = 0.3, 2.0, 1 << 30
TICKS = os.sysconf("SC_CLK_TCK")


async def serve(port: int) -> None:
    """Answer every stage with a fresh contract."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                now = time.time()
                facts = {"status": "ok", "version": "v1", "watermark": now - 60, "updated_at": now}
                body = json.dumps(facts).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    await server.serve_forever()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def configuration(pipelines: int, port: int, *, every: str) -> str:
    stages = "".join(
        f"      s{n}: {{team: t{n % 4}, kind: {kind}, after: {f's{n - 1}' if n else '[]'},"
        f" every: {every}, source: {{http: {{url: 'http://127.0.0.1:{port}/s{n}'}}}}}}\n"
        for n, kind in enumerate(KINDS)
    )
    one = f"    owner: t0\n    stages:\n{stages}    slos: {{freshness: {{data_age: 1h}}}}\n"
    teams = "".join(f"  t{n}: {{}}\n" for n in range(4))
    named = "".join(f"  pipeline-{n:05d}:\n{one}" for n in range(pipelines))
    return f"teams:\n{teams}pipelines:\n{named}"


def cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(process: int, row: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(row):
            return int(line.split()[1]) * 1024
    raise LookupError(row)


def help_cpu() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "seamwatch", "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Exporter:
    """A `seamwatch run` of its own."""

    def __init__(self, folder: str, config: str) -> None:
        path = Path(folder) / "seamwatch.yaml"
        path.write_text(config)
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seamwatch", "run", "--config", str(path),
             "--web.listen-address", f"127.0.0.1:{self.port}"],
            stderr=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip

    def page(self) -> str | None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/metrics")
        request.add_header("Accept-Encoding", "gzip")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return gzip.decompress(answer.read()).decode()
        except OSError:
            return None

    def first(self, line: str) -> None:
        while True:
            page = self.page()
            if page is not None and f"\n{line}" in page:
                return
            if self.process.poll() is not None:
                sys.exit("the exporter ended by itself")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def fleet(pipelines: int, seconds: float) -> int:
    port = free_port()
    serving = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        with tempfile.TemporaryDirectory() as folder:
            exporter = Exporter(folder, configuration(pipelines, port, every="60s"))
            pid = exporter.process.pid
            exporter.first("seamwatch_stage_read_success{")
            print(f"{pipelines:,} pipelines of 8 stages: on the page after {cpu(pid):.1f} CPU s")
            before, started, took = cpu(pid), time.monotonic(), []
            page = ""
            while time.monotonic() - started < seconds:
                at = time.monotonic()
                page = exporter.page() or page
                took.append(time.monotonic() - at)
                time.sleep(1)
            share = (cpu(pid) - before) / (time.monotonic() - started)
            rows = [line for line in page.splitlines() if not line.startswith("#")]
            read = sum(line.startswith("seamwatch_stage_read_success{") for line in rows)
            peak = memory(pid, "VmHWM")
            print(f"  {len(rows):,} series, {read:,} of {8 * pipelines:,} stages read")
            print(f"  {share:.0%} of a core for readings and a page every second")
            print(f"  page: {sorted(took)[len(took) // 2]:.2f} s median, {max(took):.2f} s worst")
            print(
                f"  memory {memory(pid, 'VmRSS') >> 20} MiB, peak {peak >> 20} MiB"
                f" (promised under {MEMORY >> 20}); {peak // pipelines >> 10} KiB a pipeline"
            )
            exporter.stop()
            return peak
    finally:
        serving.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipelines", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(args.serve))
        return 0
    helped = min(help_cpu() for _ in range(5))
    print(f"seamwatch --help: {helped:.2f} CPU s (promised under {HELP_CPU})")
    with tempfile.TemporaryDirectory() as folder:
        exporter = Exporter(folder, configuration(1, 1, every="1h"))
        exporter.first("seamwatch_pipeline_info{")
        first = cpu(exporter.process.pid)
        idle = memory(exporter.process.pid, "VmRSS")
        exporter.stop()
    print(f"run to first metric: {first:.2f} CPU s (promised under {FIRST_METRIC_CPU});", end=" ")
    print(f"then {idle >> 20} MiB")
    peak = fleet(args.pipelines, args.seconds)
    return int(helped >= HELP_CPU or first >= FIRST_METRIC_CPU or peak >= MEMORY)


if __name__ == "__main__":
    sys.exit(main())
