"""Judge answers, keep score over a window, and measure a batch; pure: no clock, no I/O.

Importing this costs nothing: numpy, scikit-learn and jsonschema are imported by the calls that
need them. ``measures`` and ``Columns`` are picklable, so a worker process can run them.
"""

from __future__ import annotations

from seamwatch.scoring.batch import measures
from seamwatch.scoring.canary import Known, misjudged
from seamwatch.scoring.columns import Columns, columns
from seamwatch.scoring.intervals import estimate, wilson
from seamwatch.scoring.rules import Rules, label_of
from seamwatch.scoring.targets import ENOUGH, reaches, stays_under
from seamwatch.scoring.verdicts import judge
from seamwatch.scoring.window import Window

__all__ = [
    "ENOUGH",
    "Columns",
    "Known",
    "Rules",
    "Window",
    "columns",
    "estimate",
    "judge",
    "label_of",
    "measures",
    "misjudged",
    "reaches",
    "stays_under",
    "wilson",
]
