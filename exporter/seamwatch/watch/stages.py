"""What is remembered of a pipeline's stages, and the judgement of it as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from seamwatch.errors import Reason
from seamwatch.freshness import Freshness, Publication, freshness, keeps_data_age, remember
from seamwatch.pipeline import Observation, Pipeline, Reading
from seamwatch.scoring.targets import ENOUGH, reaches
from seamwatch.skew import skews
from seamwatch.snapshot import EndToEnd, GoldenState, ProbeState, Snapshot, StageState


class Change(NamedTuple):
    """The publications of one stage as remembered before and after a reading."""

    stage: str
    before: tuple[Publication, ...]
    after: tuple[Publication, ...]


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

    def judge(
        self, *, now: float, golden: GoldenState | None, probes: ProbeState | None
    ) -> tuple[Snapshot, list[Change]]:
        """Return the pipeline's snapshot, and how the history of its stages has changed."""
        observations = self.observations()
        fresh = freshness(self.pipeline, observations, self.history)
        changes = self._remember(observations, fresh, now)
        end_to_end = verdict(self.pipeline, fresh, golden, now=now)
        snapshot = Snapshot(
            pipeline=self.pipeline,
            at=now,
            stages=MappingProxyType(dict(self.states)),
            freshness=fresh,
            skews=skews(self.pipeline, observations, self.history),
            end_to_end=end_to_end,
            silent_failure=silent_failure(end_to_end, self.states, self.read),
            golden=golden,
            probes=probes,
        )
        return snapshot, changes

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


def verdict(
    pipeline: Pipeline, fresh: Freshness, golden: GoldenState | None, *, now: float
) -> EndToEnd:
    """Say which targets hold at *now*.

    A ratio misses its target when its whole 95 % interval lies under it, and holds when the
    estimate reaches it; in between, and before there are enough answers, it is undecided (None).
    """
    targets = pipeline.targets
    fresh_enough = keeps_data_age(fresh.watermark, targets.data_age, now=now)
    if fresh_enough is None and keeps_data_age(fresh.at_most, targets.data_age, now=now) is False:
        fresh_enough = False  # how old is unknown, but too old it is
    if golden is None:
        return EndToEnd(freshness=fresh_enough)
    enough = min(ENOUGH, golden.window_size)
    return EndToEnd(
        freshness=fresh_enough,
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
