"""Finds out whose fault wrong answers are, by asking the live model with repairs applied.

An inquiry (``attribution.Inquiry``) says what to ask, one question after another; here it is asked,
judged and told. What an item is worth without repairs is what probing observed: the inquiry itself
has items asked once more as users ask, for as long as some were wrong only by chance.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from types import MappingProxyType
from typing import Any

from seamwatch.attribution import Ask, Attribution, Inquiry, Outcome
from seamwatch.config.models import ModelSection
from seamwatch.config.threshold import ThresholdSection
from seamwatch.errors import Reason, SeamwatchError
from seamwatch.evidence import SOLID, Blessing, Standing, outcome
from seamwatch.fetch import Fetcher
from seamwatch.golden import GoldenSet
from seamwatch.models import AdaptiveLimit
from seamwatch.pipeline import Failure, GoldenItem, Judged, Verdict
from seamwatch.scoring import Rules
from seamwatch.watch.repaired import PLAIN, Repaired
from seamwatch.watch.retuning import KEPT, Fork, Retuning
from seamwatch.watch.worker import Worker

log = logging.getLogger(__name__)

REMEMBERED = 1000  # items whose last answer is kept for an inquiry that may begin
TROUBLE = 3  # failures in a row of the same repairs after which it is looked for which one fails
PAUSE = 300.0  # seconds without questions when neither the model nor any repair answers
LOST = 0.1  # of x: an item that lost less may have lost nothing

_NONE: Mapping[str, Reason] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AttributionState:
    """What is known of who is to blame; times are wall clock."""

    attribution: Attribution
    standing: Standing  # why it is looked for; RUNNING: the case is calm again
    began: float  # when the inquiry behind it began
    ended: float | None  # when the case was calm again; None while it is not
    blamed: Mapping[str, str]  # repair -> stage that it blames
    unavailable: Mapping[str, Reason]  # repairs that gave no answer: nothing is known of them
    asked: int  # questions of this inquiry that were sent, whatever came
    failed: int  # those of them that gave no answer
    over_budget: bool  # whether it waits for a budget


@dataclass(frozen=True, slots=True)
class _Worth:
    """What one answer was worth."""

    x: float  # in [0, 1]
    fork: Fork | None = None  # where a threshold is among the suspects


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last answer of probing to an item that was right when it was blessed."""

    worth: _Worth
    blessed: float  # x when blessed
    at: float  # elapsed seconds

    @property
    def is_discordant(self) -> bool:
        return self.worth.x < self.blessed - LOST


@dataclass(slots=True)
class _Search:
    """One inquiry and what goes with it."""

    inquiry: Inquiry
    began: float  # wall clock
    moved: float  # elapsed seconds, when something was last learned
    ended: float | None = None  # wall clock
    unavailable: dict[str, Reason] = field(default_factory=dict)
    known: dict[tuple[str, frozenset[str]], _Worth] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)  # items that probing asked since it began
    failures: Counter[frozenset[str]] = field(default_factory=Counter)  # in a row
    examined: set[frozenset[str]] = field(default_factory=set)
    asked: int = 0
    failed: int = 0
    over_budget: bool = False

    def offer(self, item_id: str, seen: _Seen) -> None:
        """Tell the inquiry of an item that was asked as users ask."""
        if seen.is_discordant:
            self.inquiry.offer(item_id, now=seen.worth.x, blessed=seen.blessed)
            self.known.setdefault((item_id, PLAIN), seen.worth)
        else:
            self.inquiry.concordant(item_id)


class Attributing:
    """One pipeline's search for who is to blame; lives as long as the pipeline is watched.

    Nothing is asked before ``begin`` and after ``end``. ``step`` does the asking; it is cheap when
    there is nothing to ask and may be cancelled at any time.

    Args:
        pipeline: its name, for the log.
        section: the model, its repairs and how much may be asked.
        golden: the set whose items are asked.
        rules: how answers are judged.
        blessing: what items were worth; without one those count that were right since the start.
            Where it has one, x is what it is there ("verdict" or "credit"), else 1 if correct.
        threshold: what ``threshold: best`` means.
        fetcher, limits, spend, clock, elapsed: as for ``Repaired``.
        worker: chooses thresholds.
        found: called with each new result.
        rng: seeds the inquiries.

    Raises:
        SeamwatchError: a repair could never be sent.
    """

    def __init__(
        self,
        *,
        pipeline: str,
        section: ModelSection,
        golden: GoldenSet,
        rules: Rules,
        blessing: Blessing | None,
        threshold: ThresholdSection | None,
        fetcher: Fetcher,
        limits: dict[str, AdaptiveLimit],
        spend: Callable[[float], bool],
        worker: Worker,
        clock: Callable[[], float],
        found: Callable[[Attribution], None],
        rng: random.Random,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self.section = section
        self.golden = golden
        self.rules = rules
        self.blessing = blessing
        self._where = {"pipeline": pipeline}
        self._score = blessing.score if blessing else "verdict"
        self._clock = clock
        self._elapsed = elapsed
        self._found = found
        self._rng = rng
        self._items: Mapping[str, GoldenItem] = {item.id: item for item in golden.items}
        self._repaired = Repaired(
            section,
            rules,
            fetcher=fetcher,
            limits=limits,
            spend=spend,
            clock=clock,
            elapsed=elapsed,
        )
        repairs = section.repairs.items()
        self._tuned = frozenset(name for name, repair in repairs if repair.threshold)
        self._paid = frozenset(
            name for name, repair in repairs if repair.headers or repair.parameters or repair.url
        )
        self._retuning = None
        if self._tuned:
            if threshold is None:
                named = ", ".join(sorted(self._tuned))
                raise SeamwatchError(
                    f"model.repairs: {named}: threshold: best needs the section threshold"
                )
            self._retuning = Retuning(threshold, rules, score=self._score, worker=worker)
        self._threshold = threshold
        self._seen: dict[str, _Seen] = {}  # by item, the oldest first
        self._was_right: set[str] = set()  # without a blessing: items right at some time
        self._standing = Standing.RUNNING
        self._accuracy: float | None = None
        self._search: _Search | None = None
        self._before: AttributionState | None = None  # what was concluded while this is open
        self._paused_until = float("-inf")

    # what probing tells

    def heard(self, judged: Judged) -> None:
        """Take an answer to a probe; it is offered to the inquiry where it can tell something."""
        item_id = judged.item.id
        if not judged.verdict.is_answer or item_id not in self._items:
            return
        if self._retuning is not None and (fork := self._retuning.fork(judged)) is not None:
            self._retuning.heard(item_id, fork)
        if self._search is not None and self._is_asking:
            self._search.covered.add(item_id)
        if self.blessing is not None:
            if self.blessing.item_class(item_id) == SOLID:
                self._note(judged, self.blessing.means[item_id])
            return
        if judged.verdict is Verdict.CORRECT:
            self._was_right.add(item_id)
        if item_id in self._was_right:
            self._note(judged, 1.0)

    def observed(self, accuracy: float | None) -> None:
        """Take the mean of x over probing's window, a ratio; None where it is not known."""
        self._accuracy = accuracy
        self._tell_observed()

    def _note(self, judged: Judged, blessed: float) -> None:
        """Remember an answer to an item that used to be worth *blessed*, and offer it."""
        x = outcome(judged, self._score)
        if x is None:
            return
        item_id = judged.item.id
        self._seen.pop(item_id, None)
        self._seen[item_id] = seen = _Seen(self._worth(judged, x), blessed, self._elapsed())
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if self._search is not None and self._is_asking:
            self._search.offer(item_id, seen)

    def _worth(self, judged: Judged, x: float) -> _Worth:
        return _Worth(x, None if self._retuning is None else self._retuning.fork(judged))

    def _tell_observed(self) -> None:
        if self._search is not None and self._is_asking and self._accuracy is not None:
            asked = len(self._search.covered)
            self._search.inquiry.observed(self._accuracy, asked=asked)

    # when it is asked

    @property
    def _is_asking(self) -> bool:
        return self._standing is not Standing.RUNNING

    def begin(self, standing: Standing) -> None:
        """Look for who is to blame, or go on: *standing* is SUSPECT, HALTED or RECOVERING."""
        before, self._standing = self._standing, standing
        if before is Standing.RUNNING and self._is_asking:
            self._before = None
            self._start(self.section.repairs)

    def end(self) -> None:
        """Stop asking: the case is calm again. What was found is kept, as of the past."""
        if self._is_asking and self._search is not None:
            self._search.ended = self._clock()
        self._standing = Standing.RUNNING

    def _start(self, repairs: Iterable[str], unavailable: Mapping[str, Reason] = _NONE) -> None:
        """Begin an inquiry into *repairs* with what probing saw of late."""
        names = [name for name in self.section.repairs if name in set(repairs)]
        if not names:
            return
        settings = self.section.attribution
        now = self._elapsed()
        wall = self._clock()
        inquiry = Inquiry(
            names,
            items=max(1, sum(item.is_valid(now=wall) for item in self.golden.items)),
            confidence=settings.confidence,
            strict=settings.strict,
            max_probes=settings.max_probes,
            seed=self._rng.randrange(1 << 31),
            free=set(names) - self._paid,
            baseline=self.blessing.baseline if self.blessing else None,
        )
        self._search = _Search(inquiry, wall, now, unavailable=dict(unavailable))
        for item_id, seen in reversed(self._seen.items()):
            if now - seen.at <= settings.every:
                self._search.offer(item_id, seen)
        self._tell_observed()

    # asking

    async def step(self) -> bool:
        """Ask until there is nothing to ask for now; return whether answers came."""
        while (search := self._search) is not None and self._is_asking:
            if self._elapsed() < self._paused_until:
                return False
            ask = self._next(search)
            if ask is None:
                return True
            failed_before = search.failed
            x = await self._result(search, ask)
            if search is not self._search:  # a reload gave the inquiry to somebody else
                return True
            self._take(search, ask, x)
            trouble = ask.repairs & self._paid
            if search.failed > failed_before and search.failures[trouble] >= TROUBLE:
                await self._examine(search, ask)
        return True

    def _next(self, search: _Search) -> Ask | None:
        """Return what to ask now, after taking a question from the budget if it costs one."""
        ask = search.inquiry.next()
        if ask is None:
            if self._is_halted and self._elapsed() - search.moved >= self.section.attribution.every:
                self._repeat(search)
            return None
        if self._retuning is not None and ask.repairs & self._tuned and not self._retuning.is_ready:
            if self._retuning.heard_of >= min(KEPT, len(self._items)):
                self._go_on_without(search, dict.fromkeys(self._tuned, Reason.NO_DATA))
            return None
        if self._known(search, ask) is None:
            search.over_budget = not self._repaired.take_budget()
            if search.over_budget:
                return None
        return ask

    @property
    def _is_halted(self) -> bool:
        return self._standing in (Standing.HALTED, Standing.RECOVERING)

    def _repeat(self, search: _Search) -> None:
        """Begin anew while something stays wrong; what was concluded is shown meanwhile."""
        self._before = self._shown(search)
        self._start(self.section.repairs)

    def _known(self, search: _Search, ask: Ask) -> _Worth | None:
        """Return what the answer behind *ask* was worth; None where it must be sent for."""
        if ask.sends:
            return None
        repairs = ask.repairs & self._paid
        worth = search.known.get((ask.item_id, repairs))
        if worth is None and not repairs and (seen := self._seen.get(ask.item_id)) is not None:
            worth = seen.worth
        return worth

    async def _result(self, search: _Search, ask: Ask) -> float | None:
        """Return x of what is asked; None where there is no answer."""
        worth = self._known(search, ask)
        if worth is None:
            worth = await self._sent(search, ask)
        if worth is None or not ask.repairs & self._tuned:
            return worth.x if worth else None
        return await self._retuned(search, ask, worth)

    async def _sent(self, search: _Search, ask: Ask) -> _Worth | None:
        item, repairs = self._items.get(ask.item_id), ask.repairs & self._paid
        if item is None:  # restored for a set that has changed since
            return None
        judged = await self._repaired.ask(item, repairs)
        search.asked += 1
        x = outcome(judged, self._score)
        if x is None:
            search.failed += 1
            search.failures[repairs] += 1
            return None
        search.failures[repairs] = 0
        worth = search.known[ask.item_id, repairs] = self._worth(judged, x)
        return worth

    async def _retuned(self, search: _Search, ask: Ask, worth: _Worth) -> float | None:
        """Return x under the threshold that is best with the same repairs applied."""
        if self._retuning is None or worth.fork is None:
            return None
        repairs = ask.repairs & self._paid
        repaired = {
            item_id: one.fork
            for (item_id, applied), one in search.known.items()
            if repairs and applied == repairs and one.fork is not None
        }
        try:
            threshold = await self._retuning.threshold(ask.item_id, repaired)
        except SeamwatchError as error:
            log.warning("cannot choose a threshold: %s", error, extra=self._where)
            return None
        return None if threshold is None else worth.fork.under(threshold)

    def _take(self, search: _Search, ask: Ask, x: float | None) -> None:
        before = search.inquiry.result()
        search.inquiry.take(ask, x)
        search.moved = self._elapsed()
        after = search.inquiry.result()
        if after.outcome != before.outcome:
            named = after.top or ", ".join(after.tied) or "-"
            log.info("whose fault it is: %s (%s)", after.outcome.value, named, extra=self._where)
        self._found(after)

    async def _examine(self, search: _Search, ask: Ask) -> None:
        """Find out which repairs give no answer, and go on without them; once for each set."""
        repairs = ask.repairs & self._paid
        if repairs in search.examined:
            return
        search.examined.add(repairs)
        item = self._items[ask.item_id]
        unavailable: dict[str, Reason] = {}
        for name in (None, *sorted(repairs)):
            applied = PLAIN if name is None else frozenset({name})
            if not self._repaired.take_budget():
                return
            failure = (await self._repaired.ask(item, applied)).answer.failure
            if search is not self._search:
                return
            if failure is not None and name is None:
                self._paused_until = self._elapsed() + PAUSE
                search.examined.discard(repairs)
                return
            if failure is not None and name is not None:
                unavailable[name] = failure.reason
                self._log_unavailable(name, failure)
        if set(unavailable) >= set(search.inquiry.suspects.names):
            self._paused_until = self._elapsed() + PAUSE
            search.examined.discard(repairs)
        if unavailable:
            self._go_on_without(search, unavailable)

    def _go_on_without(self, search: _Search, unavailable: Mapping[str, Reason]) -> None:
        left = set(search.inquiry.suspects.names) - set(unavailable)
        search.unavailable |= unavailable
        if left:
            self._start(left, search.unavailable)

    def _log_unavailable(self, name: str, failure: Failure) -> None:
        log.warning(
            "cannot ask with repair %s, so the stage it blames is neither named nor cleared: %s",
            name,
            failure.message,
            extra=self._where,
        )

    # what it found, and what outlives it

    @property
    def state(self) -> AttributionState | None:
        """What is known now; None before anything was looked for.

        While an inquiry is open that repeats an earlier one, what that one concluded is shown.
        """
        if self._search is None:
            return None
        shown = self._shown(self._search)
        if shown.attribution.outcome is Outcome.OPEN and self._before is not None:
            return replace(self._before, standing=shown.standing, ended=shown.ended)
        return shown

    def _shown(self, search: _Search) -> AttributionState:
        blamed = {name: repair.blames for name, repair in self.section.repairs.items()}
        return AttributionState(
            attribution=search.inquiry.result(),
            standing=self._standing,
            began=search.began,
            ended=search.ended,
            blamed=MappingProxyType(blamed),
            unavailable=MappingProxyType(dict(search.unavailable)),
            asked=search.asked,
            failed=search.failed,
            over_budget=search.over_budget,
        )

    def saved(self) -> dict[str, Any]:
        """Return what a restart must remember, fit for JSON: no answer and no header is in it."""
        now, search = self._elapsed(), self._search
        return {
            "golden": self.golden.digest,
            "repairs": {name: repair.blames for name, repair in self.section.repairs.items()},
            "budget": self._repaired.budget.state(now, wall=self._clock()),
            "standing": self._standing.value,
            "search": search
            and {
                "inquiry": search.inquiry.state(),
                "began": search.began,
                "ended": search.ended,
                "idle": now - search.moved,
                "unavailable": search.unavailable,
                "asked": search.asked,
                "failed": search.failed,
            },
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on where ``saved`` was written, unless the set or the repairs are others now."""
        now, wall = self._elapsed(), self._clock()
        try:
            self._repaired.budget.restore(saved["budget"], now, wall=wall)
            repairs = {name: repair.blames for name, repair in self.section.repairs.items()}
            if (saved["golden"], saved["repairs"]) != (self.golden.digest, repairs):
                return
            standing = Standing(saved["standing"])
            search = None
            if (kept := saved["search"]) is not None:
                away = max(0.0, wall - saved["budget"]["saved_at"])
                search = _Search(
                    Inquiry.restored(kept["inquiry"]),
                    float(kept["began"]),
                    now - kept["idle"] - away,
                    kept["ended"],
                    {name: Reason(reason) for name, reason in kept["unavailable"].items()},
                    asked=int(kept["asked"]),
                    failed=int(kept["failed"]),
                )
        except (KeyError, TypeError, ValueError, AttributeError):
            log.warning("what was found before cannot be read; it is looked for anew")
            return
        self._standing, self._search = standing, search

    def take_over(self, before: Attributing) -> None:
        """Keep from *before* what a changed configuration leaves true; it asks nothing more."""
        now, wall = self._elapsed(), self._clock()
        spent = before._repaired.budget.state(before._elapsed(), wall=wall)
        self._repaired.budget.restore(spent, now, wall=wall)
        search, before._search = before._search, None
        if (self.golden.digest, self.rules, self.blessing) == (
            before.golden.digest,
            before.rules,
            before.blessing,
        ):
            self._seen, self._was_right = before._seen, before._was_right
            self._accuracy = before._accuracy
            if self._retuning is not None and before._retuning is not None:
                self._retuning.take_over(before._retuning)
            if _asked_about(self) == _asked_about(before):
                self._standing, self._search = before._standing, search
                self._before, self._paused_until = before._before, before._paused_until
                return
        if before._is_asking:
            self.begin(before._standing)


def _asked_about(one: Attributing) -> tuple[Any, ...]:
    """Return what an inquiry depends on, beside the set and how it is judged."""
    section = one.section
    return section.section, section.repairs, section.attribution, one._threshold
