"""Asks one pipeline's golden items, drop by drop, and remembers the answers."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from time import monotonic
from types import MappingProxyType

from seamwatch.golden import GoldenSet, permutation
from seamwatch.models import AdaptiveLimit, Budget, ModelClient
from seamwatch.pipeline import GoldenItem, Judged, Verdict
from seamwatch.scoring import Columns, Rules, Window, columns, judge
from seamwatch.snapshot import PROBE_BUCKETS, GoldenState, ProbeState

log = logging.getLogger(__name__)

SEEDS = 1 << 31

LONGEST_KEPT = 1000  # characters or items of an answer that stays in memory

Answered = Callable[["Probing", Judged, int, int], None]
"""Called with who asked, each new answer, and seed and position of the pass that asked for it."""


class Passes:
    """The order in which items are asked: a fresh permutation for each pass, slices interleaved.

    *seed* and *position* are all that a restart needs to go on with an interrupted pass.
    """

    def __init__(
        self, golden: GoldenSet, *, rng: random.Random, seed: int | None = None, position: int = 0
    ) -> None:
        self._golden = golden
        self._rng = rng
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
                self.seed, self.position = self._rng.randrange(SEEDS), 0
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
        window: int,
        timeout: float,
        clock: Callable[[], float],
        answered: Answered,
    ) -> None:
        self.golden = golden
        self.rules = rules
        self.passes = passes
        self.budget = budget
        self._client = client
        self._limit = limit
        self._timeout = timeout
        self._clock = clock
        self._answered = answered
        self._window = Window(window)
        self._recent: deque[Judged] = deque(maxlen=window)
        self._verdicts: Counter[Verdict] = Counter()
        self._durations = [0] * (len(PROBE_BUCKETS) + 1)
        self._duration_sum = 0.0
        self._last_answer: float | None = None
        self._over_budget = 0
        self._fallbacks = 0
        self._started, self._started_monotonic = clock(), monotonic()
        self._asking: set[asyncio.Task[None]] = set()
        self._counts: Mapping[str, int] = MappingProxyType({})
        self._counted_at = math.inf
        self._counted_until = -math.inf
        self._measures: Mapping[str, float] = MappingProxyType({})
        self._measured = 0  # answers that the measures are over
        self.declared: str | None = None  # the version that the model stage says it serves

    def _elapsed(self) -> float:
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
        if not self.budget.take(self._elapsed()):
            self._over_budget += 1
            self._limit.release()
            return True
        item = self.passes.next(now=now)
        if item is None:
            self._limit.release()
            return True
        asking = self._ask(item, self.passes.seed, self.passes.position - 1, began)
        task = asyncio.get_running_loop().create_task(asking)
        self._asking.add(task)
        task.add_done_callback(self._ended)
        return True

    async def _ask(self, item: GoldenItem, seed: int, position: int, began: float) -> None:
        answer = await self._client.ask(item, timeout=self._timeout)
        self._limit.record(answer.failure, self._limit.clock(), started=began)
        judged = judge(item, answer, self.rules, at=self._clock())
        self._add(judged)
        self._answered(self, judged, seed, position)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Give the turn back: here, because a task cancelled before it starts runs no code."""
        self._asking.discard(task)
        self._limit.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("asking the model failed unexpectedly", exc_info=error)

    def _add(self, judged: Judged) -> None:
        duration = judged.answer.duration
        self._durations[bisect_left(PROBE_BUCKETS, duration)] += 1
        self._duration_sum += duration
        self._verdicts[judged.verdict] += 1
        by = judged.answer.answered_by
        if by is not None and self.declared is not None and by != self.declared:
            self._fallbacks += 1
        self._recent.append(_without_prose(judged))
        self.restore([judged])

    def restore(self, remembered: Iterable[Judged]) -> None:
        """Put judged answers into the window, oldest first, without counting them as new.

        What the store remembers of an answer is its verdict, not its text: the batch measures
        are over the answers that came since the start.
        """
        for judged in remembered:
            self._window.add(judged)
            if judged.verdict.is_answer:
                self._last_answer = judged.at

    @property
    def answers(self) -> int:
        """Return how many questions have ended since the start, with whatever verdict."""
        return self._verdicts.total()

    def columns(self) -> Columns:
        """Return the window's answers as columns, for the batch measures."""
        return columns(self._recent, self.rules)

    def measured(self, values: Mapping[str, float], answers: int) -> None:
        """Take the batch measures over so many *answers*; none when they could not be taken."""
        self._measures, self._measured = MappingProxyType(dict(values)), answers

    def golden_state(self, *, now: float) -> GoldenState:
        """Return what is known of the golden set now."""
        accuracy = self._window.accuracy()
        return GoldenState(
            digest=self.golden.digest,
            task=self.golden.task,
            items=self._items(now),
            verdicts=MappingProxyType(dict(self._verdicts)),
            accuracy=accuracy,
            slices=MappingProxyType(dict(self._window.slices())),
            availability=self._window.availability(),
            measures=self._measures,
            measured=self._measured,
            window=accuracy.n if accuracy else 0,
            window_size=self._window.size,
            last_answer=self._last_answer,
        )

    def probe_state(self, *, now: float) -> ProbeState:
        """Return what asking has cost and who answered."""
        versions = {judged.answer.answered_by for judged in self._recent} - {None}
        return ProbeState(
            duration_counts=tuple(self._durations),
            duration_sum=self._duration_sum,
            over_budget=self._over_budget,
            budget_remaining=MappingProxyType(dict(self.budget.remaining(self._elapsed()))),
            answered_by=tuple(sorted(version for version in versions if version)),
            fallbacks=self._fallbacks,
        )

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
        spent = before.budget.state(before._elapsed(), wall=now)
        self.budget.restore(spent, self._elapsed(), wall=now)
        if before.golden.digest != self.golden.digest or before.rules != self.rules:
            return
        self.passes = before.passes
        self.measured(before._measures, before._measured)
        self._verdicts = before._verdicts
        self._durations, self._duration_sum = before._durations, before._duration_sum
        self._last_answer = before._last_answer
        self._over_budget, self._fallbacks = before._over_budget, before._fallbacks
        self._recent.extend(before._recent)
        if before._window.size == self._window.size:
            self._window = before._window
        else:
            self.restore(before._recent)

    def close(self) -> None:
        """Cancel the questions that are under way."""
        for task in self._asking:
            task.cancel()


def _without_prose(judged: Judged) -> Judged:
    """Drop an answer that no batch measure needs: a window of long texts would fill the memory."""
    value = judged.answer.value
    if isinstance(value, str | list) and len(value) > LONGEST_KEPT:
        return replace(judged, answer=replace(judged.answer, value=None))
    return judged


def _state(item: GoldenItem, now: float) -> str:
    if item.is_valid(now=now):
        return "asked"
    return "not_yet_valid" if item.valid_from is not None and now < item.valid_from else "expired"
