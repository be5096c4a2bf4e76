"""Carries orders out: what a gate wants is brought about wherever its actions reach.

For each target one thing at a time, halts before all else, tried for as long as the order holds.
Before anything is changed the attempt, and what must be given back later, is written down; a
process that may not write (another one leads), or whose order is not the last any more, sends
nothing. So no target hears an older word after a newer one from us, and none is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from seamwatch.actions import Order, Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason, SeamwatchError, StoreError
from seamwatch.fetch import Fetcher
from seamwatch.snapshot import ACTION_BUCKETS, ActionReport
from seamwatch.store import Store
from seamwatch.store.audit import Entry
from seamwatch.store.orders import OrderRow
from seamwatch.watch.gates import Gates
from seamwatch.watch.orders import begun, done, drifted, failed, memory_of, text_of

log = logging.getLogger(__name__)

AT_ONCE = 32  # attempts to halt under way, and as many to let run
LOOK_EVERY = 5.0  # seconds after which orders are read though nothing was heard
GRACE = 1.0  # seconds over its timeout that a target may take before it is cut off
GONE = "no action of this name is configured any more; add it again, or let it run by hand"

_T = TypeVar("_T")
_Key = tuple[str, str]  # pipeline, name of the action
_NEVER = float("inf")


@dataclass(slots=True)
class Action:
    """One action as configured, and what it has done since the start."""

    section: ActionSection
    target: Target
    attempts: Counter[str] = field(default_factory=Counter)
    drifts: int = 0
    check_at: float = 0.0  # wall clock
    counts: list[int] = field(default_factory=lambda: [0] * (len(ACTION_BUCKETS) + 1))
    total: float = 0.0  # seconds


@dataclass(slots=True)
class _UnderWay:
    task: asyncio.Task[None]
    generation: int


class Enforcing:
    """See the module. Used from one event loop.

    Args:
        store: returns the store, open; raises StoreError.
        leads: whether this process may carry orders out.
        changed: called with a pipeline whose actions have something new to show.
        clock: wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        gates: Gates,
        *,
        store: Callable[[], Awaitable[Store]],
        leads: Callable[[], bool],
        changed: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._gates = gates
        self._store = store
        self._leads = leads
        self._changed = changed
        self._clock = clock
        self._dice = random.Random()
        self._actions: dict[_Key, Action] = {}
        self._under_way: dict[_Key, _UnderWay] = {}
        self._halts = asyncio.Semaphore(AT_ONCE)
        self._others = asyncio.Semaphore(AT_ONCE)
        self._wake = asyncio.Event()

    # what is configured

    def prepare(
        self, wanted: Mapping[str, Sequence[ActionSection]], fetcher: Fetcher
    ) -> Mapping[_Key, Action]:
        """Return the actions of *wanted*, pipeline -> sections; those that stay are the same ones.

        Raises:
            SeamwatchError: an action could never be reached as configured. Nothing has changed.
        """
        found = {}
        for pipeline, sections in wanted.items():
            for section in sections:
                key = (pipeline, section.target)
                known = self._actions.get(key)
                if known is not None and known.section == section:
                    found[key] = known
                    continue
                try:
                    found[key] = Action(section, build(section, fetcher))
                except SeamwatchError as error:
                    where = f"pipelines.{pipeline}.gate.actions: {section.target}"
                    raise SeamwatchError(f"{where}: {error}") from error
        return found

    async def adopt(self, actions: Mapping[_Key, Action]) -> None:
        """Work with exactly *actions*, as `prepare` returned them."""
        gone = [one for key, one in self._actions.items() if actions.get(key) is not one]
        for key, under_way in self._under_way.items():
            if self._actions.get(key) is not actions.get(key):
                under_way.task.cancel()
        self._actions = dict(actions)
        for one in gone:
            await _closed(one.target)
        self._wake.set()

    async def close(self) -> None:
        """Stop what is under way and let go of connections."""
        tasks = [one.task for one in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.adopt({})

    def reports(self, pipeline: str) -> tuple[ActionReport, ...]:
        """Return what metrics show of the actions of *pipeline*."""
        orders = {row.target: row for row in self._gates.orders if row.pipeline == pipeline}
        return tuple(
            _report(name, one, orders.get(name))
            for (owner, name), one in self._actions.items()
            if owner == pipeline
        )

    # what is under way

    async def run(self) -> None:
        """Carry out what is ordered, until cancelled."""
        listening = asyncio.ensure_future(self._listen())
        due = 0.0
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(max(due - self._clock(), 0.0), LOOK_EVERY)):
                        await self._wake.wait()
                self._wake.clear()
                due = self._clock() + LOOK_EVERY
                if self._leads() and (self._actions or self._gates.orders):
                    with contextlib.suppress(StoreError):  # the journal tells of it
                        due = await self.look()
        finally:
            listening.cancel()
            for one in self._under_way.values():
                one.task.cancel()

    async def _listen(self) -> None:
        while True:
            await self._gates.news()
            self._wake.set()

    async def look(self) -> float:
        """Begin what is due; return when to look again, wall clock. Raises StoreError."""
        await self._gates.read_orders(await self._store())
        now, next_due = self._clock(), _NEVER
        for row in sorted(
            self._gates.orders, key=lambda one: (one.desired != "halted", one.next_at)
        ):
            key = (row.pipeline, row.target)
            if (under_way := self._under_way.get(key)) is not None:
                if under_way.generation != row.generation:
                    under_way.task.cancel()  # what it was to bring about is not wanted any more
                continue
            due = self._due(row, now)
            if due <= now:
                self._begin(key, row)
            else:
                next_due = min(next_due, due)
        return min(next_due, now + LOOK_EVERY)

    async def settled(self) -> None:
        """Return when nothing is under way."""
        while self._under_way:
            await asyncio.wait([one.task for one in self._under_way.values()])
            await asyncio.sleep(0)  # what ends a task is done a moment later

    def _due(self, row: OrderRow, now: float) -> float:
        action = self._actions.get((row.pipeline, row.target))
        if action is None:
            is_told = row.last_error == GONE or (row.status, row.desired) == (
                "effective",
                "running",
            )
            return _NEVER if is_told else now
        if row.status == "effective":
            return action.check_at if row.desired == "halted" else _NEVER
        if row.status == "dry_run" and action.section.dry_run:
            return _NEVER
        if row.last_error == GONE:
            return now
        return min(row.next_at, now + LOOK_EVERY) if row.next_at > now + 4000.0 else row.next_at

    def _begin(self, key: _Key, row: OrderRow) -> None:
        task = asyncio.ensure_future(self._see_to(row, self._actions.get(key)))
        self._under_way[key] = _UnderWay(task, row.generation)

        def ended(task: asyncio.Task[None]) -> None:
            del self._under_way[key]
            self._wake.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("an action failed in a way that is our mistake", exc_info=error)

        task.add_done_callback(ended)

    async def _see_to(self, row: OrderRow, action: Action | None) -> None:
        async with self._halts if row.desired == "halted" else self._others:
            try:
                if action is None:
                    await self._keep(replace(row, status="refused", last_error=GONE), "refused")
                elif action.section.dry_run:
                    await self._rehearse(row, action)
                elif row.status == "effective":
                    await self._check(row, action)
                else:
                    await self._carry_out(row, action)
            except StoreError as error:
                if error.reason is not Reason.NOT_LEADER:
                    log.error("orders wait: %s", error)
                await asyncio.sleep(1.0)  # nothing is sent that could not be written down

    async def _carry_out(self, row: OrderRow, action: Action) -> None:
        section, target = action.section, action.target
        order = self._order(row)
        row = begun(row, now=self._clock())
        try:
            if row.desired == "halted" and not row.confirmed_generation:
                order = replace(order, memory=await self._within(section, target.look(order)))
                row = replace(row, memory=text_of(order.memory))
            if not await self._keep(row):
                return
            await self._within(section, target.apply(order))
            if await self._within(section, target.stands(order)) is False:
                raise ReadError(Reason.BUSY, "it took the order, and does not stand as ordered yet")
        except ReadError as error:
            await self._note_failure(row, action, error)
            return
        await self._note_success(row, action)

    async def _note_failure(self, row: OrderRow, action: Action, error: ReadError) -> None:
        after = failed(row, error, now=self._clock(), dice=self._dice)
        action.attempts["refused" if after.status == "refused" else "failed"] += 1
        is_new = after.last_error != row.last_error
        refused = after.status == "refused" and is_new
        if is_new:
            extra = {"pipeline": row.pipeline, "action": row.target, "desired": row.desired}
            log.warning("action: %s", error, extra=extra)
        await self._keep(after, "refused" if refused else None)

    async def _note_success(self, row: OrderRow, action: Action) -> None:
        now = self._clock()
        action.attempts["delivered"] += 1
        action.check_at = now + action.section.check_every
        if not await self._keep(done(row, now=now), "effective"):
            return
        took = max(now - row.decided_at, 0.0)
        action.counts[bisect_left(ACTION_BUCKETS, took)] += 1
        action.total += took
        extra = {"pipeline": row.pipeline, "action": row.target, "desired": row.desired}
        log.info("action: effective", extra=extra)

    async def _check(self, row: OrderRow, action: Action) -> None:
        """Look whether what was halted still is."""
        section = action.section
        action.check_at = self._clock() + section.check_every * self._dice.uniform(0.9, 1.0)
        try:
            stands = await self._within(section, action.target.stands(self._order(row)))
        except ReadError as error:
            extra = {"pipeline": row.pipeline, "action": row.target}
            log.warning("nobody can tell whether it still stands: %s", error, extra=extra)
            return
        if stands is None:
            action.check_at = _NEVER
        elif not stands:
            action.drifts += 1
            after = drifted(row, section.on_drift, now=self._clock())
            await self._keep(after, "yielded" if after.status == "yielded" else "drift")

    async def _rehearse(self, row: OrderRow, action: Action) -> None:
        said = action.target.render(self._order(row))
        after = replace(row, status="dry_run", last_error="")
        await self._keep(after, "dry_run", said=said)

    async def _keep(self, row: OrderRow, event: str | None = None, *, said: str = "") -> bool:
        """Write *row*, and *event* into the audit with it; False: another order took its place."""
        entries = []
        if event is not None:
            detail = {"action": row.target, "desired": row.desired, "attempts": row.attempts}
            if said:
                detail["would_do"] = said
            reason = row.last_error or row.reason
            entries.append(
                Entry(
                    row.pipeline,
                    "seamwatch",
                    f"action_{event}",
                    cause=f"action/{row.target}",
                    reason=reason,
                    generation=row.generation,
                    detail=detail,
                )
            )
        store = await self._store()
        is_kept = await store.gates.keep_order(row, *entries, at=self._clock())
        if is_kept:
            self._gates.went_on(row)
            self._changed(row.pipeline)
        return is_kept

    async def _within(self, section: ActionSection, work: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(section.timeout + GRACE):
                return await work
        except TimeoutError as error:
            message = f"{section.kind}: no end within {section.timeout:g} s"
            raise ReadError(Reason.TIMEOUT, message) from error
        except (ReadError, StoreError):
            raise
        except Exception as error:
            log.exception("an action failed in a way that is our mistake")
            message = f"{section.kind}: {type(error).__name__}, which is our mistake"
            raise ReadError(Reason.INTERNAL, message) from error

    def _order(self, row: OrderRow) -> Order:
        seq, digest = self._gates.head
        return Order(
            row.pipeline,
            row.target,
            row.desired,
            row.generation,
            row.reason,
            row.decided_at,
            memory_of(row),
            seq,
            digest,
        )


async def _closed(target: Target) -> None:
    try:
        await target.close()
    except Exception:
        log.exception("an action could not be closed")


def _report(name: str, action: Action, row: OrderRow | None) -> ActionReport:
    section = action.section
    return ActionReport(
        name,
        is_required=section.required and not section.dry_run,
        status=row.status if row is not None else None,
        halted=row is not None and row.desired == "halted",
        decided_at=row.decided_at if row is not None else None,
        effective_at=row.confirmed_at if row is not None and row.status == "effective" else None,
        attempts=dict(action.attempts),
        drifts=action.drifts,
        durations=tuple(action.counts),
        duration_sum=action.total,
    )
