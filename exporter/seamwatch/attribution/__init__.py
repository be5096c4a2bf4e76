"""Whose fault a loss is: shared out over the repairs that win it back, or guessed from metadata.

Pure: no clock, no I/O, no randomness but from a seed. The measured answer (`Inquiry`) and the
circumstantial one (`circumstances`) are never mixed.
"""

from __future__ import annotations

from seamwatch.attribution.circumstances import Cause, Circumstance, circumstances
from seamwatch.attribution.inquiry import Ask, Inquiry
from seamwatch.attribution.shares import Attribution, Outcome, Phase, Share

__all__ = [
    "Ask",
    "Attribution",
    "Cause",
    "Circumstance",
    "Inquiry",
    "Outcome",
    "Phase",
    "Share",
    "circumstances",
]
