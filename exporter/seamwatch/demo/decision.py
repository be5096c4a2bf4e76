"""Team product's stage: answer, or abstain where the best document is not near enough.

The threshold is tuned, not written: on practice questions that the golden set does not contain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seamwatch.demo.encoder import Encoder, Recipe
from seamwatch.demo.facts import ABSTAIN, Document
from seamwatch.demo.index import Hit, Index
from seamwatch.demo.questions import Question
from seamwatch.demo.vitals import Vitals

STEPS = 100  # thresholds tried: 0.00, 0.01, ...


@dataclass(frozen=True, slots=True)
class Tuning:
    """A threshold, the encoder that it was chosen for, and the accuracy it had in practice."""

    threshold: float
    encoder_version: str
    practice_accuracy: float


def tune(recipe: Recipe, documents: Sequence[Document], practice: Sequence[Question]) -> Tuning:
    """Return the threshold under which most *practice* questions are answered right.

    Of equally good thresholds the lowest, so that no question is declined without a reason.
    """
    encoder = Encoder(recipe, [document.text for document in documents])
    index = Index("practice", documents, encoder)
    hits = index.search(encoder.encode([question.text for question in practice]))
    return choose(hits, practice, encoder.version)


def choose(hits: Sequence[Hit], practice: Sequence[Question], encoder_version: str) -> Tuning:
    """Return the best of STEPS thresholds for what was found."""
    found = [
        (
            sum(
                decide(hit, at / STEPS) == question.expected
                for hit, question in zip(hits, practice, strict=True)
            ),
            -at,
        )
        for at in range(STEPS)
    ]
    right, at = max(found)
    return Tuning(-at / STEPS, encoder_version, right / len(practice))


def decide(hit: Hit, threshold: float) -> str:
    """Return the label found, or abstain when its score is under *threshold*."""
    return hit.label if hit.score >= threshold else ABSTAIN


class Decision:
    """The threshold in service."""

    team, name = "product", "decision"

    def __init__(self, tuning: Tuning) -> None:
        self.tuning = tuning
        self.vitals = Vitals()

    def label(self, hit: Hit) -> str:
        """Return the answer to give."""
        with self.vitals.call():
            return decide(hit, self.tuning.threshold)

    def meta(self) -> dict[str, Any]:
        """Return the stage contract."""
        tuning = self.tuning
        return {
            "status": "ok" if self.vitals.well else "failing",
            "version": f"threshold-{tuning.threshold:.2f}",
            "tuned_on": {"embedding": tuning.encoder_version},
            "settings": {"threshold": tuning.threshold},
        }

    def health(self, *, now: float) -> dict[str, Any]:
        """Return the team's page: decisions come, quickly and without errors."""
        del now  # no job of its own that could be late
        return {
            "status": "ok" if self.vitals.well else "failing",
            "summary": f"tuned to {self.tuning.practice_accuracy:.1%}",
            "practice_accuracy": self.tuning.practice_accuracy,
            **self.vitals.page(),
        }
