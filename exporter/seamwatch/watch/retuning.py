"""What an answer is worth under the best threshold, chosen from the answers to other items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from seamwatch.config.threshold import ThresholdSection
from seamwatch.evidence import outcome
from seamwatch.pipeline import Judged
from seamwatch.scoring import Rules, judge
from seamwatch.threshold import ENOUGH, best, cases, thresholded
from seamwatch.watch.worker import Worker

KEPT = 200
"""Items whose latest answers choose the threshold: enough for one, and all of the present."""


@dataclass(frozen=True, slots=True)
class Fork:
    """One answer on both sides of a threshold; no text of it is kept."""

    score: float  # inf: given at any threshold, -inf: declined at any
    given: float  # x in [0, 1] if the answer is given
    declined: float  # x if it is declined
    right: bool  # whether giving it is right
    declined_right: bool

    def under(self, threshold: float) -> float:
        """Return x under *threshold*; a score equal to it is enough."""
        return self.given if self.score >= threshold else self.declined


class Retuning:
    """Chooses thresholds; see ``threshold.best`` for what makes one best.

    The threshold that an item is judged by is chosen without the item, so that no item is its own
    judge.
    """

    def __init__(
        self, section: ThresholdSection, rules: Rules, *, score: str, worker: Worker
    ) -> None:
        self._section = section
        self._rules = rules
        self._score = score
        self._worker = worker
        self._positive = section.positive or rules.positive
        self._latest: dict[str, Fork] = {}  # item id -> its newest answer, oldest first

    @property
    def is_ready(self) -> bool:
        """Say whether there are answers enough to choose from, whichever item is left out."""
        return sum(math.isfinite(fork.score) for fork in self._latest.values()) > ENOUGH

    @property
    def heard_of(self) -> int:
        """Return of how many items it has an answer."""
        return len(self._latest)

    def take_over(self, before: Retuning) -> None:
        """Keep the answers that *before* has, where the threshold is about the same label."""
        if self._positive == before._positive:
            self._latest = before._latest

    def fork(self, judged: Judged) -> Fork | None:
        """Return what *judged* is worth on either side of a threshold; None for no answer."""
        columns = cases([judged], self._rules, positive=self._positive)
        given, declined = self._x(judged, -math.inf), self._x(judged, math.inf)
        if not columns or given is None or declined is None:
            return None
        return Fork(columns.scores[0], given, declined, columns.right[0], columns.declined_right[0])

    def heard(self, item_id: str, fork: Fork) -> None:
        """Take the newest answer to an item that was asked as users ask."""
        self._latest.pop(item_id, None)
        self._latest[item_id] = fork
        while len(self._latest) > KEPT:
            del self._latest[next(iter(self._latest))]

    async def threshold(self, item_id: str, repaired: Mapping[str, Fork]) -> float | None:
        """Return the threshold that is best for all items but *item_id*; None: too few answers.

        Args:
            item_id: the item that will be judged by it.
            repaired: item id -> its answer with the repairs applied that the threshold is for.
                Items that were not asked so count with their newest plain answer.

        Raises:
            SeamwatchError: the worker process was killed.
        """
        forks = [fork for i, fork in {**self._latest, **repaired}.items() if i != item_id]
        if sum(math.isfinite(fork.score) for fork in forks) < ENOUGH:
            return None
        return await self._worker.run(
            best,
            tuple(fork.score for fork in forks),
            tuple(fork.right for fork in forks),
            tuple(fork.declined_right for fork in forks),
            objective=self._section.objective,
            wrong=self._section.wrong,
            declined=self._section.declined,
        )

    def _x(self, judged: Judged, threshold: float) -> float | None:
        answer = thresholded(
            judged.item, judged.answer, threshold, positive=self._positive, rules=self._rules
        )
        if answer is judged.answer:
            return outcome(judged, self._score)
        return outcome(judge(judged.item, answer, self._rules, at=judged.at), self._score)
