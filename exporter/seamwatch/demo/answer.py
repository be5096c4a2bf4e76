"""Team platform's second stage: the endpoint, which falls back when the model has no room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seamwatch.demo.encoder import Encoder
from seamwatch.demo.facts import Document
from seamwatch.demo.vitals import Vitals

PRIMARY, FALLBACK = "nearest-document-2", "names-only-1"
SLOTS = 4  # requests that the primary model takes at once


@dataclass(frozen=True, slots=True)
class Reply:
    """What the caller gets."""

    label: str
    score: float
    answered_by: str


class NamesOnly:
    """A cheaper model: guesses the status from the wording alone, knows no document, needs none."""

    def __init__(self, documents: Sequence[Document], encoder: Encoder) -> None:
        from sklearn.naive_bayes import ComplementNB

        self._encoder = encoder
        vectors = encoder.encode([document.text for document in documents])
        self._model = ComplementNB().fit(vectors, [document.label for document in documents])

    def answer(self, question: str) -> Reply:
        """Return its guess; it never abstains."""
        vectors = self._encoder.encode([question])
        shares = self._model.predict_proba(vectors)[0]
        best = int(shares.argmax())
        return Reply(str(self._model.classes_[best]), float(shares[best]), FALLBACK)


class Gateway:
    """Gives a question to the primary model, or to the fallback when no slot is free."""

    team, name = "platform", "answer"

    def __init__(self, primary: Callable[[str, bool], Reply], fallback: NamesOnly) -> None:
        self.slots = SLOTS
        self.vitals = Vitals()
        self._primary = primary
        self._fallback = fallback
        self._busy = 0

    def answer(self, question: str, *, bypass: bool = False) -> Reply:
        """Return an answer; *bypass* asks for one that comes from no cache."""
        with self.vitals.call():
            if self._busy >= self.slots:
                return self._fallback.answer(question)
            self._busy += 1
            try:
                return self._primary(question, bypass)
            finally:
                self._busy -= 1

    def meta(self) -> dict[str, Any]:
        """Return the stage contract: the version that callers ask for."""
        return {"status": "ok" if self.vitals.well else "failing", "version": PRIMARY}

    def health(self, *, now: float) -> dict[str, Any]:
        """Return the team's page: answers, quickly and without errors."""
        del now  # no job of its own that could be late
        figures = self.vitals.page()
        errors, slow = figures["error_ratio"], figures["p95_seconds"]
        return {
            "status": "ok" if self.vitals.well else "failing",
            "summary": f"{errors:.0%} errors, {1000 * slow:.0f} ms",
            **figures,
        }
