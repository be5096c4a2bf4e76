"""The sections ``model.repairs`` and ``model.attribution``: who is blamed, and how it is found out.

A repair asks the same question with one stage taken out of it or put right. What the answers gain
by it is what that stage has cost.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from seamwatch.config.fields import Name, Period, Secret, Section
from seamwatch.config.reach import Url

MAX_REPAIRS = 8


class RepairSection(Section):
    """One way to ask the model that leaves one stage's fault out."""

    blames: Name
    """The stage that is to blame if this helps."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """Headers to send as well; credentials as `${NAME}`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Fields that replace those of the question or are added: at the top of the JSON body; in the
    URL for `method: GET`; the request parameters of `open_inference`.
    """
    url: Url | None = None
    """Another address to ask, without user and password."""
    threshold: Literal["best"] | None = None
    """`best`: judge the answers under the best threshold; costs no question, needs `threshold`."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.headers or self.parameters or self.url or self.threshold):
            raise ValueError(
                "changes nothing; give at least one of headers, parameters, url, threshold: best"
            )
        return self


Repairs = Annotated[dict[Name, RepairSection], Field(max_length=MAX_REPAIRS)]
"""The repairs by name."""


class AttributionSection(Section):
    """How much is asked to name a suspect."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """How sure it must be before it names one."""
    strict: bool = False
    """Count the luck of stopping at the right moment as well: about twice the questions."""
    max_probes: Annotated[int, Field(gt=0)] = 800
    """Questions of one inquiry, at most."""
    per_day: Annotated[int, Field(gt=0)] = 3000
    """Questions of all inquiries in 24 hours, at most; they count for `budget` as well."""
    every: Period = 3600.0
    """Time between two inquiries while something stays wrong."""
