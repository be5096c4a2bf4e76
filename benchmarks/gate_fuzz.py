"""What malformed requests do to a running exporter: nothing, and what they cost.

    python benchmarks/gate_fuzz.py [--requests 20000]

The requests are those of `tests/malformed.py`, against every route, a connection each. Ends with 1
where one was answered with a fault of the server, a traceback was logged, or memory grew.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from process import free_port, memory

from malformed import Came, sent

GROWTH = 32 << 20  # bytes; what any server keeps of 20,000 connections
CONFIG = """
teams: {ml: {}}
pipelines:
  answers:
    owner: ml
    stages:
      ingest: {team: ml, kind: source, source: {static: {version: "1"}}}
      model: {team: ml, kind: model, after: ingest}
    model: {http: {url: "http://127.0.0.1:9/", json: {q: "{{ input }}"}, answer: label}}
    golden: {file: golden.jsonl, task: multiclass, every: 1h}
    gate: {mode: enforce, on_unknown: allow, floor: 90%, alerts: [Cost]}
store: sqlite:///s.db
"""


async def fuzzed(folder: Path, count: int) -> tuple[Came, float, int, int]:
    """Return what came of it, seconds, and bytes of memory after a tenth and after all."""
    port = free_port()
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "seamwatch", "run"),
            *("--web.listen-address", f"127.0.0.1:{port}"),
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.1)
        await sent(port, seed=1, count=count // 10)
        before = memory(process.pid, "VmRSS")
        began = time.perf_counter()
        came = await sent(port, seed=2, count=count)
        took = time.perf_counter() - began
        assert process.returncode is None, (folder / "log").read_text()[-2000:]
        return came, took, before, memory(process.pid, "VmRSS")
    finally:
        process.terminate()
        await process.wait()


def main() -> int:
    """Print the figures; return 1 where something broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seamwatch.yaml").write_text(CONFIG)
        (folder / "golden.jsonl").write_text('{"id": "a", "input": "a", "expected": "yes"}\n')
        came, took, before, after = asyncio.run(fuzzed(folder, count))
        tracebacks = (folder / "log").read_text().count("Traceback")
    print(f"{count} malformed requests in {took:.0f} s")
    for status, times in sorted(came.statuses.items()):
        print(f"  {status or 'closed'}: {times}")
    for status, request in came.faults[:10]:
        print(f"  {status} for {request!r}")
    print(f"faults {len(came.faults)}, tracebacks {tracebacks},"
          f" memory {before >> 20} -> {after >> 20} MiB")  # fmt: skip
    met = not came.faults and not tracebacks and after - before < GROWTH
    print(f"targets: no 5xx, no traceback, memory bounded: {'met' if met else 'NOT'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
