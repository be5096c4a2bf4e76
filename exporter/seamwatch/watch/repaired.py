"""Asks single items with repairs applied: within limits and budgets, and never in probing's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from seamwatch.config.models import ModelSection
from seamwatch.errors import Reason
from seamwatch.fetch import Fetcher
from seamwatch.models import AdaptiveLimit, Budget, ModelClient, variant
from seamwatch.pipeline import GoldenItem, Judged
from seamwatch.scoring import Rules, judge

SPARE = 0.25  # share of the model's own budget that is left for probes
FULL = 0.1  # seconds until a host that has no room is tried again

PLAIN: frozenset[str] = frozenset()
"""No repair: as users ask."""


class Repaired:
    """One model under any of its repairs.

    Args:
        section: the model, its repairs and how much may be asked.
        rules: how answers are judged.
        fetcher: open while this lives.
        limits: one AdaptiveLimit for each ``host:port concurrency``, shared with probing.
        spend: takes one question from the model's own budget, but leaves the share of it that it
            is given; returns whether there was one.
        clock: wall clock, seconds.
        elapsed: monotonic seconds.

    Raises:
        SeamwatchError: a repair could never be sent.
    """

    def __init__(
        self,
        section: ModelSection,
        rules: Rules,
        *,
        fetcher: Fetcher,
        limits: dict[str, AdaptiveLimit],
        spend: Callable[[float], bool],
        clock: Callable[[], float],
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self.section = section
        self.budget = Budget(per_day=section.attribution.per_day)
        self._rules = rules
        self._fetcher = fetcher
        self._limits = limits
        self._spend = spend
        self._clock = clock
        self._elapsed = elapsed
        self._clients: dict[frozenset[str], ModelClient] = {}
        self._host = self._client(PLAIN).host
        for name in section.repairs:
            self._client(frozenset({name}))  # raises now what could never be sent

    def take_budget(self) -> bool:
        """Take one question from our own budget and from the model's; False when one is spent."""
        now = self._elapsed()
        if not all(self.budget.remaining(now).values()):
            return False
        return self._spend(SPARE) and self.budget.take(now)

    async def ask(self, item: GoldenItem, repairs: frozenset[str]) -> Judged:
        """Return the judged answer to *item* with *repairs* applied; its budget was taken before.

        Waits for its turn, and where the model also answers probes leaves them one turn.
        """
        client = self._client(repairs)
        most = self.section.concurrency
        limit = self._limits.setdefault(f"{client.host} {most}", AdaptiveLimit(most))
        shared = client.host == self._host
        began = await (_spare_turn(limit) if shared else limit.acquire())
        try:
            answer = await client.ask(item, timeout=self.section.timeout)
        finally:
            limit.release()
        late = answer.failure is not None and answer.failure.reason is Reason.TIMEOUT
        if not (late and shared and repairs):  # a repair that hangs says nothing about probes
            limit.record(answer.failure, limit.clock(), started=began)
        if shared and limit.most == 1:
            await asyncio.sleep(answer.duration)  # the one turn is a probe's as long as it was ours
        return judge(item, answer, self._rules, at=self._clock())

    def _client(self, repairs: frozenset[str]) -> ModelClient:
        client = self._clients.get(repairs)
        if client is None:
            client = self._clients[repairs] = variant(self.section, repairs, self._fetcher)
        return client


async def _spare_turn(limit: AdaptiveLimit) -> float:
    """Take a turn where another one stays free; of a limit of 1, the one there is."""
    spare = min(1, limit.most - 1)
    while True:
        if limit.in_use + spare < limit.current(limit.clock()):
            began = limit.try_acquire()
            if began is not None:
                return began
        await asyncio.sleep(max(FULL, limit.held(limit.clock())))
