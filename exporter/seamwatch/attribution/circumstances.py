"""Circumstantial suspects: what the metadata of the stages says, before or without any repair.

Pure. A circumstance is no measurement: it is never mixed with the shares of an inquiry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from seamwatch.freshness import Freshness, History, Publication, keeps_data_age
from seamwatch.pipeline import Observation, Pipeline, Stage, StageKind
from seamwatch.skew import Skew

LOST_ROWS = 0.05
"""A stage that has lost more than this ratio of its rows is suspect."""

STANDS = 2.0
"""A watermark stands still when its job ran on for this many times the longest wait so far."""

MOVES = 3
"""Moves of a watermark that must be remembered to know how long it usually waits."""


class Cause(StrEnum):
    """Why a stage is suspect, in the order in which to look: what comes first explains the rest."""

    LATE_DATA = "late_data"
    EMPTY_SUCCESS = "empty_success"
    STALE_ANSWERS = "stale_answers"
    VERSION_SKEW = "version_skew"
    THRESHOLD_REGRET = "threshold_regret"
    TUNING_SKEW = "tuning_skew"
    ANSWERED_BY_OTHER = "answered_by_other"


@dataclass(frozen=True, slots=True)
class Circumstance:
    """A stage that its metadata, or the answers', make suspect."""

    stage: str
    team: str
    reason: Cause


def circumstances(
    pipeline: Pipeline,
    freshness: Freshness,
    skews: Sequence[Skew],
    observations: Mapping[str, Observation],
    *,
    regret_stage: str | None = None,
    answered_by_other: bool = False,
    stale_answers: bool = False,
    history: History | None = None,
    rows_before: Mapping[str, float] | None = None,
    now: float | None = None,
) -> tuple[Circumstance, ...]:
    """Return the suspects, by cause in the order of `Cause`, then from upstream to downstream.

    Each says who can act: the stage that falls behind, not the victims after it; the stage that
    stands on an old version, not the one that moved on. What is unknown makes nobody suspect.

    Args:
        pipeline: stages in topological order.
        freshness: its effective watermarks and lags now.
        skews: over its seams now.
        observations: what each stage says now; a stage that could not be read is missing.
        regret_stage: the stage whose threshold has a regret with a lower bound above zero.
        answered_by_other: another version than the declared one answers.
        stale_answers: answers come that used to be right.
        history: what each stage published, to know a watermark that stands still.
        rows_before: stage -> rows that it had before, to know what was lost.
        now: wall clock; None: data is late only by the lag over a seam.
    """
    found: dict[Cause, set[str]] = {cause: set() for cause in Cause}
    found[Cause.LATE_DATA].update(_late(pipeline, freshness, now))
    found[Cause.EMPTY_SUCCESS].update(
        stage.name
        for stage in pipeline.stages
        if _is_empty(stage, observations, rows_before or {})
        or _stands(stage, freshness, observations, history or {})
    )
    if stale_answers:
        found[Cause.STALE_ANSWERS].update(_of_kind(pipeline, StageKind.CACHE))
    found[Cause.VERSION_SKEW].update(one.downstream for one in skews if one.version)
    found[Cause.TUNING_SKEW].update(one.downstream for one in skews if one.tuning)
    if regret_stage is not None:
        found[Cause.THRESHOLD_REGRET].add(regret_stage)
    if answered_by_other:
        models = _of_kind(pipeline, StageKind.MODEL)
        found[Cause.ANSWERED_BY_OTHER].update(models[-1:] or pipeline.outputs[:1])
    return tuple(
        Circumstance(stage.name, stage.team, cause)
        for cause in Cause
        for stage in pipeline.stages
        if stage.name in found[cause]
    )


def _late(pipeline: Pipeline, freshness: Freshness, now: float | None) -> Iterator[str]:
    """Yield the stages at which data falls behind: the first late ones on each way downstream."""
    for seam, lag in freshness.lags.items():
        limit = pipeline.by_name[seam.downstream].data_age
        limit = pipeline.targets.data_age if limit is None else limit
        if lag is not None and limit is not None and lag > limit:
            yield seam.downstream
    if now is None:
        return
    late = {
        stage.name
        for stage in pipeline.stages
        if keeps_data_age(freshness.effective.get(stage.name), stage.data_age, now=now) is False
    }
    yield from (name for name in late if not late & pipeline.ancestors[name])
    limit = pipeline.targets.data_age
    if late or keeps_data_age(freshness.watermark, limit, now=now) is not False:
        return
    # No stage breaks a limit of its own: the costliest seam, if it costs enough, else the sources.
    costliest = freshness.bottleneck
    lag = None if costliest is None else freshness.lags[costliest]
    reached = freshness.watermark
    if costliest is not None and lag and reached is not None:
        without = keeps_data_age(reached + lag, limit, now=now)
        if without:
            yield costliest.downstream
            return
    for stage in pipeline.stages:
        reached = freshness.effective.get(stage.name)
        if not stage.after and keeps_data_age(reached, limit, now=now) is False:
            yield stage.name


def _is_empty(
    stage: Stage, observations: Mapping[str, Observation], before: Mapping[str, float]
) -> bool:
    """Say whether a stage holds nothing, or clearly less than before."""
    seen = observations.get(stage.name)
    if seen is None or seen.rows is None:
        return False
    had = before.get(stage.name, 0.0)
    return seen.rows <= 0 or seen.rows < (1 - LOST_ROWS) * had


def _stands(
    stage: Stage,
    freshness: Freshness,
    observations: Mapping[str, Observation],
    history: History,
) -> bool:
    """Say whether a job runs on while its watermark stands, with something new for it to take."""
    seen = observations.get(stage.name)
    reached = freshness.effective.get(stage.name)
    if seen is None or seen.updated_at is None or reached is None:
        return False
    ahead = [freshness.effective.get(up) for up in stage.after]
    if stage.after and not any(one is not None and one > reached for one in ahead):
        return False
    moves = _moves(history.get(stage.name, ()))
    if len(moves) <= MOVES or moves[-1].watermark != reached:
        return False
    longest = max(after.since - before.since for before, after in pairwise(moves))
    return seen.updated_at - moves[-1].since > STANDS * longest


def _moves(past: Sequence[Publication]) -> list[Publication]:
    """Return the publications at which the watermark became another one, oldest first."""
    known = [one for one in past if one.watermark is not None]
    return known[:1] + [
        after for before, after in pairwise(known) if after.watermark != before.watermark
    ]


def _of_kind(pipeline: Pipeline, kind: StageKind) -> tuple[str, ...]:
    return tuple(stage.name for stage in pipeline.stages if stage.kind is kind)
