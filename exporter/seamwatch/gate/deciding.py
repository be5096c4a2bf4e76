"""What a happening makes of a gate. The only place that changes a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, assert_never

from seamwatch.evidence import Event
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
)
from seamwatch.gate.state import (
    NO_CAUSES,
    Base,
    Cause,
    CauseKind,
    Course,
    GateState,
    Mode,
    Override,
    Rules,
)

DAY = 86400.0
ANNOUNCED = 900.0  # seconds before its end at which an open override is announced to end

EVIDENCE, DATA_AGE, PERSON = "evidence", "data_age", "person"  # keys of causes


class NotLegal(Exception):
    """What was asked for cannot be done to the gate as it stands; the text says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a gate, as it is written down."""

    event: str
    before: Base
    after: Base
    cause: str
    reason: str
    generation: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A state, what led to it, and whether the evidence is to begin anew."""

    state: GateState
    changes: tuple[Change, ...] = ()
    resets_evidence: bool = False


def decide(
    state: GateState, happening: Happening, rules: Rules, *, now: float, actor: str
) -> Decided:
    """Return what *happening* makes of *state*; *state* itself where it changes nothing.

    Nothing but a person, proof of recovery, or data and alerts that are in order again (where the
    rules let it resume by itself) ends a halt: not silence, time, a restart or other rules.

    Args:
        state: before.
        happening: what *actor* brings.
        rules: in force now.
        now: wall clock, seconds since the epoch; may run backwards.
        actor: who or what, for the record.

    Raises:
        NotLegal: a person asks for what cannot be done to the gate as it stands.
    """
    step = _Step(state, rules, now, actor)
    step.pass_time()  # what was due before it happened
    step.take(happening)
    step.pass_time()  # what it makes due
    return Decided(step.state, tuple(step.changes), step.state.resets > state.resets)


@dataclass
class _Step:
    """One decision under way."""

    state: GateState
    rules: Rules
    now: float
    actor: str
    changes: list[Change] = field(default_factory=list)

    def take(self, happening: Happening) -> None:
        match happening:
            case Evidence(events, reason):
                for event in events:
                    self._evidence(event, reason)
            case Probed():
                self._begin()
            case Aged():
                self._data_age(happening)
            case Staleness(is_stale, reason):
                self._stale(is_stale, reason)
            case Alerted():
                self._alert(happening)
            case Configured():
                if self.state.mode is not self.rules.mode:
                    reason = f"mode {self.state.mode} -> {self.rules.mode}"
                    self._alter("mode", "configuration", reason, mode=self.rules.mode)
            case Tick():
                pass
            case _:
                self._obey(happening)

    def _obey(self, word: Halt | Resume | SetOverride | ClearOverride | Rebaseline) -> None:
        """Do what a person says, or say why not."""
        match word:
            case Halt(reason):
                self._halt(reason)
            case Resume(reason):
                self._resume(reason)
            case SetOverride():
                self._override(word)
            case ClearOverride(reason):
                if self.state.override is None:
                    raise NotLegal("there is no override to clear")
                self._alter("override_cleared", PERSON, reason, override=None)
            case Rebaseline(reason):
                self._rebaseline(reason)
            case _:
                assert_never(word)

    def pass_time(self) -> None:
        """Do what is due by now."""
        override = self.state.override
        if override is not None and self.now >= override.expires_at:
            self._alter("override_expired", PERSON, override.reason, override=None)
        elif override is not None and self.now >= override.expires_at - ANNOUNCED:
            self._announce(override)
        self._resume_itself()

    def _evidence(self, event: Event, reason: str) -> None:
        known = self.state.causes.get(EVIDENCE)
        match event:
            case Event.HALT:
                self._begin()
                self._add(EVIDENCE, CauseKind.EVIDENCE, "evidence", reason)
            case Event.SUSPECT if not self.state.is_suspect:
                self._alter("suspect", EVIDENCE, reason, is_suspect=True, has_begun=True)
            case Event.CALM if self.state.is_suspect:
                self._alter("calm", EVIDENCE, reason, is_suspect=False)
            case Event.RECOVERING if known:
                self._set_course(EVIDENCE, Course.EASING, reason)
            case Event.RELAPSE if known:
                self._set_course(EVIDENCE, Course.HOLDS, reason)
            case Event.RECOVERED if known:
                self._set_course(EVIDENCE, Course.OVER, reason)
            case _:
                pass  # a ticket is no matter of the gate; an answer to our own reset is no news

    def _begin(self) -> None:
        if not self.state.has_begun:
            self._alter("started", EVIDENCE, "the first valid answer", has_begun=True)

    def _data_age(self, aged: Aged) -> None:
        if aged.is_over:
            reason = f"the data is {aged.age:.0f} s old, {aged.limit:.0f} s are allowed"
            self._add(DATA_AGE, CauseKind.DATA_AGE, "data age", reason)
        elif aged.age <= aged.limit:  # not where it is no number: unknown is never good
            reason = f"the data is {aged.age:.0f} s old again"
            self._set_course(DATA_AGE, Course.OVER, reason)
            self._forget(DATA_AGE)

    def _alert(self, alert: Alerted) -> None:
        if alert.is_firing:
            self._add(alert.key, CauseKind.ALERT, alert.name, alert.summary or alert.name)
            return
        for key in sorted({*self.state.causes, *self.state.acknowledged}):
            if alert.ends(key):
                self._set_course(key, Course.OVER, f"{alert.name} is resolved")
                self._forget(key)

    def _stale(self, is_stale: bool, reason: str) -> None:
        if is_stale is not self.state.is_stale:
            self._alter(
                "stale" if is_stale else "fresh",
                EVIDENCE,
                reason,
                is_stale=is_stale,
                stale_reason=reason if is_stale else "",
            )

    def _halt(self, reason: str) -> None:
        known = self.state.causes.get(PERSON)
        if known is not None:
            raise NotLegal(f"it is halted by {known.by} already: {known.reason}")
        self._add(PERSON, CauseKind.PERSON, self.actor, reason)

    def _resume(self, reason: str) -> None:
        if not self.state.is_halted:
            raise NotLegal(f"it is not halted but {self.state.base}: there is nothing to resume")
        insisting = {
            key
            for key, cause in self.state.causes.items()
            if cause.kind in (CauseKind.DATA_AGE, CauseKind.ALERT) and not cause.is_over
        }
        self._end(PERSON, reason, acknowledged=self.state.acknowledged | insisting)

    def _resume_itself(self) -> None:
        at = resumes_at(self.state, self.rules)
        if at is None or self.now < at:
            return
        recent = tuple(one for one in self.state.auto_resumes if 0 <= self.now - one < DAY)
        why = "; ".join(sorted({cause.kind.value for cause in self.state.causes.values()}))
        self._end(why, f"proven to be over: {why}", auto_resumes=(*recent, self.now))

    def _end(self, cause: str, reason: str, **fields: Any) -> None:
        self._alter(
            "resume",
            cause,
            reason,
            causes=NO_CAUSES,
            is_suspect=False,
            resets=self.state.resets + 1,
            **fields,
        )

    def _rebaseline(self, reason: str) -> None:
        if EVIDENCE in self.state.causes:
            raise NotLegal("it is halted on evidence; resume it first, then set a new baseline")
        self._alter("rebaseline", PERSON, reason, resets=self.state.resets + 1, is_suspect=False)

    def _override(self, wanted: SetOverride) -> None:
        longest = self.rules.max_override
        if not wanted.expires_at > self.now:
            raise NotLegal("the override would have expired already; give a later expires_at")
        if wanted.expires_at > self.now + longest:
            raise NotLegal(f"an override lasts {longest:.0f} s at most; give an earlier expires_at")
        override = Override(wanted.kind, self.actor, wanted.reason, self.now, wanted.expires_at)
        self._alter("override_set", PERSON, f"{wanted.kind}: {wanted.reason}", override=override)

    def _announce(self, override: Override) -> None:
        """Say, once, that an override ends soon under which a halted pipeline runs."""
        if override.is_announced or not self.state.is_halted:
            return
        self.state = replace(self.state, override=replace(override, is_announced=True))
        base, generation = self.state.base, self.state.generation
        reason = f"{override.kind} ends in 15 minutes, and the gate is {base}"
        self.changes.append(Change("override_expiring", base, base, PERSON, reason, generation))

    def _add(self, key: str, kind: CauseKind, by: str, reason: str) -> None:
        known = self.state.causes.get(key)
        if known is not None:
            self._set_course(key, Course.HOLDS, reason)
        elif key not in self.state.acknowledged:
            event = "cause_added" if self.state.is_halted else "halt"
            cause = Cause(kind, self.now, by, reason)
            self._alter(event, key, reason, causes=_with(self.state.causes, key, cause))

    def _set_course(self, key: str, course: Course, reason: str) -> None:
        cause = self.state.causes.get(key)
        if cause is None or cause.course is course:
            return
        before = self.state.base
        causes = _with(self.state.causes, key, replace(cause, course=course))
        event = "cause_lifted" if course is Course.OVER else "cause_holds"
        if _base(replace(self.state, causes=causes)) is not before:
            event = "recovering" if before is Base.HALTED else "relapse"
        self._alter(event, key, reason, causes=causes)

    def _forget(self, key: str) -> None:
        """Let a cause halt again that a person resumed in spite of: it has been over since."""
        if key in self.state.acknowledged:
            self.state = replace(self.state, acknowledged=self.state.acknowledged - {key})

    def _alter(self, event: str, cause: str, reason: str, **fields: Any) -> None:
        before = self.state
        after = replace(before, generation=before.generation + 1, **fields)
        base = _base(after)
        since = before.since if base is before.base else self.now
        halted_at = None if not after.causes else (before.halted_at or self.now)
        self.state = replace(after, base=base, since=since, halted_at=halted_at)
        self.changes.append(Change(event, before.base, base, cause, reason, self.state.generation))


def resumes_at(state: GateState, rules: Rules) -> float | None:
    """Return from when on the gate resumes by itself; None where it never does as it stands."""
    causes = state.causes.values()
    if not causes or not rules.resumes_itself or not all(one.is_over for one in causes):
        return None
    at = (state.halted_at or 0.0) + rules.min_halt
    if rules.mode is not Mode.ENFORCE or len(state.auto_resumes) < rules.max_auto_resumes:
        return at
    if rules.max_auto_resumes == 0:
        return None
    return max(at, sorted(state.auto_resumes)[-rules.max_auto_resumes] + DAY)


def _base(state: GateState) -> Base:
    if state.causes:
        holds = any(cause.course is Course.HOLDS for cause in state.causes.values())
        return Base.HALTED if holds else Base.RECOVERING
    if state.is_suspect:
        return Base.SUSPECT
    return Base.RUNNING if state.has_begun else Base.STARTING


def _with(causes: Mapping[str, Cause], key: str, cause: Cause) -> Mapping[str, Cause]:
    return MappingProxyType({**causes, key: cause})
