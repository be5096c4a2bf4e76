"""What is remembered of a pipeline's stages, and the judgement of it as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from seamwatch.attribution import Circumstance, circumstances
from seamwatch.errors import Reason
from seamwatch.evidence import Standing
from seamwatch.freshness import Freshness, Publication, freshness, keeps_data_age, remember
from seamwatch.pipeline import Observation, Pipeline, Reading
from seamwatch.quality import Banded, Check, all_hold
from seamwatch.scoring.targets import ENOUGH, reaches
from seamwatch.skew import Skew, skews
from seamwatch.snapshot import (
    AttributionState,
    EndToEnd,
    EvidenceState,
    GoldenState,
    ProbeState,
    Snapshot,
    StageState,
    ThresholdState,
)


class Change(NamedTuple):
    """The publications of one stage as remembered before and after a reading."""

    stage: str
    before: tuple[Publication, ...]
    after: tuple[Publication, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """What the model's answers, and signals from live traffic, have shown until now."""

    golden: GoldenState | None = None
    probes: ProbeState | None = None
    evidence: EvidenceState | None = None
    attribution: AttributionState | None = None
    thresholds: tuple[ThresholdState, ...] = ()
    quality: tuple[Check, ...] = ()
    drift: Mapping[str, Banded] = field(default_factory=dict)
    answered_by_other: bool = False  # lately another version than the model stage declares
    stale_answers: bool = False  # the window holds answers that used to be right


@dataclass(slots=True)
class StageMemory:
    """The readings of one pipeline's stages and what each stage has published so far."""

    pipeline: Pipeline
    read: frozenset[str]  # the stages that have a source; the others say nothing
    states: dict[str, StageState] = field(default_factory=dict)
    history: dict[str, tuple[Publication, ...]] = field(default_factory=dict)

    def add(self, stage: str, reading: Reading) -> None:
        """Take in one attempt to read *stage*."""
        state = self.states.get(stage, StageState())
        if reading.failure is None:
            self.states[stage] = replace(
                state, reading=reading, last_success=reading.at, reads=state.reads + 1
            )
            return
        reason = reading.failure.reason
        failures: Mapping[Reason, int] = MappingProxyType(
            {**state.failures, reason: state.failures.get(reason, 0) + 1}
        )
        self.states[stage] = replace(
            state, reading=reading, failures=failures, reads=state.reads + 1
        )

    def observations(self) -> dict[str, Observation]:
        """Return what each stage says now; one whose last reading failed is not among them."""
        return {
            name: state.reading.observation
            for name, state in self.states.items()
            if state.reading is not None and state.reading.observation is not None
        }

    def judge(self, heard: Heard, *, now: float) -> tuple[Snapshot, list[Change]]:
        """Return the pipeline's snapshot, and how the history of its stages has changed."""
        observations = self.observations()
        fresh = freshness(self.pipeline, observations, self.history)
        changes = self._remember(observations, fresh, now)
        end_to_end = verdict(self.pipeline, fresh, heard, now=now)
        found = skews(self.pipeline, observations, self.history)
        snapshot = Snapshot(
            pipeline=self.pipeline,
            at=now,
            stages=MappingProxyType(dict(self.states)),
            freshness=fresh,
            skews=found,
            end_to_end=end_to_end,
            silent_failure=silent_failure(end_to_end, self.states, self.read),
            golden=heard.golden,
            probes=heard.probes,
            evidence=heard.evidence,
            attribution=heard.attribution,
            circumstances=self._circumstances(end_to_end, fresh, found, observations, heard),
            thresholds=heard.thresholds,
            quality=heard.quality,
            drift=heard.drift,
        )
        return snapshot, changes

    def _circumstances(
        self,
        end_to_end: EndToEnd,
        fresh: Freshness,
        found: tuple[Skew, ...],
        observations: Mapping[str, Observation],
        heard: Heard,
    ) -> tuple[Circumstance, ...]:
        """Return what speaks against a stage, while something is wrong at all."""
        evidence = heard.evidence
        calm = evidence is None or evidence.standing is Standing.RUNNING
        if calm and not end_to_end.is_bad:
            return ()
        out_of_tune = (one for one in heard.thresholds if one.regret and one.regret.lower > 0)
        worst = next(out_of_tune, None)
        return circumstances(
            self.pipeline,
            fresh,
            found,
            observations,
            regret_stage=worst.stage if worst else None,
            answered_by_other=heard.answered_by_other,
            stale_answers=heard.stale_answers,
            history=self.history,
        )

    def _remember(
        self, observations: Mapping[str, Observation], fresh: Freshness, now: float
    ) -> list[Change]:
        changes = []
        for name, observation in observations.items():
            before = self.history.get(name, ())
            after = remember(before, observation, fresh.effective.get(name), now=now)
            if after is not before:
                self.history[name] = after
                changes.append(Change(name, before, after))
        return changes


def verdict(pipeline: Pipeline, fresh: Freshness, heard: Heard, *, now: float) -> EndToEnd:
    """Say which targets hold at *now*.

    A ratio misses its target when its whole 95 % interval lies under it, and holds when the
    estimate reaches it; in between, and before there are enough answers, it is undecided (None).
    """
    targets = pipeline.targets
    fresh_enough = keeps_data_age(fresh.watermark, targets.data_age, now=now)
    if fresh_enough is None and keeps_data_age(fresh.at_most, targets.data_age, now=now) is False:
        fresh_enough = False  # how old is unknown, but too old it is
    golden = heard.golden
    quality = all_hold(heard.quality)
    if golden is None:
        return EndToEnd(freshness=fresh_enough, quality=quality)
    enough = min(ENOUGH, golden.window_size)
    return EndToEnd(
        freshness=fresh_enough,
        quality=quality,
        accuracy=reaches(golden.accuracy, targets.accuracy, enough=enough),
        availability=reaches(golden.availability, targets.availability, enough=enough),
    )


def silent_failure(
    end_to_end: EndToEnd, states: Mapping[str, StageState], read: frozenset[str]
) -> bool | None:
    """Say whether end to end is bad while every stage calls itself healthy.

    None while nothing is known of end to end. A stage that cannot be read, or that calls itself
    unhealthy, is somebody's alarm already: such a failure is not silent. A stage that makes no
    claim about its health does not object; but at least one must claim to be healthy.
    """
    if end_to_end == EndToEnd():
        return None
    if not end_to_end.is_bad:
        return False
    claims = []
    for name in read:
        state = states.get(name)
        if state is None or state.reading is None or state.reading.observation is None:
            return False
        claims.append(state.reading.observation.healthy)
    return False not in claims and True in claims
