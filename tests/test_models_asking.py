"""Many questions: never more at once than the model bears, never over budget, none lost."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import HANG, Hostile, page, says, sends
from seamwatch.config.models import ModelSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher
from seamwatch.models import AdaptiveLimit, Budget, ModelClient, ask_all, budget_of, build
from seamwatch.pipeline import Answer, Failure, GoldenItem

OVERLOADED = Failure(Reason.OVERLOADED, "429")
TIMED_OUT = Failure(Reason.TIMEOUT, "timeout")
UNREACHABLE = Failure(Reason.UNREACHABLE, "refused")


def items(count: int) -> list[GoldenItem]:
    return [GoldenItem(f"q-{number}", {"n": number}, "x") for number in range(count)]


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def client(fetcher: Fetcher, url: str) -> ModelClient:
    http = {"url": url, "json": {"n": "{{ input.n }}"}, "answer": "label"}
    return build(ModelSection.model_validate({"http": http}), fetcher)


class Model:
    """A client whose answers are let go by hand, to see what is under way."""

    host = "model:80"
    version = None

    def __init__(self, answer: Callable[[GoldenItem], Answer] = lambda item: Answer("x")) -> None:
        self.answer = answer
        self.under_way = 0
        self.most_under_way = 0
        self.asked: list[str] = []
        self.cancelled = 0
        self.go = asyncio.Event()

    def check(self, item: GoldenItem) -> None:
        """Every item fits."""

    async def ask(self, item: GoldenItem, *, timeout: float) -> Answer:
        self.asked.append(item.id)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.go.wait()
            await asyncio.sleep(0)
            return self.answer(item)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1


async def until(claim: Callable[[], bool]) -> None:
    """Let others run until *claim* holds; the tests' own timeout ends a wait for ever."""
    async with asyncio.timeout(10):
        while not claim():  # noqa: ASYNC110 - there is nothing to wait on but the others' turns
            await asyncio.sleep(0)


# ask_all


async def test_each_item_comes_back_once_with_its_own_answer(fetcher: Fetcher) -> None:
    async def echoes(writer: Any, request: Any) -> None:
        await page(b'{"label": %s}' % request.body)(writer, request)

    async with Hostile(echoes) as server:
        asking = ask_all(client(fetcher, server.url), items(200), timeout=5, limit=AdaptiveLimit(8))
        answers = {item.id: answer.value async for item, answer in asking}
        assert server.connections <= 8
    assert answers == {f"q-{number}": {"n": number} for number in range(200)}
    assert (asking.asked, asking.out_of_budget) == (200, False)


async def test_no_more_are_under_way_than_the_limit_allows() -> None:
    model = Model()
    asking = ask_all(model, items(50), timeout=5, limit=AdaptiveLimit(4))
    reading = asyncio.create_task(collect(asking))
    await until(lambda: model.under_way == 4)
    model.go.set()
    assert len(await reading) == 50
    assert model.most_under_way == 4


async def collect(asking: Any) -> list[tuple[GoldenItem, Answer]]:
    return [pair async for pair in asking]


async def test_without_items_nothing_is_asked() -> None:
    model = Model()
    assert await collect(ask_all(model, [], timeout=5, limit=AdaptiveLimit(4))) == []


async def test_items_are_taken_only_when_their_turn_comes() -> None:
    model, taken = Model(), 0

    def endless() -> Iterator[GoldenItem]:
        nonlocal taken
        while True:
            taken += 1
            yield GoldenItem(f"q-{taken}", {}, "x")

    model.go.set()
    async with aclosing(aiter(ask_all(model, endless(), timeout=5, limit=AdaptiveLimit(4)))) as run:
        await anext(run)
        for _ in range(100):
            await asyncio.sleep(0)  # a reader that takes its time
        assert taken <= 4 * 4


async def test_leaving_early_cancels_what_is_under_way() -> None:
    model = Model()
    limit = AdaptiveLimit(4)
    reading = asyncio.create_task(collect(ask_all(model, items(50), timeout=5, limit=limit)))
    await until(lambda: model.under_way == 4)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (model.cancelled, model.under_way, limit.in_use) == (4, 0, 0)


async def test_breaking_out_of_the_loop_leaves_nothing_running() -> None:
    model = Model()
    model.go.set()
    limit = AdaptiveLimit(4)
    async for _ in ask_all(model, items(50), timeout=5, limit=limit):
        break
    gc.collect()
    await until(lambda: len(asyncio.all_tasks()) == 1)
    assert (model.under_way, limit.in_use) == (0, 0)
    assert len(model.asked) < 50


async def test_a_mistake_of_ours_is_raised_and_not_swallowed() -> None:
    def broken(item: GoldenItem) -> Answer:
        raise ZeroDivisionError

    model, limit = Model(broken), AdaptiveLimit(4)
    model.go.set()
    with pytest.raises(ZeroDivisionError):
        await collect(ask_all(model, items(50), timeout=5, limit=limit))
    assert limit.in_use == 0


async def test_a_spent_budget_ends_the_run_and_says_so(fetcher: Fetcher) -> None:
    async with Hostile(says({"label": "x"})) as server:
        budget = budget_of(
            ModelSection.model_validate(
                {
                    "http": {"url": server.url, "json": "{{ id }}", "answer": "label"},
                    "budget": {"per_hour": 12},
                }
            )
        )
        asking = ask_all(
            client(fetcher, server.url),
            items(50),
            timeout=5,
            limit=AdaptiveLimit(8),
            budget=budget,
            clock=lambda: 1000.0,
        )
        pairs = await collect(asking)
        assert len(server.requests) == 12
    assert all(answer.value == "x" for _, answer in pairs)
    assert (len(pairs), asking.asked, asking.out_of_budget) == (12, 12, True)
    assert budget.remaining(1000.0) == {"hour": 0}


async def test_a_429_is_asked_again_when_the_model_says(fetcher: Fetcher) -> None:
    async def busy_at_first(writer: Any, request: Any) -> None:
        busy = len(server.requests) <= 3
        slow = page(b"", status="429 Slow", headers="Retry-After: 0")
        await (slow if busy else says({"label": "x"}))(writer, request)

    async with Hostile(busy_at_first) as server:
        asking = ask_all(client(fetcher, server.url), items(20), timeout=5, limit=AdaptiveLimit(1))
        pairs = await collect(asking)
    assert len(pairs) == 20
    failed = [item.id for item, answer in pairs if answer.failure is not None]
    assert failed == ["q-0"]  # asked three times, and refused each time
    assert len(server.requests) == 22


async def test_asking_again_costs_budget_too() -> None:
    model = Model(lambda item: Answer(failure=Failure(Reason.OVERLOADED, "429", 0.0)))
    model.go.set()
    asking = ask_all(
        model,
        items(9),
        timeout=5,
        limit=AdaptiveLimit(1),
        budget=Budget(per_hour=5),
        clock=lambda: 0.0,
    )
    pairs = await collect(asking)
    assert model.asked == ["q-0"] * 3 + ["q-1"] * 2
    assert [item.id for item, _ in pairs] == ["q-0", "q-1"]
    assert asking.out_of_budget


@pytest.mark.parametrize("failure", [UNREACHABLE, TIMED_OUT])
async def test_what_may_have_been_read_is_not_asked_again(failure: Failure) -> None:
    model = Model(lambda item: Answer(failure=failure))
    model.go.set()
    pairs = await collect(ask_all(model, items(5), timeout=5, limit=AdaptiveLimit(2)))
    assert sorted(model.asked) == sorted(item.id for item, _ in pairs)


async def test_a_model_that_hangs_gives_a_timeout_for_each_item(fetcher: Fetcher) -> None:
    async with Hostile(sends(then=HANG)) as server:
        asking = ask_all(client(fetcher, server.url), items(8), timeout=0.1, limit=AdaptiveLimit(8))
        pairs = await collect(asking)
    reasons = [answer.failure and answer.failure.reason for _, answer in pairs]
    assert reasons == [Reason.TIMEOUT] * 8


async def test_an_item_that_fits_no_template_does_not_stop_the_others(fetcher: Fetcher) -> None:
    strange = GoldenItem("q-x", {"other": 1}, "x")
    async with Hostile(says({"label": "x"})) as server:
        model = client(fetcher, server.url)
        with pytest.raises(ReadError):
            model.check(strange)
        asking = ask_all(model, [strange, *items(5)], timeout=5, limit=AdaptiveLimit(2))
        failed = [item.id for item, answer in await collect(asking) if answer.failure]
    assert failed == ["q-x"]


# AdaptiveLimit


def test_a_429_or_timeout_halves_and_answers_grow_back_one_by_one() -> None:
    limit = AdaptiveLimit(8)
    limit.record(TIMED_OUT, 1.0)
    assert limit.current(1.0) == 4
    for _ in range(5):
        limit.record(None, 1.0)
    assert limit.current(1.0) == 5
    for _ in range(100):
        limit.record(None, 1.0)
    assert limit.current(1.0) == 8


def test_one_jam_halves_once_however_many_were_under_way() -> None:
    limit = AdaptiveLimit(64)
    for _ in range(64):
        limit.record(TIMED_OUT, 5.0, started=0.0)
    assert limit.current(5.0) == 32
    limit.record(TIMED_OUT, 10.0, started=5.0)
    assert limit.current(10.0) == 16


def test_other_failures_are_no_reason_to_slow_down() -> None:
    limit = AdaptiveLimit(8)
    limit.record(UNREACHABLE, 0.0)
    assert limit.current(0.0) == 8


def test_retry_after_is_a_time_without_questions() -> None:
    limit = AdaptiveLimit(8)
    limit.record(Failure(Reason.OVERLOADED, "429", 30.0), 100.0)
    assert (limit.current(100.0), limit.held(100.0)) == (0, 30.0)
    assert (limit.current(129.9), limit.current(130.0)) == (0, 4)
    limit.record(Failure(Reason.OVERLOADED, "429", 1.0), 101.0)
    assert limit.held(101.0) == 29.0  # a shorter wish does not cut a longer one


def test_without_retry_after_the_pause_doubles_until_an_answer_comes() -> None:
    limit, now, pauses = AdaptiveLimit(8), 0.0, []
    for _ in range(9):
        limit.record(OVERLOADED, now, started=now)
        pauses.append(limit.held(now))
        now += limit.held(now)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    limit.record(None, now)
    limit.record(OVERLOADED, now, started=now)
    assert limit.held(now) == 0.5


@given(
    st.integers(1, 256),
    st.lists(
        st.tuples(st.sampled_from([None, OVERLOADED, TIMED_OUT, UNREACHABLE]), st.floats(0, 60))
    ),
)
def test_the_limit_stays_between_one_and_what_is_configured(
    most: int, events: list[tuple[Failure | None, float]]
) -> None:
    limit, now = AdaptiveLimit(most), 0.0
    for failure, pause in events:
        now += pause
        limit.record(failure, now)
        assert 1 <= limit.current(now + limit.held(now)) <= most


async def test_turns_are_passed_on_however_their_holders_end() -> None:
    limit = AdaptiveLimit(2)
    done: list[int] = []

    async def one(number: int) -> None:
        async with limit.turn():
            await asyncio.sleep(0)
            done.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(40)]
    await asyncio.sleep(0)
    for task in tasks[1::3]:
        task.cancel()
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    survivors = [number for number, end in enumerate(ended) if end is None]
    assert sorted(done) == survivors
    assert limit.in_use == 0


async def test_a_waiter_cancelled_while_held_does_not_strand_the_next() -> None:
    now = 0.0
    limit = AdaptiveLimit(1, clock=lambda: now)
    await limit.acquire()
    first = asyncio.create_task(limit.acquire())
    second = asyncio.create_task(limit.acquire())
    await asyncio.sleep(0)
    limit.record(Failure(Reason.OVERLOADED, "429", 60.0), now)
    limit.release()
    await asyncio.sleep(0)
    now = 61.0  # the hold is over, but the first waiter still sleeps
    first.cancel()
    async with asyncio.timeout(10):
        assert await second == 61.0
