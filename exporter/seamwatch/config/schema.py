"""The whole of seamwatch.yaml as types: what may be written, and what could never work."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from seamwatch.config.addresses import DEFAULT_STORE, ExternalUrl, Listen, StoreUrl
from seamwatch.config.fields import Name, Names, Period, Ratio, Section, Texts
from seamwatch.config.gate import GateSection, GatesSection
from seamwatch.config.models import ModelSection
from seamwatch.config.quality import QualitySection
from seamwatch.config.slos import MaintenanceSection, SlosSection
from seamwatch.config.sources import SourceSection
from seamwatch.config.threshold import ThresholdSection


class TeamSection(Section):
    """A team and how it is reached; the bodies are Alertmanager receivers, passed through."""

    page: dict[str, Any] = Field(default_factory=dict)
    """Alertmanager receiver that wakes the team; passed through as it is, e.g.
    `webhook_configs`.
    """
    notify: dict[str, Any] = Field(default_factory=dict)
    """Alertmanager receiver that tells the team without waking it; passed through as it is."""


class StageSection(Section):
    """One stage of a pipeline."""

    team: Name
    """The team that runs the stage; one of `teams`."""
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
    """What the stage does; a word for people, it changes no arithmetic."""
    after: Names = ()
    """The stages that it reads from; none for a source."""
    tuned_on: Names = ()
    """The stages whose version its thresholds or settings were chosen for."""
    source: SourceSection | None = None
    """Where its own word about itself is read; without one nothing is known of the stage."""
    every: Period = 30.0
    """Time between two readings."""
    timeout: Period = 5.0
    """Time that one whole reading may take."""
    data_age: Period | None = None
    """How far its effective watermark may be behind now."""


class GoldenSection(Section):
    """The golden set and how fast it is asked."""

    file: str
    """The golden set: JSON Lines (`.jsonl`), CSV or Parquet; relative to the configuration file."""
    task: Literal["binary", "multiclass", "multilabel", "regression", "ranking", "text"]
    """What kind of answer is expected."""
    every: Period = 15.0
    """Time between two probes."""
    window: Annotated[int, Field(ge=1)] | None = None
    """Answers that the accuracy is over; one pass over the set by default."""
    slices: str | None = None
    """Field of an item's input that names its slice, for items without `slice`."""
    refusals: Texts = ()
    """Answers that mean the model declines, e.g. `I don't know`."""
    labels: Texts | None = None
    """All labels that are valid answers; any other answer is invalid."""
    positive: str | None = None
    """Binary: the label that counts as positive."""
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    """Regression: absolute error up to which an answer is correct."""
    relative_tolerance: Annotated[float, Field(ge=0)] = 0.0
    """Regression: the same as a share of the true value."""
    k: Annotated[int, Field(ge=1)] = 10
    """Ranking: how many of the first results count."""
    at_least: Ratio | None = None
    """Ranking and text: credit from which an answer is correct."""
    text_measure: Literal["exact", "token_f1", "rouge_l"] = "exact"
    """Text: how much of the credit an answer earns."""
    ranking_measure: Literal["recall_at_k", "ndcg", "mrr"] = "recall_at_k"
    """Ranking: what the credit is."""
    score_of: Literal["answer", "positive"] = "answer"
    """Binary: what the single score of an answer is the confidence in."""
    blessing: str | None = None
    """What `seamwatch golden bless` has written; by default `<file>.blessing.json` beside the
    golden set. Relative to the configuration file.
    """
    canary: str | None = None
    """JSON Lines of `{"expected": ..., "answer": ..., "verdict": "correct"}`: answers whose verdict
    is known, judged in each pass to guard against a broken judge. Relative to the configuration
    file.
    """


class PipelineSection(Section):
    """One pipeline, from data ingestion to model output."""

    owner: Name
    """The one team that answers for the whole; one of `teams`."""
    stages: Annotated[dict[Name, StageSection], Field(min_length=1)]
    """The stages by name, in any order."""
    model: ModelSection | None = None
    """How to ask the live model."""
    golden: GoldenSection | None = None
    """Questions whose right answers are known."""
    gate: GateSection | None = None
    """When a drop counts as real; without it no evidence is taken."""
    threshold: ThresholdSection | None = None
    """The threshold that a stage declines by, to be compared with the best one."""
    quality: QualitySection = QualitySection()
    """What every answer must look like, and what live traffic says of it."""
    slos: SlosSection = SlosSection()
    """What users may expect, end to end."""
    maintenance: list[MaintenanceSection] = Field(default_factory=list)
    """Times in which nothing is held against the pipeline."""


class ClientSection(Section):
    """What the holder of a client certificate may do."""

    san: str
    """An alternative name in the certificate."""
    scopes: list[Literal["read", "check", "halt", "resume", "override", "bless", "admin"]]
    """What it may do."""
    gates: list[str] = Field(default_factory=lambda: ["*"])
    """Pipelines that it may do it to, as globs."""


class WebSection(Section):
    """Where the exporter listens."""

    listen: Listen = ":10064"
    """Address and port: `:10064` is every interface, `127.0.0.1:10064` this machine only."""
    external_url: ExternalUrl | None = None
    """How people reach seamwatch, for links."""
    config_file: str | None = None
    """TLS and basic auth, in the format of the Prometheus exporter-toolkit; relative to the
    configuration file.
    """
    anonymous_checks: bool = False
    """Let anybody ask whether a gate is open, without a token: for callers that cannot send one."""
    clients: list[ClientSection] = Field(default_factory=list)
    """Client certificates that may ask `/v1`; `config_file` says whom to trust."""


class Settings(Section):
    """The whole file."""

    teams: dict[Name, TeamSection]
    """The teams by name. May be spread over files."""
    pipelines: dict[Name, PipelineSection]
    """The pipelines by name. May be spread over files."""
    store: StoreUrl = DEFAULT_STORE
    """Where seamwatch remembers: `sqlite:///FILE` or
    `postgresql+asyncpg://USER:${PASSWORD}@HOST/DATABASE`; `sqlite:///seamwatch.db` by
    default, in `$STATE_DIRECTORY` where systemd sets that.
    """
    gates: GatesSection = GatesSection()
    """What holds for all gates together."""
    web: WebSection = WebSection()
    """Where seamwatch listens."""
