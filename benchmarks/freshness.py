"""What judging and remembering a fleet costs: CPU of the pure functions, memory, store and load.

Run it alone: ``python benchmarks/freshness.py [--pipelines 5000]``. It prints one table; times are
CPU seconds of this process, the best of several.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Callable

from seamwatch.freshness import Publication, freshness, remember
from seamwatch.pipeline import Observation, Pipeline, Stage, StageKind
from seamwatch.skew import skews
from seamwatch.store import Published, Store

NAMES = [f"stage-{k}" for k in range(8)]
FAMILY = Pipeline(
    "support-answers",
    "platform",
    tuple(
        Stage(name, "team", StageKind.TRANSFORM, (NAMES[k - 1],) if k else ())
        for k, name in enumerate(NAMES)
    ),
)
REMEMBERED = 10  # publications of each stage in the store
NOW = 1_795_000_000.0


def observations(*, lineage: bool) -> dict[str, Observation]:
    """Return what eight stages say, each built from the version before the newest, or silent."""
    return {
        name: Observation(
            version="batch-000500",
            watermark=NOW + k,
            updated_at=NOW + k,
            built_from={NAMES[k - 1]: "batch-000499"} if lineage and k else {},
        )
        for k, name in enumerate(NAMES)
    }


def history(length: int) -> dict[str, tuple[Publication, ...]]:
    """Return *length* publications of each of the eight stages."""
    return {
        name: tuple(
            Publication(f"batch-{501 - length + k:06}", NOW - 60.0 * (length - k), NOW - k)
            for k in range(length)
        )
        for name in NAMES
    }


def microseconds(work: Callable[[], object], *, times: int = 2_000) -> float:
    """Return CPU microseconds of one call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - start) / times)
    return best * 1e6


async def store_and_load(pipelines: int) -> tuple[float, float, float]:
    """Return CPU seconds to save, CPU seconds to load, and the loop's longest pause in seconds."""
    with tempfile.TemporaryDirectory() as home:
        store = await Store.open(f"sqlite:///{home}/bench.db", timeout=60.0)
        start = time.process_time()
        past = history(REMEMBERED)
        for p in range(pipelines):
            if p % 250 == 0:
                await store.save(
                    Published(f"pipeline-{q}", name, one)
                    for q in range(p, min(p + 250, pipelines))
                    for name, published in past.items()
                    for one in published
                )
        saved = time.process_time() - start
        pauses = [0.0]
        watching = asyncio.create_task(watch_loop(pauses))
        start = time.process_time()
        assert len(await store.load_histories()) == pipelines
        loaded = time.process_time() - start
        watching.cancel()
        await store.close()
    return saved, loaded, max(pauses)


async def watch_loop(pauses: list[float]) -> None:
    """Note how late the loop comes."""
    while True:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        pauses.append(time.perf_counter() - due)


def memory_of_history(length: int) -> float:
    """Return KiB that one pipeline's history takes when each stage published *length* versions."""
    tracemalloc.start()
    kept = history(length)
    size = tracemalloc.get_traced_memory()[0] / 1024
    tracemalloc.stop()
    assert kept
    return size


def moving_stream() -> tuple[Publication, ...]:
    """Return the history of one version whose watermark has moved a thousand times."""
    past: tuple[Publication, ...] = ()
    for k in range(1_000):
        past = remember(past, Observation(version="m"), float(k), now=30.0 * k)
    return past


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipelines", type=int, default=5_000)
    pipelines = parser.parse_args().pipelines
    named, plain, past = observations(lineage=True), observations(lineage=False), history(512)
    moving = moving_stream()
    moved = Observation(version="m")
    rows = [
        (
            "freshness, 8 stages, built_from named",
            microseconds(lambda: freshness(FAMILY, named, past)),
        ),
        (
            "freshness, 8 stages, by updated_at",
            microseconds(lambda: freshness(FAMILY, plain, past)),
        ),
        ("skews, 8 stages, one version behind", microseconds(lambda: skews(FAMILY, named, past))),
        (
            "remember, a watermark that moved",
            microseconds(lambda: remember(moving, moved, 5e4, now=5e4)),
        ),
    ]
    for what, cost in rows:
        print(f"{what:45} {cost:8.1f} us")
    for length in (1, 64, 512):
        size = memory_of_history(length)
        print(f"{f'history of 8 stages, {length} versions each':45} {size:8.1f} KiB")
    saved, loaded, pause = asyncio.run(store_and_load(pipelines))
    count = pipelines * len(NAMES) * REMEMBERED
    print(f"{f'save {count} publications (SQLite)':45} {saved:8.2f} CPU s")
    print(f"{'load them':45} {loaded:8.2f} CPU s, longest pause of the loop {pause * 1e3:.0f} ms")
    print(f"{'peak memory':45} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:8} MiB")


if __name__ == "__main__":
    main()
