"""Evidence: when is a drop real? Pure: no clock, no I/O, no randomness.

The detector is the mixture e-SR, a Shiryaev-Roberts detector that bets (Shin, Ramdas, Rinaldo,
"E-detectors", NEJSDS 2023; bets of Waudby-Smith, Ramdas, "Estimating means of bounded random
variables by betting", JRSS-B 2024). While every conditional mean stays at or above its null, the
expected number of halts in N probes is at most N / A, whatever the law of the outcomes and
whichever items the past made us ask.
"""

from __future__ import annotations

from seamwatch.evidence.blessing import FLAKY, SOLID, Blessing, outcome
from seamwatch.evidence.case import Case, replay
from seamwatch.evidence.esr import EQUAL, HIGHEST_NULL, MIRROR_RHOS, RHOS, WEIGHTS, Detector, Mirror
from seamwatch.evidence.probe import Event, Probe, Standing
from seamwatch.evidence.resolution import terms
from seamwatch.evidence.terms import Items, Terms

__all__ = [
    "EQUAL",
    "FLAKY",
    "HIGHEST_NULL",
    "MIRROR_RHOS",
    "RHOS",
    "SOLID",
    "WEIGHTS",
    "Blessing",
    "Case",
    "Detector",
    "Event",
    "Items",
    "Mirror",
    "Probe",
    "Standing",
    "Terms",
    "outcome",
    "replay",
    "terms",
]
