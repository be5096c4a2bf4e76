"""Team ml's stage: the encoder that turns questions into vectors."""

from __future__ import annotations

from typing import Any

from seamwatch.demo.encoder import Encoder
from seamwatch.demo.vitals import Vitals


class Embedding:
    """The encoder in service for questions. Documents are encoded by the job that builds them."""

    team, name = "ml", "embedding"

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.vitals = Vitals()

    def encode(self, question: str, encoder: Encoder) -> Any:
        """Return the vector of one question, shape (1, dimensions), of one of the encoders."""
        with self.vitals.call():
            return encoder.encode([question])

    def meta(self) -> dict[str, Any]:
        """Return the stage contract. It keeps no copy of the data, so it has no watermark."""
        return {
            "status": "ok" if self.vitals.well else "failing",
            "version": self.encoder.version,
            "settings": {"dimensions": self.encoder.dimensions},
        }

    def health(self, *, now: float) -> dict[str, Any]:
        """Return the team's page: vectors come, in the right shape, quickly, without errors."""
        del now  # no job of its own that could be late
        figures = self.vitals.page()
        return {
            "status": "ok" if self.vitals.well else "failing",
            "summary": f"vectors in {1000 * figures['p95_seconds']:.0f} ms",
            **figures,
        }
