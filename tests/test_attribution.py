"""Attribution promises: the shares of a loss, who leads, and "I do not know" where that is true."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwatch.attribution import Ask, Attribution, Inquiry, Outcome, Phase
from seamwatch.attribution.shapley import exact
from seamwatch.attribution.stopping import beats, explains_nothing, strictly_beats

NAMES = ("cache", "index", "threshold")
Item = Callable[[frozenset[str]], float]


def needs(*names: str) -> Item:
    """An item that is right once all these repairs are applied."""
    return lambda applied: float(applied >= set(names))


def never(applied: frozenset[str]) -> float:
    return 0.0


def tabled(table: Mapping[int, float], names: tuple[str, ...]) -> Item:
    """An item whose result under each set of repairs (a mask) stands in *table*."""
    return lambda applied: table[sum(1 << bit for bit, n in enumerate(names) if n in applied)]


class Model:
    """A model that answers under any repairs, and counts what it was sent."""

    def __init__(self, items: Mapping[str, Item], *, flake: float = 0.0, seed: int = 0) -> None:
        self.items = items
        self.flake = flake
        self.rng = random.Random(seed)
        self.asks: list[Ask] = []

    @property
    def sent(self) -> list[Ask]:
        return [ask for ask in self.asks if ask.sends]

    def answer(self, ask: Ask) -> float:
        self.asks.append(ask)
        x = self.items[ask.item_id](ask.repairs)
        return 1 - x if self.rng.random() < self.flake else x

    def drive(self, inquiry: Inquiry) -> Attribution:
        while (ask := inquiry.next()) is not None:
            inquiry.take(ask, self.answer(ask))
        return inquiry.result()


def mixed(shuffle: int = 1, /, **counts: int) -> dict[str, Item]:
    """So many items that need this one repair each ("none": that no repair wins back), shuffled."""
    kinds = [name for name, count in counts.items() for _ in range(count)]
    random.Random(shuffle).shuffle(kinds)
    return {
        f"{place}": never if kind == "none" else needs(kind) for place, kind in enumerate(kinds)
    }


def inquiry_into(
    items: Mapping[str, Item],
    *,
    names: tuple[str, ...] = NAMES,
    size: int = 400,
    asked: int = 0,
    **settings: object,
) -> Inquiry:
    """An inquiry that was offered *items*, from a set of *size* whose accuracy is known."""
    inquiry = Inquiry(names, items=size, baseline=0.95, **settings)  # type: ignore[arg-type]
    for item_id in items:
        inquiry.offer(item_id)
    inquiry.observed(0.95 - len(items) / size, asked=asked)
    return inquiry


def found(items: Mapping[str, Item], **settings: object) -> Attribution:
    return Model(items).drive(inquiry_into(items, **settings))  # type: ignore[arg-type]


def test_the_one_repair_that_wins_everything_back_is_named_after_few_calls() -> None:
    result = found(mixed(cache=60))
    assert (result.phase, result.outcome, result.top) == (Phase.DONE, Outcome.DECIDED, "cache")
    assert result.named_after is not None
    assert result.named_after <= 45
    assert result.shares["cache"].value == pytest.approx(0.15)
    assert result.shares["index"].value == 0


def test_shares_and_what_is_unexplained_add_up_to_the_loss() -> None:
    result = found(mixed(cache=50, index=20, none=25))
    assert result.top == "cache"
    assert result.unexplained is not None
    assert result.unexplained.lower > 0
    assert result.explained == pytest.approx(sum(one.value for one in result.shares.values()))
    assert result.explained + result.unexplained.value == pytest.approx(result.loss)


def test_a_loss_that_no_repair_wins_back_is_unexplained_and_soon_left_alone() -> None:
    result = found(mixed(none=80))
    assert (result.outcome, result.top, result.tied) == (Outcome.UNEXPLAINED, None, ())
    assert result.probes < 20


def test_two_repairs_that_win_back_the_same_are_a_tie_between_these_two() -> None:
    """Either may be named, as neither would be wrong; where none is, it is between just them."""
    twins = {"cache", "index"}
    every = [
        found(mixed(shuffle, cache=60, index=60, threshold=5), max_probes=300)
        for shuffle in range(12)
    ]
    open_ = [one for one in every if one.outcome is Outcome.UNDECIDED]
    assert len(open_) >= 3
    assert all(one.top is None and set(one.tied) == twins and one.probes == 300 for one in open_)
    assert {one.top for one in every if one not in open_} <= twins


def test_one_repair_alone_is_named_if_it_wins_back_a_real_part_of_the_loss() -> None:
    assert found(mixed(cache=40, none=40), names=("cache",)).top == "cache"
    assert found(mixed(none=80), names=("cache",)).outcome is Outcome.UNEXPLAINED


def test_items_that_were_wrong_by_chance_only_blame_nobody() -> None:
    """Right again when asked once more: then any repair seems to win them back."""
    items = dict.fromkeys(map(str, range(60)), lambda applied: 1.0)
    result = found(items)
    assert result.top is None
    assert result.outcome is not Outcome.DECIDED


def test_the_calls_of_one_item_follow_each_other() -> None:
    model = Model(mixed(cache=12, index=12, threshold=12))
    model.drive(inquiry_into(model.items, max_probes=80))
    order = [ask.item_id for ask in model.asks]
    assert len({*order}) == sum(1 for a, b in zip(order, [None, *order], strict=False) if a != b)


def test_each_item_is_first_asked_with_all_repairs_and_those_still_wrong_not_again() -> None:
    items = mixed(cache=30, none=15)
    model = Model(items)
    model.drive(inquiry_into(items, max_probes=60))
    first = {}
    for ask in model.asks:
        first.setdefault(ask.item_id, ask.repairs)
    assert set(first.values()) == {frozenset(NAMES)}
    for item_id in first:
        if items[item_id] is never:
            assert [ask.item_id for ask in model.asks].count(item_id) == 1


@pytest.mark.parametrize("most", [0, 1, 7, 50])
def test_no_more_calls_are_sent_than_allowed(most: int) -> None:
    model = Model(mixed(cache=40, index=35))
    result = model.drive(inquiry_into(model.items, max_probes=most))
    assert len(model.sent) == result.probes == most
    assert (result.phase, result.outcome) == (Phase.DONE, Outcome.UNDECIDED)


def test_free_repairs_cost_no_call_and_are_shared_out_just_the_same() -> None:
    items = mixed(threshold=30, cache=12, index=8)
    model = Model(items)
    result = model.drive(inquiry_into(items, size=200, asked=200, free=["threshold"]))
    assert result.top == "threshold"
    assert result.probes == len(model.sent)
    paid_sets = {(ask.item_id, ask.repairs - {"threshold"}) for ask in model.sent}
    assert len(paid_sets) == len(model.sent)  # no answer is sent for twice
    plain = found(items, size=200, asked=200)
    assert result.probes < plain.probes


def test_where_every_repair_is_free_only_doubts_about_chance_cost_calls() -> None:
    items = mixed(threshold=30)
    model = Model(items)
    result = model.drive(inquiry_into(items, names=("threshold",), free=["threshold"]))
    assert result.top == "threshold"
    assert all(not ask.repairs for ask in model.sent)


def test_an_error_is_asked_again_once_and_then_the_item_is_given_up() -> None:
    inquiry = inquiry_into({"1": needs("cache"), "2": needs("cache")})
    first = inquiry.next()
    assert first is not None
    inquiry.take(first, None)
    assert inquiry.next() == first
    inquiry.take(first, None)
    second = inquiry.next()
    assert second is not None
    assert {first.item_id, second.item_id} == {"1", "2"}
    assert inquiry.result().probes == 2


def test_what_was_wrong_last_is_asked_about_first_but_an_item_that_was_begun_is_ended() -> None:
    inquiry = inquiry_into({"old": needs("cache")})
    begun = inquiry.next()
    assert begun is not None
    inquiry.take(begun, 1.0)
    for item_id in ("newer", "newest"):
        inquiry.offer(item_id)
    model = Model(dict.fromkeys(("old", "newer", "newest"), needs("cache")))
    asked = []
    while (ask := inquiry.next()) is not None:
        asked.append(ask.item_id)
        inquiry.take(ask, model.items[ask.item_id](ask.repairs))
    assert list(dict.fromkeys(asked)) == ["old", "newest", "newer"]


def test_an_item_that_is_offered_twice_is_asked_once() -> None:
    inquiry = inquiry_into({"1": never})
    inquiry.offer("1")
    model = Model({"1": never})
    model.drive(inquiry)
    inquiry.offer("1")
    assert inquiry.next() is None
    assert inquiry.result().candidates == 1


def test_it_waits_for_more_items_and_goes_on_when_they_come() -> None:
    items = mixed(cache=60)
    inquiry = Inquiry(NAMES, items=400, baseline=0.95)
    model = Model(items)
    inquiry.observed(0.80)
    for item_id in list(items)[:5]:
        inquiry.offer(item_id)
    early = model.drive(inquiry)
    assert (early.phase, early.outcome, inquiry.done) == (Phase.COLLECTING, Outcome.OPEN, False)
    for item_id in items:
        inquiry.offer(item_id)
    assert model.drive(inquiry).top == "cache"
    assert inquiry.done


def test_shares_are_unknown_while_the_loss_is() -> None:
    items = mixed(cache=40)
    inquiry = Inquiry(NAMES, items=400)
    for item_id in items:
        inquiry.offer(item_id)
    result = Model(items).drive(inquiry)
    assert (result.top, result.shares, result.loss) == ("cache", {}, None)


def test_a_repair_that_breaks_right_items_is_seen_by_the_audit() -> None:
    items = mixed(cache=60)
    right = {f"right-{place}": lambda applied: float("index" not in applied) for place in range(20)}
    inquiry = inquiry_into(items)
    for item_id in right:
        inquiry.concordant(item_id)
    model = Model(items | right)
    result = model.drive(inquiry)
    assert result.top == "cache"
    assert result.audited == len({ask.item_id for ask in model.asks} & set(right)) >= 2
    assert result.broken == {"index": result.audited}
    assert result.harm is not None
    assert result.harm.lower > 0


def test_a_right_item_that_fails_once_is_asked_again_before_a_repair_is_blamed() -> None:
    items = mixed(cache=60)
    inquiry = inquiry_into(items)
    for place in range(20):
        inquiry.concordant(f"right-{place}")
    failed: set[str] = set()
    while (ask := inquiry.next()) is not None:
        if not ask.item_id.startswith("right"):
            inquiry.take(ask, items[ask.item_id](ask.repairs))
            continue
        inquiry.take(ask, float(ask.item_id in failed))
        failed.add(ask.item_id)
    result = inquiry.result()
    assert result.audited == len(failed) >= 2
    assert result.broken == {}


def test_of_a_set_that_was_asked_as_a_whole_the_shares_are_exact_and_one_item_decides() -> None:
    items = mixed(cache=9, index=8, threshold=4)
    result = found(items, size=100, asked=100)
    assert (result.exact, result.top) == (True, "cache")
    assert {name: one.value for name, one in result.shares.items()} == pytest.approx(
        {"cache": 0.09, "index": 0.08, "threshold": 0.04}
    )
    assert all(one.lower == one.value == one.upper for one in result.shares.values())


def test_of_a_set_that_was_asked_as_a_whole_a_tie_is_known_to_be_one() -> None:
    result = found(mixed(cache=9, index=9, threshold=4), size=100, asked=100)
    assert (result.exact, result.outcome) == (True, Outcome.UNDECIDED)
    assert set(result.tied) == {"cache", "index"}


def test_where_answers_change_by_chance_one_item_does_not_decide() -> None:
    items = mixed(cache=9, index=8, threshold=4)
    items |= {f"chance-{place}": lambda applied: 1.0 for place in range(3)}
    result = found(items, size=100, asked=100)
    assert (result.exact, result.outcome) == (False, Outcome.UNDECIDED)
    assert set(result.tied) == {"cache", "index"}


tables = st.lists(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=8, max_size=8), min_size=1, max_size=12
)


@given(tables, st.sets(st.sampled_from(NAMES)), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_set_that_is_factorised_as_a_whole_has_its_exact_shapley_values(
    rows: list[list[float]], free: set[str], seed: int
) -> None:
    """Whatever the items do: synergy, redundancy, repairs that break what another one repaired."""
    rows = [[0.0, *row[1:7], 1.0] for row in rows]
    items = {str(place): tabled(dict(enumerate(row)), NAMES) for place, row in enumerate(rows)}
    result = found(items, size=40, asked=40, free=free, seed=seed, max_probes=1000)
    if not result.exact:  # somebody was named before, which is enough
        assert result.outcome is Outcome.DECIDED
        return
    truth = [
        mean(column) * len(rows) / 40
        for column in zip(*[exact(dict(enumerate(row)), 3) for row in rows], strict=True)
    ]
    assert [one.value for one in result.shares.values()] == pytest.approx(truth)
    if result.top is not None:
        assert truth[NAMES.index(result.top)] == pytest.approx(max(truth))
    else:
        assert sum(one > max(truth) - 1e-9 for one in truth) > 1


@given(
    st.lists(st.sampled_from([*NAMES, "none", "flaky"]), min_size=1, max_size=40),
    st.booleans(),
    st.sampled_from([(), ("threshold",), NAMES]),
    st.sampled_from([0, 60]),
    st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_a_restored_inquiry_asks_and_concludes_the_same(
    kinds: list[str], strict: bool, free: tuple[str, ...], asked: int, seed: int
) -> None:
    rng = random.Random(seed)
    inquiry = Inquiry(
        NAMES, items=60, baseline=0.9, strict=strict, free=free, seed=seed, max_probes=120
    )
    waiting = {f"{place}": kind for place, kind in enumerate(kinds)}
    for _ in range(250):
        if waiting and rng.random() < 0.3:
            inquiry.offer(waiting_id := next(iter(waiting)))
            del waiting[waiting_id]
            inquiry.concordant(f"right-{rng.randrange(100)}")
            inquiry.observed(rng.random(), asked=asked if not waiting else 0)
        other = inquiry
        if rng.random() < 0.1:
            other = Inquiry.restored(json.loads(json.dumps(inquiry.state())))
            assert other.result() == inquiry.result()
        ask = inquiry.next()
        assert other.next() == ask
        inquiry = other
        if ask is None:
            continue
        kind = "right" if ask.item_id.startswith("right") else kinds[int(ask.item_id)]
        right = kind in ask.repairs or kind == "right" or (kind == "flaky" and rng.random() < 0.5)
        inquiry.take(ask, None if rng.random() < 0.05 else float(right))


def test_the_same_seed_asks_the_same_and_another_one_does_not() -> None:
    def asks(seed: int) -> list[Ask]:
        model = Model(mixed(cache=20, index=20, threshold=20))
        model.drive(inquiry_into(model.items, seed=seed, max_probes=60))
        return model.asks

    assert asks(1) == asks(1) != asks(2)


def test_a_share_lies_in_its_interval_as_often_as_it_says() -> None:
    inside = []
    for seed in range(60):
        rng = random.Random(seed)
        kinds = rng.choices(NAMES, (6, 3, 2), k=150)
        items = {str(place): needs(kind) for place, kind in enumerate(kinds)}
        result = found(items, seed=seed)
        truth = [0.375 * part / 11 for part in (6, 3, 2)]
        for share, true in zip(result.shares.values(), truth, strict=True):
            inside.append(share.lower <= true <= share.upper)
    assert 0.91 <= mean(inside) <= 0.99


def test_synergy_and_redundancy_are_published_with_their_sign() -> None:
    both = {f"both-{place}": needs("cache", "index") for place in range(40)}
    either: dict[str, Item] = {
        f"either-{place}": lambda applied: float(bool(applied & {"cache", "threshold"}))
        for place in range(40)
    }
    items = dict(random.Random(3).sample(sorted((both | either).items()), 80))
    result = found(items, max_probes=600)
    assert result.top == "cache"
    assert result.interactions["cache", "index"].lower > 0
    assert result.interactions["cache", "threshold"].upper < 0


def test_more_than_four_paid_repairs_are_shared_out_by_permutations_only() -> None:
    names = tuple("abcdefgh")
    model = Model({str(place): needs("abcd"[place % 7 % 4]) for place in range(120)})
    result = model.drive(inquiry_into(model.items, names=names))
    assert set(result.shares) == set(names)
    assert result.interactions == {}
    assert result.probes / result.items < 5  # halving, not one call a repair


def test_graded_results_are_shared_out_too() -> None:
    def half(applied: frozenset[str]) -> float:
        return 0.2 + 0.5 * ("cache" in applied) + 0.2 * ("index" in applied)

    items = dict.fromkeys(map(str, range(60)), half)
    inquiry = Inquiry(NAMES, items=100, baseline=0.9)
    for item_id in items:
        inquiry.offer(item_id, now=0.2, blessed=1.0)
    inquiry.observed(0.9 - 0.6 * 0.8, asked=100)
    result = Model(items).drive(inquiry)
    assert result.top == "cache"
    assert result.shares["cache"].value == pytest.approx(0.30)
    assert result.shares["index"].value == pytest.approx(0.12)
    assert result.unexplained is not None
    assert result.unexplained.value == pytest.approx(0.06)


@pytest.mark.parametrize("chance", [0.1, 0.3, 0.5, 0.7])
def test_nobody_is_blamed_for_answers_that_come_and_go(chance: float) -> None:
    """Each answer is right with this chance, whatever is repaired."""
    wrong = unexplained = 0
    for seed in range(40):
        rng = random.Random(seed)
        items = dict.fromkeys(map(str, range(300)), never)
        inquiry = inquiry_into(items, seed=seed, size=2000)
        while (ask := inquiry.next()) is not None:
            inquiry.take(ask, float(rng.random() < chance))
        wrong += inquiry.result().top is not None
        unexplained += inquiry.result().outcome is Outcome.UNEXPLAINED
    assert wrong <= 1
    assert unexplained >= 30


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"repairs": []}, "1 to 8 different repairs"),
        ({"repairs": ["a", "a"]}, "1 to 8 different repairs"),
        ({"repairs": ["a"], "free": ["b"]}, "free repairs that are none: ['b']"),
        ({"repairs": ["a"], "confidence": 1.0}, "confidence 1.0 is not between 0.5 and 1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("[", r"\[").replace("]", r"\]")):
        Inquiry(**({"items": 10} | arguments))  # type: ignore[arg-type]


def test_a_result_that_nobody_asked_for_is_refused() -> None:
    inquiry = inquiry_into({"1": never})
    ask = inquiry.next()
    assert ask is not None
    with pytest.raises(ValueError, match="was not asked for"):
        inquiry.take(Ask("1", frozenset()), 1.0)
    with pytest.raises(ValueError, match=r"result 2 is not in \[0, 1\]"):
        inquiry.take(ask, 2)
    inquiry.take(ask, 0.0)
    with pytest.raises(ValueError, match="was not asked for"):
        inquiry.take(ask, 0.0)


def test_few_items_settle_nothing_however_unanimous() -> None:
    assert not beats([1.0] * 7, confidence=0.6)
    assert not strictly_beats([1.0] * 7, confidence=0.6, rivals=1)
    assert not explains_nothing(0, 7, confidence=0.6)


@pytest.mark.parametrize(("confidence", "most"), [(0.9, 0.1), (0.95, 0.05)])
def test_a_suspect_clearly_behind_is_seldom_ever_ahead_enough_to_be_named(
    confidence: float, most: float
) -> None:
    """Three to four, looked at after each of 400 items; the bound holds for ever."""
    rng = random.Random(5)
    named = 0
    for _ in range(300):
        differences: list[float] = []
        for _ in range(400):
            differences.append(rng.choices((1.0, -1.0), (3, 4))[0])
            if sum(differences) > 8 and beats(differences, confidence=confidence):
                named += 1
                break
    assert named / 300 <= most


def test_strict_seldom_ever_names_one_of_two_equals() -> None:
    rng = random.Random(6)
    named = 0
    for _ in range(150):
        differences: list[float] = []
        for _ in range(250):
            differences.append(rng.choice((1.0, 0.0, -1.0)))
            if sum(differences) > 10 and strictly_beats(differences, confidence=0.95, rivals=2):
                named += 1
                break
    assert named / 150 <= 0.025 + 2 * (0.025 * 0.975 / 150) ** 0.5


def test_a_loss_that_is_explained_by_a_third_is_seldom_ever_called_unexplained() -> None:
    rng = random.Random(7)
    called = 0
    for _ in range(400):
        won = 0
        for tried in range(1, 200):
            won += rng.random() < 1 / 3
            if explains_nothing(won, tried, confidence=0.95):
                called += 1
                break
    assert called / 400 <= 0.05
