"""The section ``slos``: what end to end must reach, how often, and when nobody counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from seamwatch.config.fields import Period, Ratio, Section, shown

FAST_BURN = 14.4  # the burn rate of the fastest page: 2 % of a 30-day budget in one hour


def parse_moment(value: Any) -> float:
    """Return seconds since the epoch for an RFC 3339 text; raise ValueError for anything else."""
    instead = 'write it with its zone, as in "2026-11-29T22:00:00Z"'
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f"{shown(value)} is not a time; {instead}")
    if found.tzinfo is None:
        raise ValueError(f"{shown(value)} is a time in no zone; {instead}")
    return found.astimezone(UTC).timestamp()


def _as_text(generated: dict[str, Any]) -> None:
    generated.clear()
    generated["type"] = "string"


Moment = Annotated[float, BeforeValidator(parse_moment), Field(json_schema_extra=_as_text)]


class _Slo(Section):
    objective: Ratio | None = None
    """Share of time slices that must be good; above 93.1%, below 100%."""
    page: bool | None = None
    """Whether a fast burn wakes the owner; by default that of `end_to_end` does, and that of the
    others only where `end_to_end` has no objective.
    """
    min_bad_events: Annotated[int, Field(ge=1)] = 5
    """Bad slices (of 30 s) in the window of an alert under which nobody is woken."""

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


class _Component(_Slo):
    unknown: Literal["bad", "ignore", "good"] = "bad"
    """What a slice counts as, here and in `end_to_end`, once it has been unknown for longer than
    `grace`.
    """


class FreshnessSlo(_Component):
    """The data behind the answers is at most this old."""

    data_age: Period
    """How old the data behind the answers may be."""


class RatioSlo(_Component):
    """A ratio reaches at least this."""

    at_least: Ratio
    """The ratio that must be reached."""


class EndToEndSlo(_Slo):
    """All targets of the pipeline hold at the same time."""


class SlosSection(Section):
    """What end to end must reach."""

    freshness: FreshnessSlo | None = None
    """How old the data behind the answers may be."""
    accuracy: RatioSlo | None = None
    """Share of golden answers that must be correct; needs `golden`."""
    availability: RatioSlo | None = None
    """Share of probes that must be answered at all; needs `golden`."""
    quality: RatioSlo | None = None
    """What the worst of the quality checks must reach; needs `quality`."""
    end_to_end: EndToEndSlo | None = None
    """All of them at the same time; needs at least one of them."""
    grace: Period = 300.0
    """How long a target of which nothing is known keeps its last verdict."""

    @model_validator(mode="after")
    def _end_to_end_has_parts(self) -> Self:
        if self.end_to_end is not None and not self.components:
            raise ValueError(
                "end_to_end is good when every other target holds, and there is none; add"
                " freshness, accuracy, availability or quality"
            )
        return self

    @property
    def components(self) -> dict[str, FreshnessSlo | RatioSlo]:
        """The targets that are set, by name."""
        given: dict[str, FreshnessSlo | RatioSlo | None] = {
            "freshness": self.freshness,
            "accuracy": self.accuracy,
            "availability": self.availability,
            "quality": self.quality,
        }
        return {name: slo for name, slo in given.items() if slo is not None}


class MaintenanceSection(Section):
    """A time in which slices are neither good nor bad: they are counted apart."""

    start: Moment
    """When it begins, with its zone, in quotes: `"2026-11-29T22:00:00Z"`."""
    lasts: Period
    """How long it lasts."""
    every: Period | None = None
    """How often it comes again, e.g. `7d`; once by default."""

    @model_validator(mode="after")
    def _ends_before_the_next(self) -> Self:
        if self.every is not None and self.lasts >= self.every:
            raise ValueError("lasts as long as every, so it would never end; write a shorter lasts")
        return self

    def covers(self, at: float) -> bool:
        """Say whether wall clock *at*, in seconds since the epoch, lies in it."""
        since = at - self.start
        if self.every is not None and since >= 0:
            since %= self.every
        return 0 <= since < self.lasts
