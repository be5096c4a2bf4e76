"""Publications read back, by pipeline and stage, no more of them than are ever remembered."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from seamwatch.freshness import KEEP, Publication


class Histories:
    """Collects rows (pipeline, stage, version, watermark, since) in order of publication."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, str], list[Publication]] = {}

    def add(self, rows: Iterable[Any], wanted: Collection[str] | None) -> None:
        """Take in *rows* of the pipelines that are *wanted*, None for all."""
        for pipeline, stage, version, watermark, since in rows:
            if wanted is not None and pipeline not in wanted:
                continue
            past = self._stages.setdefault((pipeline, stage), [])
            if past and past[-1].version == version:
                version = past[-1].version  # one string for all that share it
            past.append(Publication(version, watermark, since))
            if len(past) > 2 * KEEP:
                past[:] = _fewer(past)

    def by_pipeline(self) -> dict[str, dict[str, tuple[Publication, ...]]]:
        """Return pipeline -> stage -> publications, oldest first."""
        found: dict[str, dict[str, tuple[Publication, ...]]] = {}
        for (pipeline, stage), past in self._stages.items():
            while len(past) > KEEP:
                past = _fewer(past)
            found.setdefault(pipeline, {})[stage] = tuple(past)
        return found


def _fewer(past: list[Publication]) -> list[Publication]:
    """Drop every second publication from the middle of each run of one version, else the oldest."""
    kept = past[:1]
    dropped = False
    for before, this, after in zip(past, past[1:], past[2:], strict=False):
        dropped = not dropped and before.version == this.version == after.version
        if not dropped:
            kept.append(this)
    kept.append(past[-1])
    return kept if len(kept) < len(past) else past[-KEEP:]
