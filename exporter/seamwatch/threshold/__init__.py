"""Is a decision threshold out of tune, and which one would be right? Pure, and seeded.

Importing this costs nothing: numpy is imported by the calls that need it. ``regret`` and what goes
into and comes out of it are picklable, so a worker process can run it.
"""

from __future__ import annotations

from seamwatch.threshold.answers import Cases, apply, cases, thresholded
from seamwatch.threshold.regret import ENOUGH, Objective, Regret, best, regret

__all__ = [
    "ENOUGH",
    "Cases",
    "Objective",
    "Regret",
    "apply",
    "best",
    "cases",
    "regret",
    "thresholded",
]
