"""Skew: a stage was built from, or tuned on, another version than its upstream serves now."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skew:
    """What is known of the versions over one edge (an ``after`` seam or a ``tuned_on`` pair)."""

    upstream: str
    downstream: str
    version: bool | None  # built_from differs from what upstream serves now; None: unknown
    tuning: (
        bool | None
    )  # tuned_on differs from what upstream serves now; None: unknown or not tuned
    since: float | None = None  # when upstream left the version that downstream stands on
    versions_behind: int | None = None  # versions that upstream has published since then
