"""Planning: what a floor, a rate and a promise on false halts amount to, before they are used.

Pure: arrays, and a generator of random numbers that is handed in or made from a seed.
"""

from __future__ import annotations

from seamwatch.planning.advice import advice
from seamwatch.planning.delay import Drop
from seamwatch.planning.law import Law
from seamwatch.planning.pace import DAY, HOUR, YEAR, Pace
from seamwatch.planning.planned import (
    Fall,
    Plan,
    Resumption,
    Setting,
    SliceFailure,
    Spread,
    Wait,
    curve,
    plan,
)
from seamwatch.planning.rarity import Rate
from seamwatch.planning.recovery import Chance

__all__ = [
    "DAY",
    "HOUR",
    "YEAR",
    "Chance",
    "Drop",
    "Fall",
    "Law",
    "Pace",
    "Plan",
    "Rate",
    "Resumption",
    "Setting",
    "SliceFailure",
    "Spread",
    "Wait",
    "advice",
    "curve",
    "plan",
]
