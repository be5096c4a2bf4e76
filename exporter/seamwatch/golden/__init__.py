"""Golden sets: read the file, check it, put its items in order, say how answers are judged."""

from __future__ import annotations

from seamwatch.golden.linting import Check, Finding, lint
from seamwatch.golden.loading import GoldenSet, load
from seamwatch.golden.order import permutation
from seamwatch.golden.ruling import rules

__all__ = ["Check", "Finding", "GoldenSet", "lint", "load", "permutation", "rules"]
