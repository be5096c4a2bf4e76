"""The section ``quality``: what every answer must look like, and what live traffic says of it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from seamwatch.config.fields import Limit, Name, Period, Ratio, Regexes, Section
from seamwatch.config.reach import HttpTarget
from seamwatch.quality import too_slow


def _quick(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if (wrong := too_slow(pattern)) is not None:
            raise ValueError(wrong)
    return patterns


class RefusalSection(Section):
    """How often the model may decline a question that has an answer."""

    at_most: Ratio
    """Share of the answers."""


class SignalSection(HttpTarget):
    """A figure about live traffic; *url* is the base address of a Prometheus server."""

    promql: str
    """A query with one number as its result."""
    at_least: Limit | None = None
    """The figure must be this or more; give this or `at_most`."""
    at_most: Limit | None = None
    """The figure must be this or less; give this or `at_least`."""
    every: Period = 60.0
    """Time between two readings."""
    timeout: Period = 5.0
    """Time that one whole reading may take."""

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if not self.promql.strip():
            raise ValueError("promql is empty; write a query with one number as its result")
        if (self.at_least is None) == (self.at_most is None):
            found = "neither is given" if self.at_least is None else "both are given"
            raise ValueError(f"{found}; give either at_least or at_most")
        return self


class ScoreDriftSection(Section):
    """How far the model's scores may be from those of the blessing."""

    psi_at_most: Annotated[float, Field(gt=0)] = 0.25
    """Population stability index; 0.1 is a small shift, 0.25 a large one."""


class CalibrationSection(Section):
    """How far the model's confidence may be from how often it is right."""

    at_most: Ratio
    """Expected calibration error."""


class QualitySection(Section):
    """What every answer must look like."""

    not_empty: bool | None = None
    """Every answer holds something."""
    json_schema: str | None = None
    """File with a JSON Schema; an answer that fails it is invalid. Relative to the
    configuration file.
    """
    refusal: RefusalSection | None = None
    """How often the model may decline a question that has an answer."""
    max_length: Annotated[int, Field(gt=0)] | None = None
    """Characters of an answer, at most."""
    forbids: Annotated[Regexes, AfterValidator(_quick)] = ()
    """Regular expressions that no answer may match anywhere, in Python's syntax."""
    signals: dict[Name, SignalSection] = Field(default_factory=dict)
    """Figures about live traffic by name, read from Prometheus."""
    score_drift: ScoreDriftSection | None = None
    """How far the scores may be from those of the blessing; needs `score` in the model."""
    calibration: CalibrationSection | None = None
    """How far confidence may be from being right; needs `score` in the model."""
