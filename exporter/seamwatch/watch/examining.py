"""What is worked out over a whole window of answers: CPU for the worker process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seamwatch.config.quality import QualitySection
from seamwatch.config.threshold import ThresholdSection
from seamwatch.quality import Banded, Check, ece, ks, psi
from seamwatch.scoring import Columns, measures
from seamwatch.threshold import Cases, Regret, regret

SEED = 0  # of bootstrap and bands: the same answers give the same figures


@dataclass(frozen=True)
class Sample:
    """The answers of a window as plain columns; it can be pickled."""

    columns: Columns
    cases: Cases | None = None  # None: no threshold is configured
    threshold: float | None = None  # in force; None: its stage does not say
    section: ThresholdSection | None = None
    scores: tuple[float | None, ...] = ()  # of the answers given, None where there is none
    right: tuple[bool, ...] = ()
    ids: tuple[str, ...] = ()
    blessed: tuple[float, ...] = ()  # scores when the set was blessed


@dataclass(frozen=True)
class Examined:
    """What a sample shows; a figure that the answers do not decide is absent."""

    n: int = 0  # answers that the measures are over
    measures: Mapping[str, float] = field(default_factory=dict)
    regret: Regret | None = None
    drift: Mapping[str, Banded] = field(default_factory=dict)  # psi, ks, calibration

    def checks(self, section: QualitySection) -> tuple[Check, ...]:
        """Return what of it *section* sets a target for."""
        drift, calibration = section.score_drift, section.calibration
        wanted = {
            "psi": ("score_drift", drift.psi_at_most if drift else None),
            "calibration": ("calibration", calibration.at_most if calibration else None),
        }
        return tuple(
            self.drift[measure].check(name, at_most=at_most)
            if measure in self.drift
            else Check(name, at_most=at_most)
            for measure, (name, at_most) in wanted.items()
            if at_most is not None
        )


def examine(sample: Sample) -> Examined:
    """Return all that *sample* shows. Imports scikit-learn: run it in the worker process."""
    known = tuple(score for score in sample.scores if score is not None)
    found = {
        "psi": psi(sample.blessed, known, seed=SEED) if sample.blessed else None,
        "ks": ks(sample.blessed, known) if sample.blessed else None,
        "calibration": _calibration(sample),
    }
    return Examined(
        n=len(sample.columns),
        measures=measures(sample.columns),
        regret=_regret(sample),
        drift={name: banded for name, banded in found.items() if banded is not None},
    )


def _calibration(sample: Sample) -> Banded | None:
    """Return the calibration error; None for scores that are no probabilities."""
    if any(score is not None and not 0 <= score <= 1 for score in sample.scores):
        return None
    return ece(sample.scores, sample.right, sample.ids, seed=SEED)


def _regret(sample: Sample) -> Regret | None:
    cases, section = sample.cases, sample.section
    if cases is None or section is None or sample.threshold is None:
        return None
    return regret(
        cases.scores,
        cases.right,
        cases.declined_right,
        cases.ids,
        sample.threshold,
        objective=section.objective,
        wrong=section.wrong,
        declined=section.declined,
        seed=SEED,
        weights=cases.weights,
    )
