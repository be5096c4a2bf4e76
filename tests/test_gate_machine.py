"""The gate against an independent table of precedence, over any order of happenings."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from seamwatch.evidence import Event
from seamwatch.gate import (
    Aged,
    Alerted,
    Base,
    ClearOverride,
    Configured,
    Evidence,
    GateState,
    Halt,
    Happening,
    Kind,
    Mode,
    NotLegal,
    Probed,
    Rebaseline,
    Resume,
    Rules,
    SetOverride,
    Staleness,
    Tick,
    answer,
    decide,
    happening_from_json,
    happening_to_json,
    next_at,
    wanted,
)

LIMIT = 100.0


class Gate(RuleBasedStateMachine):
    """Beside the gate a model of it that knows only sets of words, and no states."""

    @initialize(
        mode=st.sampled_from(Mode),
        on_unknown=st.sampled_from(["allow", "deny"]),
        resume=st.sampled_from(["manual", "automatic"]),
    )
    def begin(self, mode: Mode, on_unknown: Any, resume: Any) -> None:
        self.now = 1_000_000.0
        self.rules = Rules(mode, on_unknown, resume, min_halt=300.0, max_auto_resumes=2)
        self.state = GateState.first(mode, self.now)
        self.holding: dict[str, str] = {}  # what stands against the pipeline -> its course
        self.ignored: set[str] = set()
        self.begun = self.suspect = self.stale = False
        self.halted_at = 0.0
        self.resumed: list[float] = []
        self.override: tuple[Kind, float] | None = None

    def happen(self, happening: Happening) -> None:
        again = happening_from_json(orjson.loads(orjson.dumps(happening_to_json(happening))))
        assert again == happening
        before = self.state
        decided = decide(before, happening, self.rules, now=self.now, actor="somebody")
        self.state = decided.state
        grown = [one.generation for one in decided.changes if one.event != "override_expiring"]
        first, last = before.generation, self.state.generation
        assert grown == list(range(first + 1, last + 1))
        if self.state is not before:
            assert GateState.from_json(orjson.loads(orjson.dumps(self.state.to_json()))) == (
                self.state
            )
        assert decided.resets_evidence == (self.state.resets > before.resets)
        self.let_time_pass()

    def let_time_pass(self) -> None:
        """Do to the model what is due."""
        if self.override and self.now >= self.override[1]:
            self.override = None
        over = self.holding and set(self.holding.values()) == {"over"}
        by_itself = self.rules.resume == "automatic" or self.rules.mode is not Mode.ENFORCE
        recent = [at for at in self.resumed if self.now - at < 86400.0]
        tired = self.rules.mode is Mode.ENFORCE and len(recent) >= self.rules.max_auto_resumes
        if over and by_itself and not tired and self.now - self.halted_at >= 300.0:
            self.resumed = [*recent, self.now]
            self.lift(set())

    def lift(self, ignored: set[str]) -> None:
        self.holding.clear()
        self.suspect = False
        self.ignored |= ignored

    def hold(self, key: str) -> None:
        if key in self.holding:
            self.holding[key] = "holds"
        elif key not in self.ignored:
            if not self.holding:
                self.halted_at = self.now
            self.holding[key] = "holds"

    def ease(self, key: str, course: str) -> None:
        if key in self.holding:
            self.holding[key] = course

    @rule(event=st.sampled_from([Event.SUSPECT, Event.SUSPECT, Event.CALM]))
    def suspicion(self, event: Event) -> None:
        self.evidence(event)

    @rule()
    def proof(self) -> None:
        self.evidence(Event.HALT)

    @rule(events=st.sampled_from([(Event.RECOVERING, Event.RECOVERED), (Event.RECOVERED,)]))
    def recovery(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self.evidence(event)

    @rule(event=st.sampled_from(Event))
    def evidence(self, event: Event) -> None:
        match event:
            case Event.HALT:
                self.begun = True
                self.hold("evidence")
            case Event.SUSPECT:
                self.begun = self.begun or not self.suspect
                self.suspect = True
            case Event.CALM:
                self.suspect = False
            case Event.RECOVERING:
                self.ease("evidence", "easing")
            case Event.RELAPSE:
                self.ease("evidence", "holds")
            case Event.RECOVERED:
                self.ease("evidence", "over")
        self.happen(Evidence((event,), "why"))

    @rule()
    def probed(self) -> None:
        self.begun = True
        self.happen(Probed())

    @rule(age=st.floats(0, 200))
    def aged(self, age: float) -> None:
        if age > LIMIT:
            self.hold("data_age")
        else:
            self.ease("data_age", "over")
            self.ignored.discard("data_age")
        self.happen(Aged(age, LIMIT))

    @rule(which=st.sampled_from(["a", "b"]), day=st.integers(1, 3), firing=st.booleans())
    def alerted(self, which: str, day: int, firing: bool) -> None:
        if firing:
            self.hold(f"alert/{which}/2026-01-0{day}T00:00:00Z")
        for before in range(1, day + 1) if not firing else ():
            key = f"alert/{which}/2026-01-0{before}T00:00:00Z"
            self.ease(key, "over")
            self.ignored.discard(key)
        self.happen(Alerted(which, f"2026-01-0{day}T00:00:00Z", "Some", "", firing))

    @rule(stale=st.booleans())
    def staleness(self, stale: bool) -> None:
        self.stale = stale
        self.happen(Staleness(stale, "silence"))

    @rule()
    def halt(self) -> None:
        legal = "person" not in self.holding
        if legal:
            self.hold("person")
        self.ask(Halt("because"), legal)

    @rule()
    def resume(self) -> None:
        legal = bool(self.holding)
        insisting = {key for key, course in self.holding.items() if course != "over"}
        if legal:
            self.lift({k for k in insisting if k == "data_age" or k.startswith("alert/")})
        self.ask(Resume("because"), legal)

    @rule()
    def rebaseline(self) -> None:
        legal = "evidence" not in self.holding
        if legal:
            self.suspect = False
        self.ask(Rebaseline("because"), legal)

    @rule(kind=st.sampled_from(Kind), lasts=st.sampled_from([-5.0, 0.0, 60.0, 86400.0, 86401.0]))
    def force(self, kind: Kind, lasts: float) -> None:
        legal = 0 < lasts <= 86400.0
        if legal:
            self.override = kind, self.now + lasts
        self.ask(SetOverride(kind, "because", self.now + lasts), legal)

    @rule()
    def unforce(self) -> None:
        legal = self.override is not None
        self.override = None if legal else self.override
        self.ask(ClearOverride("because"), legal)

    def ask(self, happening: Happening, legal: bool) -> None:
        before = self.state
        if legal:
            self.happen(happening)
        else:
            with pytest.raises(NotLegal):
                self.happen(happening)
            assert self.state is before

    @rule(seconds=st.sampled_from([1.0, 59.0, 290.0, 300.0, 3600.0, 90000.0]))
    def wait(self, seconds: float) -> None:
        halted = self.state.is_halted
        self.now += seconds
        self.happen(Tick())
        if halted and not self.state.is_halted:
            assert self.resumed[-1] == self.now  # time alone lifts nothing: it was proven before

    @rule(mode=st.sampled_from(Mode))
    def configure(self, mode: Mode) -> None:
        self.rules = Rules(mode, self.rules.on_unknown, self.rules.resume, 300.0, 2)
        self.happen(Configured())
        assert self.state.mode is mode

    @precondition(lambda self: hasattr(self, "state"))
    @invariant()
    def the_answer_is_the_first_rule_that_applies(self) -> None:
        if self.holding:
            eased = "holds" not in self.holding.values()
            base = Base.RECOVERING if eased else Base.HALTED
        else:
            base = Base.SUSPECT if self.suspect else Base.RUNNING if self.begun else Base.STARTING
        assert self.state.base is base
        table = [
            (self.rules.mode is not Mode.ENFORCE, "allow"),
            (self.override and self.override[0] is Kind.FORCE_HALT, "deny"),
            (self.override and self.override[0] is Kind.FORCE_OPEN, "allow"),
            (bool(self.holding), "deny"),
            (self.stale or base is Base.STARTING, self.rules.on_unknown),
            (True, "allow"),
        ]
        said = answer(self.state, self.rules, now=self.now)
        assert said.decision == next(decision for applies, decision in table if applies)
        without = next(decision for applies, decision in table[1:] if applies)
        assert said.would_deny == (without == "deny")
        orders = {"deny": "halted", "allow": "running"}
        known = next((orders[decision] for applies, decision in table[1:4] if applies), "running")
        enforced = self.rules.mode is Mode.ENFORCE
        assert wanted(self.state, self.rules, now=self.now) == (known if enforced else None)

    @precondition(lambda self: hasattr(self, "state"))
    @invariant()
    def before_its_next_time_time_changes_nothing(self) -> None:
        at = next_at(self.state, self.rules)
        soon = self.now + 1e9 if at is None else at - 0.001
        if soon >= self.now:
            decided = decide(self.state, Tick(), self.rules, now=soon, actor="clock")
            assert decided.state is self.state


TestGate = Gate.TestCase
TestGate.settings = settings(max_examples=400, stateful_step_count=50, deadline=None)
