"""A blessing knows baseline and classes without the winner's curse; terms follow from it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwatch.errors import Reason
from seamwatch.evidence import Blessing, Items, Terms, outcome, terms
from seamwatch.pipeline import Answer, Failure, GoldenItem, Judged, Verdict


def blessing(*rows: tuple[float | None, ...], slices: dict[str, str] | None = None) -> Blessing:
    return Blessing(
        digest="d",
        rules="r",
        at=1.0,
        passes=max(map(len, rows), default=0),
        answered_by=("m1",),
        credit={f"q{at}": row for at, row in enumerate(rows)},
        slices=slices or {},
    )


def items(right: int, of: int, n: int) -> list[tuple[float | None, ...]]:
    return [tuple([1.0] * right + [0.0] * (of - right))] * n


def agreed(**more: Any) -> Terms:
    return terms(**({"probes_per_year": 5e5, "floor": 0.9} | more))


MOSTLY = blessing(*items(5, 5, 90), *items(4, 5, 4), *items(2, 5, 2), *items(0, 5, 4))


def test_the_solid_mean_leaves_out_the_pass_that_made_an_item_solid() -> None:
    assert MOSTLY.class_means["solid"] == pytest.approx(5 * 90 / (5 * 90 + 4))
    assert MOSTLY.class_means["flaky"] == pytest.approx((4 * 4 + 2 * 2) / (4 * 4 + 2 * 5 + 4 * 5))
    assert MOSTLY.baseline == pytest.approx((90 + 4 * 0.8 + 2 * 0.4) / 100)
    assert len(MOSTLY.solid) == 90
    assert [MOSTLY.item_class(i) for i in ("q0", "q90", "q99", "new")] == [
        "solid",
        "flaky",
        "flaky",
        "",
    ]


def test_the_few_outcomes_of_a_slice_are_taken_with_one_failure_more() -> None:
    slices = {"q0": "a", "q1": "a", "q2": "b"}
    found = blessing((1.0, 1.0), (0.0, 0.0), (1.0, 1.0), slices=slices).slice_class_means
    assert found["a"] == pytest.approx({"solid": 2 / 3, "flaky": 0.0})
    assert found["b"] == pytest.approx({"solid": 2 / 3})


@given(
    rows=st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3), min_size=1),
    order=st.permutations(range(3)),
)
def test_the_order_of_the_passes_does_not_matter(rows: list[list[float]], order: list[int]) -> None:
    there = blessing(*map(tuple, rows))
    back = blessing(*(tuple(row[at] for at in order) for row in rows))
    assert there.class_means == pytest.approx(back.class_means)
    assert there.solid == back.solid


def test_picking_the_lucky_items_does_not_flatter_them() -> None:
    rng = random.Random(1)
    guessed = [tuple(float(rng.random() < 0.8) for _ in range(5)) for _ in range(4000)]
    found = blessing(*guessed)  # every item is right in 80 %, none is better than another
    assert found.class_means["solid"] == pytest.approx(0.8, abs=0.02)
    assert found.class_means["flaky"] == pytest.approx(0.8, abs=0.02)


def test_scores_that_are_no_verdicts_have_classes_too() -> None:
    found = blessing((0.9, 0.92), (0.95, 0.9), (0.5, 0.96), (0.3, 0.2))
    assert found.solid == {"q0", "q1"}
    flat = blessing(*[(0.7, 0.7)] * 3)
    assert flat.solid == {"q0", "q1", "q2"}
    assert flat.class_means == pytest.approx({"solid": 0.7})


def test_passes_without_an_answer_are_left_out_and_an_item_without_two_has_no_class() -> None:
    found = blessing((1.0, None, 1.0), (None, None, 1.0), (None, None, None))
    assert found.baseline == 1.0
    assert [found.item_class(f"q{at}") for at in range(3)] == ["solid", "", ""]
    assert blessing((None,)).baseline is None
    assert blessing((1.0,), (0.0,)).class_means == {}


def test_the_error_of_the_baseline_is_the_flicker_between_passes() -> None:
    assert blessing(*items(5, 5, 50), *items(0, 5, 50)).baseline_error == 0.0
    flicker = blessing(*items(1, 2, 100))
    assert flicker.baseline_error == pytest.approx((0.5 / 2 * 100) ** 0.5 / 100)
    assert blessing((1.0,)).baseline_error is None


def test_a_blessing_of_judged_answers_survives_json() -> None:
    right = Answer("a", score=0.9, answered_by="m2")
    lost = Answer(failure=Failure(Reason.TIMEOUT, "late"))

    def judged(item: str, verdict: Verdict, answer: Answer, credit: float | None) -> Judged:
        return Judged(GoldenItem(item, "q", "a", slice="s"), answer, verdict, credit, 5.0)

    passes = [
        [judged("x", Verdict.CORRECT, right, 1.0), judged("y", Verdict.WRONG, right, 0.25)],
        [judged("x", Verdict.TIMEOUT, lost, None)],
    ]
    found = Blessing.of(passes, digest="d", rules="r", at=9.0, score="credit")
    assert found.credit == {"x": (1.0, None), "y": (0.25, None)}
    assert found.verdicts == {"x": ("correct", "timeout"), "y": ("wrong", "")}
    assert found.scores == (0.9, 0.9)
    assert found.slice_baselines == {"s": 0.625}
    assert found.slice_sizes == {"s": 2}
    assert Blessing.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert outcome(passes[0][1], "verdict") == 0.0
    assert outcome(passes[1][0], "credit") is None


# Terms


def test_limits_follow_from_what_a_person_promises() -> None:
    found = agreed(max_false_halts_per_year=0.5, max_false_tickets_per_year=2.0, blessing=MOSTLY)
    assert found.limit == 1e6
    assert found.ticket_limit == 2.5e5
    assert found.resume_limit == 2e4
    assert found.items is Items.ITEM_AWARE
    assert agreed().items is Items.PLAIN
    assert agreed().ticket_limit is None


def test_what_is_demanded_of_a_class_is_what_it_had_less_the_tolerated_share() -> None:
    found = agreed(blessing=MOSTLY)
    kept = 0.9 / 0.94
    assert found.null("solid") == pytest.approx(MOSTLY.class_means["solid"] * kept)
    assert found.null("flaky") == pytest.approx(MOSTLY.class_means["flaky"] * kept)
    assert found.null("") is None
    assert agreed(blessing=MOSTLY, items="plain").null("") == 0.9
    assert agreed(blessing=MOSTLY, items="sentinels").null("flaky") is None


def test_without_a_floor_it_lies_below_the_baseline() -> None:
    assert agreed(floor=None, blessing=MOSTLY).floor == pytest.approx(0.90)
    below = agreed(floor=None, floor_below_baseline=0.1, blessing=MOSTLY)
    assert below.floor == pytest.approx(0.84)


def test_a_ticket_tolerates_the_error_of_the_baseline_and_one_item_but_not_half_the_tolerance() -> (
    None
):
    found = agreed(blessing=MOSTLY).ticket_floor
    assert found is not None
    assert MOSTLY.baseline is not None
    assert 0.92 <= found <= MOSTLY.baseline - 0.01
    few = blessing(*items(5, 5, 10))
    assert agreed(blessing=few, floor=0.96).ticket_floor == pytest.approx(0.98)


def test_a_slice_is_held_to_its_own_past_and_one_item_alone_cannot_halt() -> None:
    rows = [*items(5, 5, 50), *items(5, 5, 25), *items(0, 5, 25), *items(5, 5, 4), *items(5, 5, 1)]
    names = ["easy"] * 50 + ["hard"] * 50 + ["small"] * 4 + ["alone"]
    slices = {f"q{at}": name for at, name in enumerate(names)}
    sizes = {"easy": 50, "hard": 50, "small": 4, "alone": 1, "new": 3}
    found = agreed(blessing=blessing(*rows, slices=slices), floor=None, slices=sizes, items="plain")
    assert found.slice_floors == pytest.approx({"easy": 0.92, "hard": 0.42, "small": 0.75})
    assert found.slice_null("alone", "") is None
    written = agreed(slices=sizes, slice_floors={"new": 0.8})
    assert written.slice_floors == {"new": 0.8}
    assert written.slice_null("easy", "") is None


def test_without_any_slice_floor_all_of_the_evidence_is_pooled() -> None:
    assert agreed(slices={"a": 10}).slice_weight == 0.0
    assert agreed(slices={"a": 10}, slice_floors={"a": 0.8}, slice_weight=0.0).slice_floors == {}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"floor": None}, "run `seamwatch golden bless`"),
        ({"floor": 1.5}, "between 0 and 1"),
        ({"floor": 0.95, "blessing": MOSTLY}, "not below the blessed baseline of 94.0%"),
        ({"floor": None, "floor_below_baseline": 0.95, "blessing": MOSTLY}, "leaves no floor"),
        ({"items": "item_aware"}, "run `seamwatch golden bless`, or write items: plain"),
        ({"items": "sentinels", "blessing": blessing((1.0,))}, "at least two passes"),
        ({"probes_per_year": 10.0}, "probe more often"),
        ({"probes_per_year": 0.0}, "above 0"),
        ({"slices": {"a": 3}, "slice_floors": {"b": 0.5}}, "'b', which no golden item"),
        ({"resume_above": 0.97, "blessing": MOSTLY}, "could never show it"),
        ({"max_halted_probes": 0}, "above 0"),
    ],
)
def test_terms_that_could_not_work_say_what_to_write(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agreed(**({"blessing": None} | more))


def test_the_recovery_bound_is_about_the_mean_of_all_items() -> None:
    found = agreed(blessing=MOSTLY)
    solid, flaky = found.recovery_bound("solid"), found.recovery_bound("flaky")
    assert solid is not None
    assert flaky is not None
    share = 0.9  # of the items that are solid
    baseline = share * MOSTLY.class_means["solid"] + (1 - share) * MOSTLY.class_means["flaky"]
    mixed = share * solid + (1 - share) * flaky
    assert mixed - 0.9 == pytest.approx(baseline - 0.94)
    assert found.recovery_worst == max(solid, flaky)
