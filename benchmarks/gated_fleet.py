"""What a gate costs in a fleet: memory, idle CPU and scrapes, beside the same fleet without gates.

Starts `seamwatch run` on many pipelines that all ask their golden sets once a minute, first
without gates and then with them, and the live model in a process of its own. A page is fetched each
second: while all is well, and then while 100 of the pipelines answer wrong, are asked ten times as
often and halt. It fails when with gates the 99th percentile of a scrape is, for each series shown,
more than 1.5 times what it is without.

Run: python benchmarks/gated_fleet.py [--pipelines 1000] [--seconds 30]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from process import Exporter, cpu, free_port, memory

ITEMS, BROKEN = 20, 100
EVERY = 60.0  # seconds between two questions to a pipeline
PROMISE = 1.5
READY = "seamwatch_golden_last_answer_timestamp_seconds{"


async def serve(port: int) -> None:
    """Be the live model of every pipeline; after ``/break``, answer BROKEN of them wrong."""
    is_broken = False

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal is_broken
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                await reader.readexactly(int(length[1]) if length else 0)
                path = head.split(b" ", 2)[1]
                is_broken = is_broken or path == b"/break"
                wrong = is_broken and path.startswith(b"/fast")
                body = json.dumps({"label": "no" if wrong else "yes", "version": "m-1"}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def configuration(folder: str, pipelines: int, port: int, *, gated: bool) -> str:
    """Write the golden set that all share; return the configuration."""
    rows = (
        {"id": f"q{n}", "input": f"question {n}", "expected": "yes", "slice": f"s{n % 2}"}
        for n in range(ITEMS)
    )
    Path(folder, "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    gate = "    gate: {floor: 90%, slices: {floors: {s0: 80%, s1: 80%}}}\n" if gated else ""

    def one(n: int) -> str:
        path, every = (f"fast-{n}", "5s") if n < BROKEN else (f"slow-{n}", "60s")
        return f"""\
  pipeline-{n:05d}:
    owner: t0
    stages:
      ingest: {{team: t1, kind: source, source: {{static: {{version: v1}}}}, every: 60s}}
      model: {{team: t0, kind: model, after: ingest}}
    model:
      http: {{url: "http://127.0.0.1:{port}/{path}", json: {{q: "{{{{ input }}}}"}}, answer: label,
        answered_by: version}}
      concurrency: 64
    golden: {{file: golden.jsonl, task: multiclass, every: {every}, blessing: b{n}.json}}
{gate}"""

    named = "".join(one(n) for n in range(pipelines))
    return f"teams: {{t0: {{}}, t1: {{}}}}\npipelines:\n{named}store: sqlite:///{folder}/s.db\n"


@dataclass
class Phase:
    """What was measured over some time."""

    share: float  # of a core, the exporter's own process
    scrapes: list[float]  # seconds
    series: int
    answers: float  # a second

    def at(self, share: float) -> float:
        """Return what *share* of the scrapes did not exceed."""
        return sorted(self.scrapes)[min(len(self.scrapes) - 1, int(share * len(self.scrapes)))]

    def line(self, name: str) -> str:
        """Return it as a row of the table."""
        return (
            f"    {name:<6} {self.series:7,} series  {self.share:5.1%} of a core"
            f"  {self.answers:5.0f} answers/s  page p50 {self.at(0.5) * 1e3:6.0f} ms"
            f"  p99 {self.at(0.99) * 1e3:6.0f} ms"
        )


def total(page: str, name: str) -> float:
    """Return the sum of a family's samples."""
    return sum(float(v) for v in re.findall(rf"^{name}{{.*}} (\S+)$", page, re.MULTILINE))


def measure(exporter: Exporter, seconds: float) -> Phase:
    """Fetch a page a second."""
    pid, took = exporter.process.pid, []
    before, started, page = cpu(pid), time.monotonic(), exporter.page() or ""
    first = total(page, "seamwatch_golden_answers_total")
    while time.monotonic() - started < seconds:
        at = time.monotonic()
        page = exporter.page() or page
        took.append(time.monotonic() - at)
        time.sleep(max(0.0, 1.0 - took[-1]))
    gone = time.monotonic() - started
    answers = total(page, "seamwatch_golden_answers_total") - first
    series = sum(not line.startswith("#") for line in page.splitlines())
    return Phase((cpu(pid) - before) / gone, took, series, answers / gone)


def until(exporter: Exporter, name: str, pattern: str, count: int) -> None:
    """Wait until the page has *count* lines that match *pattern*; give up after 5 minutes."""
    end = time.monotonic() + 300
    while len(re.findall(pattern, exporter.page() or "", re.MULTILINE)) < count:
        if exporter.process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"{name}: never came")
        time.sleep(1)


def run(pipelines: int, seconds: float, *, gated: bool) -> tuple[int, Phase]:
    """Return the memory in bytes and the idle phase of a fleet."""
    port = free_port()
    serving = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        with tempfile.TemporaryDirectory() as folder:
            exporter = Exporter(folder, configuration(folder, pipelines, port, gated=gated))
            pid = exporter.process.pid
            until(exporter, "the first answers", f"^{READY}", pipelines)
            print(f"  {'with' if gated else 'no'} gate: all answered after {cpu(pid):.1f} CPU s")
            idle = measure(exporter, EVERY)  # a whole round: without it two runs do not compare
            print(idle.line("idle"))
            used = memory(pid, "VmRSS")
            urllib.request.urlopen(f"http://127.0.0.1:{port}/break", timeout=10).close()
            if gated:
                halted = r'^seamwatch_evidence_standing{.*"halted"} 1.0'
                until(exporter, "the halts", halted, min(BROKEN, pipelines))
                print(measure(exporter, seconds).line("burst"))
            peak = memory(pid, "VmHWM")
            print(
                f"    memory {used >> 20} MiB, {used / pipelines / 1024:.0f} KiB a pipeline;"
                f" peak {peak >> 20} MiB",
                flush=True,
            )
            exporter.stop()
            return used, idle
    finally:
        serving.kill()


def main() -> int:
    """Measure and return the exit code."""
    parser = argparse.ArgumentParser(description="measure what gates cost in a fleet")
    parser.add_argument("--pipelines", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(args.serve))
        return 0
    print(f"{args.pipelines:,} pipelines of {ITEMS} golden items, asked once a minute")
    plain, without = run(args.pipelines, args.seconds, gated=False)
    gated, with_ = run(args.pipelines, args.seconds, gated=True)
    ratio = (with_.at(0.99) / with_.series) / (without.at(0.99) / without.series)
    print(f"  a gate costs {(gated - plain) / args.pipelines / 1024:.0f} KiB of memory,", end=" ")
    print(f"and p99 for each series is {ratio:.2f} times as long (promised: {PROMISE})")
    return int(ratio > PROMISE)


if __name__ == "__main__":
    sys.exit(main())
