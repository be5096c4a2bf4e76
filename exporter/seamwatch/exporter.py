"""The exporter as a whole: what ``seamwatch run`` starts, reloads and stops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from seamwatch.collectors.own import OwnMetrics, StoreHealth
from seamwatch.config import Config
from seamwatch.errors import SeamwatchError, StoreError
from seamwatch.exposition import ChunkStore, Exposition
from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Judged
from seamwatch.snapshot import Snapshot
from seamwatch.sources import Reach
from seamwatch.store import Asked, Journal, Pass, Store
from seamwatch.watch import PipelineWatch, Watch
from seamwatch.watch.plan import Plan, Remembered, Tools, plan, watched
from seamwatch.watch.probing import Probing
from seamwatch.watch.stages import Change
from seamwatch.watch.worker import Worker
from seamwatch.web import Server

log = logging.getLogger(__name__)

DAY = 86400.0
KEEP_PROBES = 30 * DAY  # seconds that the probe log reaches back
PRUNE_EVERY = 3600.0  # seconds


class Exporter:
    """Watches the pipelines of the configuration in *paths* and serves what it knows."""

    def __init__(
        self,
        paths: Sequence[str],
        *,
        listen: Sequence[str] | None = None,
        web_config: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._paths = list(paths)
        self._listen = listen
        self._web_config = web_config
        self._clock = clock
        self._chunks = ChunkStore()
        self._watch = Watch(self)
        self._worker = Worker()
        self._reloading = asyncio.Lock()
        self._stop = asyncio.Event()
        self._journal: Journal | None = None
        self._names: frozenset[str] = frozenset()
        self._own = OwnMetrics(store=self._store_health)

    # What the watch calls: see seamwatch.watch.Keeper.

    def publish(self, snapshot: Snapshot, changes: Sequence[Change]) -> None:
        """Show *snapshot* and write down what stages published."""
        self._chunks.put(snapshot)
        if self._journal is not None:
            for change in changes:
                self._journal.put_history(snapshot.pipeline.name, *change)

    def withdraw(self, pipeline: str) -> None:
        """Show nothing of *pipeline* any more."""
        self._chunks.remove(pipeline)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reads the configuration again.

        Raises:
            SeamwatchError: the configuration, a golden set or an address cannot be used.
        """
        first = plan(self._paths)
        config = first.config
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._worker.close)
            exposition = Exposition(self._chunks, self._own)
            stack.callback(exposition.close)
            fetcher = await stack.enter_async_context(Fetcher())
            reach = Reach(fetcher)
            stack.push_async_callback(reach.close)
            self._tools = Tools(fetcher, reach, self._worker, self._clock)
            store = await self._open_store(config)
            self._journal = Journal(
                config.store_url, store=store, clock=self._clock, on_new=self._write_all
            )
            stack.push_async_callback(self._journal.close)
            remembered = await recall(store, first, now=self._clock()) if store else {}
            server = Server(
                exposition,
                listen=self._listen or [config.settings.web.listen],
                web_config=self._web_config or web_config_file(config),
                ready=lambda: self._watch.is_ready and not self._stop.is_set(),
                reload=self.reload,
            )
            await server.start()
            stack.push_async_callback(server.stop)
            self._handle_signals(stack)
            await self._apply(first, remembered)
            self._own.reloaded(succeeded=True, at=self._clock())
            log.info("serving on %s", ", ".join(server.urls))
            await self._work()

    async def _work(self) -> None:
        """Do everything in the background until told to stop; a bug in it ends the process."""
        assert self._journal is not None
        tasks = [
            asyncio.ensure_future(work)
            for work in (
                self._watch.run(),
                self._journal.run(),
                self._own.watch_loop(),
                self._prune(),
                self._stop.wait(),
            )
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def reload(self) -> str | None:
        """Read the configuration again; return why it was refused, None when it is in force."""
        async with self._reloading:
            try:
                # In the worker process: reading thousands of pipelines would hold up scrapes.
                await self._apply(await self._worker.run(plan, self._paths), {})
            except SeamwatchError as error:
                log.error("the configuration was refused, the old one stays: %s", error)
                self._own.reloaded(succeeded=False, at=self._clock())
                return str(error)
            self._own.reloaded(succeeded=True, at=self._clock())
            log.info("the configuration was read again", extra={"pipelines": len(self._names)})
            return None

    async def _apply(self, wanted: Plan, remembered: Mapping[str, Remembered]) -> None:
        """Watch what *wanted* says; a pipeline that it does not change goes on untouched."""
        pipelines = {}
        for name in wanted.config.pipelines:
            before = self._watch.pipelines.get(name)
            if before is not None and is_same(before, wanted, name):
                pipelines[name] = before
                continue
            pipelines[name] = watched(
                wanted,
                name,
                self._tools,
                remembered.get(name, Remembered()),
                changed=self._watch.changed(name),
                answered=partial(self._answered, name),
            )
            if before is not None:
                pipelines[name].take_over(before)
        await self._watch.apply(pipelines)
        # What a configuration makes lives as long as it does. Frozen, it is not walked by each full
        # collection, which would hold up everything for a third of a second at 64 stages.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._names = frozenset(pipelines)

    def _answered(
        self, pipeline: str, probing: Probing, judged: Judged, seed: int, position: int
    ) -> None:
        self._watch.changed(pipeline)()
        if self._journal is None:
            return
        digest = probing.golden.digest
        asked = Asked(
            pipeline,
            digest,
            judged.item.id,
            judged.verdict,
            judged.credit,
            judged.answer.answered_by,
            judged.at,
            seed,
            position,
        )
        passes = probing.passes
        self._journal.put(asked, Pass(pipeline, digest, passes.seed, passes.position))

    def _write_all(self) -> None:
        """Write down all histories: the database was lost, and a new one knows none."""
        assert self._journal is not None
        for name, watched_ in self._watch.pipelines.items():
            for stage, history in watched_.stages.history.items():
                self._journal.put_history(name, stage, (), history)

    async def _open_store(self, config: Config) -> Store | None:
        """Open the store; without it the exporter works, and the journal tries again."""
        try:
            return await Store.open(config.store_url)
        except StoreError as error:
            log.error("nothing is remembered from before: %s", error)
            return None

    async def _prune(self) -> None:
        """Keep the probe log short, for ever."""
        assert self._journal is not None
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            try:
                before = self._clock() - KEEP_PROBES
                await self._journal.prune(before=before, configured=self._names)
            except StoreError as error:
                log.warning("the probe log was not pruned: %s", error)

    def _store_health(self) -> StoreHealth:
        if self._journal is None:
            return StoreHealth()
        state = self._journal.state
        failures = {reason.value: count for reason, count in state.failures.items()}
        return StoreHealth(state.pending, failures, state.last_success, state.dropped)

    def _handle_signals(self, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        reloads: set[asyncio.Task[str | None]] = set()

        def hang_up() -> None:
            task = loop.create_task(self.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        handlers = {
            signal.SIGTERM: self._stop.set,
            signal.SIGINT: self._stop.set,
            signal.SIGHUP: hang_up,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
            stack.callback(loop.remove_signal_handler, number)


def is_same(watching: PipelineWatch, wanted: Plan, name: str) -> bool:
    """Say whether *wanted* asks for just what is *watching* already."""
    probing = watching.probing
    items = wanted.goldens.get(name)
    return (
        watching.section == wanted.config.settings.pipelines[name]
        and watching.base_dir == wanted.config.base_dir(name)
        and (probing.golden.digest if probing else None) == (items.digest if items else None)
    )


def web_config_file(config: Config) -> Path | None:
    """Return the web configuration file that *config* names, if it names one."""
    name = config.settings.web.config_file
    return config.web_dir / name if name is not None else None


async def recall(store: Store, plan: Plan, *, now: float) -> dict[str, Remembered]:
    """Return what the *store* kept of each pipeline of *plan*; nothing if it cannot be read."""
    try:
        histories = await store.load_histories()
        passes = await store.load_passes()
        asked_at = await store.load_asked_at(now - DAY)
        found = {}
        for name in plan.config.pipelines:
            items = plan.goldens.get(name)
            section = plan.config.settings.pipelines[name].golden
            if items is None or section is None:
                found[name] = Remembered(histories.get(name, {}))
                continue
            interrupted = passes.get((name, items.digest))
            size = section.window or len(items.items)
            found[name] = Remembered(
                histories.get(name, {}),
                interrupted.seed if interrupted else None,
                interrupted.position if interrupted else 0,
                tuple(await store.load_window(name, items.digest, size)) if interrupted else (),
                asked_at.get(name, ()),
            )
    except StoreError as error:
        log.error("nothing is remembered from before: %s", error)
        return {}
    return found
