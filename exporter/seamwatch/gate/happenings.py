"""What can happen to a gate; each goes through JSON unchanged, so that it can be written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from seamwatch.evidence import Event
from seamwatch.gate.state import Kind


@dataclass(frozen=True, slots=True)
class Evidence:
    """The case against the pipeline came to something."""

    events: tuple[Event, ...]
    reason: str = ""  # for people: which floor, which slice


@dataclass(frozen=True, slots=True)
class Probed:
    """A valid answer has come: the gate knows something."""


@dataclass(frozen=True, slots=True)
class Aged:
    """The data behind the answers passed its limit, one way or the other. Both in seconds."""

    age: float
    limit: float

    @property
    def is_over(self) -> bool:
        """Say whether the data is too old."""
        return self.age > self.limit


@dataclass(frozen=True, slots=True)
class Staleness:
    """What is known began, or ceased, to be out of date."""

    is_stale: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Alerted:
    """An alert that may halt this gate fires or is resolved."""

    fingerprint: str
    starts_at: str  # as the sender wrote it
    name: str
    summary: str
    is_firing: bool

    @property
    def key(self) -> str:
        """What tells it from others: an alert that fires anew is another one."""
        return f"alert/{self.fingerprint}/{self.starts_at}"

    def ends(self, key: str) -> bool:
        """Say whether this, resolved, ends what *key* stands for: the same alert, begun no later.

        The same alert is told with another beginning when who sends it was restarted in between;
        a late word on an earlier one must not end the one that fires now.
        """
        if key == self.key:
            return True
        alert, _, began = key.rpartition("/")
        if alert != f"alert/{self.fingerprint}":
            return False
        earlier, later = _moment(began), _moment(self.starts_at)
        return earlier is not None and later is not None and earlier <= later


@dataclass(frozen=True, slots=True)
class Halt:
    """A person stops the pipeline."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """A person ends the halt, whatever it stands on; the evidence begins anew."""

    reason: str


@dataclass(frozen=True, slots=True)
class SetOverride:
    """A person's word shall stand until *expires_at*."""

    kind: Kind
    reason: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class ClearOverride:
    """A person takes the override back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rebaseline:
    """What the pipeline does now is right: the evidence begins anew against a new blessing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Configured:
    """The rules may have changed: at every start and every reading of the configuration."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Happening = (
    Evidence
    | Probed
    | Aged
    | Staleness
    | Alerted
    | Halt
    | Resume
    | SetOverride
    | ClearOverride
    | Rebaseline
    | Configured
    | Tick
)

_KINDS: Mapping[str, Any] = {
    "evidence": Evidence,
    "probed": Probed,
    "aged": Aged,
    "staleness": Staleness,
    "alerted": Alerted,
    "halt": Halt,
    "resume": Resume,
    "set_override": SetOverride,
    "clear_override": ClearOverride,
    "rebaseline": Rebaseline,
    "configured": Configured,
    "tick": Tick,
}
_WORDS = {kind: word for word, kind in _KINDS.items()}


def _moment(text: str) -> datetime | None:
    """Return the moment that *text* names with its offset, e.g. "2026-01-31T09:05:00Z"."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def happening_to_json(happening: Happening) -> dict[str, Any]:
    """Return plain values."""
    values = {one.name: getattr(happening, one.name) for one in fields(happening)}
    if isinstance(happening, Evidence):
        values["events"] = [event.value for event in happening.events]
    elif isinstance(happening, SetOverride):
        values["kind"] = happening.kind.value
    return {"what": _WORDS[type(happening)], **values}


def happening_from_json(values: Mapping[str, Any]) -> Happening:
    """Return what *values* are; raises ValueError, KeyError or TypeError."""
    given = {name: value for name, value in values.items() if name != "what"}
    kind = _KINDS[values["what"]]
    if kind is Evidence:
        given["events"] = tuple(Event(one) for one in given["events"])
    elif kind is SetOverride:
        given["kind"] = Kind(given["kind"])
    happening: Happening = kind(**given)
    return happening
