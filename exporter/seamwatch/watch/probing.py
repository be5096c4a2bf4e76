"""Asks one pipeline's golden items, drop by drop, and remembers the answers."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from types import MappingProxyType

from seamwatch.golden import GoldenSet, permutation
from seamwatch.models import AdaptiveLimit, Budget, ModelClient
from seamwatch.pipeline import GoldenItem, Judged
from seamwatch.scoring import Rules, judge
from seamwatch.snapshot import GoldenState, ProbeState
from seamwatch.watch.answers import Answers
from seamwatch.watch.casework import Casework, Taken

log = logging.getLogger(__name__)

SEEDS = 1 << 31

Answered = Callable[["Probing", Taken], None]
"""Called with who asked and each answer, in the order in which the questions were asked."""


@dataclass(slots=True, eq=False)
class _Turn:
    """A question that was asked, and its answer once it has ended; None if it was cancelled."""

    seed: int
    position: int
    focused: bool
    ended: bool = False
    judged: Judged | None = None


class Passes:
    """The order in which items are asked: a fresh permutation for each pass, slices interleaved.

    *seed* and *position* are all that a restart needs to go on with an interrupted pass.
    """

    def __init__(
        self, golden: GoldenSet, *, rng: random.Random, seed: int | None = None, position: int = 0
    ) -> None:
        self._golden = golden
        self.rng = rng
        self._order: tuple[GoldenItem, ...] = ()
        self._planned = False
        self.seed = rng.randrange(SEEDS) if seed is None else seed
        self.position = position

    def next(self, *, now: float) -> GoldenItem | None:
        """Return the item to ask now; None when no item's label holds at *now*."""
        if not self._planned:
            self._plan(now)
        for _ in range(len(self._order) + 1):
            if self.position >= len(self._order):
                self.seed, self.position = self.rng.randrange(SEEDS), 0
                self._plan(now)
                if not self._order:
                    return None
            item = self._order[self.position]
            self.position += 1
            if item.is_valid(now=now):
                return item
        return None

    def _plan(self, now: float) -> None:
        self._order = tuple(permutation(self._golden, seed=self.seed, now=now))
        self._planned = True


class Probing:
    """One pipeline's golden set against its live model; the memory behind GoldenState."""

    def __init__(
        self,
        *,
        golden: GoldenSet,
        rules: Rules,
        client: ModelClient,
        passes: Passes,
        limit: AdaptiveLimit,
        budget: Budget,
        answers: Answers,
        timeout: float,
        clock: Callable[[], float],
        answered: Answered | None = None,
        casework: Casework | None = None,
    ) -> None:
        self.golden = golden
        self.rules = rules
        self.passes = passes
        self.casework = casework
        self.budget = budget
        self.answers = answers
        self._client = client
        self._limit = limit
        self._timeout = timeout
        self._clock = clock
        self.answered = answered
        self._over_budget = 0
        self._started, self._started_monotonic = clock(), monotonic()
        self._asking: dict[asyncio.Task[None], _Turn] = {}
        self._turns: deque[_Turn] = deque()  # questions in the order asked, from the oldest open
        self._focus: dict[str, Passes] = {}  # slice -> the order in which it alone is asked
        self._checked: int | None = None  # the pass at whose start the judge was last checked
        self._counts: Mapping[str, int] = MappingProxyType({})
        self._counted_at = math.inf
        self._counted_until = -math.inf
        self.declared: str | None = None  # the version that the model stage says it serves

    def elapsed(self) -> float:
        """Return a time for the budget: it starts at wall clock, where the log of probes ends, and
        goes on with the monotonic clock, so that a jump of the clock gives no budget."""
        return self._started + monotonic() - self._started_monotonic

    async def probe(self) -> bool:
        """Ask one item if concurrency and budget allow; does not wait for its answer."""
        now = self._clock()
        if not self._items(now)["asked"]:
            return True  # nothing to ask costs no budget
        began = self._limit.try_acquire()
        if began is None:
            return True
        if not self.budget.take(self.elapsed()):
            self._over_budget += 1
            self._limit.release()
            return True
        item, turn = self._next(now)
        if item is None:
            self._limit.release()
            return True
        task = asyncio.get_running_loop().create_task(self._ask(item, turn, began))
        self._turns.append(turn)
        self._asking[task] = turn
        task.add_done_callback(self._ended)
        return True

    def _next(self, now: float) -> tuple[GoldenItem | None, _Turn]:
        """Return whom to ask now: the next of the pass, or of the slice that the case doubts."""
        slice_ = self.casework.focus() if self.casework is not None else None
        passes = self.passes if slice_ is None else self._focus_on(slice_)
        item = passes.next(now=now)
        if item is None and slice_ is not None:  # no label of the slice holds now
            slice_, passes = None, self.passes
            item = passes.next(now=now)
        if self.casework is not None and self._checked != self.passes.seed:
            self._checked = self.passes.seed
            self.casework.check_judge(self.passes.seed)
        return item, _Turn(passes.seed, passes.position - 1, slice_ is not None)

    def _focus_on(self, slice_: str) -> Passes:
        if slice_ not in self._focus:
            items = tuple(item for item in self.golden.items if item.slice == slice_)
            only = replace(self.golden, items=items, slices={slice_: len(items)})
            self._focus[slice_] = Passes(only, rng=self.passes.rng)
        return self._focus[slice_]

    async def _ask(self, item: GoldenItem, turn: _Turn, began: float) -> None:
        answer = await self._client.ask(item, timeout=self._timeout)
        self._limit.record(answer.failure, self._limit.clock(), started=began)
        turn.judged = judge(item, answer, self.rules, at=self._clock())
        # the window is a fair sample of the set; a slice that is doubted is none
        self.answers.add(turn.judged, declared=self.declared, sample=not turn.focused)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Give the turn back: here, because a task cancelled before it starts runs no code."""
        self._asking.pop(task).ended = True
        self._limit.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("asking the model failed unexpectedly", exc_info=error)
        self._conclude()

    def _conclude(self) -> None:
        """Hand on what has ended, in the order asked.

        A wrong answer that takes longer than a right one must not count later for that: evidence
        is only fair in an order that the answers have no part in.
        """
        while self._turns and self._turns[0].ended:
            turn = self._turns.popleft()
            if turn.judged is None:
                continue
            try:
                self._hand_on(Taken(turn.judged, turn.seed, turn.position, turn.focused))
            except Exception:  # a bug that one answer meets must not hold up those behind it
                log.exception("an answer could not be handed on")

    def _hand_on(self, taken: Taken) -> None:
        if self.casework is not None:
            taken = self.casework.take(taken)
        if self.answered is not None:
            self.answered(self, taken)

    @property
    def host(self) -> str:
        """Return the host of the model."""
        return self._client.host

    @property
    def pace(self) -> float | None:
        """Return the seconds between two questions that the evidence asks for; None: as usual."""
        return self.casework.pace if self.casework is not None else None

    def golden_state(self, *, now: float) -> GoldenState:
        """Return what is known of the golden set now."""
        answers = self.answers
        accuracy = answers.window.accuracy()
        return GoldenState(
            digest=self.golden.digest,
            task=self.golden.task,
            items=self._items(now),
            verdicts=MappingProxyType(dict(answers.verdicts)),
            accuracy=accuracy,
            slices=MappingProxyType(dict(answers.window.slices())),
            availability=answers.window.availability(),
            measures=answers.examined.measures,
            measured=answers.examined.n,
            window=accuracy.n if accuracy else 0,
            window_size=answers.window.size,
            last_answer=answers.last_answer,
        )

    def probe_state(self, *, now: float) -> ProbeState:
        """Return what asking has cost and who answered."""
        return ProbeState(
            duration_counts=tuple(self.answers.durations),
            duration_sum=self.answers.duration_sum,
            over_budget=self._over_budget,
            budget_remaining=MappingProxyType(dict(self.budget.remaining(self.elapsed()))),
            answered_by=self.answers.versions,
            fallbacks=self.answers.fallbacks,
        )

    def spend(self, spare: float) -> bool:
        """Take one question from the budget for others, leaving the share *spare* of it."""
        return self.budget.take(self.elapsed(), spare=spare)

    def _items(self, now: float) -> Mapping[str, int]:
        if now < self._counted_at or now >= self._counted_until:  # a label begins or ends to hold
            counts = Counter(asked=0, expired=0, not_yet_valid=0)
            self._counted_until = math.inf
            for item in self.golden.items:
                counts[_state(item, now)] += 1
                bounds = (item.valid_from, item.valid_until)
                coming = [bound for bound in bounds if bound is not None and bound > now]
                self._counted_until = min(self._counted_until, *coming, math.inf)
            self._counted_at, self._counts = now, MappingProxyType(dict(counts))
        return self._counts

    def take_over(self, before: Probing, *, now: float) -> None:
        """Keep what *before* spent and, if set and rules are the same, what it learned."""
        spent = before.budget.state(before.elapsed(), wall=now)
        self.budget.restore(spent, self.elapsed(), wall=now)
        if self.casework is not None and before.casework is not None:
            self.casework.take_over(before.casework)
        if before.golden.digest != self.golden.digest or before.rules != self.rules:
            return
        self.passes = before.passes
        self._over_budget = before._over_budget
        self.answers.take_over(before.answers)

    def close(self) -> None:
        """Cancel the questions that are under way."""
        self._turns.clear()
        for task in self._asking:
            task.cancel()


def _state(item: GoldenItem, now: float) -> str:
    if item.is_valid(now=now):
        return "asked"
    return "not_yet_valid" if item.valid_from is not None and now < item.valid_from else "expired"
