"""One inquiry against the live model: what it asks is sent, judged and handed back.

What an item is worth without repairs is what probing observed: the inquiry itself has items asked
once more as users ask, for as long as some of them were wrong only by chance.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from seamwatch.attribution import Ask, Inquiry, Outcome
from seamwatch.config.models import ModelSection
from seamwatch.errors import Reason, SeamwatchError
from seamwatch.evidence import outcome
from seamwatch.pipeline import GoldenItem, Judged
from seamwatch.watch.repaired import PLAIN, Repaired
from seamwatch.watch.retuning import KEPT, Fork, Retuning

log = logging.getLogger(__name__)

TROUBLE = 3  # failures in a row of the same repairs after which it is looked for which one fails
LOST = 0.1  # of x: an item that lost less may have lost nothing


@dataclass(frozen=True, slots=True)
class Worth:
    """What one answer was worth."""

    x: float  # in [0, 1]
    fork: Fork | None = None  # where a threshold is among the suspects


@dataclass(frozen=True, slots=True)
class Seen:
    """The last answer of probing to an item that used to be right."""

    worth: Worth
    blessed: float  # x when it was right
    at: float  # elapsed seconds

    @property
    def is_discordant(self) -> bool:
        """Say whether the item is wrong now."""
        return self.worth.x < self.blessed - LOST


@dataclass(frozen=True, slots=True)
class Means:
    """What a search asks with; x of an answer is what *score* says, "verdict" or "credit"."""

    section: ModelSection
    items: Mapping[str, GoldenItem]
    score: str
    repaired: Repaired
    retuning: Retuning | None  # None: no repair changes a threshold
    elapsed: Callable[[], float]  # monotonic seconds
    where: Mapping[str, str]  # for the log

    @property
    def tuned(self) -> frozenset[str]:
        """The repairs that change a threshold."""
        return frozenset(name for name, one in self.section.repairs.items() if one.threshold)

    @property
    def paid(self) -> frozenset[str]:
        """The repairs that change what is sent, and so cost a question."""
        repairs = self.section.repairs.items()
        return frozenset(n for n, one in repairs if one.headers or one.parameters or one.url)

    def worth(self, judged: Judged) -> Worth | None:
        """Return what *judged* is worth; None for no answer."""
        x = outcome(judged, self.score)
        if x is None:
            return None
        return Worth(x, None if self.retuning is None else self.retuning.fork(judged))


class NotAnsweredError(SeamwatchError):
    """The model gave no answer to a plain question, so that nothing can be told of repairs."""


@dataclass(slots=True)
class Search:
    """One inquiry and what goes with it."""

    inquiry: Inquiry
    means: Means
    began: float  # wall clock
    moved: float  # elapsed seconds, when something was last learned
    ended: float | None = None  # wall clock, when the case was calm again
    unavailable: dict[str, Reason] = field(default_factory=dict)  # repairs left out
    asked: int = 0
    failed: int = 0
    over_budget: bool = False
    told: Outcome = Outcome.OPEN  # what the log has been told
    observed: float | None = None  # mean of x when it concluded; None after a restart
    covered: set[str] = field(default_factory=set)  # items that probing asked since it began
    _known: dict[tuple[str, frozenset[str]], Worth] = field(default_factory=dict)
    _failures: Counter[frozenset[str]] = field(default_factory=Counter)  # in a row
    _examined: set[frozenset[str]] = field(default_factory=set)

    def offer(self, item_id: str, seen: Seen) -> None:
        """Tell the inquiry of an item that was asked as users ask."""
        if seen.is_discordant:
            self.inquiry.offer(item_id, now=seen.worth.x, blessed=seen.blessed)
        else:
            self.inquiry.concordant(item_id)
        self._known.setdefault((item_id, PLAIN), seen.worth)

    def next(self) -> Ask | None:
        """Return what to ask now; what it costs has been taken from the budgets."""
        ask = self.inquiry.next()
        if ask is None:
            return None
        retuning = self.means.retuning
        if retuning is not None and ask.repairs & self.means.tuned and not retuning.is_ready:
            return None
        if self._answered(ask) is None:
            self.over_budget = not self.means.repaired.take_budget()
            if self.over_budget:
                return None
        return ask

    async def result(self, ask: Ask) -> float | None:
        """Return x of what is asked, None where there is no answer."""
        worth = self._answered(ask) or await self._sent(ask)
        if worth is None or not ask.repairs & self.means.tuned:
            return worth.x if worth else None
        return await self._retuned(ask, worth)

    def take(self, ask: Ask, x: float | None) -> None:
        """Hand a result in."""
        self.inquiry.take(ask, x)
        self.moved = self.means.elapsed()

    def is_troubled(self, ask: Ask) -> bool:
        """Say whether the repairs of *ask* keep failing and nobody knows which of them does."""
        repairs = ask.repairs & self.means.paid
        return self._failures[repairs] >= TROUBLE and repairs not in self._examined

    async def examine(self, ask: Ask) -> Mapping[str, Reason]:
        """Return which repairs of *ask* give no answer even alone; empty where the budget ends.

        Raises:
            NotAnsweredError: it is the model that does not answer.
        """
        repairs = ask.repairs & self.means.paid
        found: dict[str, Reason] = {}
        for name in ("", *sorted(repairs)):
            if not self.means.repaired.take_budget():
                return {}
            applied = frozenset({name}) if name else PLAIN
            judged = await self.means.repaired.ask(self.means.items[ask.item_id], applied)
            self.asked += 1
            if (failure := judged.answer.failure) is None:
                continue
            self.failed += 1
            if not name:
                raise NotAnsweredError(failure.message)
            found[name] = failure.reason
            log.warning(
                "cannot ask with repair %s, so its stage is neither named nor cleared: %s",
                name,
                failure.message,
                extra=dict(self.means.where),
            )
        self._examined.add(repairs)
        return found

    def thresholds_missing(self) -> frozenset[str]:
        """Return the repairs that need a best threshold when no answers will ever tell one."""
        retuning = self.means.retuning
        heard_all = retuning and retuning.heard_of >= min(KEPT, len(self.means.items))
        if retuning is None or retuning.is_ready or not heard_all:
            return frozenset()
        return self.means.tuned & set(self.inquiry.suspects.names)

    def saved(self) -> dict[str, Any]:
        """Return what a restart must remember, fit for JSON: no answer is in it."""
        return {
            "inquiry": self.inquiry.state(),
            "began": self.began,
            "ended": self.ended,
            "idle": self.means.elapsed() - self.moved,
            "unavailable": {name: reason.value for name, reason in self.unavailable.items()},
            "asked": self.asked,
            "failed": self.failed,
        }

    @classmethod
    def restored(cls, saved: Mapping[str, Any], means: Means, *, away: float) -> Self:
        """Return the search that ``saved`` was taken from *away* seconds ago.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: *saved* is none.
        """
        return cls(
            Inquiry.restored(saved["inquiry"]),
            means,
            float(saved["began"]),
            means.elapsed() - float(saved["idle"]) - away,
            None if saved["ended"] is None else float(saved["ended"]),
            {name: Reason(reason) for name, reason in saved["unavailable"].items()},
            int(saved["asked"]),
            int(saved["failed"]),
        )

    def _answered(self, ask: Ask) -> Worth | None:
        """Return what the answer behind *ask* was worth; None where it must be sent for."""
        if ask.sends:
            return None
        return self._known.get((ask.item_id, ask.repairs & self.means.paid))

    async def _sent(self, ask: Ask) -> Worth | None:
        means, repairs = self.means, ask.repairs & self.means.paid
        item = means.items.get(ask.item_id)
        if item is None:
            return None
        worth = means.worth(await means.repaired.ask(item, repairs))
        self.asked += 1
        if worth is None:
            self.failed += 1
            self._failures[repairs] += 1
            return None
        self._failures[repairs] = 0
        self._known[ask.item_id, repairs] = worth
        return worth

    async def _retuned(self, ask: Ask, worth: Worth) -> float | None:
        """Return x under the threshold that is best while the same other repairs are applied."""
        means, repairs = self.means, ask.repairs & self.means.paid
        if means.retuning is None or worth.fork is None:
            return None
        repaired = {
            item_id: one.fork
            for (item_id, applied), one in self._known.items()
            if repairs and applied == repairs and one.fork is not None
        }
        try:
            threshold = await means.retuning.threshold(ask.item_id, repaired)
        except SeamwatchError as error:
            log.warning("cannot choose a threshold: %s", error, extra=dict(means.where))
            return None
        return None if threshold is None else worth.fork.under(threshold)
