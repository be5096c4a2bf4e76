"""SLO ticks: every 30 s each SLO gets one event, good or bad. Pure: time is handed in.

One event a slice of time serves gauges, low traffic, missing data and compositions alike, and
lets an alert count what it sees. Unknown is a third state: it keeps the last verdict for a grace;
after that the policy of the SLO says what it counts as, and it is counted apart in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

END_TO_END = "end_to_end"
"""The SLO that is good when every component is."""

TICK = 30.0
"""Seconds between two ticks: a window of 5 minutes always holds enough of them."""


class Why(StrEnum):
    """Why it is not known whether a target holds."""

    STARTING = "starting"  # it has not been known since the exporter began to look
    STALE = "stale"  # what was measured last is too old to speak of now
    UNDECIDED = "undecided"  # what is measured decides neither way


class Unknown(StrEnum):
    """What a slice counts as once its verdict has been unknown for longer than the grace."""

    BAD = "bad"
    IGNORE = "ignore"  # no event, and nothing held against end to end
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Promise:
    """What one SLO promises and how it is counted."""

    objective: float  # ratio of slices that are to be good
    page: bool = True  # whether its fast burn wakes somebody
    min_bad_events: int = 5  # bad slices in the window under which nobody is woken


@dataclass(frozen=True, slots=True)
class Terms:
    """How the components of one pipeline are taken."""

    unknown: Mapping[str, Unknown] = field(default_factory=dict)  # component -> policy
    grace: float = 300.0  # seconds that an unknown verdict stays what it was
    learning: Mapping[str, float] = field(
        default_factory=dict
    )  # component -> seconds beyond the grace that its first verdict may take


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether the target of a component holds now; *why* it is unknown where it is."""

    holds: bool | None
    why: Why = Why.UNDECIDED


@dataclass(frozen=True, slots=True)
class Counts:
    """The events of one SLO since the exporter started."""

    events: int = 0
    bad: int = 0
    unknown: Mapping[Why, int] = field(default_factory=lambda: dict.fromkeys(Why, 0))
    maintenance: int = 0  # slices not counted because of maintenance


@dataclass(frozen=True, slots=True)
class Held:
    """The last verdict on a component; None: there was none yet."""

    holds: bool | None
    at: float  # when it was known last, or when we began to look; monotonic seconds


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is counted for one pipeline."""

    counts: Mapping[str, Counts] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    silent_seconds: float = 0.0  # end to end was bad while every stage called itself healthy
    in_maintenance: bool = False


def begin(promises: Sequence[str]) -> Ledger:
    """Return a ledger in which every SLO has its counters, at zero."""
    return Ledger({name: Counts() for name in promises})


def tick(
    ledger: Ledger,
    seen: Mapping[str, Seen],
    terms: Terms,
    *,
    now: float,
    silent: bool = False,
    in_maintenance: bool = False,
) -> Ledger:
    """Return *ledger* with one more slice.

    Args:
        ledger: what was counted until now; it names the SLOs that are promised.
        seen: every component that end to end stands on, promised by itself or not.
        terms: grace and policies.
        now: monotonic seconds.
        silent: whether the slice belongs to a silent failure.
        in_maintenance: then nothing is counted as good or bad, only as maintenance.
    """
    held = {name: _held(ledger.held.get(name), one, now) for name, one in seen.items()}
    if in_maintenance:
        counts = {
            name: replace(one, maintenance=one.maintenance + 1)
            for name, one in ledger.counts.items()
        }
        return replace(ledger, counts=counts, held=held, in_maintenance=True)
    taken = {name: _taken(one, held[name], terms, name, now) for name, one in seen.items()}
    counts = dict(ledger.counts)
    for name, one in ledger.counts.items():
        if name == END_TO_END:
            counts[name] = _counted(one, *_together(seen, taken))
        elif name in seen:
            counts[name] = _counted(one, taken[name], seen[name])
    silent_seconds = ledger.silent_seconds + (TICK if silent else 0.0)
    return Ledger(counts, held, silent_seconds)


class _No(StrEnum):
    """Why a slice has no event."""

    VERDICT = "verdict"  # nothing is known yet
    INTEREST = "interest"  # the policy is to ignore it


_Taken = bool | _No


def _held(before: Held | None, seen: Seen, now: float) -> Held:
    if seen.holds is not None:
        return Held(seen.holds, now)
    return before or Held(None, now)


def _taken(seen: Seen, held: Held, terms: Terms, name: str, now: float) -> _Taken:
    if seen.holds is not None:
        return seen.holds
    grace = terms.grace + (terms.learning.get(name, 0.0) if held.holds is None else 0.0)
    if now - held.at <= grace:
        return _No.VERDICT if held.holds is None else held.holds
    policy = terms.unknown.get(name, Unknown.BAD)
    return _No.INTEREST if policy is Unknown.IGNORE else policy is Unknown.GOOD


def _together(seen: Mapping[str, Seen], taken: Mapping[str, _Taken]) -> tuple[_Taken, Seen]:
    """Return the slice of end to end and what it is unknown by, if it is.

    It is bad when a component is, and good when every component is. While one has no verdict yet
    it has none; a component that is ignored stands for nothing.
    """
    known_bad = any(one.holds is False for one in seen.values())
    blind = next((one for one in seen.values() if one.holds is None), None)
    said = Seen(False) if known_bad or blind is None else blind
    if False in taken.values():
        return False, said
    if _No.VERDICT in taken.values():
        return _No.VERDICT, said
    return (True if True in taken.values() else _No.INTEREST), said


def _counted(counts: Counts, taken: _Taken, seen: Seen) -> Counts:
    unknown = counts.unknown
    if seen.holds is None:
        unknown = {**unknown, seen.why: unknown.get(seen.why, 0) + 1}
    if isinstance(taken, _No):
        return replace(counts, unknown=unknown)
    return replace(counts, events=counts.events + 1, bad=counts.bad + (not taken), unknown=unknown)
