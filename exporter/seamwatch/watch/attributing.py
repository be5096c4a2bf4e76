"""Finds out whose fault wrong answers are while something seems wrong with a pipeline.

Over 300 lines because one search has one owner: when it begins, goes on without a repair that
cannot be asked, ends, is saved and taken over depend on one another.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from time import monotonic
from types import MappingProxyType
from typing import Any

from seamwatch.attribution import Ask, Attribution, Inquiry, Outcome
from seamwatch.config.models import ModelSection
from seamwatch.config.threshold import ThresholdSection
from seamwatch.errors import Reason, SeamwatchError
from seamwatch.evidence import SOLID, Blessing, Standing
from seamwatch.fetch import Fetcher
from seamwatch.golden import GoldenSet
from seamwatch.models import AdaptiveLimit
from seamwatch.pipeline import Judged, Verdict
from seamwatch.scoring import Rules
from seamwatch.snapshot import AttributionState
from seamwatch.watch.repaired import Repaired
from seamwatch.watch.retuning import Retuning
from seamwatch.watch.search import Means, NotAnsweredError, Search, Seen
from seamwatch.watch.worker import Worker

log = logging.getLogger(__name__)

REMEMBERED = 1000  # items whose last answer is kept for an inquiry that may begin
WORSE = 0.03  # of x: a loss that has grown so much since it was shared out is looked into anew
PAUSE = 300.0  # seconds without questions when neither the model nor any repair answers

_NONE: Mapping[str, Reason] = MappingProxyType({})


class Attributing:
    """One pipeline's search for who is to blame; lives as long as the pipeline is watched.

    Nothing is asked before ``begin`` and after ``end``. ``step`` does the asking; it is cheap when
    there is nothing to ask and may be cancelled at any time.

    Args:
        pipeline: its name, for the log.
        section: the model, its repairs (without any nothing is asked), and how much may be asked.
        golden: the set whose items are asked.
        rules: how answers are judged.
        blessing: what items were worth, and whether x is their verdict or their credit; without
            one x is 1 if correct, and what counts are items that were right since the start.
        threshold: what ``threshold: best`` means.
        fetcher, limits, spend, clock, elapsed: as for ``Repaired``.
        worker: chooses thresholds.
        found: called with each new result and when the case is calm: time to keep ``saved``.
        rng: seeds the inquiries.

    Raises:
        SeamwatchError: a repair could never be sent, or needs a threshold that is not configured.
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
        self.threshold = threshold
        self._clock = clock
        self._elapsed = elapsed
        self._found = found
        self._rng = rng
        score = blessing.score if blessing else "verdict"
        self._means = Means(
            section,
            {item.id: item for item in golden.items},
            score,
            Repaired(
                section,
                rules,
                fetcher=fetcher,
                limits=limits,
                spend=spend,
                clock=clock,
                elapsed=elapsed,
            ),
            _retuning(section, threshold, rules, score, worker),
            elapsed,
            {"pipeline": pipeline},
        )
        self._seen: dict[str, Seen] = {}  # items that used to be right, the oldest answer first
        self._was_right: set[str] = set()  # without a blessing: items right at some time
        self._standing = Standing.RUNNING
        self._observed: float | None = None
        self._search: Search | None = None
        self._before: AttributionState | None = None  # what was concluded while this is open
        self._paused_until = float("-inf")
        self._interrupted = False  # by a restart: the next ``begin`` goes on with the search

    # what probing tells

    def heard(self, judged: Judged) -> None:
        """Take the answer to a probe; it is offered to the inquiry where it can tell something."""
        item_id = judged.item.id
        worth = self._means.worth(judged)
        if worth is None or item_id not in self._means.items:
            return
        if self._means.retuning is not None and worth.fork is not None:
            self._means.retuning.heard(item_id, worth.fork)
        if judged.verdict is Verdict.CORRECT:
            self._was_right.add(item_id)
        search = self._search if self._is_asking else None
        if search is not None:
            search.covered.add(item_id)
        blessed = self._blessed(item_id)
        if blessed is None:
            return
        self._seen.pop(item_id, None)
        self._seen[item_id] = seen = Seen(worth, blessed, self._elapsed())
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if search is not None:
            search.offer(item_id, seen)

    def observed(self, mean: float | None) -> None:
        """Take the mean of x over probing's window, a ratio; None where it is not known."""
        self._observed = mean
        if self._search is not None and self._is_asking and mean is not None:
            self._search.inquiry.observed(mean, asked=len(self._search.covered))

    def _blessed(self, item_id: str) -> float | None:
        """Return x of the item when it was right; None where it never reliably was."""
        if self.blessing is None:
            return 1.0 if item_id in self._was_right else None
        solid = self.blessing.item_class(item_id) == SOLID
        return self.blessing.means[item_id] if solid else None

    # when it is asked

    @property
    def _is_asking(self) -> bool:
        return self._standing is not Standing.RUNNING

    def begin(self, standing: Standing) -> None:
        """Look for who is to blame, or go on: *standing* is SUSPECT, HALTED or RECOVERING."""
        before, self._standing = self._standing, standing
        if before is not Standing.RUNNING or not self._is_asking:
            return
        if self._interrupted and self._search is not None:
            self._search.ended = None
        elif self.section.repairs:
            self._before, self._paused_until = None, float("-inf")
            self._start(self.section.repairs)
        self._interrupted = False

    def end(self) -> None:
        """Stop asking: the case is calm again. What was found is kept, as of the past."""
        was_asking, self._standing = self._is_asking, Standing.RUNNING
        self._interrupted = False
        if was_asking and self._search is not None:
            self._search.ended = self._clock()
            self._found(self._search.inquiry.result())

    def _start(self, repairs: Iterable[str], unavailable: Mapping[str, Reason] = _NONE) -> None:
        """Begin an inquiry into *repairs* with what probing saw of late."""
        settings, now, wall = self.section.attribution, self._elapsed(), self._clock()
        names = [name for name in self.section.repairs if name in set(repairs)]
        inquiry = Inquiry(
            names,
            items=max(1, sum(item.is_valid(now=wall) for item in self.golden.items)),
            confidence=settings.confidence,
            strict=settings.strict,
            max_probes=settings.max_probes,
            seed=self._rng.randrange(1 << 31),
            free=set(names) - self._means.paid,
            baseline=self.blessing.baseline if self.blessing else None,
        )
        self._search = Search(inquiry, self._means, wall, now, unavailable=dict(unavailable))
        for item_id, seen in self._seen.items():  # the newest last: it is asked about first
            if now - seen.at <= settings.every:
                self._search.offer(item_id, seen)
        self.observed(self._observed)

    # asking

    async def step(self) -> bool:
        """Ask until there is nothing to ask for now; return whether there was somebody to ask.

        One question after another: the variants of an item within seconds, as nothing but the
        repairs should differ between them.
        """
        while (search := self._search) is not None and self._is_asking:
            if self._elapsed() < self._paused_until:
                return False
            ask = search.next()
            if ask is None:
                self._idle(search)
                if search is self._search:
                    return True
                continue
            x = await search.result(ask)
            if search is not self._search:  # a reload gave it to somebody else
                break
            search.take(ask, x)
            self._tell(search)
            if x is None and search.is_troubled(ask):
                await self._examine(search, ask)
        return True

    def _idle(self, search: Search) -> None:
        """Go on without what can never be asked, or begin anew while something stays wrong."""
        missing = search.thresholds_missing()
        if missing:
            self._go_on_without(search, dict.fromkeys(missing, Reason.NO_DATA))
        elif self._standing in (Standing.HALTED, Standing.RECOVERING) and (
            self._elapsed() - search.moved >= self.section.attribution.every
            or self._has_got_worse(search)
        ):
            self._before = self.state
            self._start(self.section.repairs)

    def _has_got_worse(self, search: Search) -> bool:
        """Say whether more is wrong than when *search* concluded: faults may come one by one.

        Looked at once all items were asked since it began, when no answer from before that counts.
        """
        if search.observed is None or self._observed is None:
            return False
        is_whole = len(search.covered) >= search.inquiry.items
        return is_whole and self._observed < search.observed - WORSE

    def _tell(self, search: Search) -> None:
        found = search.inquiry.result()
        if found.outcome is not search.told:
            search.told, search.observed = found.outcome, self._observed
            named = found.top or " or ".join(found.tied) or "no repair"
            log.info("attribution is %s: %s", found.outcome, named, extra=dict(self._means.where))
        self._found(found)

    async def _examine(self, search: Search, ask: Ask) -> None:
        try:
            unavailable = await search.examine(ask)
        except NotAnsweredError:
            self._paused_until = self._elapsed() + PAUSE
            return
        if unavailable and search is self._search:
            self._go_on_without(search, unavailable)

    def _go_on_without(self, search: Search, unavailable: Mapping[str, Reason]) -> None:
        """Leave repairs out until the next inquiry; pause where nothing is left to ask with."""
        search.unavailable.update(unavailable)
        left = set(search.inquiry.suspects.names) - set(search.unavailable)
        if left:
            self._start(left, search.unavailable)
            if self._search is not None:  # still the same search, with fewer suspects
                self._search.began = search.began
                self._search.asked, self._search.failed = search.asked, search.failed
        else:
            self._paused_until = self._elapsed() + self.section.attribution.every

    # what it found, and what outlives it

    @property
    def state(self) -> AttributionState | None:
        """What is known now; None before anything was looked for.

        While an inquiry is open that repeats an earlier one, what that one concluded is shown.
        """
        search = self._search
        if search is None:
            return None
        found = search.inquiry.result()
        if found.outcome is Outcome.OPEN and self._before is not None:
            return replace(self._before, standing=self._standing, ended=search.ended)
        return AttributionState(
            attribution=found,
            standing=self._standing,
            began=search.began,
            ended=search.ended,
            blamed=MappingProxyType(self._blames()),
            unavailable=MappingProxyType(dict(search.unavailable)),
            asked=search.asked,
            failed=search.failed,
            over_budget=search.over_budget,
        )

    def _blames(self) -> dict[str, str]:
        return {name: repair.blames for name, repair in self.section.repairs.items()}

    def saved(self) -> dict[str, Any]:
        """Return what a restart must remember, fit for JSON: no answer and no header is in it."""
        return {
            "golden": self.golden.digest,
            "repairs": self._blames(),
            "budget": self._means.repaired.budget.state(self._elapsed(), wall=self._clock()),
            "standing": self._standing.value,
            "search": None if self._search is None else self._search.saved(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Let ``begin`` go on where ``saved`` was written, if set and repairs are still the same.

        Until then nothing is asked, as nobody knows whether the case is calm by now.
        """
        wall = self._clock()
        try:
            self._means.repaired.budget.restore(saved["budget"], self._elapsed(), wall=wall)
            if (saved["golden"], saved["repairs"]) != (self.golden.digest, self._blames()):
                return
            standing, kept = Standing(saved["standing"]), saved["search"]
            away = max(0.0, wall - float(saved["budget"]["saved_at"]))
            search = None if kept is None else Search.restored(kept, self._means, away=away)
        except (KeyError, TypeError, ValueError, AttributeError):
            where = dict(self._means.where)
            log.warning("an attribution from before the restart cannot be read", extra=where)
            return
        self._search = search
        if search is not None and standing is not Standing.RUNNING:
            self._interrupted = True
            search.ended = wall

    def take_over(self, before: Attributing) -> None:
        """Keep from *before* what a changed configuration leaves true; *before* asks no more."""
        wall = self._clock()
        spent = before._means.repaired.budget.state(before._elapsed(), wall=wall)
        self._means.repaired.budget.restore(spent, self._elapsed(), wall=wall)
        search, before._search = before._search, None
        same_answers = (self.golden.digest, self.rules, self.blessing) == (
            before.golden.digest,
            before.rules,
            before.blessing,
        )
        if same_answers:
            self._seen, self._was_right = before._seen, before._was_right
            self._observed = before._observed
            if self._means.retuning is not None and before._means.retuning is not None:
                self._means.retuning.take_over(before._means.retuning)
        if same_answers and search is not None and _asked_of(self) == _asked_of(before):
            search.means = self._means
            self._standing, self._search = before._standing, search
            self._before, self._paused_until = before._before, before._paused_until
            self._interrupted = before._interrupted
        elif before._is_asking:
            self.begin(before._standing)


def _retuning(
    section: ModelSection,
    threshold: ThresholdSection | None,
    rules: Rules,
    score: str,
    worker: Worker,
) -> Retuning | None:
    tuned = [name for name, repair in section.repairs.items() if repair.threshold]
    if tuned and threshold is None:
        raise SeamwatchError(
            f"model.repairs.{tuned[0]}: threshold: best needs to know which stage decides;"
            " write the section threshold"
        )
    return Retuning(threshold, rules, score=score, worker=worker) if tuned and threshold else None


def _asked_of(one: Attributing) -> tuple[Any, ...]:
    """Return what an inquiry depends on, beside the set and how it is judged."""
    section = one.section
    return section.section, section.repairs, section.attribution, one.threshold
