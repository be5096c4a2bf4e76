"""The words of seamwatch as frozen values: pipeline, stage, seam, observation, golden item, answer.

Times are seconds since the epoch (float), durations are seconds (float), ratios lie in [0, 1].
None always means unknown: never 0, never fresh, never good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from seamwatch.errors import Reason


class StageKind(StrEnum):
    """What a stage does; a word for people and panels, it changes no arithmetic."""

    SOURCE = "source"
    TRANSFORM = "transform"
    FEATURES = "features"
    EMBEDDING = "embedding"
    CACHE = "cache"
    INDEX = "index"
    RETRIEVAL = "retrieval"
    DECISION = "decision"
    MODEL = "model"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a pipeline and the team that runs it."""

    name: str
    team: str
    kind: StageKind
    after: tuple[str, ...] = ()  # the stages it reads from
    tuned_on: tuple[str, ...] = ()  # the stages whose version its settings were chosen for
    data_age: float | None = None  # seconds its effective watermark may be behind now


@dataclass(frozen=True, slots=True)
class Seam:
    """The edge between two stages; where the teams differ it is where incidents hide."""

    upstream: str
    downstream: str
    upstream_team: str
    downstream_team: str

    @property
    def crosses_teams(self) -> bool:
        """Say whether one team feeds another here."""
        return self.upstream_team != self.downstream_team


@dataclass(frozen=True, slots=True)
class Targets:
    """What end to end must reach; None where the configuration promises nothing."""

    data_age: float | None = None  # seconds
    accuracy: float | None = None  # ratio
    availability: float | None = None  # ratio
    quality: float | None = None  # ratio
    objectives: Mapping[str, float] = field(default_factory=dict)  # slo name -> ratio


@dataclass(frozen=True)
class Pipeline:
    """The full path from data ingestion to model output; *stages* are in topological order."""

    name: str
    owner: str
    stages: tuple[Stage, ...]
    targets: Targets = Targets()

    @cached_property
    def by_name(self) -> Mapping[str, Stage]:
        """Return the stages by their names."""
        return {stage.name: stage for stage in self.stages}

    @cached_property
    def seams(self) -> tuple[Seam, ...]:
        """Every ``after`` edge, in the order of the stages."""
        return tuple(
            Seam(up, stage.name, self.by_name[up].team, stage.team)
            for stage in self.stages
            for up in stage.after
        )

    @cached_property
    def ancestors(self) -> Mapping[str, frozenset[str]]:
        """For each stage all that it is made from, however far upstream."""
        found: dict[str, frozenset[str]] = {}
        for stage in self.stages:
            found[stage.name] = frozenset(stage.after).union(*(found[up] for up in stage.after))
        return found

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The stages that no other stage comes after."""
        used = {up for stage in self.stages for up in stage.after}
        return tuple(stage.name for stage in self.stages if stage.name not in used)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a stage said of itself; one of version, watermark, updated_at is known."""

    healthy: bool | None = None  # the stage's own claim; None when it makes none
    version: str | None = None
    watermark: float | None = None  # event time up to which its output is complete
    updated_at: float | None = None  # when its job last ran: never freshness by itself
    built_from: Mapping[str, str] = field(
        default_factory=dict
    )  # upstream stage -> version it was built from
    tuned_on: Mapping[str, str] = field(
        default_factory=dict
    )  # upstream stage -> version its settings were chosen for
    rows: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a reading gave no observation; the text holds no secret."""

    reason: Reason
    message: str
    retry_after: float | None = None  # seconds that the other side asked us to wait


@dataclass(frozen=True, slots=True)
class Reading:
    """One attempt to read a stage: an observation or a failure, never both."""

    at: float  # wall clock at the end of the attempt
    duration: float  # seconds
    observation: Observation | None = None
    failure: Failure | None = None


class Task(StrEnum):
    """What kind of answer a golden set expects."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    RANKING = "ranking"
    TEXT = "text"


class Verdict(StrEnum):
    """The judgement of one answer. The first five are answers; error and timeout are none."""

    CORRECT = "correct"
    WRONG = "wrong"
    STALE = "stale"  # equals an answer that used to be right
    INVALID = "invalid"  # no answer of the declared shape
    REFUSED = "refused"  # the model declined a question that has an answer
    ERROR = "error"  # transport, 429, 5xx: counts for availability, never for accuracy
    TIMEOUT = "timeout"

    @property
    def is_answer(self) -> bool:
        """Say whether the model answered at all, so that it counts for accuracy."""
        return self not in (Verdict.ERROR, Verdict.TIMEOUT)


@dataclass(frozen=True, slots=True)
class GoldenItem:
    """A question whose right answer is known."""

    id: str
    input: Any  # what the model is asked: text, number, list or mapping
    expected: Any  # label, number, list of labels, ranked ids or text; None: it should refuse
    slice: str = ""
    weight: float = 1.0
    superseded: tuple[Any, ...] = ()  # answers that used to be right
    valid_from: float | None = None
    valid_until: float | None = None
    context_ids: tuple[str, ...] = ()
    label_source: str = ""
    note: str = ""

    def is_valid(self, *, now: float) -> bool:
        """Say whether the label holds at *now*; an item outside its time is not asked."""
        return (self.valid_from is None or self.valid_from <= now) and (
            self.valid_until is None or now < self.valid_until
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the live model made of one item: a value, a refusal or a failure."""

    value: Any = None
    score: float | None = None  # the model's confidence, as it reports it
    scores: Mapping[str, float] | None = None  # label -> score, where the model gives all
    candidate: Any = None  # the answer before a threshold that it may be declined under
    answered_by: str | None = None  # the version that really answered
    refused: bool = False  # the model says itself that it declines
    duration: float = 0.0  # seconds, from request to parsed answer
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer and its verdict; *credit* is the task's own score in [0, 1], None for no answer."""

    item: GoldenItem
    answer: Answer
    verdict: Verdict
    credit: float | None
    at: float  # wall clock
    measures: Mapping[str, float] = field(
        default_factory=dict
    )  # ranking and text: what this answer scores by each measure, e.g. ndcg, token_f1


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio with its 95 % interval and the number of answers behind it."""

    value: float
    lower: float
    upper: float
    n: int
