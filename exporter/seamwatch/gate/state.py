"""How a gate stands, as frozen values that go through JSON unchanged. Times are wall clock, s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Self


class Base(StrEnum):
    """What a gate is in; a decision that is out of date is an overlay, not a state."""

    STARTING = "starting"  # no valid answer yet
    RUNNING = "running"
    SUSPECT = "suspect"  # asked faster, nothing is stopped
    HALTED = "halted"
    RECOVERING = "recovering"  # still halted, but what halted it eases


class Mode(StrEnum):
    """What a decision does."""

    OFF = "off"
    SHADOW = "shadow"  # decided and written down; callers are let through
    ENFORCE = "enforce"


class Kind(StrEnum):
    """What an override forces."""

    FORCE_HALT = "force_halt"
    FORCE_OPEN = "force_open"


class CauseKind(StrEnum):
    """What can halt a gate."""

    EVIDENCE = "evidence"  # accuracy proven to be under its floor
    DATA_AGE = "data_age"
    PERSON = "person"
    ALERT = "alert"


class Course(StrEnum):
    """How it goes on with a cause."""

    HOLDS = "holds"
    EASING = "easing"  # half the way to the proof that it is over
    OVER = "over"  # proven to be over: waits for somebody, or for the rules, to resume


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that halts the gate until it is lifted."""

    kind: CauseKind
    since: float
    by: str  # who or what brought it: a token's name, "evidence", an alert's name
    reason: str  # for people
    course: Course = Course.HOLDS

    @property
    def is_over(self) -> bool:
        """Say whether it is proven to be over."""
        return self.course is Course.OVER


@dataclass(frozen=True, slots=True)
class Override:
    """A person's word that stands above what the gate finds, for a while."""

    kind: Kind
    by: str
    reason: str
    since: float
    expires_at: float
    is_announced: bool = False  # that it will expire soon has been said


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says of a gate."""

    mode: Mode
    on_unknown: Literal["allow", "deny"] = "allow"  # what callers get while nothing is known
    resume: Literal["manual", "automatic"] = "manual"
    min_halt: float = 300.0  # seconds that a halt lasts at least, but for a person's word
    max_auto_resumes: int = 3  # in 24 hours; after them a person has to resume
    max_override: float = 86400.0  # seconds

    @property
    def resumes_itself(self) -> bool:
        """Say whether proof is enough; nobody would resume what was never stopped."""
        return self.resume == "automatic" or self.mode is not Mode.ENFORCE

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the rules that *values* are; raises ValueError, KeyError or TypeError."""
        return cls(**{**values, "mode": Mode(values["mode"])})


NO_CAUSES: Mapping[str, Cause] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class GateState:
    """All that a gate remembers."""

    mode: Mode  # that it was last decided in
    since: float  # when it came to its base
    base: Base = Base.STARTING
    generation: int = 0  # grows by one with each change of state or override
    causes: Mapping[str, Cause] = field(default_factory=lambda: NO_CAUSES)
    acknowledged: frozenset[str] = frozenset()  # causes that a person resumed in spite of
    has_begun: bool = False  # a valid answer has come
    is_suspect: bool = False
    is_stale: bool = False
    stale_reason: str = ""
    override: Override | None = None
    halted_at: float | None = None
    auto_resumes: tuple[float, ...] = ()  # of the last 24 hours
    resets: int = 0  # how often the evidence was to begin anew

    @classmethod
    def first(cls, mode: Mode, now: float) -> Self:
        """Return the state of a gate that nothing is known of."""
        return cls(mode, now)

    @property
    def is_halted(self) -> bool:
        """Say whether anything stands against the pipeline."""
        return bool(self.causes)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; the same state always gives the same."""
        return {
            "mode": self.mode.value,
            "since": self.since,
            "base": self.base.value,
            "generation": self.generation,
            "causes": {
                key: asdict(cause) | {"kind": cause.kind.value, "course": cause.course.value}
                for key, cause in self.causes.items()
            },
            "acknowledged": sorted(self.acknowledged),
            "has_begun": self.has_begun,
            "is_suspect": self.is_suspect,
            "is_stale": self.is_stale,
            "stale_reason": self.stale_reason,
            "override": _override_json(self.override),
            "halted_at": self.halted_at,
            "auto_resumes": list(self.auto_resumes),
            "resets": self.resets,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the state that *values* are; raises ValueError, KeyError or TypeError."""
        causes = {
            key: Cause(**{**one, "kind": CauseKind(one["kind"]), "course": Course(one["course"])})
            for key, one in values["causes"].items()
        }
        override = values["override"]
        changed: dict[str, Any] = {
            "mode": Mode(values["mode"]),
            "base": Base(values["base"]),
            "causes": MappingProxyType(causes),
            "acknowledged": frozenset(values["acknowledged"]),
            "override": Override(**{**override, "kind": Kind(override["kind"])})
            if override
            else None,
            "auto_resumes": tuple(values["auto_resumes"]),
        }
        return cls(**{**values, **changed})


def _override_json(override: Override | None) -> dict[str, Any] | None:
    return asdict(override) | {"kind": override.kind.value} if override else None
