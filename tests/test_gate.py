"""The gate's decisions, one story each; tests/test_gate_machine.py tries all orders."""

from __future__ import annotations

import pytest

from seamwatch.evidence import Event
from seamwatch.gate import (
    Aged,
    Alerted,
    Answer,
    Base,
    Configured,
    Decided,
    Evidence,
    GateState,
    Halt,
    Happening,
    Kind,
    Mode,
    NotLegal,
    Probed,
    Resume,
    Rules,
    SetOverride,
    Staleness,
    Tick,
    answer,
    decide,
    next_at,
    wanted,
)

DAY = 86400.0
MANUAL = Rules(Mode.ENFORCE)
AUTOMATIC = Rules(Mode.ENFORCE, resume="automatic")
HALT = Evidence((Event.HALT,), "accuracy is proven to be under its floor of 88%")
OVER = Evidence((Event.RECOVERING, Event.RECOVERED), "accuracy is above 88% again")


class Told:
    """A gate, and what it was told."""

    def __init__(self, rules: Rules = MANUAL) -> None:
        self.rules = rules
        self.now = 1000.0
        self.state = GateState.first(rules.mode, self.now)

    def take(self, happening: Happening, *, after: float = 0.0, by: str = "it") -> Decided:
        self.now += after
        decided = decide(self.state, happening, self.rules, now=self.now, actor=by)
        self.state = decided.state
        return decided

    @property
    def answer(self) -> Answer:
        return answer(self.state, self.rules, now=self.now)


def steps(decided: Decided) -> list[tuple[str, Base, Base, int]]:
    return [(one.event, one.before, one.after, one.generation) for one in decided.changes]


def test_proof_halts_with_its_reason_and_every_step_has_a_generation() -> None:
    gate = Told()
    assert steps(gate.take(Probed())) == [("started", Base.STARTING, Base.RUNNING, 1)]
    assert steps(gate.take(Evidence((Event.SUSPECT,)))) == [
        ("suspect", Base.RUNNING, Base.SUSPECT, 2)
    ]
    assert steps(gate.take(HALT, after=5.0)) == [("halt", Base.SUSPECT, Base.HALTED, 3)]
    assert gate.state.halted_at == gate.state.since == 1005.0
    assert gate.answer == Answer(
        "deny", "halted", "accuracy is proven to be under its floor of 88%", "evidence", 3, True
    )


def test_with_manual_resume_proof_of_recovery_waits_for_a_person() -> None:
    gate = Told()
    gate.take(HALT)
    assert steps(gate.take(OVER)) == [
        ("recovering", Base.HALTED, Base.RECOVERING, 3),
        ("cause_lifted", Base.RECOVERING, Base.RECOVERING, 4),
    ]
    assert not gate.take(Tick(), after=30 * DAY).changes
    assert gate.answer.decision == "deny"
    decided = gate.take(Resume("the index was rebuilt"), by="ana")
    assert decided.resets_evidence
    assert gate.answer.decision == "allow"


def test_automatic_resume_needs_proof_and_the_shortest_halt() -> None:
    gate = Told(AUTOMATIC)
    gate.take(HALT)
    gate.take(OVER, after=10.0)
    assert gate.answer.decision == "deny"
    assert next_at(gate.state, gate.rules) == 1300.0
    assert gate.take(Tick(), after=289.0).state.base is Base.RECOVERING
    assert gate.take(Tick(), after=1.0).resets_evidence
    assert gate.answer.decision == "allow"


def test_after_three_resumptions_in_a_day_a_person_has_to_resume_until_the_first_is_a_day_old() -> (
    None
):
    gate = Told(AUTOMATIC)
    for _ in range(3):
        gate.take(HALT, after=1000.0)
        assert gate.take(OVER, after=1000.0).resets_evidence
    first = gate.state.auto_resumes[0]
    gate.take(HALT, after=1000.0)
    assert not gate.take(OVER, after=1000.0).resets_evidence
    assert next_at(gate.state, gate.rules) == first + DAY
    assert not gate.take(Tick(), after=first + DAY - gate.now - 1.0).changes
    assert gate.take(Tick(), after=1.0).resets_evidence
    never = Told(Rules(Mode.ENFORCE, resume="automatic", max_auto_resumes=0))
    never.take(HALT)
    assert not never.take(OVER, after=30 * DAY).resets_evidence
    assert next_at(never.state, never.rules) is None


def test_a_shadow_resumes_by_itself_as_nobody_would_resume_what_was_never_stopped() -> None:
    gate = Told(Rules(Mode.SHADOW, resume="manual"))
    gate.take(HALT)
    assert (gate.answer.decision, gate.answer.would_deny) == ("allow", True)
    assert wanted(gate.state, gate.rules, now=gate.now) is None
    assert gate.take(OVER, after=300.0).resets_evidence


def test_only_a_person_lifts_a_persons_halt() -> None:
    gate = Told(AUTOMATIC)
    gate.take(Probed())
    gate.take(Halt("odd answers about tax"), by="ana")
    for happening in (HALT, OVER, Tick(), Configured(), Aged(1.0, 60.0), Staleness(True, "?")):
        gate.take(happening, after=DAY)
        assert gate.answer.decision == "deny"
    assert gate.state.causes["person"].by == "ana"
    with pytest.raises(NotLegal, match="halted by ana already: odd answers about tax"):
        gate.take(Halt("again"), by="ben")
    gate.take(Resume("answered"), by="ben")
    assert gate.answer.decision == "allow" or gate.state.is_stale
    with pytest.raises(NotLegal, match="not halted but running: there is nothing to resume"):
        gate.take(Resume("again"))


@pytest.mark.parametrize(
    ("holds", "over"),
    [
        (Aged(7200.0, 3600.0), Aged(60.0, 3600.0)),
        (
            Alerted("f1", "2026-01-01T00:00:00Z", "CostTooHigh", "twice the budget", True),
            Alerted("f1", "2026-01-01T00:00:00Z", "CostTooHigh", "", False),
        ),
    ],
)
def test_what_a_person_resumed_in_spite_of_halts_again_only_after_it_was_over(
    holds: Happening, over: Happening
) -> None:
    gate = Told()
    gate.take(Probed())
    gate.take(holds)
    assert gate.answer.decision == "deny"
    gate.take(Resume("we know, and want it so"))
    gate.take(holds)
    assert gate.answer.decision == "allow"
    gate.take(over)
    gate.take(holds)
    assert gate.answer.decision == "deny"


EARLY, LATE = "2026-01-31T09:05:00.25+01:00", "2026-01-31T09:05:00Z"


def alert(starts_at: str, *, firing: bool, fingerprint: str = "f1") -> Alerted:
    return Alerted(fingerprint, starts_at, "CostTooHigh", "", firing)


def test_an_alert_that_is_told_with_a_later_beginning_after_a_restart_ends_with_it() -> None:
    gate = Told(AUTOMATIC)
    gate.take(Probed())
    gate.take(alert(EARLY, firing=True))
    gate.take(alert(LATE, firing=False), after=DAY)
    assert gate.answer.decision == "allow"


@pytest.mark.parametrize(
    "resolved",
    [
        alert(EARLY, firing=False),  # a late word on the one before
        alert(LATE, firing=False, fingerprint="f"),
        alert("no time", firing=False),
        alert("2026-02-01T00:00:00", firing=False),  # who knows where
    ],
)
def test_an_alert_ends_with_nothing_but_its_own_end(resolved: Alerted) -> None:
    gate = Told(AUTOMATIC)
    gate.take(Probed())
    gate.take(alert(LATE, firing=True))
    assert not gate.take(resolved, after=DAY).changes
    assert gate.answer.decision == "deny"


def test_an_alert_that_a_person_resumed_in_spite_of_is_forgotten_once_it_is_over() -> None:
    gate = Told()
    gate.take(alert(EARLY, firing=True))
    gate.take(Resume("known"))
    gate.take(alert(LATE, firing=False))
    assert gate.state.acknowledged == frozenset()


def test_data_of_an_age_that_is_no_number_lifts_nothing() -> None:
    gate = Told(AUTOMATIC)
    gate.take(Aged(7200.0, 3600.0))
    assert not gate.take(Aged(float("nan"), 3600.0), after=DAY).changes
    assert gate.answer.decision == "deny"


def test_a_halt_under_an_override_that_opens_takes_effect_when_that_ends() -> None:
    gate = Told()
    gate.take(SetOverride(Kind.FORCE_OPEN, "demonstration", gate.now + 60.0))
    gate.take(Halt("odd answers"))
    assert gate.answer.decision == "allow"
    gate.now += 60.0
    assert gate.answer.decision == "deny"


def test_a_gate_stays_halted_while_one_of_several_causes_holds() -> None:
    gate = Told(AUTOMATIC)
    gate.take(HALT)
    assert steps(gate.take(Aged(7200.0, 3600.0)))[0][0] == "cause_added"
    gate.take(OVER, after=DAY)
    assert gate.answer.reason == "the data is 7200 s old, 3600 s are allowed"
    gate.take(Aged(60.0, 3600.0))
    assert gate.answer.decision == "allow"


def test_an_override_opens_a_halted_gate_says_that_it_will_end_and_ends() -> None:
    gate = Told()
    gate.take(HALT)
    gate.take(SetOverride(Kind.FORCE_OPEN, "no better answer today", gate.now + 3600.0), by="ana")
    assert gate.answer == Answer(
        "allow", "halted", "no better answer today", "override", 3, False, Kind.FORCE_OPEN
    )
    assert wanted(gate.state, gate.rules, now=gate.now) == "running"
    assert next_at(gate.state, gate.rules) == gate.now + 2700.0
    said = gate.take(Tick(), after=2700.0).changes
    assert [(one.event, one.reason) for one in said] == [
        ("override_expiring", "force_open ends in 15 minutes, and the gate is halted")
    ]
    assert not gate.take(Tick(), after=1.0).changes
    assert gate.answer.decision == "allow"
    gate.now += 899.0
    assert gate.answer.decision == "deny"  # at once, before anybody ticks
    assert [one.event for one in gate.take(Tick()).changes] == ["override_expired"]


@pytest.mark.parametrize(
    ("lasts", "said"),
    [
        (0.0, "would have expired already"),
        (float("nan"), "would have expired already"),
        (DAY + 1.0, "an override lasts 86400 s at most"),
    ],
)
def test_an_override_ends_within_its_limits(lasts: float, said: str) -> None:
    gate = Told()
    with pytest.raises(NotLegal, match=said):
        gate.take(SetOverride(Kind.FORCE_HALT, "why", gate.now + lasts))


@pytest.mark.parametrize("on_unknown", ["allow", "deny"])
def test_what_is_not_known_is_told_as_such_and_orders_nothing(on_unknown: str) -> None:
    rules = Rules(Mode.ENFORCE, "deny" if on_unknown == "deny" else "allow")
    gate = Told(rules)
    assert (gate.answer.decision, gate.answer.state) == (on_unknown, "starting")
    gate.take(Probed())
    gate.take(Staleness(True, "no valid answer for 150 s"))
    assert gate.answer == Answer(
        rules.on_unknown, "stale", "no valid answer for 150 s", "unknown", 2, on_unknown == "deny"
    )
    assert wanted(gate.state, rules, now=gate.now) == "running"


def test_a_change_of_mode_is_written_down_and_lifts_nothing() -> None:
    gate = Told()
    gate.take(HALT)
    gate.rules = Rules(Mode.SHADOW)
    assert [(one.event, one.reason) for one in gate.take(Configured()).changes] == [
        ("mode", "mode enforce -> shadow")
    ]
    assert gate.state.is_halted
    gate.rules = MANUAL
    gate.take(Configured())
    assert gate.answer.decision == "deny"
    assert not gate.take(Configured()).changes
