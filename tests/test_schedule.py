"""The schedule promises: no two runs of one job, limits kept, failures back off, nobody starved."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import weakref
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamwatch.watch.schedule import BACKOFF_CAP, JITTER, Job, Schedule, interval


@contextlib.asynccontextmanager
async def running(schedule: Schedule):
    task = asyncio.create_task(schedule.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def counted(counter: dict[str, int], name: str, until: asyncio.Event, runs: int = 3):
    async def run() -> bool:
        counter[name] = counter.get(name, 0) + 1
        if counter[name] >= runs:
            until.set()
        return True

    return run


@given(
    every=st.floats(0.001, 1e6),
    failures=st.integers(0, 1000),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_an_interval_stays_within_its_jitter_and_its_cap(
    every: float, failures: int, draw: float
) -> None:
    found = interval(every, failures, draw)
    assert every * (1 - JITTER) <= found
    assert found <= max(every, min(8 * every, BACKOFF_CAP)) * (1 + JITTER)


def test_each_failure_in_a_row_doubles_the_interval_up_to_eight_times() -> None:
    assert [interval(10, failures, 0.5) for failures in range(6)] == [10, 20, 40, 80, 80, 80]


async def test_jobs_run_again_and_again() -> None:
    schedule, counter, done = Schedule(), {}, asyncio.Event()
    schedule.add([Job(counted(counter, "a", done), every=0.001)])
    async with running(schedule):
        await asyncio.wait_for(done.wait(), 10)
    assert counter["a"] >= 3


async def test_a_job_that_hangs_is_never_started_twice_and_holds_up_nobody() -> None:
    schedule, counter, done = Schedule(per_host=8), {}, asyncio.Event()

    async def hang() -> bool:
        counter["hung"] = counter.get("hung", 0) + 1
        await asyncio.Event().wait()
        return True

    schedule.add([Job(hang, every=0.001, host="a"), Job(counted(counter, "b", done), every=0.001)])
    async with running(schedule):
        await asyncio.wait_for(done.wait(), 10)
    assert counter["hung"] == 1


async def test_no_more_than_the_limit_of_one_host_run_at_once_and_all_get_their_turn() -> None:
    schedule = Schedule(per_host=2, rng=random.Random(1))
    now, most, ran, done = 0, 0, set(), asyncio.Event()

    def job(number: int) -> Callable[[], Awaitable[bool]]:
        async def run() -> bool:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            ran.add(number)
            if len(ran) == 10:
                done.set()
            return True

        return run

    schedule.add(Job(job(number), every=0.001, host="one") for number in range(10))
    async with running(schedule):
        await asyncio.wait_for(done.wait(), 10)
    assert most <= 2


async def test_a_full_host_does_not_hold_up_another() -> None:
    schedule, counter, done = Schedule(per_host=1), {}, asyncio.Event()

    async def hang() -> bool:
        await asyncio.Event().wait()
        return True

    schedule.add([Job(hang, every=0.001, host="slow") for _ in range(20)])
    schedule.add([Job(counted(counter, "fast", done), every=0.001, host="fast")])
    async with running(schedule):
        await asyncio.wait_for(done.wait(), 10)


async def test_a_job_that_raises_is_logged_with_its_traceback_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    schedule, calls, done = Schedule(), [], asyncio.Event()

    async def broken() -> bool:
        calls.append(1)
        if len(calls) > 1:
            done.set()
        raise RuntimeError("a bug")

    schedule.add([Job(broken, every=0.001)])
    async with running(schedule):
        await asyncio.wait_for(done.wait(), 10)
    assert "RuntimeError: a bug" in caplog.text


async def test_a_cancelled_job_ends_at_once_and_never_starts_again() -> None:
    schedule, counter, done = Schedule(), {}, asyncio.Event()
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> bool:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return True

    hung = Job(hang, every=0.001, host="a")
    schedule.add([hung])
    async with running(schedule):
        await asyncio.wait_for(started.wait(), 10)
        schedule.cancel([hung])
        await asyncio.wait_for(ended.wait(), 10)
        started.clear()
        schedule.add([Job(counted(counter, "b", done, 5), every=0.001)])
        await asyncio.wait_for(done.wait(), 10)
    assert not started.is_set()


async def test_a_job_that_a_library_cancels_is_a_failure_and_is_tried_again() -> None:
    schedule, calls, done = Schedule(), [], asyncio.Event()

    async def cancelled_from_below() -> bool:
        calls.append(1)
        if len(calls) > 1:
            done.set()
        raise asyncio.CancelledError

    job = Job(cancelled_from_below, every=0.001)
    schedule.add([job])
    async with running(schedule):
        await asyncio.wait_for(done.wait(), 10)
        assert job.failures >= 1


async def test_ending_the_schedule_ends_what_runs() -> None:
    schedule, started, ended = Schedule(), asyncio.Event(), asyncio.Event()

    async def hang() -> bool:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return True

    schedule.add([Job(hang, every=0.001)])
    async with running(schedule):
        await asyncio.wait_for(started.wait(), 10)
    assert ended.is_set()


async def test_a_faster_pace_does_not_wait_for_the_old_one() -> None:
    schedule, counter, done, first = Schedule(), {}, asyncio.Event(), asyncio.Event()
    run = counted(counter, "a", done)

    async def told() -> bool:
        first.set()
        return await run()

    job = Job(told, every=1000.0)
    schedule.add([job])  # the first run comes at once, as nothing else needs its turn
    async with running(schedule):
        await asyncio.wait_for(first.wait(), 10)
        job.pace(0.001)
        await asyncio.wait_for(done.wait(), 10)
    assert counter["a"] >= 3


async def test_a_job_whose_pace_changes_while_it_runs_is_never_started_twice() -> None:
    schedule, running_now, most = Schedule(), 0, 0
    done, gate = asyncio.Event(), asyncio.Event()

    async def run() -> bool:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        job.pace(0.001 if gate.is_set() else 0.002)
        gate.set()
        await asyncio.sleep(0.002)
        running_now -= 1
        runs.append(1)
        if len(runs) >= 20:
            done.set()
        return True

    runs: list[int] = []
    job = Job(run, every=0.01)
    schedule.add([job])
    async with running(schedule):
        await asyncio.wait_for(done.wait(), 10)
    assert most == 1


async def test_a_cancelled_job_is_let_go_of_long_before_it_would_have_been_due() -> None:
    class Held:
        async def run(self) -> bool:
            return True

    schedule, held = Schedule(rng=random.Random(1)), Held()
    here = weakref.ref(held)
    jobs = [Job(held.run, every=3600.0)]
    schedule.add(jobs)
    schedule.cancel(jobs)
    jobs.clear()
    del held
    gc.collect()
    assert here() is None


async def test_of_jobs_that_are_slow_together_few_run_and_the_others_wait_in_line() -> None:
    schedule, started, enough = Schedule(per_host=2, in_flight=4), [], asyncio.Event()
    hang = asyncio.Event()

    async def slow() -> bool:
        started.append(1)
        await hang.wait()
        return True

    counter: dict[str, int] = {}
    many = [Job(slow, every=0.001, host="the worker", gives_way=False) for _ in range(50)]
    schedule.add([*many, Job(counted(counter, "other", enough, runs=50), every=0.03)])
    async with running(schedule):
        await asyncio.wait_for(enough.wait(), 20)  # longer than a slow run keeps its place
        assert len(started) == 2
        hang.set()
