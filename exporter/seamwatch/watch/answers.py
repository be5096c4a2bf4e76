"""What the model has answered of late, kept as small as the figures over it allow."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace

from seamwatch.config.threshold import ThresholdSection
from seamwatch.pipeline import Judged, Verdict
from seamwatch.quality import Check, QualityRules, QualityWindow
from seamwatch.scoring import Rules, Window, columns
from seamwatch.snapshot import PROBE_BUCKETS
from seamwatch.threshold import Cases, cases
from seamwatch.watch.examining import Examined, Sample

LONGEST_KEPT = 1000  # characters or items of an answer that stays in memory
OUTDATED = 3  # stale answers in a window, and ...
OUTDATED_SHARE = 0.02  # ... their share, from which the data behind them look old


class Answers:
    """The last *size* answers to probes of the whole set, and counts since the start."""

    def __init__(
        self,
        size: int,
        rules: Rules,
        *,
        quality: QualityRules | None = None,
        threshold: ThresholdSection | None = None,
    ) -> None:
        self._rules = rules
        self._threshold = threshold
        self._positive = (threshold.positive if threshold else None) or rules.positive
        self._quality_rules = quality or QualityRules()
        self.window = Window(size)
        self._quality = QualityWindow(size, self._quality_rules)
        self._recent: deque[Judged] = deque(maxlen=size)
        self._cases: deque[Cases] = deque(maxlen=size)
        self._versions: Counter[str] = Counter()  # that answered what is in _recent
        self.verdicts: Counter[Verdict] = Counter()
        self.durations = [0] * (len(PROBE_BUCKETS) + 1)
        self.duration_sum = 0.0
        self.last_answer: float | None = None  # wall clock
        self.fallbacks = 0
        self.examined = Examined()

    def add(self, judged: Judged, *, declared: str | None, sample: bool) -> None:
        """Take a new answer; *sample* says that it is one of a fair sample of the set."""
        self.durations[bisect_left(PROBE_BUCKETS, judged.answer.duration)] += 1
        self.duration_sum += judged.answer.duration
        self.verdicts[judged.verdict] += 1
        by = judged.answer.answered_by
        if by is not None and declared is not None and by != declared:
            self.fallbacks += 1
        if judged.verdict.is_answer:
            self.last_answer = judged.at
        if sample:
            self.window.add(judged)
            self._quality.add(judged)
            self._remember(judged)

    def restore(self, remembered: Iterable[Judged]) -> None:
        """Put judged answers into the window, oldest first, without counting them as new.

        What the store remembers of an answer is its verdict, not its text: the batch measures
        are over the answers that came since the start.
        """
        for judged in remembered:
            self.window.add(judged)
            if judged.verdict.is_answer:
                self.last_answer = judged.at

    @property
    def count(self) -> int:
        """How many questions have ended since the start, with whatever verdict."""
        return self.verdicts.total()

    @property
    def held(self) -> int:
        """How many answers since the start the window holds."""
        return len(self._recent)

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that answered in the window since the start, sorted."""
        return tuple(sorted(self._versions))

    @property
    def are_outdated(self) -> bool:
        """Say whether answers that used to be right are more than a few."""
        found = self.window.verdicts()
        answered = sum(count for verdict, count in found.items() if verdict.is_answer)
        return found[Verdict.STALE] >= max(OUTDATED, OUTDATED_SHARE * answered)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What the answers look like, check by check."""
        return self._quality.checks()

    def sample(self, *, threshold: float | None, blessed: tuple[float, ...]) -> Sample:
        """Return the window as columns, for the worker process.

        Args:
            threshold: the one in force, as its stage publishes it; None: unknown.
            blessed: the scores of the model when the set was blessed.
        """
        answered = [one for one in self._recent if one.verdict.is_answer]
        return Sample(
            columns(self._recent, self._rules),
            _joined(self._cases) if self._threshold is not None else None,
            threshold,
            self._threshold,
            tuple(one.answer.score for one in answered),
            tuple(one.verdict is Verdict.CORRECT for one in answered),
            tuple(one.item.id for one in answered),
            blessed,
        )

    def take_over(self, before: Answers) -> None:
        """Keep counts and window of *before*, which judged the same set alike."""
        self.verdicts, self.fallbacks = before.verdicts, before.fallbacks
        self.durations, self.duration_sum = before.durations, before.duration_sum
        self.last_answer, self.examined = before.last_answer, before.examined
        for judged in before._recent:
            self._quality.add(judged)
            self._remember(judged)
        if before.window.size == self.window.size:
            self.window = before.window
        else:
            self.restore(before._recent)

    def _remember(self, judged: Judged) -> None:
        if len(self._recent) == self._recent.maxlen:
            self._count_version(self._recent[0], -1)
        self._recent.append(_without_prose(judged))
        self._count_version(judged, 1)
        if self._threshold is not None:
            self._cases.append(cases([judged], self._rules, positive=self._positive))

    def _count_version(self, judged: Judged, sign: int) -> None:
        if by := judged.answer.answered_by:
            self._versions[by] += sign
            if not self._versions[by]:
                del self._versions[by]


def _joined(parts: Iterable[Cases]) -> Cases:
    kept = [one for one in parts if len(one)]  # an error is no case
    return Cases(
        tuple(one.scores[0] for one in kept),
        tuple(one.right[0] for one in kept),
        tuple(one.declined_right[0] for one in kept),
        tuple(one.ids[0] for one in kept),
        tuple(one.weights[0] for one in kept),
    )


def _without_prose(judged: Judged) -> Judged:
    """Drop an answer that no batch measure needs: a window of long texts would fill the memory."""
    answer = judged.answer
    if any(_is_long(value) for value in (answer.value, answer.candidate)):
        answer = replace(answer, value=_kept(answer.value), candidate=_kept(answer.candidate))
        return replace(judged, answer=answer)
    return judged


def _is_long(value: object) -> bool:
    return isinstance(value, str | list) and len(value) > LONGEST_KEPT


def _kept(value: object) -> object:
    return None if _is_long(value) else value
