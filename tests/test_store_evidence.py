"""Evidence in the store: its state is never ahead of its log, and a replay finds all it needs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgres_server import postgres_server
from seamwatch.errors import Reason, StoreError
from seamwatch.evidence import Case, Event, Standing, Terms
from seamwatch.freshness import Publication
from seamwatch.pipeline import Verdict
from seamwatch.store import (
    Asked,
    Checkpoint,
    EventRow,
    Evidence,
    EvidenceRow,
    Finding,
    Pass,
    Published,
    Row,
    Store,
    TermsRow,
    probe_of,
    restored_case,
)
from seamwatch.store.queue import Queue
from stores import journal, new_database, opened


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/seamwatch.db"
    return await new_database(request.getfixturevalue("server"))


def probe(n: int | None, *, pipeline: str = "rag", at: float | None = None) -> Asked:
    """Return the n-th probe that evidence took: every seventh an error, every fifth focused."""
    number = n or 0
    x = None if number % 7 == 0 else 1 / (number + 2)
    verdict = Verdict.ERROR if x is None else Verdict.WRONG
    return Asked(
        pipeline,
        "d1",
        f"q{number}",
        verdict,
        x,
        "m-1",
        float(number) if at is None else at,
        1,
        number,
        ordinal=n,
        slice="s1" if number % 2 else "",
        item_class="solid" if number % 3 else "flaky",
        focused=number % 5 == 0,
        x=x,
        purpose="focus" if number % 5 == 0 else "pass",
    )


def terms(since: int = 0, *, digest: str = "t1", pipeline: str = "rag") -> TermsRow:
    return TermsRow(pipeline, digest, '{"limit": 1e6}', since, 0.5)


def state(n: int, *, by: str = "t1", pipeline: str = "rag") -> EvidenceRow:
    return EvidenceRow(pipeline, "d1", by, n, f'{{"r": [{1 / 3 + n!r}]}}', float(n))


def checkpoint(n: int, *, by: str = "t1", pipeline: str = "rag") -> Checkpoint:
    return Checkpoint(pipeline, by, n, f'{{"r": [{n}]}}')


def event(n: int, what: str, *, by: str = "t1", pipeline: str = "rag") -> EventRow:
    return EventRow(pipeline, n, float(n), what, 0.25, by, '{"why": "\u2028"}')


def many(first: int, last: int, **options: Any) -> list[Asked]:
    return [probe(n, **options) for n in range(first, last + 1)]


async def log(store: Store, after: int = 0, **options: Any) -> list[Asked]:
    return [row async for rows in store.load_log("rag", after, **options) for row in rows]


# What is kept


async def test_evidence_comes_back_as_terms_state_and_what_came_after(url: str) -> None:
    async with opened(url) as store:
        assert await store.load_evidence("rag") == Evidence(None, None, [], [])
        await store.save([terms(), *many(1, 9)])
        assert await store.load_evidence("rag") == Evidence(terms(), None, many(1, 9), [])
        await store.save([state(3), terms(pipeline="other"), state(9, pipeline="other")])
        later = [event(6, "halt"), event(8, "resume")]
        await store.save([state(6), event(5, "suspect"), *later])
        found = await store.load_evidence("rag")
        assert found == Evidence(terms(), state(6), many(7, 9), later)
        assert (found.ordinal, found.missing) == (9, 0)


async def test_new_terms_leave_the_old_state_and_the_old_log_behind(url: str) -> None:
    async with opened(url) as store:
        await store.save([terms(), *many(1, 5), state(5), checkpoint(5), event(5, "halt")])
        await store.save([terms(5, digest="t2")])
        found = await store.load_evidence("rag")
        assert found == Evidence(terms(5, digest="t2"), None, [], [])
        assert found.ordinal == 5
        await store.save([terms(5, digest="t3"), *many(6, 7)])  # nobody was judged by t2
        found = await store.load_evidence("rag")
        assert found == Evidence(terms(5, digest="t3"), None, many(6, 7), [])
        await store.save([terms(7)])  # back to the first: their old state is not of now
        assert await store.load_evidence("rag") == Evidence(terms(7), None, [], [])
        assert await store.load_terms("rag") == [terms(), terms(5, digest="t3"), terms(7)]


async def test_without_terms_the_log_still_says_where_ordinals_go_on(url: str) -> None:
    async with opened(url) as store:
        await store.save([*many(1, 5), probe(None), state(5), probe(9, pipeline="other")])
        found = await store.load_evidence("rag")
        assert (found.terms, found.state, found.tail) == (None, None, [])
        assert (found.ordinal, found.missing) == (5, 0)


async def test_a_lost_state_is_made_up_for_by_the_newest_checkpoint(url: str) -> None:
    async with opened(url) as store:
        await store.save([terms(), *many(1, 9), checkpoint(3), checkpoint(6)])
        found = await store.load_evidence("rag")
        assert found.state is not None
        assert (found.state.ordinal, found.state.state) == (6, checkpoint(6).state)
        assert found.tail == many(7, 9)


async def test_probes_that_were_given_up_are_counted_as_missing(url: str) -> None:
    async with opened(url) as store:
        await store.save([terms(), state(3), *many(6, 9)])
        found = await store.load_evidence("rag")
        assert (found.ordinal, found.missing) == (9, 2)


async def test_the_log_comes_back_bit_for_bit_in_chunks_of_any_size(url: str) -> None:
    async with opened(url) as store:
        rows = many(1, 40)
        await store.save([*rows[20:], *rows[:20], probe(None, at=77.5)])
        await store.save(many(1, 3, pipeline="other"))
        for chunk in (1, 7, 40, 41):
            assert await log(store, chunk=chunk) == rows
        assert await log(store, 33) == rows[33:]
        assert [len(one) async for one in store.load_log("rag", chunk=30)] == [30, 10]
        assert [one async for one in store.load_log("nobody")] == []


async def test_a_window_is_of_all_probes_or_of_those_of_a_pass(url: str) -> None:
    async with opened(url) as store:
        await store.save(many(1, 12))
        assert await store.load_window("rag", "d1", 4) == many(9, 12)
        of_passes = await store.load_window("rag", "d1", 4, purpose="pass")
        assert [one.ordinal for one in of_passes] == [8, 9, 11, 12]
        assert await store.load_window("rag", "d1", 4, purpose="focus") == [probe(5), probe(10)]


async def test_events_and_findings_come_back(url: str) -> None:
    events = [event(3, "suspect"), event(5, "halt"), event(5, "ticket"), event(5, "resume")]
    async with opened(url) as store:
        for _ in range(2):  # an attempt of which nobody knows whether it succeeded
            await store.save([*events, event(1, "halt", pipeline="other")])
        assert await store.load_events("rag") == events
        assert await store.load_events("rag", limit=2) == events[2:]
        assert await store.load_events("rag", from_ordinal=5, limit=None) == events[1:]
        await store.save([Finding("rag", 1.0, "{}"), Finding("other", 1.0, "[]")])
        await store.save([Finding("rag", 2.0, '{"top": "index"}')])
        assert await store.load_findings() == {
            "rag": Finding("rag", 2.0, '{"top": "index"}'),
            "other": Finding("other", 1.0, "[]"),
        }


# Restoring a case


def test_a_case_goes_on_over_missing_probes_and_over_a_resume_in_the_tail() -> None:
    halted = Terms(limit=100.0, floor=0.9)
    row = TermsRow("rag", halted.digest, json.dumps(halted.to_json()), 1_000, 0.0)
    case = Case(halted)
    tail = []
    for n in range(1_001, 1_031):
        tail.append(replace(probe(n), x=0.0, slice="", item_class="", focused=False))
        if case.take(probe_of(tail[-1])) == (Event.HALT,):
            at = n
    assert case.halted
    never_resumed = restored_case(Evidence(row, None, tail, []))
    assert never_resumed is not None
    assert never_resumed.state() == case.state()

    resume = EventRow("rag", at, 1.0, "resume", None, halted.digest)
    running = restored_case(Evidence(row, None, tail[: at - 1_000], [resume]))
    assert running is not None
    assert running.standing is Standing.RUNNING
    again = restored_case(Evidence(row, None, tail, [event(1_001, "halt"), resume]))
    assert again is not None
    assert again.state() != case.state()

    text = json.dumps(running.state())
    after = EvidenceRow("rag", "d", halted.digest, at, text, 1.0)
    for seen in ([], [resume]):  # the state is from after the resume, or tells nothing of it
        same = restored_case(Evidence(row, after, tail[at - 1_000 :], seen))
        assert same is not None
        assert same.state() == again.state()

    gap = restored_case(Evidence(row, after, tail[-2:], []))
    assert gap is not None
    assert gap.ordinal == again.ordinal == 30
    assert restored_case(Evidence(None, None, [], [])) is None


@pytest.mark.parametrize(
    ("text", "state_text"),
    [
        ("{", None),
        ('{"limit": 100.0}', None),
        ('{"limit": 100.0, "floor": 0.9, "of_a_later_version": 1}', None),
        ('{"limit": 100.0, "floor": 0.9}', '{"version": 99}'),
        ('{"limit": 100.0, "floor": 0.9}', "[]"),
        ('{"limit": 0, "floor": 0.9}', '{"version": 1}'),
    ],
)
def test_evidence_that_cannot_be_used_says_of_which_pipeline(
    text: str, state_text: str | None
) -> None:
    kept = EvidenceRow("rag", "d1", "t1", 1, state_text, 0.0) if state_text is not None else None
    with pytest.raises(StoreError, match="the evidence of pipeline rag cannot be used") as caught:
        restored_case(Evidence(TermsRow("rag", "t1", text, 0, 0.0), kept, [], []))
    assert caught.value.reason is Reason.BAD_CONTRACT


# Pruning


async def test_pruning_keeps_what_a_replay_from_the_oldest_checkpoint_needs(url: str) -> None:
    checkpoints = [checkpoint(n) for n in range(10, 100, 10)]
    async with opened(url) as store:
        await store.save([probe(None, at=0.5)])  # no evidence took this one
        await store.save([terms(), *many(1, 95), *checkpoints, state(95), event(3, "halt")])
        await store.save([probe(None, at=96.0)])
        assert await store.prune(before=57.0, configured={"rag"}) == 1 + 50 + 4
        assert await log(store) == many(51, 95)
        assert await store.load_checkpoint("rag") == checkpoint(50)
        assert await store.load_checkpoint("rag", 51) == checkpoint(60)
        assert await store.load_checkpoint("rag", 91) is None
        assert await store.prune(before=57.0, configured={"rag"}) == 0
        assert await store.prune(before=1e9, configured={"rag"}) == 1 + 40 + 4
        found = await store.load_evidence("rag")
        assert found == Evidence(terms(), state(95), [], [])
        assert await log(store) == many(91, 95)
        assert await store.load_events("rag") == [event(3, "halt")]


async def test_a_replay_can_begin_with_terms_as_well(url: str) -> None:
    async with opened(url) as store:
        await store.save([terms(), *many(1, 30), checkpoint(10), terms(20, digest="t2")])
        assert await store.prune(before=9.0, configured={"rag"}) == 0
        assert await log(store) == many(1, 30)  # no replay could begin behind the first of them
        assert await store.prune(before=25.0, configured={"rag"}) == 20 + 1
        assert await log(store) == many(21, 30)
        assert await store.load_checkpoint("rag") is None
        assert await store.load_terms("rag") == [terms(), terms(20, digest="t2")]


async def test_pruning_goes_through_a_long_log_in_pieces(url: str) -> None:
    async with opened(url) as store:
        await store.save([terms(), *many(1, 5_000), checkpoint(4_900)])
        assert await store.prune(before=4_950.0, configured={"rag"}) == 4_900
        assert await log(store) == many(4_901, 5_000)


async def test_a_jump_of_the_clock_keeps_more_of_the_log_never_less(url: str) -> None:
    async with opened(url) as store:
        await store.save([terms(), *many(1, 20), checkpoint(10), checkpoint(20)])
        await store.save([probe(21, at=1e9), *many(22, 40), checkpoint(30), checkpoint(40)])
        await store.prune(before=35.0, configured={"rag"})
        assert [one.ordinal for one in await log(store)] == list(range(21, 41))


async def test_of_a_pipeline_that_is_gone_evidence_terms_events_and_findings_stay(
    url: str,
) -> None:
    finding = Finding("rag", 1.0, "{}")
    async with opened(url) as store:
        await store.save([terms(), *many(1, 25), checkpoint(10), state(24), event(3, "halt")])
        await store.save([finding, Pass("rag", "d1", 1, 1), probe(None, at=3.5)])
        assert await store.prune(before=1e6, configured=()) == 1 + 1 + 24 + 1
        assert await log(store) == many(25, 25)
        assert await store.load_checkpoint("rag") == Checkpoint("rag", "t1", 24, state(24).state)
        found = await store.load_evidence("rag")
        assert found == Evidence(terms(), state(24), many(25, 25), [])
        assert await store.load_events("rag") == [event(3, "halt")]
        assert await store.load_findings() == {"rag": finding}
        assert await store.load_passes() == {}
        assert await store.prune(before=1e6, configured=()) == 0


# The journal


async def test_evidence_terms_and_events_are_given_up_last(tmp_path: Path) -> None:
    home = tmp_path / "later"
    url = f"sqlite:///{home}/seamwatch.db"
    async with journal(url, limit=10) as one:
        one.put(terms(), state(0))
        for n in range(1, 41):
            one.put(probe(n), state(n), *([event(n, "halt")] if n == 3 else []))
        one.put(Finding("rag", 1.0, "{}"))
        assert (one.state.pending, one.state.dropped) == (10, 34)
        home.mkdir()
        assert await one.flush()
        async with opened(url) as store:
            assert await store.load_evidence("rag") == Evidence(terms(), state(40), [], [])
            assert await store.load_events("rag") == [event(3, "halt")]
            assert await log(store) == many(35, 40)


async def test_a_probe_that_no_database_takes_is_given_up_without_its_state(url: str) -> None:
    async with journal(url, batch=4) as one:
        one.put(terms(), state(0))
        for n in range(1, 10):
            bad = replace(probe(n), item_id="\ud800") if n == 5 else probe(n)
            one.put(bad, state(n))
        assert await one.flush()
        assert one.state.dropped == 1
        async with opened(url) as store:
            assert await store.load_evidence("rag") == Evidence(terms(), state(9), [], [])
            assert await log(store) == many(1, 4) + many(6, 9)


class Disk:
    """What is written of a queue, and whether that may be so."""

    def __init__(self) -> None:
        self.queue = Queue()
        self.probes: dict[str, list[int]] = {"a": [], "b": []}
        self.states = {"a": 0, "b": 0}
        self.together: dict[tuple[str, int | None], list[Asked]] = {}

    def put(self, probes: list[Asked], others: list[Row]) -> None:
        self.together |= {(one.pipeline, one.ordinal): probes for one in probes}
        last = {one.pipeline: one.ordinal or 0 for one in probes}
        states = [state(n, pipeline=name) for name, n in last.items()]
        self.queue.put([*others, *probes, *states])

    def write(self, limit: int) -> None:
        batch = self.queue.batch(limit)
        for one in batch:
            match one.row:
                case Asked(pipeline=name, ordinal=int(n)):
                    self.probes[name].append(n)
                case EvidenceRow(pipeline=name, ordinal=n):
                    self.states[name] = n
        self.queue.remove(batch)
        self.check(limit)

    def check(self, limit: int) -> None:
        for name, written in self.probes.items():
            assert written == list(range(1, len(written) + 1))
            assert self.states[name] <= len(written)
            if written and limit > LARGEST_GROUP:
                last = self.together[name, written[-1]]
                assert all((one.ordinal or 0) <= len(self.probes[one.pipeline]) for one in last)


LARGEST_GROUP = 9  # six probes or publications, two states


@given(
    groups=st.lists(st.lists(st.sampled_from("abp"), min_size=1, max_size=6), max_size=20),
    sizes=st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 5, 10, 12, 99]), min_size=1, max_size=30),
)
def test_no_state_is_ever_written_before_a_probe_that_it_counts(
    groups: list[list[str]], sizes: list[int]
) -> None:
    """Pipelines a and b take probes, p publishes; batches of any size, or none for a while."""
    disk = Disk()
    counts = {"a": 0, "b": 0}
    size = itertools.cycle([*sizes, 99])
    for group in groups:
        probes = []
        for name in group:
            if name != "p":
                counts[name] += 1
                probes.append(probe(counts[name], pipeline=name))
        again = Published("a", "s", Publication("v", 1.0, 1.0))
        disk.put(probes, [again] * group.count("p"))
        if limit := next(size):
            disk.write(limit)
    while len(disk.queue) > 0:
        disk.write(99)
    assert disk.states == counts
    assert {name: len(written) for name, written in disk.probes.items()} == counts
