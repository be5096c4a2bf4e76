"""What answers look like and how their scores behave, whether or not they are right. Pure.

Importing this costs nothing: numpy is imported by the calls that need it. ``psi``, ``ks`` and
``ece`` and what goes into and comes out of them are picklable, so a worker process can run them.
"""

from __future__ import annotations

from seamwatch.quality.bands import Banded
from seamwatch.quality.calibration import ece
from seamwatch.quality.checks import Check, all_hold, signal
from seamwatch.quality.drift import ks, psi
from seamwatch.quality.patterns import Forbidden, too_slow
from seamwatch.quality.window import QualityRules, QualityWindow

__all__ = [
    "Banded",
    "Check",
    "Forbidden",
    "QualityRules",
    "QualityWindow",
    "all_hold",
    "ece",
    "ks",
    "psi",
    "signal",
    "too_slow",
]
