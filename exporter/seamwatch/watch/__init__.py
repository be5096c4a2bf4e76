"""The scheduler: reads every stage, asks every model, and is the only writer of snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from seamwatch.snapshot import Snapshot
from seamwatch.watch.one import PipelineWatch
from seamwatch.watch.schedule import Schedule
from seamwatch.watch.stages import Change

__all__ = ["Keeper", "PipelineWatch", "Watch"]

log = logging.getLogger(__name__)

PUBLISH_EVERY = 0.2  # seconds; changes of a pipeline within it make one snapshot
SLICE = 0.005  # seconds of judging after which everything else gets its turn
TICK = 15.0  # seconds after which a pipeline is judged again although nothing was read: time passes


class Keeper(Protocol):
    """Who shows snapshots and remembers publications."""

    def publish(self, snapshot: Snapshot, changes: Sequence[Change]) -> None:
        """Show *snapshot*; keep what *changes* say that stages published."""

    def withdraw(self, pipeline: str) -> None:
        """Show nothing of *pipeline* any more."""


class Watch:
    """Watches any number of pipelines; `apply` may change which ones while it runs."""

    def __init__(self, keeper: Keeper, *, schedule: Schedule | None = None) -> None:
        self._keeper = keeper
        self._schedule = schedule or Schedule()
        self.pipelines: dict[str, PipelineWatch] = {}
        self._dirty: dict[str, None] = {}  # ordered set: first changed, first judged
        self._wake = asyncio.Event()
        self._applied = False  # whether it has been said what to watch
        self._pending: set[str] = set()  # pipelines that have not been published yet

    def changed(self, pipeline: str) -> Callable[[], None]:
        """Return what a pipeline calls when there is something new to judge."""

        def mark() -> None:
            self._dirty[pipeline] = None
            self._wake.set()

        return mark

    @property
    def is_ready(self) -> bool:
        """Say whether every pipeline has been judged at least once."""
        return self._applied and not self._pending

    async def apply(self, wanted: Mapping[str, PipelineWatch]) -> None:
        """Watch exactly *wanted*; one that is there already, by identity, goes on untouched."""
        gone = [
            (name, watched)
            for name, watched in self.pipelines.items()
            if wanted.get(name) is not watched
        ]
        new = [w for name, w in wanted.items() if self.pipelines.get(name) is not w]
        self._schedule.cancel(job for _, watched in gone for job in watched.jobs)
        self.pipelines = dict(wanted)
        self._applied = True
        self._pending = {n for n in self._pending if n in wanted} | {w.pipeline.name for w in new}
        for name, watched in gone:
            watched.stop()
            if name not in wanted:
                self._dirty.pop(name, None)
                self._keeper.withdraw(name)
        self._schedule.add(job for watched in new for job in watched.jobs)
        for watched in new:
            self.changed(watched.pipeline.name)()
        # Last, as it waits: meanwhile no old answer may come, and no new pipeline stand still.
        for _, watched in gone:
            await watched.close()

    async def run(self) -> None:
        """Read, ask and judge until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._schedule.run())
                group.create_task(self._publish())
        finally:
            for watched in self.pipelines.values():
                await watched.close()

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        ticked = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(ticked + TICK):
                    await self._wake.wait()
            if loop.time() >= ticked + TICK:
                ticked = loop.time()
                self._dirty.update(dict.fromkeys(self.pipelines))
            self._wake.clear()
            await self._publish_dirty()
            await asyncio.sleep(PUBLISH_EVERY)

    async def _publish_dirty(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SLICE
        while self._dirty:
            name = next(iter(self._dirty))
            del self._dirty[name]
            watched = self.pipelines.get(name)
            if watched is not None:
                try:
                    self._keeper.publish(*watched.judge())
                except Exception:  # a bug that one pipeline meets must not hide the others
                    log.exception("cannot judge a pipeline", extra={"pipeline": name})
                self._pending.discard(name)
            if loop.time() >= deadline:
                await asyncio.sleep(0)
                deadline = loop.time() + SLICE
