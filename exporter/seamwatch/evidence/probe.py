"""The words of a case: what goes in, how it stands, what changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Probe:
    """What one probe amounts to."""

    x: float | None  # in [0, 1]; None: error or timeout, a third outcome that is no evidence
    slice: str = ""
    item_class: str = ""  # "solid", "flaky", or "" where nothing is blessed
    focused: bool = False  # asked because its slice looks bad: no sample of the whole set
    at: float = 0.0  # wall clock; carried for the reader, it changes nothing


class Standing(StrEnum):
    """What the evidence says of a pipeline."""

    RUNNING = "running"
    SUSPECT = "suspect"
    HALTED = "halted"
    RECOVERING = "recovering"


class Event(StrEnum):
    """What a probe, or a person who resumes, changed."""

    SUSPECT = "suspect"
    CALM = "calm"
    HALT = "halt"
    TICKET = "ticket"
    RECOVERING = "recovering"
    RELAPSE = "relapse"
    RECOVERED = "recovered"
    RESUME = "resume"
