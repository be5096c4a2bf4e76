"""Team data's second stage: the vectors of all documents, and the job that builds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from seamwatch.demo.encoder import Encoder
from seamwatch.demo.facts import Document
from seamwatch.demo.vitals import Vitals

LATE = 30.0  # seconds without a build or check after which the team's page is no longer green


@dataclass(frozen=True, slots=True)
class Hit:
    """The nearest document's label, and the cosine between question and document."""

    label: str
    score: float


class Index:
    """Documents of one batch as vectors of one encoder."""

    def __init__(self, batch: str, documents: Sequence[Document], encoder: Encoder) -> None:
        self.batch = batch
        self.encoder_version = encoder.version
        self.rows = len(documents)
        self._labels = [document.label for document in documents]
        vectors = encoder.encode([document.text for document in documents])
        self._transposed = vectors.T.tocsr()  # shape (dimensions, documents)
        digest = sha256(f"{batch} {encoder.version}".encode()).hexdigest()
        self.version = f"index-{digest[:8]}"

    def search(self, vectors: Any) -> list[Hit]:
        """Return the nearest document for each row of *vectors* (any encoder's, nobody asks)."""
        cosines = (vectors @ self._transposed).toarray()
        nearest = cosines.argmax(axis=1)
        return [
            Hit(self._labels[at], float(row[at])) for row, at in zip(cosines, nearest, strict=True)
        ]


class IndexJob:
    """Builds the index when the batch changed, and writes a manifest of what it stands on."""

    team, name = "data", "index"

    def __init__(self, manifest: Path, encoder: Encoder) -> None:
        self.encoder = encoder  # the release of the encoder that this team has put in its job
        self.vitals = Vitals()
        self._manifest = manifest
        self._index: Index | None = None
        self._checked_at = 0.0

    @property
    def index(self) -> Index:
        """The index in service; raises LookupError before the first build."""
        if self._index is None:
            raise LookupError("no index has been built yet")
        return self._index

    def run(self, batch: str, documents: Sequence[Document], *, now: float) -> None:
        """Build if *batch* is new, and stamp the manifest: what is served was checked at *now*."""
        if self._index is None or self._index.batch != batch:
            self._index = Index(batch, documents, self.encoder)
        self._checked_at = now
        partial = self._manifest.with_suffix(".partial")
        partial.write_text(json.dumps(self.meta(), indent=1), encoding="utf-8")
        partial.replace(self._manifest)

    def meta(self) -> dict[str, Any]:
        """Return the stage contract. No watermark: it has none of its own beside its batch's."""
        return {
            "status": "ok" if self.vitals.well else "failing",
            "version": self.index.version,
            "updated_at": self._checked_at,
            "built_from": {"ingest": self.index.batch, "embedding": self.index.encoder_version},
            "rows": self.index.rows,
        }

    def health(self, *, now: float) -> dict[str, Any]:
        """Return the team's page: is there an index, was it checked lately, are searches quick."""
        age = now - self._checked_at
        figures = self.vitals.page()
        well = self.index.rows > 0 and age < LATE and self.vitals.well
        return {
            "status": "ok" if well else "failing",
            "summary": f"searches in {1000 * figures['p95_seconds']:.0f} ms",
            "last_check_age_seconds": round(age, 1),
            **figures,
        }
