"""Probing promises: every item once a pass, budgets and limits kept, who answered is counted."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwatch.errors import Reason
from seamwatch.golden import GoldenSet
from seamwatch.models import AdaptiveLimit, Budget
from seamwatch.pipeline import Answer, Failure, GoldenItem, Judged, Task, Verdict
from seamwatch.scoring import Rules
from seamwatch.snapshot import PROBE_BUCKETS
from seamwatch.watch.answers import LONGEST_KEPT, Answers
from seamwatch.watch.probing import Passes, Probing

NOW = 1_700_000_000.0


def golden(count: int, *, task: Task = Task.MULTICLASS, **times: float) -> GoldenSet:
    items = tuple(
        GoldenItem(str(n), f"question {n}", "yes", slice=f"s{n % 3}", **times) for n in range(count)
    )
    return GoldenSet("digest", task, items, {"s0": 1, "s1": 1, "s2": 1})


class Model:
    """A model that answers the same each time, or when it is let."""

    host, version = "model:1", None

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0

    async def ask(self, item: GoldenItem, *, timeout: float) -> Answer:
        self.asked += 1
        await self.gate.wait()
        return self.answer

    def check(self, item: GoldenItem) -> None:
        """Every item can be asked."""


def probing(
    model: Model,
    count: int = 10,
    *,
    budget: Budget | None = None,
    limit: AdaptiveLimit | None = None,
    most: int = 4,
    **times: float,
) -> Probing:
    items = golden(count, **times)
    return Probing(
        golden=items,
        rules=Rules(Task.MULTICLASS),
        client=model,
        passes=Passes(items, rng=random.Random(1)),
        limit=limit or AdaptiveLimit(most),
        budget=budget or Budget(),
        answers=Answers(count, Rules(Task.MULTICLASS)),
        timeout=5,
        clock=lambda: NOW,
    )


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@given(count=st.integers(1, 40), passes=st.integers(1, 3), seed=st.integers(0, 1000))
def test_each_pass_asks_every_item_once(count: int, passes: int, seed: int) -> None:
    order = Passes(golden(count), rng=random.Random(seed))
    for _ in range(passes):
        asked = [order.next(now=NOW) for _ in range(count)]
        assert sorted(int(item.id) for item in asked if item) == list(range(count))


@given(count=st.integers(2, 40), asked=st.integers(0, 39), seed=st.integers(0, 1000))
def test_an_interrupted_pass_goes_on_where_it_was(count: int, asked: int, seed: int) -> None:
    whole = Passes(golden(count), rng=random.Random(seed))
    first = [whole.next(now=NOW) for _ in range(min(asked, count))]
    rest = Passes(
        golden(count), rng=random.Random(seed + 1), seed=whole.seed, position=whole.position
    )
    second = [rest.next(now=NOW) for _ in range(count - len(first))]
    assert sorted(int(item.id) for item in first + second if item) == list(range(count))


def test_items_whose_label_does_not_hold_are_not_asked() -> None:
    order = Passes(golden(5, valid_until=NOW), rng=random.Random(1))
    assert order.next(now=NOW) is None
    assert order.next(now=NOW - 1) is not None


async def test_a_slow_model_is_not_asked_more_than_its_concurrency_allows() -> None:
    model = Model(Answer(value="yes"))
    model.gate.clear()
    asks = probing(model, most=3)
    for _ in range(10):
        await asks.probe()
    await settle()
    assert model.asked == 3
    model.gate.set()
    await settle()
    assert asks.answers.count == 3
    asks.close()


async def test_pipelines_that_share_a_model_share_its_concurrency() -> None:
    model, limit = Model(Answer(value="yes")), AdaptiveLimit(3)
    model.gate.clear()
    one, other = probing(model, limit=limit), probing(model, limit=limit)
    for _ in range(5):
        await one.probe()
        await other.probe()
    await settle()
    assert model.asked == 3
    one.close()  # also those that had no time to begin give their turns back
    other.close()
    await settle()
    assert limit.in_use == 0


async def test_questions_cancelled_before_they_began_keep_no_turn() -> None:
    limit = AdaptiveLimit(1)
    asks = probing(Model(Answer(value="yes")), limit=limit)
    await asks.probe()
    asks.close()
    await settle()
    assert (asks.answers.count, limit.in_use) == (0, 0)


async def test_a_model_that_says_it_is_overloaded_is_asked_less() -> None:
    refusal = Failure(Reason.OVERLOADED, "429", retry_after=60)
    model = Model(Answer(failure=refusal))
    asks = probing(model)
    for _ in range(5):
        await asks.probe()
        await settle()
    assert model.asked == 1


async def test_a_set_without_an_item_that_holds_costs_no_budget() -> None:
    asks = probing(Model(Answer(value="yes")), budget=Budget(per_hour=2), valid_until=NOW)
    for _ in range(5):
        await asks.probe()
    state = asks.probe_state(now=NOW)
    assert (state.over_budget, dict(state.budget_remaining)) == (0, {"hour": 2})


async def test_errors_are_counted_as_asked_and_not_as_answers_of_the_accuracy() -> None:
    model = Model(Answer(value="yes"))
    asks = probing(model)
    await asks.probe()
    await settle()
    model.answer = Answer(failure=Failure(Reason.UNREACHABLE, "nobody listens"))
    for _ in range(3):
        await asks.probe()
        await settle()
    state = asks.golden_state(now=NOW)
    assert state.accuracy is not None
    assert state.availability is not None
    assert (state.window, state.accuracy.n, state.availability.n) == (1, 1, 4)


async def test_a_bug_in_asking_is_logged_and_the_next_item_is_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Model):
        async def ask(self, item: GoldenItem, *, timeout: float) -> Answer:
            self.asked += 1
            raise RuntimeError("a bug")

    model = Broken(Answer())
    asks = probing(model, most=1)
    for _ in range(2):
        await asks.probe()
        await settle()
    assert model.asked == 2
    assert "RuntimeError: a bug" in caplog.text


async def test_a_probe_over_budget_is_not_sent_and_is_counted() -> None:
    model = Model(Answer(value="yes"))
    asks = probing(model, budget=Budget(per_hour=2))
    for _ in range(5):
        await asks.probe()
        await settle()
    assert model.asked == 2
    state = asks.probe_state(now=NOW)
    assert (state.over_budget, dict(state.budget_remaining)) == (3, {"hour": 0})


async def test_answers_by_another_version_than_declared_are_fallbacks() -> None:
    asks = probing(Model(Answer(value="yes", answered_by="small-1")))
    asks.declared = "large-7"
    for _ in range(4):
        await asks.probe()
        await settle()
    state = asks.probe_state(now=NOW)
    assert (state.fallbacks, state.answered_by) == (4, ("small-1",))


async def test_an_unknown_declared_version_makes_no_fallback() -> None:
    asks = probing(Model(Answer(value="yes", answered_by="small-1")))
    await asks.probe()
    await settle()
    assert asks.probe_state(now=NOW).fallbacks == 0


@pytest.mark.parametrize(("duration", "bucket"), [(0.0, 0), (0.01, 0), (0.011, 1), (99.0, 10)])
async def test_durations_fall_into_the_bucket_whose_bound_they_do_not_exceed(
    duration: float, bucket: int
) -> None:
    asks = probing(Model(Answer(value="yes", duration=duration)))
    await asks.probe()
    await settle()
    counts = asks.probe_state(now=NOW).duration_counts
    assert counts.index(1) == bucket
    assert len(counts) == len(PROBE_BUCKETS) + 1


async def test_a_long_answer_is_judged_and_not_kept() -> None:
    asks = probing(Model(Answer(value="x" * (LONGEST_KEPT + 1))))
    await asks.probe()
    await settle()
    assert asks.golden_state(now=NOW).verdicts == {Verdict.WRONG: 1}
    assert asks.answers.sample(threshold=None, blessed=()).columns.predicted == (None,)


async def test_restored_answers_fill_the_window_and_are_not_counted_again() -> None:
    asks = probing(Model(Answer(value="yes")))
    item = asks.golden.items[0]
    asks.answers.restore([Judged(item, Answer(), Verdict.CORRECT, 1.0, NOW - 9)] * 4)
    state = asks.golden_state(now=NOW)
    assert state.accuracy is not None
    assert (state.accuracy.n, state.window, state.last_answer) == (4, 4, NOW - 9)
    assert state.verdicts == {}


@given(st.lists(st.sampled_from([None, "m1", "m2", "m3"]), max_size=40), st.integers(1, 10))
def test_the_versions_are_those_that_answered_what_the_window_holds(
    by: list[str | None], size: int
) -> None:
    rules = Rules(Task.TEXT)
    answers = Answers(size, rules)
    item = GoldenItem("q", "", "yes")
    for one in by:
        answer = Answer(value="yes", answered_by=one)
        answers.add(Judged(item, answer, Verdict.CORRECT, 1.0, 0.0), declared=None, sample=True)
        again = Answers(size, rules)
        again.take_over(answers)
        assert answers.versions == again.versions
    assert answers.versions == tuple(sorted({one for one in by[-size:] if one}))
