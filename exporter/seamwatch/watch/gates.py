"""All gates of this process, in memory: what callers are told never waits for a database.

The store decides (see `seamwatch.store.gatebook`); here is a copy of what it said last, read again
every half second, and ahead of it only what this process has put into the journal and is not yet
written: a halt is in force at once, and durable a moment later. The end of one is in force once it
is durable.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from seamwatch.errors import StoreError
from seamwatch.gate import (
    Answer,
    Base,
    Change,
    Configured,
    GateState,
    Halt,
    Happening,
    NotLegal,
    Rules,
    Tick,
    answer,
    decide,
    next_at,
)
from seamwatch.snapshot import AttributionState, EvidenceState, GateReport
from seamwatch.store import Happened, IdempotencyKey, Journal, Store
from seamwatch.store.audit import AuditRow
from seamwatch.store.gatebook import GateRow, Written
from seamwatch.store.orders import OrderRow
from seamwatch.store.tokens import Token

log = logging.getLogger(__name__)

POLL_EVERY = 0.5  # seconds
TOKENS_EVERY = 2.0  # seconds after which a revoked token is good for nothing at the latest
AT_ONCE = 60.0  # seconds within which halts of several gates have a common cause
FEW = 3  # gates that may halt within AT_ONCE before somebody should look for one, by default


class UnknownGateError(LookupError):
    """There is no such gate."""


@dataclass(slots=True)
class Held:
    """One gate as this process knows it."""

    rules: Rules
    state: GateState
    seq: int = 0  # of the audit, when the store last said so
    targets: tuple[str, ...] = ()  # of its actions, by name
    evidence: EvidenceState | None = None
    attribution: AttributionState | None = None
    waiting: bool = False  # this process has put something into the journal since
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)  # (to, cause)
    checks: Counter[str] = field(default_factory=Counter)  # decision -> times it was told


@dataclass(frozen=True, slots=True)
class GateView:
    """One gate at one moment, for those who show it."""

    pipeline: str
    rules: Rules
    state: GateState
    answer: Answer
    evidence: EvidenceState | None
    attribution: AttributionState | None
    orders: tuple[OrderRow, ...]
    is_durable: bool  # False: what this process found is not written down yet
    as_of: float  # wall clock at which the store was last read; seconds since the epoch


class Gates:
    """See the module. Used from one event loop.

    Args:
        clock: wall clock, seconds since the epoch.
        reset: called soon with a pipeline whose evidence is to begin anew.
        changed: called with a pipeline whose gate has changed.
        joined: called with each gate once the store was read, and whether it knows none such.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        reset: Callable[[str], None],
        joined: Callable[[str, bool], None],
        changed: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._changed = changed
        self._reset = reset
        self._joined = joined
        self._joining: set[str] = set()
        self._held: dict[str, Held] = {}
        self._journal: Journal | None = None
        self._reading = asyncio.Lock()
        self._as_of: float | None = None
        self._tokens: Mapping[str, Token] = {}
        self._tokens_known = False
        self._tokens_read = float("-inf")
        self._orders: Sequence[OrderRow] = ()
        self._head = (0, "")
        self._halts: deque[tuple[float, str]] = deque(maxlen=1000)
        self._few = FEW
        self._news = asyncio.Event()
        self._hurries: set[asyncio.Future[bool]] = set()

    # what is configured

    def configure(
        self,
        wanted: Mapping[str, tuple[Rules, tuple[str, ...]]],
        journal: Journal,
        *,
        few: int = FEW,
    ) -> None:
        """Keep exactly the gates of *wanted*: pipeline -> rules and names of targets.

        A gate that goes is not forgotten by the store: it comes back as it was. More than *few*
        gates that halt within AT_ONCE have a common cause.
        """
        self._journal, self._few = journal, few
        held = {}
        for name, (rules, targets) in wanted.items():
            one = self._held.get(name)
            if one is None:
                one = Held(rules, GateState.first(rules.mode, self._clock()))
                self._joining.add(name)  # the store may know more of it
            changed = one.rules != rules or one.targets != targets
            one.rules, one.targets = rules, targets
            held[name] = one
            if changed and one.seq:  # written also where the state stays as it is
                journal.put(self._row(name, one, Configured(), "configuration", None))
        self._held = held

    # what is asked

    def names(self) -> Collection[str]:
        """Return the pipelines that have a gate."""
        return self._held.keys()

    def answer(self, pipeline: str) -> Answer | None:
        """Return what callers are told now; None where there is no such gate."""
        held = self._held.get(pipeline)
        if held is None:
            return None
        return answer(held.state, held.rules, now=self._clock())

    def counted(self, pipeline: str, decision: str) -> None:
        """Count that a caller was told *decision*."""
        if (held := self._held.get(pipeline)) is not None:
            held.checks[decision] += 1

    def view(self, pipeline: str) -> GateView | None:
        """Return all that is known of a gate; None where there is none."""
        held = self._held.get(pipeline)
        if held is None:
            return None
        now = self._clock()
        return GateView(
            pipeline,
            held.rules,
            held.state,
            answer(held.state, held.rules, now=now),
            held.evidence,
            held.attribution,
            tuple(one for one in self._orders if one.pipeline == pipeline),
            not held.waiting,
            self._as_of or now,
        )

    def report(self, pipeline: str) -> GateReport | None:
        """Return what metrics show of a gate; None where there is none."""
        held = self._held.get(pipeline)
        if held is None:
            return None
        said = answer(held.state, held.rules, now=self._clock())
        transitions = MappingProxyType(dict(held.transitions))
        checks = MappingProxyType(dict(held.checks))
        return GateReport(held.state, held.rules, said, transitions, checks)

    @property
    def is_known(self) -> bool:
        """Say whether the store has been read: before that nobody knows what is halted."""
        return self._as_of is not None

    @property
    def tokens(self) -> Mapping[str, Token] | None:
        """Return SHA-256 of the secret -> token; None while the store could not be read."""
        return self._tokens if self._tokens_known else None

    @property
    def orders(self) -> Sequence[OrderRow]:
        """Return all orders, as they were last read."""
        return self._orders

    @property
    def head(self) -> tuple[int, str]:
        """Return number and hash of the last row of the audit, as last read."""
        return self._head

    @property
    def common_cause(self) -> bool:
        """Say whether so many gates halted within a minute that one thing must be behind it."""
        since = self._clock() - AT_ONCE
        return len({name for at, name in tuple(self._halts) if at >= since}) > self._few

    async def read_head(self) -> tuple[int, str]:
        """Return number and hash of the last row as of now. Raises StoreError."""
        return await (await self._store()).gates.head()

    async def audit(
        self, after: int, *, pipeline: str | None = None, limit: int = 1_000
    ) -> list[AuditRow]:
        """Return rows of the audit after number *after*, oldest first. Raises StoreError."""
        store = await self._store()
        return await store.gates.load_audit(after, pipeline=pipeline, limit=limit)

    async def news(self) -> None:
        """Return when the audit may have grown."""
        await self._news.wait()

    # what happens

    async def happen(
        self,
        pipeline: str,
        happening: Happening,
        *,
        actor: str,
        expected: int | None = None,
        key: IdempotencyKey | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> Written:
        """Let something happen to a gate; return what came of it once it is written down.

        Raises:
            UnknownGateError: there is no such gate.
            NotLegal, StaleGeneration, KeyReused: as `GateStore.happen`.
            StoreError: it could not be written, and nothing has changed.
        """
        held = self._known(pipeline)
        if held.waiting and self._journal is not None:
            await self._journal.flush()  # what was found before is decided before
        store = await self._store()
        row = self._row(pipeline, held, happening, actor, detail)
        written = await store.gates.happen(row, expected=expected, key=key)
        held.waiting = False
        self._take(pipeline, held, written.state, written.seq, written.changes)
        self._stir()
        return written

    def halt_at_once(self, pipeline: str, reason: str, *, actor: str) -> GateState:
        """Halt in memory, and on disk as soon as it can be written: for when it cannot now.

        Raises:
            UnknownGateError, NotLegal: as `happen`.
        """
        held = self._known(pipeline)
        decide(held.state, Halt(reason), held.rules, now=self._clock(), actor=actor)
        self.note(pipeline, Halt(reason), actor=actor)
        return held.state

    def note(self, pipeline: str, happening: Happening, *, actor: str) -> None:
        """Let something happen now, and write it down behind."""
        row = self.happened(pipeline, happening, actor=actor)
        if row is not None and self._journal is not None:
            self._journal.put(row)

    def happened(
        self,
        pipeline: str,
        happening: Happening,
        *,
        actor: str,
        detail: Mapping[str, Any] | None = None,
    ) -> Happened | None:
        """Let something happen in memory; return the row to write, None where nothing changed."""
        held = self._held.get(pipeline)
        if held is None:
            return None
        try:
            decided = decide(held.state, happening, held.rules, now=self._clock(), actor=actor)
        except NotLegal:
            return None
        if decided.state is held.state:
            return None
        if held.state.is_halted and not decided.state.is_halted:
            # whoever goes on must not be stopped again by a restart: first it is written down
            return self._row(pipeline, held, happening, actor, detail)
        held.waiting = True
        self._take(pipeline, held, decided.state, held.seq, decided.changes)
        return self._row(pipeline, held, happening, actor, detail)

    def row(self, pipeline: str, happening: Happening, *, actor: str) -> Happened:
        """Return what writes *happening* down whatever it changes. Raises UnknownGateError."""
        return self._row(pipeline, self._known(pipeline), happening, actor, None)

    def seen(
        self,
        pipeline: str,
        evidence: EvidenceState | None,
        attribution: AttributionState | None,
    ) -> None:
        """Take what is shown beside the gate."""
        if (held := self._held.get(pipeline)) is not None:
            held.evidence, held.attribution = evidence, attribution

    def state(self, pipeline: str) -> GateState | None:
        """Return how a gate stands; None where there is none."""
        held = self._held.get(pipeline)
        return held.state if held is not None else None

    def basis(self, pipeline: str) -> tuple[GateState, Rules] | None:
        """Return what the answer rests on, beside the time where there is an override."""
        held = self._held.get(pipeline)
        return (held.state, held.rules) if held is not None else None

    # keeping up with the store

    async def run(self, *, leads: Callable[[], bool]) -> None:
        """Read what changed and do what is due, until cancelled."""
        while True:
            await asyncio.sleep(POLL_EVERY)
            if leads():
                self._tick()
            await self.read()

    async def read(self) -> bool:
        """Read what changed in the store; say whether it could be read."""
        if self._journal is None:
            return False
        async with self._reading:
            joining = self._joining & self._held.keys()
            if any(held.waiting for held in self._held.values()):
                await self._journal.flush()  # or what is read were behind what was found here
            try:
                await self._read_from(await self._journal.store(), everything=bool(joining))
            except StoreError:
                return False  # the journal tells of it
            self._as_of = self._clock()
            self._joining -= joining
            for name in sorted(joining & self._held.keys()):
                self._joined(name, self._held[name].seq == 0)
            return True

    async def _read_from(self, store: Store, *, everything: bool) -> None:
        head = await store.gates.head()
        if everything or head != self._head:
            rows = await store.gates.load(-1 if everything else self._head[0])
            self._orders = await store.gates.load_orders()
            for row in rows:
                self._read(row)
            self._head = head
            self._stir()
        if self._clock() - self._tokens_read >= TOKENS_EVERY or not self._tokens_known:
            await self._read_tokens(store)

    async def _read_tokens(self, store: Store) -> None:
        self._tokens = {token.hash: token for token in await store.gates.load_tokens()}
        self._tokens_known, self._tokens_read = True, self._clock()

    async def read_orders(self, store: Store) -> None:
        """Read orders again: their progress is no matter of the audit."""
        self._orders = await store.gates.load_orders()

    def went_on(self, row: OrderRow) -> None:
        """Show *row* in place of the same order as it was."""
        self._orders = [
            row if (one.pipeline, one.target) == (row.pipeline, row.target) else one
            for one in self._orders
        ]

    def _read(self, row: GateRow) -> None:
        held = self._held.get(row.pipeline)
        if held is None or row.seq < held.seq:
            return
        held.waiting = False
        self._take(row.pipeline, held, row.state, row.seq, ())

    def _take(
        self,
        pipeline: str,
        held: Held,
        state: GateState,
        seq: int,
        changes: Sequence[Change],
    ) -> None:
        before, held.state, held.seq = held.state, state, max(seq, held.seq)
        self._changed(pipeline)
        for change in changes:
            held.transitions[change.after.value, change.cause.partition("/")[0]] += 1
            level = logging.WARNING if change.after is Base.HALTED else logging.INFO
            log.log(
                level,
                "gate: %s",
                change.event,
                extra={"pipeline": pipeline, "cause": change.cause, "reason": change.reason},
            )
        if state.is_halted and not before.is_halted:
            self._halts.append((self._clock(), pipeline))
            if held.waiting:  # actions begin once it is on disk
                task = asyncio.ensure_future(self.read())
                self._hurries.add(task)
                task.add_done_callback(self._hurries.discard)
        if state.resets > before.resets:
            # soon, not now: what led to it is put into the journal first
            asyncio.get_running_loop().call_soon(self._reset, pipeline)

    def _tick(self) -> None:
        now = self._clock()
        for name, held in self._held.items():
            at = next_at(held.state, held.rules)
            if at is not None and at <= now:
                self.note(name, Tick(), actor="clock")

    def _row(
        self,
        pipeline: str,
        held: Held,
        happening: Happening,
        actor: str,
        detail: Mapping[str, Any] | None,
    ) -> Happened:
        now = self._clock()
        return Happened(
            pipeline, happening, held.rules, now, actor, held.targets, detail=detail or {}
        )

    def _known(self, pipeline: str) -> Held:
        held = self._held.get(pipeline)
        if held is None:
            raise UnknownGateError(pipeline)
        return held

    def _stir(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _store(self) -> Awaitable[Store]:
        assert self._journal is not None
        return self._journal.store()
