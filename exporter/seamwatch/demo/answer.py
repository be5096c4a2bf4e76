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
RESERVED = 1  # one more, for callers who ask for the priority tier


@dataclass(frozen=True, slots=True)
class Route:
    """Which way a question takes; each field is something that callers of such pipelines can ask.

    Asking goes round one thing that may be broken and meets everything else as it is.
    """

    bypass_cache: bool = False  # search now, whatever was found before
    shadow: bool = False  # search the index of the shadow deployment
    index_encoder: bool = False  # encode the question as the index's documents were encoded
    priority: bool = False  # take the slot that is kept free for it


PLAIN = Route()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the caller gets."""

    label: str
    score: float
    answered_by: str
    candidate: str | None  # the label before the threshold; None: no threshold was applied


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
        return Reply(str(self._model.classes_[best]), float(shares[best]), FALLBACK, None)


class Gateway:
    """Gives a question to the primary model, or to the fallback when no slot is free."""

    team, name = "platform", "answer"

    def __init__(self, primary: Callable[[str, Route], Reply], fallback: NamesOnly) -> None:
        self.slots = SLOTS
        self.vitals = Vitals()
        self._primary = primary
        self._fallback = fallback
        self._busy = 0

    def answer(self, question: str, route: Route) -> Reply:
        """Return an answer, from the fallback where no slot is free."""
        with self.vitals.call():
            if self._busy >= self.slots + RESERVED * route.priority:
                return self._fallback.answer(question)
            self._busy += 1
            try:
                return self._primary(question, route)
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
