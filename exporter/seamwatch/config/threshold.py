"""The section ``threshold``: under which score the pipeline declines, and what that is worth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seamwatch.config.fields import Name, Section


class ThresholdSection(Section):
    """The threshold that a stage decides by; compared with the best one for today's scores."""

    stage: Name
    """The stage that decides; it publishes the threshold under `settings`."""
    setting: str = "threshold"
    """Its name there."""
    objective: Literal["accuracy", "f1", "cost"] = "accuracy"
    """What a good threshold makes large, or for `cost` small."""
    wrong: Annotated[float, Field(gt=0)] = 1.0
    """Cost: what a wrong answer costs."""
    declined: Annotated[float, Field(ge=0)] = 0.2
    """Cost: what a declined question costs."""
    positive: str | None = None
    """Binary: the label that is answered from the threshold on; `golden.positive` by default."""
