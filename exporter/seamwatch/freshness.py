"""Freshness by lineage: how old the data behind each stage's output really is.

Pure: no clock, no I/O. An index rebuilt two minutes ago from a twelve-hour-old snapshot is twelve
hours old; ``updated_at`` alone is never freshness, and unknown is never fresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seamwatch.pipeline import Seam


@dataclass(frozen=True, slots=True)
class Publication:
    """One thing that a stage published: its version and the effective watermark that it had."""

    version: str | None
    watermark: float | None  # effective watermark, seconds since the epoch
    since: float  # when it was published: the stage's updated_at, else when it was first seen


History = Mapping[str, tuple[Publication, ...]]
"""For each stage what it published, oldest first; the newest is what it serves now."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Effective watermarks of a pipeline and the seams that cost freshness."""

    effective: Mapping[str, float | None]  # stage -> effective watermark
    watermark: float | None  # of the pipeline: the smallest at its outputs, None if one is unknown
    lags: Mapping[Seam, float | None]  # seconds lost over a seam, 0 or more; None if unknown
    bottleneck: Seam | None  # the seam that costs most; None when no seam is known to cost any
