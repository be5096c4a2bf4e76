"""The whole of seamwatch.yaml as types: what may be written, and what could never work."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from seamwatch.config.addresses import DEFAULT_STORE, ExternalUrl, Listen, StoreUrl
from seamwatch.config.fields import Name, Names, Period, Ratio, Section, Texts
from seamwatch.config.models import ModelSection
from seamwatch.config.sources import SourceSection

FAST_BURN = 14.4  # the burn rate of the fastest page: 2 % of a 30-day budget in one hour


class TeamSection(Section):
    """A team and how it is reached; the bodies are Alertmanager receivers, passed through."""

    page: dict[str, Any] = Field(default_factory=dict)
    notify: dict[str, Any] = Field(default_factory=dict)


class StageSection(Section):
    """One stage of a pipeline."""

    team: Name
    kind: Literal[
        "source",
        "transform",
        "features",
        "embedding",
        "cache",
        "index",
        "retrieval",
        "decision",
        "model",
        "output",
    ]
    after: Names = ()
    tuned_on: Names = ()
    source: SourceSection | None = None
    every: Period = 30.0
    timeout: Period = 5.0
    data_age: Period | None = None


class GoldenSection(Section):
    """The golden set and how fast it is asked."""

    file: str
    task: Literal["binary", "multiclass", "multilabel", "regression", "ranking", "text"]
    every: Period = 15.0  # one probe each
    window: Annotated[int, Field(ge=1)] | None = (
        None  # answers the accuracy is over; default 1 pass
    )
    slices: str | None = None  # field of the item's input that names its slice, if not `slice`
    refusals: Texts = ()  # answers that mean the model declines, e.g. "I don't know"
    labels: Texts | None = None  # all answers that are valid; others are invalid
    positive: str | None = None  # binary: the label that counts as positive
    tolerance: Annotated[float, Field(ge=0)] = 0.0  # regression: absolute error still correct
    relative_tolerance: Annotated[float, Field(ge=0)] = 0.0  # the same, as a share of the truth
    k: Annotated[int, Field(ge=1)] = 10  # ranking: cut-off rank
    at_least: Ratio | None = None  # ranking and text: credit from which an answer is correct
    text_measure: Literal["exact", "token_f1", "rouge_l"] = "exact"
    ranking_measure: Literal["recall_at_k", "ndcg", "mrr"] = "recall_at_k"
    # binary: what the model's single score is the confidence in, its answer or the positive label
    score_of: Literal["answer", "positive"] = "answer"


class QualitySection(Section):
    """What every answer must look like."""

    json_schema: str | None = None  # file; an answer that fails it is invalid


class _Slo(Section):
    objective: Ratio | None = None

    @model_validator(mode="after")
    def _fast_burn_can_fire(self) -> Self:
        if self.objective is not None and FAST_BURN * (1 - self.objective) >= 1:
            raise ValueError(
                f"with objective {self.objective:.4g} the fast-burn alert could never fire (it "
                f"would need more than 100 % bad slices); write an objective above 93.1%"
            )
        if self.objective == 1:
            raise ValueError("an objective of 1 leaves no budget; write 99.9% or less")
        return self


class FreshnessSlo(_Slo):
    """The data behind the answers is at most this old."""

    data_age: Period


class RatioSlo(_Slo):
    """A ratio reaches at least this."""

    at_least: Ratio


class SlosSection(Section):
    """What end to end must reach."""

    freshness: FreshnessSlo | None = None
    accuracy: RatioSlo | None = None
    availability: RatioSlo | None = None


class PipelineSection(Section):
    """One pipeline, from data ingestion to model output."""

    owner: Name
    stages: Annotated[dict[Name, StageSection], Field(min_length=1)]
    model: ModelSection | None = None
    golden: GoldenSection | None = None
    quality: QualitySection = QualitySection()
    slos: SlosSection = SlosSection()


class WebSection(Section):
    """Where the exporter listens."""

    listen: Listen = ":10064"
    external_url: ExternalUrl | None = None
    config_file: str | None = None  # Prometheus exporter-toolkit format: TLS, basic auth


class Settings(Section):
    """The whole file."""

    teams: dict[Name, TeamSection]
    pipelines: dict[Name, PipelineSection]
    store: StoreUrl = DEFAULT_STORE
    web: WebSection = WebSection()
