"""The exporter as a whole: what ``seamwatch run`` starts, reloads and stops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from seamwatch.assets import assets
from seamwatch.collectors.own import GateFacts, OwnMetrics, StoreHealth
from seamwatch.config import Config
from seamwatch.config.actions import ActionSection
from seamwatch.config.gate import GateSection
from seamwatch.errors import SeamwatchError, StoreError
from seamwatch.evidence import Event
from seamwatch.exposition import ChunkStore, Exposition
from seamwatch.fetch import Fetcher
from seamwatch.gate import Configured, Evidence
from seamwatch.snapshot import Snapshot
from seamwatch.sources import Reach
from seamwatch.store import Finding, Journal, Row, Store
from seamwatch.turns import Turns
from seamwatch.watch import PipelineWatch, Watch
from seamwatch.watch.casework import Taken
from seamwatch.watch.enforcing import Enforcing
from seamwatch.watch.gatekeeping import OURS, evidence_row, happenings, is_out_of_step
from seamwatch.watch.gates import Gates
from seamwatch.watch.ledger import catch_up, kept, resume_rows, rows_of, terms_rows
from seamwatch.watch.plan import Plan, Remembered, Tools, is_same, plan, watched
from seamwatch.watch.probing import Probing
from seamwatch.watch.recall import recall
from seamwatch.watch.stages import Change
from seamwatch.watch.worker import Worker
from seamwatch.web import Server
from seamwatch.web.gates import Client, GateRoutes, Rights
from seamwatch.web.runbooks import Runbooks

log = logging.getLogger(__name__)

KEEP_PROBES = 30 * 86400.0  # seconds that the probe log reaches back
PRUNE_EVERY = 3600.0  # seconds
CATCH_UP_EVERY = 1.0  # seconds


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
        self._snapshots: dict[str, Snapshot] = {}  # as shown last
        self._watch = Watch(self)
        self._worker = Worker()
        self._reloading = asyncio.Lock()
        self._stop = asyncio.Event()
        self._journal: Journal | None = None
        self._names: frozenset[str] = frozenset()
        self._fixed: tuple[str, object] | None = None
        self._turns = Turns(clock=clock)
        self._plan: Plan | None = None  # what is watched, or would be if this process led
        self._own = OwnMetrics(store=self._store_health, gates=self._gate_facts)
        self._gates = Gates(
            clock=clock,
            reset=self._resume,
            joined=self._joined,
            changed=lambda name: self._watch.changed(name)(),
        )
        self._enforcing = Enforcing(
            self._gates,
            store=self._open_journal,
            leads=lambda: self._turns.leads,
            changed=lambda name: self._watch.changed(name)(),
            clock=clock,
        )

    # What the watch calls: see seamwatch.watch.Keeper.

    def publish(self, snapshot: Snapshot, changes: Sequence[Change]) -> None:
        """Show *snapshot* and write down what stages published."""
        name = snapshot.pipeline.name
        self._tell_gate(name, snapshot)
        gate = self._gates.report(name)
        if gate is not None:
            gate = replace(gate, actions=self._enforcing.reports(name))
        self._snapshots[name] = shown = replace(snapshot, gate=gate)
        self._chunks.put(shown)
        if self._journal is not None:
            for change in changes:
                self._journal.put_history(snapshot.pipeline.name, *change)

    def withdraw(self, pipeline: str) -> None:
        """Show nothing of *pipeline* any more."""
        self._chunks.remove(pipeline)
        self._snapshots.pop(pipeline, None)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reads the configuration again.

        Raises:
            SeamwatchError: the configuration, a golden set or an address cannot be used.
        """
        async with contextlib.AsyncExitStack() as stack:
            self._handle_hang_ups(stack)
            async with self._reloading:  # who asks for a reload from here on waits for the start
                await self._start(stack)
            await self._work()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        first = plan(self._paths)
        config = first.config
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
        stack.push_async_callback(self._turns.release)
        stack.push_async_callback(self._journal.close)
        stack.push_async_callback(self._enforcing.close)
        await self._turns.begin(store, self._journal)
        remembered = await self._recall(store, first, config.pipelines) if store else {}
        server = Server(
            exposition,
            listen=self._listen or [config.settings.web.listen],
            web_config=self._web_config or web_config_file(config),
            ready=lambda: self._is_ready and not self._stop.is_set(),
            reload=self.reload,
            gates=self._gate_routes(config),
            runbooks=Runbooks(assets("runbooks"), self._snapshots.get),
        )
        await server.start()
        stack.push_async_callback(server.stop)
        self._handle_ends(stack)
        await self._apply(first, remembered)
        self._own.reloaded(succeeded=True, at=self._clock())
        log.info("serving on %s", ", ".join(server.urls))

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
                self._catch_up(),
                self._gates.run(leads=lambda: self._turns.leads),
                self._enforcing.run(),
                self._turns.run(self._journal, begin=self._begin_leading, end=self._end_leading),
                self._stop.wait(),
            )
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        self._stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._worker.close()  # ends a reload that is under way: nobody would see what it changes
        for task in done:
            task.result()

    async def reload(self) -> str | None:
        """Read the configuration again; return why it was refused, None when it is in force."""
        async with self._reloading:
            succeeded = False
            try:
                # In the worker process: reading thousands of pipelines would hold up scrapes.
                wanted = await self._worker.run(plan, self._paths) if self._goes_on() else None
                if wanted is not None and self._goes_on():
                    await self._apply(wanted, await self._recall_new(wanted))
                    succeeded = True
            except SeamwatchError as error:
                if self._goes_on():
                    log.error("the configuration was refused, the old one stays: %s", error)
                    return str(error)
            finally:
                self._own.reloaded(succeeded=succeeded, at=self._clock())
            if not succeeded:
                return "seamwatch is stopping"
            log.info("the configuration was read again", extra={"pipelines": len(self._names)})
            return None

    @property
    def _is_ready(self) -> bool:
        """Say whether the page is whole; who follows shows no pipeline, and answers for gates."""
        return self._watch.is_ready if self._turns.leads else self._gates.is_known

    async def _begin_leading(self) -> None:
        """Watch what another process watched until now, from what it wrote down."""
        async with self._reloading:
            assert self._plan is not None
            assert self._journal is not None
            store = await self._journal.store()
            remembered = await self._recall(store, self._plan, self._plan.config.pipelines)
            await self._apply(self._plan, remembered)
            for name in self._gates.names():
                self._joined(name, False)

    async def _end_leading(self) -> None:
        """Watch nothing any more: another process does."""
        async with self._reloading:
            await self._watch.apply({})

    def _goes_on(self) -> bool:
        return not self._stop.is_set()

    async def _recall_new(self, wanted: Plan) -> Mapping[str, Remembered]:
        """Return what the store kept of pipelines, golden sets and gates that are not watched now.

        One that was away for a while gets neither a new budget nor an empty history, and no halt
        ends by being out of sight.
        """
        assert self._journal is not None
        new = [name for name in wanted.config.pipelines if self._is_new(wanted, name)]
        if not new or not self._turns.leads:
            return {}
        is_up_to_date = await self._journal.flush()
        try:
            store = await self._journal.store()
        except StoreError as error:
            log.error("nothing is remembered from before: %s", error)
            return {}
        found = await self._recall(store, wanted, new)
        if not is_up_to_date:  # a case goes on from where it was, or not yet: see _catch_up
            return {name: replace(one, case=None) for name, one in found.items()}
        return found

    def _is_new(self, wanted: Plan, name: str) -> bool:
        """Say whether pipeline *name*, its golden set or its gate is not watched yet."""
        watching, judging = self._watch.pipelines.get(name), wanted.judging.get(name)
        if watching is None:
            return True
        if judging is None:
            return False
        return watching.probing is None or (judging.terms is not None and not watching.casework)

    async def _recall(
        self, store: Store, wanted: Plan, names: Collection[str]
    ) -> Mapping[str, Remembered]:
        try:
            return await recall(store, wanted, names, now=self._clock())
        except StoreError as error:
            log.error("nothing is remembered from before: %s", error)
            return {}

    async def _apply(self, wanted: Plan, remembered: Mapping[str, Remembered]) -> None:
        """Watch what *wanted* says; a pipeline that it does not change goes on untouched."""
        actions = self._enforcing.prepare(_actions(wanted.config), self._tools.fetcher)
        self._plan = wanted
        if self._turns.leads:
            await self._apply_to_watch(wanted, remembered)
        await self._apply_to_gates(wanted.config)
        await self._enforcing.adopt(actions)
        # What a configuration makes lives as long as it does. Frozen, it is not walked by each full
        # collection, which would hold up everything for a third of a second at 64 stages.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._names = frozenset(wanted.config.pipelines)
        self._note_fixed(wanted.config)

    async def _apply_to_gates(self, config: Config) -> None:
        assert self._journal is not None
        gated = {
            name: (gate.rules, tuple(action.target for action in gate.actions))
            for name, gate in _gates(config).items()
        }
        few = config.settings.gates.max_halted_at_once
        self._gates.configure(gated, self._journal, few=few)
        await self._gates.read()

    async def _apply_to_watch(self, wanted: Plan, remembered: Mapping[str, Remembered]) -> None:
        pipelines, begun = {}, []
        for name in wanted.config.pipelines:
            before = self._watch.pipelines.get(name)
            if before is not None and is_same(before, wanted, name):
                pipelines[name] = before
                continue
            begun.append((name, before))
            known = remembered.get(name, Remembered())
            if before is not None and before.probing is not None:
                # the rest is known better by who asks already, and is not counted twice
                known = Remembered(case=known.case, finding=known.finding)
            pipelines[name] = watched(
                wanted,
                name,
                self._tools,
                known,
                changed=self._watch.changed(name),
                answered=partial(self._answered, name),
                found=partial(self._found, name),
            )
        # Only now that nothing can be refused any more: what is taken over is lost to the old ones.
        for name, before in begun:
            if before is not None:
                pipelines[name].take_over(before)
            self._note_terms(name, pipelines[name])
        await self._watch.apply(pipelines)

    def _note_fixed(self, config: Config) -> None:
        """Remember what only a start can set, and tell who changed it."""
        fixed = (config.store_url, config.settings.web)
        if self._fixed not in (None, fixed):
            log.warning("`store` or `web` has changed; that takes effect at the next start only")
        self._fixed = fixed

    def _answered(self, pipeline: str, probing: Probing, taken: Taken) -> None:
        self._watch.changed(pipeline)()
        if self._journal is None:
            return
        rows: list[Row] = list(rows_of(pipeline, probing, taken))
        if probing.casework is not None:
            happened = evidence_row(self._gates, pipeline, probing.casework, taken)
            rows += [happened] if happened is not None else []
        self._journal.put(*rows)

    def _tell_gate(self, pipeline: str, snapshot: Snapshot) -> None:
        """Let the gate know what *snapshot* means to it."""
        watching, state = self._watch.pipelines.get(pipeline), self._gates.state(pipeline)
        gate = watching.section.gate if watching is not None else None
        if gate is None or state is None:
            return
        for happening in happenings(snapshot, gate, state):
            self._gates.note(pipeline, happening, actor=OURS)
        self._gates.seen(pipeline, snapshot.evidence, snapshot.attribution)

    def _joined(self, pipeline: str, is_new: bool) -> None:
        """Bring a gate and its case together once it is known what the store has of the gate."""
        watching, state = self._watch.pipelines.get(pipeline), self._gates.state(pipeline)
        casework = watching.casework if watching is not None else None
        if casework is not None and state is not None and casework.case.halted:
            if is_new:  # halted before there were gates
                halt = Evidence((Event.HALT,), "accuracy is proven to be under its floor")
                self._gates.note(pipeline, halt, actor=OURS)
            elif is_out_of_step(casework, state):
                self._resume(pipeline)
        if is_new and self._journal is not None:
            self._journal.put(self._gates.row(pipeline, Configured(), actor=OURS))
        else:
            self._gates.note(pipeline, Configured(), actor=OURS)

    def _resume(self, pipeline: str) -> None:
        """Let the evidence begin anew: the gate says so."""
        watching = self._watch.pipelines.get(pipeline)
        if watching is None or watching.casework is None or watching.judging is None:
            return
        events = watching.casework.resume()
        watching.resumed()
        if events and self._journal is not None:
            digest = watching.judging.golden.digest
            self._journal.put(*resume_rows(pipeline, watching.casework, events, digest=digest))
        elif not events:
            self._note_terms(pipeline, watching)

    def _found(self, pipeline: str, text: str) -> None:
        self._watch.changed(pipeline)()
        if self._journal is not None:
            self._journal.put(Finding(pipeline, self._clock(), text))

    def _note_terms(self, pipeline: str, watching: PipelineWatch) -> None:
        """Write down by which terms the evidence is weighed from here on."""
        casework, judging = watching.casework, watching.judging
        if self._journal is not None and casework is not None and judging is not None:
            self._journal.put(*terms_rows(pipeline, casework, digest=judging.golden.digest))

    def _write_all(self) -> None:
        """Write down all histories: the database was lost, and a new one knows none."""
        assert self._journal is not None
        for name, watched_ in self._watch.pipelines.items():
            self._note_terms(name, watched_)
            for stage, history in watched_.stages.history.items():
                self._journal.put_history(name, stage, (), history)

    async def _open_store(self, config: Config) -> Store | None:
        """Open the store; without it the exporter works, and the journal tries again."""
        try:
            return await Store.open(config.store_url)
        except StoreError as error:
            log.error("nothing is remembered from before: %s", error)
            return None

    async def _catch_up(self) -> None:
        """Read what the store kept of cases that began while it could not be read."""
        assert self._journal is not None
        while True:
            await asyncio.sleep(CATCH_UP_EVERY)
            behind = [
                (name, watching, watching.casework)
                for name, watching in self._watch.pipelines.items()
                if watching.casework is not None and not watching.casework.is_recalled
            ]
            if not behind or not await self._journal.flush():  # a halt may wait to be written
                continue
            for name, watching, casework in behind:
                try:
                    found = await kept(await self._journal.store(), name)
                except StoreError:
                    break  # the journal tells of it
                if self._watch.pipelines.get(name) is watching:
                    catch_up(casework, found)
                    self._note_terms(name, watching)

    async def _prune(self) -> None:
        """Keep the probe log short, for ever."""
        assert self._journal is not None
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            if not self._turns.leads:
                continue
            try:
                before = self._clock() - KEEP_PROBES
                await self._journal.prune(before=before, configured=self._names)
            except StoreError as error:
                log.warning("the probe log was not pruned: %s", error)

    def _gate_routes(self, config: Config) -> GateRoutes:
        web = config.settings.web
        certificates = [
            (one.san, Client(one.san, frozenset(one.scopes), tuple(one.gates)))
            for one in web.clients
        ]
        rights = Rights(
            lambda: self._gates.tokens,
            clock=self._clock,
            anonymous_checks=web.anonymous_checks,
            certificates=certificates,
        )
        return GateRoutes(self._gates, rights, clock=self._clock, alerts=self._alerts)

    def _alerts(self, pipeline: str) -> tuple[str, ...]:
        watching = self._watch.pipelines.get(pipeline)
        gate = watching.section.gate if watching is not None else None
        return tuple(gate.alerts) if gate is not None else ()

    async def _open_journal(self) -> Store:
        assert self._journal is not None
        return await self._journal.store()

    def _gate_facts(self) -> GateFacts:
        number, digest = self._gates.head
        return GateFacts(self._turns.leads, self._gates.common_cause, number, digest)

    def _store_health(self) -> StoreHealth:
        if self._journal is None:
            return StoreHealth()
        state = self._journal.state
        failures = {reason.value: count for reason, count in state.failures.items()}
        return StoreHealth(state.pending, failures, state.last_success, state.dropped)

    def _handle_hang_ups(self, stack: contextlib.AsyncExitStack) -> None:
        """Reload on SIGHUP; also while starting, when it would end the process."""
        loop = asyncio.get_running_loop()
        reloads: set[asyncio.Task[str | None]] = set()

        def hang_up() -> None:
            task = loop.create_task(self.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, hang_up)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)
        stack.callback(lambda: [task.cancel() for task in reloads])

    def _handle_ends(self, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
            stack.callback(loop.remove_signal_handler, number)


def _gates(config: Config) -> Mapping[str, GateSection]:
    """Return the gates that decide, by pipeline."""
    return {
        name: section.gate
        for name, section in config.settings.pipelines.items()
        if section.gate is not None and section.gate.mode != "off"
    }


def _actions(config: Config) -> Mapping[str, Sequence[ActionSection]]:
    return {name: gate.actions for name, gate in _gates(config).items()}


def web_config_file(config: Config) -> Path | None:
    """Return the web configuration file that *config* names, if it names one."""
    name = config.settings.web.config_file
    return config.web_dir / name if name is not None else None
