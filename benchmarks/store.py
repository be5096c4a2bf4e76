"""What remembering costs: time per probe, size on disk, reading it all back.

    python benchmarks/store.py [--probes 1000000] [--directory DIR]

SQLite in DIR (a temporary directory by default; use the disk that it will be on, each batch is
synced). All but the single syncs is CPU time of all threads. The probes are of ten pipelines with
ten slices each, as the exporter writes them: the row, how far the pass has come, the state of the
evidence. "put" is what the event loop waits for, "write" is the thread behind it, in the largest
batches and one probe at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from time import process_time as clock

import orjson

from seamwatch.evidence import Case, Terms
from seamwatch.pipeline import Verdict
from seamwatch.store import (
    Asked,
    Checkpoint,
    EvidenceRow,
    Journal,
    Pass,
    Row,
    Store,
    TermsRow,
    probe_of,
    restored_case,
)

PIPELINES = 10
SLICES = [f"slice-{n}" for n in range(10)]
DIGEST = "5e" * 32
CHECKPOINT_EVERY = 1_000
TERMS = Terms(
    limit=1e6, floor=0.9, baseline=0.94, slice_floors=dict.fromkeys(SLICES, 0.8), ticket_limit=1e4
)


def asked(pipeline: str, n: int, dice: random.Random) -> Asked:
    """Return the n-th probe of *pipeline*: 94 % are right."""
    right = dice.random() < 0.94
    return Asked(
        pipeline,
        DIGEST,
        f"item-{dice.randrange(500):04d}",
        Verdict.CORRECT if right else Verdict.WRONG,
        float(right),
        "model-2026-11-01",
        1.79e9 + n * 1.1,
        7,
        n % 500,
        ordinal=n,
        slice=dice.choice(SLICES),
        item_class="solid",
        x=float(right),
    )


class Pipeline:
    """One pipeline that takes probes as the exporter does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.case = Case(TERMS)
        self.dice = random.Random(name)

    def rows(self) -> list[Row]:
        """Take a probe; return what is written together."""
        row = asked(self.name, self.case.ordinal + 1, self.dice)
        self.case.take(probe_of(row))
        n, text = self.case.ordinal, orjson.dumps(self.case.state()).decode()
        rows: list[Row] = [row, Pass(self.name, DIGEST, 7, n)]
        if n % CHECKPOINT_EVERY == 0:
            rows.append(Checkpoint(self.name, TERMS.digest, n, text))
        return [*rows, EvidenceRow(self.name, DIGEST, TERMS.digest, n, text, row.at)]


def tell(what: str, value: float, unit: str) -> None:
    print(f"{what:62} {value:10.1f} {unit}", flush=True)


async def fill(url: str, probes: int) -> None:
    """Write *probes* through a journal in large batches; tell what a probe costs."""
    pipelines = [Pipeline(f"pipeline-{n}") for n in range(PIPELINES)]
    journal = Journal(url, timeout=60.0)
    text = json.dumps(TERMS.to_json())
    journal.put(*(TermsRow(one.name, TERMS.digest, text, 0, 0.0) for one in pipelines))
    assert await journal.flush()
    taking = putting = writing = 0.0
    for first in range(0, probes, 2_000):
        started = clock()
        groups = [pipelines[n % PIPELINES].rows() for n in range(first, min(first + 2_000, probes))]
        taken = clock()
        for group in groups:
            journal.put(*group)
        put = clock()
        assert await journal.flush()
        written = clock()
        taking, putting, writing = (
            taking + taken - started,
            putting + put - taken,
            writing + written - put,
        )
    tell("detector and state as JSON, a probe", taking / probes * 1e6, "us")
    tell("put, a probe", putting / probes * 1e6, "us")
    tell("write, a probe, 2,000 at a time", writing / probes * 1e6, "us")
    each = []
    for n in range(300):
        journal.put(*pipelines[n % PIPELINES].rows())
        started = time.perf_counter()
        assert await journal.flush()
        each.append(time.perf_counter() - started)
    each.sort()
    tell("write, one probe by itself with its sync: median", each[150] * 1e3, "ms")
    tell("write, one probe by itself with its sync: 99 %", each[297] * 1e3, "ms")
    await journal.close()


async def read(store: Store, probes: int) -> None:
    """Tell how long it takes to read everything back."""
    started = clock()
    found = await store.load_evidence("pipeline-0")
    tell("load the evidence of a pipeline, no tail", (clock() - started) * 1e3, "ms")
    assert found.state is not None
    for length in (1_000, 50_000):
        after = found.ordinal - length
        if after <= 0:
            continue
        started = clock()
        rows = [row async for some in store.load_log("pipeline-0", after) for row in some]
        tell(f"load a tail of {length:,}", (clock() - started) * 1e3, "ms")
        started = clock()
        assert restored_case(found._replace(state=None, tail=rows)) is not None
        tell(f"take a tail of {length:,}", (clock() - started) * 1e3, "ms")
    loading = taking = 0.0
    total = 0
    for name in (f"pipeline-{n}" for n in range(PIPELINES)):
        case = Case(TERMS)
        started = clock()
        async for some in store.load_log(name):
            loaded = clock()
            for row in some:
                case.take(probe_of(row))
            loading, taking = loading + loaded - started, taking + clock() - loaded
            total += len(some)
            started = clock()
        state = (await store.load_evidence(name)).state
        assert state is not None
        assert orjson.dumps(case.state()).decode() == state.state  # bit for bit
    tell(f"replay {total:,} rows: load", loading, "s")
    tell(f"replay {total:,} rows: detector", taking, "s")
    started = clock()
    await store.load_asked_at(1.79e9 + 1.1 * (probes / PIPELINES - 1_000))
    tell("load when the last 10,000 probes were sent", (clock() - started) * 1e3, "ms")


async def prune(store: Store, probes: int) -> None:
    """Tell what pruning costs."""
    names = {f"pipeline-{n}" for n in range(PIPELINES)}
    started = clock()
    await store.prune(before=0.0, configured=names)
    tell("prune, nothing to delete", (clock() - started) * 1e3, "ms")
    half = 1.79e9 + 1.1 * probes / PIPELINES / 2
    started = clock()
    removed = await store.prune(before=half, configured=names)
    tell(f"prune {removed:,} rows, each", (clock() - started) / removed * 1e6, "us")


async def main(probes: int, directory: Path) -> None:
    path = directory / "store-benchmark.db"
    url = f"sqlite:///{path}"
    await fill(url, probes)
    store = await Store.open(url)
    tell("size on disk, a million probes", path.stat().st_size / probes, "MB")
    await read(store, probes)
    await prune(store, probes)
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as home:
        asyncio.run(main(given.probes, Path(home)))
