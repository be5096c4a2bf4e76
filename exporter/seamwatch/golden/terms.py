"""The terms on which a pipeline's evidence is weighed: what its gate, set and blessing say."""

from __future__ import annotations

from seamwatch.config.models import BudgetSection
from seamwatch.config.schema import GoldenSection, PipelineSection
from seamwatch.errors import SeamwatchError
from seamwatch.evidence import Blessing, Terms, terms
from seamwatch.golden.loading import GoldenSet

HOURS_A_YEAR = 8766.0  # of 365.25 days


def terms_for(section: PipelineSection, golden: GoldenSet, blessing: Blessing | None) -> Terms:
    """Return the terms of a pipeline with a gate, a golden set and a model.

    Raises:
        SeamwatchError: no floor follows from gate and blessing, or it could never keep its
            promise; the text names the key to change.
    """
    gate, asked, model = section.gate, section.golden, section.model
    assert gate is not None
    assert asked is not None
    assert model is not None
    try:
        return terms(
            probes_per_year=probes_per_year(asked.every, gate.burst.factor, model.budget),
            max_false_halts_per_year=gate.max_false_halts_per_year,
            floor=gate.floor,
            floor_below_baseline=gate.floor_below_baseline,
            blessing=blessing,
            items=gate.items,
            slices=golden.slices,
            slice_weight=gate.slices.weight,
            slice_floors=gate.slices.floors,
            focus=gate.slices.focus,
            max_false_tickets_per_year=gate.max_false_tickets_per_year,
            burst_from=gate.burst.from_,
            resume_above=gate.resume.above,
            max_false_resumes_per_halt=gate.resume.max_false_resumes_per_halt,
            max_halted_probes=gate.resume.max_halted_probes,
        )
    except ValueError as error:
        raise SeamwatchError(str(error)) from error


def probes_per_year(every: float, burst: float, budget: BudgetSection) -> float:
    """Return the most that can be asked in a year: always at burst rate, within the budget.

    Exactly on the floor, where the promise on false halts is made, the evidence keeps the pipeline
    suspect most of the time.
    """
    an_hour = burst * 3600.0 / every
    if budget.per_hour is not None:
        an_hour = min(an_hour, budget.per_hour)
    if budget.per_day is not None:
        an_hour = min(an_hour, budget.per_day / 24.0)
    return an_hour * HOURS_A_YEAR


def score_of(asked: GoldenSection, wanted: str | None) -> str:
    """Return what a probe scores: *wanted*, or ``credit`` where the task's credit is graded."""
    if wanted is not None:
        return wanted
    graded = asked.task == "ranking" or (asked.task == "text" and asked.text_measure != "exact")
    return "credit" if graded else "verdict"
