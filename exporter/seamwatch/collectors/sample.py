"""What a collector yields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Distribution:
    """The value of a histogram: *counts* for each bucket (not cumulative), +Inf last."""

    bounds: tuple[float, ...]  # upper bounds, ascending, without +Inf
    counts: tuple[int, ...]  # one longer than bounds
    total: float  # sum of what was measured


Sample = tuple[str, tuple[str, ...], float | Distribution]
"""Name of the family, label values in the order of the catalogue, value.

A plain tuple: half a million of them are made for one scrape of a large fleet.
"""
