"""The section ``gate``: when a drop counts as real, what it stops, and what lifts a halt."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from seamwatch.config.actions import ActionSection
from seamwatch.config.fields import Period, Ratio, Section, Share
from seamwatch.gate import Mode, Rules


class SlicesSection(Section):
    """How much the slices of the golden set count beside the whole."""

    weight: Ratio = 0.5
    """Share of the evidence that the slices have; 0: only the set as a whole is looked at."""
    focus: bool = False
    """Ask more of a slice that seems to fail."""
    floors: dict[str, Share] = Field(default_factory=dict)
    """Floors of single slices; every other one is as far below its own baseline as the whole."""

    @model_validator(mode="after")
    def _has_a_say(self) -> Self:
        if self.weight == 0 and (self.focus or self.floors):
            given = "focus" if self.focus else "floors"
            raise ValueError(
                f"{given} is given, but with weight 0 no slice has a say; write a weight above 0,"
                f" or remove {given}"
            )
        return self


class BurstSection(Section):
    """Asking faster while something seems wrong, inside the budget."""

    factor: Annotated[float, Field(ge=1, le=1000)] = 10.0
    """How many times faster; 1: never faster."""
    from_: Share = Field(default=0.4, alias="from")
    """From which share of the way to a halt, on the logarithmic scale."""


class ResumeSection(Section):
    """What ends a halt; silence, a restart or time alone never does."""

    mode: Literal["manual", "automatic"] = "manual"
    """`manual`: a person resumes; `automatic`: proof of recovery does."""
    above: Share | None = None
    """What must be proven again before it counts as recovered; the floor by default."""
    max_false_resumes_per_halt: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Wrong resumptions that one halt may cause, at most, if the quality stays below `above`."""
    max_halted_probes: Annotated[int, Field(gt=0)] = 1000
    """Probes of one halt that this promise holds for."""
    min_halt: Period = 300.0
    """How long a halt lasts at least, unless a person resumes."""
    max_auto_resumes: Annotated[int, Field(ge=0)] = 3
    """Resumptions by proof alone in 24 hours; after them a person has to resume."""


class GatesSection(Section):
    """What holds for all gates together."""

    max_halted_at_once: Annotated[int, Field(ge=1)] = 3
    """Gates that may halt within a minute; when more do, they halt all the same, and
    `seamwatch_gates_common_cause` tells to look for one thing behind them.
    """


class GateSection(Section):
    """When a drop counts as real."""

    mode: Literal["off", "shadow", "enforce"] = "shadow"
    """`enforce`: callers are told to stop; `shadow`: decides and records alike, but lets everybody
    through; `"off"`: takes no evidence.
    """
    on_unknown: Literal["allow", "deny"] | None = None
    """What callers are told while nothing is known: at a start, and when no valid answer has come
    for `stale_after`. Required for `mode: enforce`; `allow` otherwise.
    """
    max_data_age: Period | None = None
    """Data older than this halts as well."""
    alerts: list[str] = Field(default_factory=list)
    """Names of Alertmanager alerts that halt while they fire, when sent to
    `/v1/hooks/alertmanager/<pipeline>`; others are ignored.
    """
    max_override: Period = 86400.0
    """How long an override may last."""
    actions: list[ActionSection] = Field(default_factory=list)
    """What is told to halt and to run again, beside those who ask; in `mode: enforce` only."""
    floor: Share | None = None
    """The quality below which it should halt; without one, `floor_below_baseline` under the
    baseline of the blessing.
    """
    floor_below_baseline: Share = 0.04
    """How far under the blessed baseline the floor is, where `floor` is not given."""
    score: Literal["verdict", "credit"] | None = None
    """What a probe scores. `verdict`: 1 if correct, else 0; `credit`: the task's own score from 0
    to 1. `credit` by default for ranking, and for text measured by `token_f1` or `rouge_l`.
    """
    max_false_halts_per_year: Annotated[float, Field(gt=0)] = 0.5
    """Halts in a year, at most, if the true quality sat exactly on the floor all year."""
    max_false_tickets_per_year: Annotated[float, Field(gt=0)] = 2.0
    """Tickets in a year, at most, if the true quality sat exactly on the baseline all year."""
    items: Literal["plain", "item_aware", "sentinels"] | None = None
    """`plain`: all items alike; `item_aware`: each by how it did when blessed; `sentinels`: only
    those that never failed then. `item_aware` by default where there is a blessing, else `plain`.
    """
    slices: SlicesSection = SlicesSection()
    """How much the slices count beside the whole."""
    burst: BurstSection = BurstSection()
    """Asking faster while something seems wrong."""
    stale_after: Period | None = None
    """Time without a valid answer after which the decision is stale; 10 times `golden.every`, at
    least 30 seconds, by default.
    """
    resume: ResumeSection = ResumeSection()
    """What ends a halt."""

    @model_validator(mode="after")
    def _one_name_each(self) -> Self:
        names = [action.target for action in self.actions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two actions are called {twice[0]}; give each a name: of its own")
        return self

    @property
    def rules(self) -> Rules:
        """What the gate decides by."""
        return Rules(
            Mode(self.mode),
            on_unknown=self.on_unknown or "allow",
            resume=self.resume.mode,
            min_halt=self.resume.min_halt,
            max_auto_resumes=self.resume.max_auto_resumes,
            max_override=self.max_override,
        )
