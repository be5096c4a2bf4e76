"""A case runs, is suspected, halts, recovers and is resumed; it can be stopped and replayed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.evidence import Case, Detector, Event, Items, Probe, Standing, Terms, replay

PLAIN = Terms(limit=1e6, floor=0.9)
SLICED = Terms(
    limit=1e4,
    floor=0.9,
    baseline=0.94,
    items=Items.ITEM_AWARE,
    class_means={"solid": 0.99, "flaky": 0.4},
    slice_floors={"a": 0.86, "b": 0.7},
    slice_baselines={"a": 0.94, "b": 0.8},
    slice_class_means={"a": {"solid": 0.99, "flaky": 0.4}, "b": {"solid": 0.97}},
    focus=True,
    ticket_limit=1e3,
    ticket_floor=0.93,
    resume_limit=200.0,
)
EAGER = replace(SLICED, limit=100.0, ticket_limit=100.0, resume_limit=10.0)
NEVER = replace(SLICED, limit=1e200, ticket_limit=1e200, focus_at=0.01)

RATIOS = st.floats(0.0, 1.0)
PROBES = st.builds(
    Probe,
    st.one_of(st.none(), st.sampled_from([0.0, 0.0, 1.0]), RATIOS),
    st.sampled_from(["a", "b", "", "unknown"]),
    st.sampled_from(["solid", "flaky", ""]),
    st.booleans(),
    st.sampled_from([0.0, 1e5, 1e9]),
)
HISTORIES = st.lists(PROBES, max_size=80)


def taken(terms: Terms, *outcomes: float | None) -> tuple[Case, list[Event]]:
    case = Case(terms)
    return case, [event for x in outcomes for event in case.take(Probe(x))]


def through_json(state: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(state))
    return found


# Keeping and replaying


@given(history=HISTORIES, cut=st.integers(0, 80), resumed=st.sets(st.integers(0, 80)))
def test_serial_replayed_and_restored_anywhere_are_the_same_bit_for_bit(
    history: list[Probe], cut: int, resumed: set[int]
) -> None:
    serial = Case(EAGER)
    events = []
    for probe in history:
        events += [(serial.ordinal, event) for event in serial.take(probe)]
        if serial.ordinal in resumed:
            events += [(serial.ordinal, event) for event in serial.resume()]
    replayed, found = replay(EAGER, history, resumes=resumed - {0})
    first, before = replay(EAGER, history[:cut], resumes=resumed - {0})
    state = through_json(first.state())
    second, after = replay(EAGER, history[cut:], state, resumes=resumed - {0})
    assert found == before + after == events
    assert replayed.state() == second.state() == serial.state()
    assert second.ratio == serial.ratio
    assert second.recovered == serial.recovered
    assert second.severity == serial.severity
    assert second.worst_slice == serial.worst_slice
    assert second.focus_slice == serial.focus_slice


def test_a_resume_that_came_after_the_state_was_kept_is_replayed() -> None:
    halted, _ = taken(PLAIN, *[0.0] * 8)
    again, events = replay(PLAIN, [Probe(0.0)], through_json(halted.state()), resumes={8})
    assert events == [(8, Event.RESUME)]
    assert again.standing is Standing.RUNNING


def test_what_was_known_at_the_halt_and_that_it_is_over_survive_a_restart() -> None:
    case = Case(SLICED)
    while not case.halted:
        case.take(Probe(0.0, "b", "solid"))
    while not case.recovered:
        case.take(Probe(1.0, "b", "solid"))
    again = Case.restored(SLICED, through_json(case.state()))
    assert again.recovered
    assert again.worst_slice == "b"
    assert again.severity == case.severity is not None
    assert again.recovery_ratio == case.recovery_ratio == 1.0


def test_the_state_of_other_terms_or_of_another_version_is_refused() -> None:
    state = Case(PLAIN).state()
    with pytest.raises(ValueError, match="other terms"):
        Case.restored(replace(PLAIN, floor=0.89), state)
    with pytest.raises(ValueError, match="version 99"):
        Case.restored(PLAIN, state | {"version": 99})
    with pytest.raises(ValueError, match="no sums"):
        Case.restored(PLAIN, state | {"pooled": [float("nan")] * 12})


def test_terms_survive_json_with_their_digest() -> None:
    again = Terms.from_json(json.loads(json.dumps(SLICED.to_json())))
    assert again == SLICED
    assert again.digest == SLICED.digest != replace(SLICED, limit=1e5).digest


# What evidence is, and what it is not


@settings(max_examples=200)
@given(history=HISTORIES, choice=PROBES, better=st.floats(0.0, 1.0))
def test_no_choice_of_the_next_probe_makes_evidence_grow_by_more_than_one_while_nulls_hold(
    history: list[Probe], choice: Probe, better: float
) -> None:
    case, _ = replay(NEVER, history)
    state = case.state()
    nulls = [NEVER.null(choice.item_class), NEVER.slice_null(choice.slice, choice.item_class)]
    keeps = max((null for null in nulls if null is not None), default=0.0)
    p = keeps + (1.0 - keeps) * better
    expected = 0.0
    for chance, x in ((p, 1.0), (1.0 - p, 0.0)):
        next_ = Case.restored(NEVER, state)
        next_.take(replace(choice, x=x))
        expected += chance * next_.s
    assert expected <= (case.s + 1.0) * (1.0 + 1e-9)


@given(history=HISTORIES, slice_=st.sampled_from(["a", "b"]), x=RATIOS)
def test_a_focused_probe_moves_its_slice_alone(history: list[Probe], slice_: str, x: float) -> None:
    case, _ = replay(EAGER, history)
    before = case.state()
    case.take(Probe(x, slice_, "solid", focused=True))
    after = case.state()
    if after["standing"] == "halted" != before["standing"]:
        return  # by this very probe: the halting detectors begin anew
    for untouched in ("pooled", "ticket", "mirror", "recovered"):
        assert after[untouched] == before[untouched]
    if not case.halted:
        assert after["slices"] != before["slices"]


@given(history=HISTORIES, slice_=st.sampled_from(["a", "b", ""]), focused=st.booleans())
def test_an_error_counts_and_changes_nothing_else(
    history: list[Probe], slice_: str, focused: bool
) -> None:
    case, _ = replay(EAGER, history)
    before = case.state()
    assert case.take(Probe(None, slice_, "solid", focused)) == ()
    counted = {"ordinal": before["ordinal"] + 1, "errors": before["errors"] + 1}
    assert case.state() == before | counted


@pytest.mark.parametrize("x", [-0.1, 1.1, float("nan"), float("inf")])
def test_an_outcome_out_of_range_is_refused_and_the_case_is_as_before(x: float) -> None:
    case, _ = taken(SLICED, 0.0)
    before = case.state()
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        case.take(Probe(x))
    with pytest.raises(ValueError, match="'silly'"):
        case.take(Probe(0.0, item_class="silly"))
    assert case.state() == before


def test_an_item_that_was_never_blessed_is_no_evidence_where_items_are_compared() -> None:
    case, events = taken(SLICED, *[0.0] * 50)
    assert events == []
    assert case.s == 0.0


def test_only_solid_items_are_sentinels() -> None:
    case = Case(replace(SLICED, items=Items.SENTINELS))
    for _ in range(50):
        case.take(Probe(0.0, "a", "flaky"))
    assert case.s == 0.0
    case.take(Probe(0.0, "a", "solid"))
    assert case.s > 0.0


def test_a_slice_that_always_was_hard_does_not_halt_while_it_stays_as_it_was() -> None:
    rng = random.Random(1)
    own = {"hard": {"flaky": 0.3}, "easy": {"solid": 0.99}}
    terms = replace(
        SLICED,
        floor=0.6,
        baseline=0.645,
        class_means={"solid": 0.99, "flaky": 0.3},
        slice_floors={"hard": 0.22, "easy": 0.91},
        slice_baselines={"hard": 0.3, "easy": 0.99},
        slice_class_means=own,
    )
    case = Case(terms)
    for _ in range(5000):
        events = case.take(Probe(float(rng.random() < 0.3), "hard", "flaky"))
        events += case.take(Probe(float(rng.random() < 0.99), "easy", "solid"))
        assert Event.HALT not in events


# From running to halted and back


def test_an_outage_is_suspected_then_halts_and_says_how_bad_it_was() -> None:
    case, events = taken(PLAIN, *[0.0] * 8)
    assert events == [Event.SUSPECT, Event.HALT]
    assert case.standing is Standing.HALTED
    assert case.severity == 0.97
    assert case.ratio == 1.0
    assert case.recovery_ratio == 0.0


def test_it_halts_with_the_first_probe_that_brings_the_evidence_to_the_limit() -> None:
    case, detector = Case(PLAIN), Detector()
    while detector.take(0.87, 0.9) < PLAIN.limit:
        assert Event.HALT not in case.take(Probe(0.87))
        assert case.s == detector.s
    assert Event.HALT in case.take(Probe(0.87))


def test_suspicion_ends_lower_than_it_began() -> None:
    case, events = taken(PLAIN, *[0.0] * 5)
    assert events == [Event.SUSPECT]
    assert case.suspicion_ratio >= 0.4
    while case.standing is Standing.SUSPECT:
        before = case.suspicion_ratio
        events += case.take(Probe(1.0))
    assert events == [Event.SUSPECT, Event.CALM]
    assert before >= 0.3 > case.suspicion_ratio
    assert case.severity is None


def test_a_halted_case_hears_no_more_accusations_and_recovers_only_by_evidence() -> None:
    case, _ = taken(SLICED)
    while not case.halted:
        case.take(Probe(0.0, "b", "solid"))
    assert case.worst_slice == "b"
    assert case.slice_ratios == {}
    assert case.s == 0.0
    assert case.state()["pooled"] == [0.0] * 12
    assert case.focus_slice is None
    ticket = case.baseline_ratio
    for _ in range(500):
        assert case.take(Probe(0.0, "a", "solid")) == ()
    assert case.baseline_ratio == ticket
    events: list[Event] = []
    while not case.recovered:
        events += case.take(Probe(1.0, "a", "solid"))
    assert events == [Event.RECOVERING, Event.RECOVERED]
    assert case.standing is Standing.RECOVERING
    while case.recovered:
        events += case.take(Probe(0.0, "a", "solid"))
    assert events[2:] == [Event.RELAPSE]
    assert case.standing is Standing.HALTED


def test_a_resume_forgets_everything_but_the_counts_and_is_no_lasting_permission() -> None:
    case, _ = taken(PLAIN, *[0.0] * 8)
    assert case.resume() == (Event.RESUME,)
    assert case.resume() == ()
    fresh = Case(PLAIN).state()
    assert case.state() == fresh | {"ordinal": 8}
    again = [event for _ in range(8) for event in case.take(Probe(0.0))]
    assert again == [Event.SUSPECT, Event.HALT]


def halt(case: Case, at: float) -> None:
    while not case.halted:
        case.take(Probe(0.0, at=at))


def prove(case: Case, at: float) -> int:
    """Return how many right answers it takes to prove the recovery."""
    before = case.ordinal
    while not case.recovered:
        case.take(Probe(1.0, at=at))
    return case.ordinal - before


HOUR = 3600.0


def test_a_recovery_that_did_not_last_has_to_be_proven_twice_as_well_for_a_day() -> None:
    case = Case(PLAIN)
    limits, proofs = [], []
    for hour in (0, 1, 2):
        halt(case, hour * HOUR)
        limits.append(case.resume_limit)
        proofs.append(prove(case, hour * HOUR))
        case.resume()
    halt(case, 25.5 * HOUR)  # the one of hour 2 alone was within 24 hours
    limits.append(case.resume_limit)
    assert limits == [20_000.0, 40_000.0, 80_000.0, 40_000.0]
    assert proofs == sorted(set(proofs))


def test_how_well_a_recovery_has_to_be_proven_does_not_move_while_halted() -> None:
    case = Case(PLAIN)
    halt(case, 0.0)
    prove(case, 0.0)
    case.resume()
    halt(case, HOUR)
    needed = prove(Case.restored(PLAIN, through_json(case.state())), HOUR)
    assert prove(case, 99 * HOUR) == needed


def test_a_resume_without_proof_or_after_a_relapse_doubles_nothing() -> None:
    case = Case(PLAIN)
    halt(case, 0.0)
    case.resume()  # somebody's word
    halt(case, HOUR)
    prove(case, HOUR)
    while case.recovered:
        case.take(Probe(0.0, at=HOUR))
    case.resume()
    halt(case, 2 * HOUR)
    assert case.resume_limit == PLAIN.resume_limit


def test_a_pipeline_that_flaps_for_ever_can_still_prove_its_recovery() -> None:
    case = Case(PLAIN)
    for _ in range(30):
        halt(case, 0.0)
        prove(case, 0.0)
        case.resume()
    halt(case, 0.0)
    assert case.resume_limit == PLAIN.resume_limit * 2.0**20
    assert len(case.state()["proofs"]) == 20


def test_a_small_loss_raises_a_ticket_long_before_it_could_halt() -> None:
    terms = replace(PLAIN, baseline=0.94, ticket_limit=1e4, ticket_floor=0.935)
    case = Case(terms)
    events: list[Event] = []
    for turn in range(4000):
        events += case.take(Probe(0.0 if turn % 11 == 0 else 1.0))  # 0.909: above the floor
    assert Event.TICKET in events
    assert Event.HALT not in events
    assert Case(PLAIN).baseline_ratio is None


BASELINE = replace(PLAIN, baseline=0.94, ticket_limit=1e6, ticket_floor=0.93)


def tickets(case: Case, mean: float, count: int, rng: random.Random) -> int:
    """Return how many tickets *count* probes raise at a *mean*."""
    events = [case.take(Probe(float(rng.random() < mean))) for _ in range(count)]
    return sum(Event.TICKET in some for some in events)


def test_one_fall_is_one_ticket_and_the_next_fall_another() -> None:
    case, rng = Case(BASELINE), random.Random(2)
    assert tickets(case, 0.94, 3_000, rng) == 0
    assert tickets(case, 0.91, 20_000, rng) == 1
    assert case.baseline_ratio is not None
    assert case.baseline_ratio > 0.8  # it goes on, and shows
    assert tickets(case, 0.94, 5_000, rng) == 0
    assert not case.ticketed
    assert tickets(case, 0.91, 20_000, rng) == 1


def test_a_ticket_stays_open_over_a_halt_that_ends_under_the_baseline() -> None:
    case, rng = Case(BASELINE), random.Random(3)
    assert tickets(case, 0.91, 5_000, rng) == 1
    while not case.halted:
        case.take(Probe(0.0))
    case.resume()
    again = Case.restored(BASELINE, json.loads(json.dumps(case.state())))
    assert tickets(again, 0.91, 5_000, rng) == 0
    assert again.ticketed


def test_one_dead_slice_is_named_and_focused_on_and_the_pooled_evidence_alone_is_not() -> None:
    floors = {f"s{at}": 0.86 for at in range(10)}
    case = Case(Terms(limit=1e6, floor=0.9, slice_floors=floors, focus=True))
    rng = random.Random(3)
    while case.focus_slice is None:
        name = f"s{case.ordinal % 10}"
        case.take(Probe(0.0 if name == "s4" else float(rng.random() < 0.94), name))
    assert case.focus_slice == case.worst_slice == "s4"
    assert case.slice_ratios["s4"] == max(case.slice_ratios.values())


def test_where_all_of_the_set_broke_there_is_no_slice_to_focus_on() -> None:
    floors = {f"s{at}": 0.86 for at in range(10)}
    case = Case(Terms(limit=1e100, floor=0.9, slice_floors=floors, focus=True, focus_at=0.02))
    for turn in range(200):
        assert case.focus_slice is None
        case.take(Probe(float(turn // 10 % 2), f"s{turn % 10}"))  # every slice is right in half
    assert min(case.slice_ratios.values()) > case.terms.focus_at
