"""Freshness by lineage: how old the data behind each stage's output really is.

Pure: no clock, no I/O. An index rebuilt two minutes ago from a twelve-hour-old snapshot is twelve
hours old; ``updated_at`` alone is never freshness, and unknown is never fresh.
"""

from __future__ import annotations

from seamwatch.freshness.lineage import Freshness, freshness, keeps_data_age
from seamwatch.freshness.publications import (
    KEEP,
    KEEP_OF_VERSION,
    History,
    Publication,
    remember,
)

__all__ = [
    "KEEP",
    "KEEP_OF_VERSION",
    "Freshness",
    "History",
    "Publication",
    "freshness",
    "keeps_data_age",
    "remember",
]
