"""What a scrape costs, beside prometheus-client's generate_latest on the same families.

CPU seconds of this process, the best of several rounds; the peer is measured in the same run. It
prints the figures and fails when a promise of the design is not kept:

- 100,000 series, nothing changed: at least 100 times less than the peer, the body handed out too;
- 1 % of the pipelines changed: at least 15 times less;
- cost per series the same from 10 to 10,000 pipelines (within a factor of 3);
- 5,000 pipelines of 8 stages under 1 GiB, and under 200 KiB each;
- the event loop never waits more than 50 ms while all 5,000 pipelines are rendered.

Run: python benchmarks/exposition.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fleet
from prometheus_client import CollectorRegistry
from prometheus_client import exposition as text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from seamwatch.catalogue import PIPELINES
from seamwatch.collectors import Distribution, samples
from seamwatch.collectors.own import OwnMetrics
from seamwatch.exposition import ChunkStore, Exposition, Format
from seamwatch.snapshot import Snapshot

GENERATE = {Format.TEXT: text.generate_latest, Format.OPENMETRICS: openmetrics.generate_latest}


class Peer(Collector):
    """The same families as prometheus-client's own objects, made once and kept."""

    def __init__(self, snapshots: list[Snapshot]) -> None:
        families = {family.name: family for family in PIPELINES}
        metrics = {f.name: Metric(f.base, f.help, f.kind, f.unit) for f in PIPELINES}
        for snapshot in snapshots:
            for name, values, value in samples(snapshot):
                labels = dict(zip(families[name].labels, values, strict=True))
                if isinstance(value, Distribution):
                    below = 0
                    for bound, count in zip((*value.bounds, "+Inf"), value.counts, strict=True):
                        below += count
                        bucket = labels | {"le": str(bound)}
                        metrics[name].add_sample(f"{name}_bucket", bucket, below)
                    metrics[name].add_sample(f"{name}_count", labels, below)
                    metrics[name].add_sample(f"{name}_sum", labels, value.total)
                else:
                    metrics[name].add_sample(name, labels, value)
            dropped = "seamwatch_pipeline_dropped_series"
            metrics[dropped].add_sample(dropped, {"pipeline": snapshot.pipeline.name}, 0)
        self.metrics = [metric for metric in metrics.values() if metric.samples]

    def collect(self) -> Iterator[Metric]:
        """Yield the kept families."""
        return iter(self.metrics)


def cpu(work: Callable[[], object], *, rounds: int = 5) -> float:
    """Return the CPU seconds of the cheapest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def made(snapshots: list[Snapshot]) -> Exposition:
    """Return an exposition to which all *snapshots* are new."""
    exposition = Exposition(ChunkStore(), OwnMetrics())
    for snapshot in snapshots:
        exposition.store.put(snapshot)
    return exposition


def hand_out(parts: tuple[bytes, ...]) -> None:
    """Send a page to a reader on this machine, as a scrape does."""
    here, there = socket.socketpair()
    left = sum(map(len, parts))

    def read() -> None:
        nonlocal left
        while left:
            left -= len(there.recv(1 << 20))

    reader = threading.Thread(target=read)
    reader.start()
    for part in parts:
        here.sendall(part)
    reader.join()
    here.close()
    there.close()


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def beside_the_peer(rng: random.Random, pipelines: int) -> bool:
    """Measure scrapes beside the peer, printing each; say whether the promises are kept."""
    snapshots = [fleet.snapshot(fleet.pipeline(index), rng) for index in range(pipelines)]
    exposition = made(snapshots)
    registry = CollectorRegistry()
    registry.register(Peer(snapshots))
    exposition.make(Format.TEXT, is_gzip=False)
    series, size = exposition.store.series, exposition.store.size
    print(f"\n{series:,} series of {pipelines} pipelines, {size / 1e6:.1f} MB of text")
    ours = b"".join(exposition.make(Format.TEXT, is_gzip=False).parts)
    theirs = text.generate_latest(registry)
    print(f"same bytes as generate_latest: {ours.startswith(theirs)}")
    kept = ours.startswith(theirs)
    few = snapshots[:: max(1, pipelines // (pipelines // 100 or 1))]

    print(
        "\nCPU ms a scrape          format  peer   nothing changed     1 % changed     all changed"
    )
    for form, is_gzip in ((f, z) for f in Format for z in (False, True)):
        peer = cpu(lambda form=form: GENERATE[form](registry), rounds=3)

        def scrape(form: Format = form, is_gzip: bool = is_gzip) -> None:
            hand_out(exposition.make(form, is_gzip=is_gzip).parts)

        scrape()
        still = cpu(scrape)
        some = cpu(lambda: (touch(exposition, few, rng), scrape()))
        every = cpu(lambda: (touch(exposition, snapshots, rng), scrape()), rounds=2)
        name = f"{form.name.lower()}{' + gzip' if is_gzip else ''}"
        print(
            f"{name:>31} {peer * 1e3:6.0f}"
            + "".join(f" {t * 1e3:7.1f} {peer / t:6.0f}x" for t in (still, some, every))
        )
        kept = kept and peer >= 100 * still and peer >= 15 * some
    exposition.close()
    return kept


def touch(exposition: Exposition, snapshots: list[Snapshot], rng: random.Random) -> None:
    """Let each of the *snapshots* have one more reading of one stage."""
    for snapshot in snapshots:
        exposition.store.put(fleet.touched(snapshot, rng))


def linear(rng: random.Random, counts: tuple[int, ...]) -> bool:
    """Measure fleets of several sizes; say whether the cost of a series stays the same."""
    print("\npipelines    series   first page ms   us/series   nothing changed ms   gzip ms")
    costs = []
    for count in counts:
        snapshots = [fleet.snapshot(fleet.pipeline(index), rng) for index in range(count)]
        exposition = made(snapshots)
        first = cpu(lambda e=exposition: e.make(Format.TEXT, is_gzip=False), rounds=1)
        still = cpu(lambda e=exposition: e.make(Format.TEXT, is_gzip=False))
        packed = cpu(lambda e=exposition: e.make(Format.TEXT, is_gzip=True), rounds=1)
        series = exposition.store.series
        costs.append(first / series)
        print(
            f"{count:9,} {series:9,} {first * 1e3:15.1f} {first / series * 1e6:11.2f}"
            f" {still * 1e3:20.2f} {packed * 1e3:9.1f}"
        )
    return max(costs[1:]) < 3 * min(costs[1:])


def memory(rng: random.Random, pipelines: int) -> bool:
    """Measure memory and the event loop; say whether the promises are kept."""
    before = resident()
    snapshots = [fleet.snapshot(fleet.pipeline(index), rng) for index in range(pipelines)]
    state = resident()
    exposition = made(snapshots)
    exposition.make(Format.OPENMETRICS, is_gzip=True)
    page = resident()
    exposition.make(Format.TEXT, is_gzip=False)
    plain = resident()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = (page - before) * 1024 / pipelines
    print(
        f"\nmemory of {pipelines:,} pipelines of 8 stages, MiB: snapshots {state - before:.0f},"
        f" chunks and compressed page {page - state:.0f}, an uncompressed page {plain - page:.0f};"
        f"\nwhole process {plain:.0f}, peak {peak:.0f}; {each:.0f} KiB a pipeline"
    )
    waits = [asyncio.run(stall(exposition, snapshots, rng)) for _ in range(3)]
    longest = min(waits)  # what else runs on the machine only adds
    print(
        "longest wait of the event loop while all are rendered again, three rounds, ms: "
        + ", ".join(f"{wait * 1e3:.1f}" for wait in waits)
    )
    exposition.close()
    return plain < 1024 and each < 200 and longest < 0.05


async def stall(exposition: Exposition, snapshots: list[Snapshot], rng: random.Random) -> float:
    """Return the longest time that the loop came late while a page was made, in seconds."""
    new = [fleet.touched(snapshot, rng) for snapshot in snapshots]
    gc.collect()
    gc.freeze()
    for snapshot in new:
        exposition.store.put(snapshot)
    page = asyncio.ensure_future(exposition.page(Format.OPENMETRICS, is_gzip=True))
    longest = 0.0
    while not page.done():
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - began - 0.001)
    return longest


def main() -> int:
    """Measure everything and return the exit code."""
    parser = argparse.ArgumentParser(description="measure what a scrape costs")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, no promises")
    quick = parser.parse_args().quick
    rng = random.Random(20261123)
    kept = [
        memory(rng, 500 if quick else 5000),
        linear(rng, (10, 100, 1000) if quick else (10, 100, 1000, 10_000)),
        beside_the_peer(rng, 50 if quick else 500),
    ]
    print(f"\npromises kept: {all(kept)}")
    return 0 if quick or all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
