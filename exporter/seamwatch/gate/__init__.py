"""The gate's decision: what stands against a pipeline, what lifts it, and what callers are told.

Pure: no clock, no I/O. `decide` takes one happening after another, `answer` says what holds.
Source of the states and their precedence: docs/gates.md.
"""

from __future__ import annotations

from seamwatch.gate.answering import Answer, answer, next_at, wanted
from seamwatch.gate.deciding import Change, Decided, NotLegal, decide
from seamwatch.gate.happenings import (
    Aged,
    Alerted,
    ClearOverride,
    Configured,
    Evidence,
    Halt,
    Happening,
    Probed,
    Rebaseline,
    Resume,
    SetOverride,
    Staleness,
    Tick,
    happening_from_json,
    happening_to_json,
)
from seamwatch.gate.state import (
    Base,
    Cause,
    CauseKind,
    Course,
    GateState,
    Kind,
    Mode,
    Override,
    Rules,
)

__all__ = [
    "Aged",
    "Alerted",
    "Answer",
    "Base",
    "Cause",
    "CauseKind",
    "Change",
    "ClearOverride",
    "Configured",
    "Course",
    "Decided",
    "Evidence",
    "GateState",
    "Halt",
    "Happening",
    "Kind",
    "Mode",
    "NotLegal",
    "Override",
    "Probed",
    "Rebaseline",
    "Resume",
    "Rules",
    "SetOverride",
    "Staleness",
    "Tick",
    "answer",
    "decide",
    "happening_from_json",
    "happening_to_json",
    "next_at",
    "wanted",
]
