"""A case is driven by answers in the order asked, at the pace it asks for, and never by a judge
that is wrong."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from seamwatch.config.gate import GateSection
from seamwatch.errors import Reason
from seamwatch.evidence import Case, Event, Standing, terms
from seamwatch.golden import GoldenSet
from seamwatch.models import AdaptiveLimit, Budget
from seamwatch.pipeline import Answer, Failure, GoldenItem, Judged, Task, Verdict
from seamwatch.scoring import Known, Rules
from seamwatch.store import Checkpoint, EvidenceRow, Journal, Store
from seamwatch.watch.answers import Answers
from seamwatch.watch.casework import Casework, Taken
from seamwatch.watch.ledger import catch_up, kept, restore, resume_rows, rows_of, terms_rows
from seamwatch.watch.probing import Passes, Probing

NOW = 1_700_000_000.0
RULES = Rules(Task.MULTICLASS)
ITEMS = tuple(GoldenItem(f"q{n}", f"question {n}", "yes", slice=f"s{n % 4}") for n in range(40))
GOLDEN = GoldenSet("d1", Task.MULTICLASS, ITEMS, {f"s{n}": 10 for n in range(4)})


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def casework(clock: Clock, *, rules: Rules = RULES, **gate: object) -> Casework:
    weighed = terms(
        probes_per_year=1e6, max_false_halts_per_year=1.0, floor=0.9, slices=GOLDEN.slices
    )
    section = GateSection.model_validate({"floor": 0.9} | gate)
    return Casework(
        terms=weighed,
        gate=section,
        every=10.0,
        score="verdict",
        rules=rules,
        digest=GOLDEN.digest,
        items=ITEMS,
        clock=clock,
        where={"pipeline": "answers"},
    )


def taken(verdict: Verdict, n: int = 0) -> Taken:
    failed = verdict in (Verdict.ERROR, Verdict.TIMEOUT)
    answer = Answer(failure=Failure(Reason.TIMEOUT, "late")) if failed else Answer(value="x")
    credit = None if failed else float(verdict is Verdict.CORRECT)
    return Taken(Judged(ITEMS[n % 40], answer, verdict, credit, NOW + n), 1, n, False)


def feed(case: Casework, verdict: Verdict, count: int) -> list[Event]:
    return [event for n in range(count) for event in case.take(taken(verdict, n)).events]


def test_wrong_answers_make_it_suspect_then_halt_and_the_pace_ten_times_faster() -> None:
    case = casework(Clock())
    assert (case.pace, feed(case, Verdict.WRONG, 7)) == (10.0, [Event.SUSPECT])
    assert case.pace == 1.0
    assert feed(case, Verdict.WRONG, 1) == [Event.HALT]
    assert case.state(now=NOW).standing is Standing.HALTED
    assert case.pace == 1.0


def test_stale_refused_and_invalid_answers_count_against_it_errors_and_timeouts_do_not() -> None:
    for verdict in (Verdict.STALE, Verdict.REFUSED, Verdict.INVALID):
        assert Event.HALT in feed(casework(Clock()), verdict, 8)
    case = casework(Clock())
    assert feed(case, Verdict.ERROR, 500) + feed(case, Verdict.TIMEOUT, 500) == []
    assert case.state(now=NOW).ratios["floor"] == 0.0


def test_recovery_is_proven_once_and_ends_nothing_until_the_gate_says_so() -> None:
    clock = Clock()
    case = casework(clock)
    feed(case, Verdict.WRONG, 8)
    assert feed(case, Verdict.CORRECT, 400) == [Event.RECOVERING, Event.RECOVERED]
    clock.now += 86400
    assert feed(case, Verdict.CORRECT, 1) == []
    assert case.resume() == (Event.RESUME,)
    assert case.state(now=clock.now).standing is Standing.RUNNING


def test_a_case_that_is_not_halted_begins_anew_when_the_gate_says_so() -> None:
    case = casework(Clock())
    feed(case, Verdict.WRONG, 7)
    assert case.resume() == ()
    assert (case.state(now=NOW).standing, case.ordinal) == (Standing.RUNNING, 7)
    assert case.state(now=NOW).ratios["floor"] == 0.0


def test_silence_makes_it_stale_and_lifts_no_halt() -> None:
    clock = Clock()
    case = casework(clock)
    feed(case, Verdict.WRONG, 8)
    clock.now += 100
    assert not case.state(now=clock.now).is_stale
    feed(case, Verdict.TIMEOUT, 3)
    clock.now += 1
    state = case.state(now=clock.now)
    assert (state.is_stale, state.standing) == (True, Standing.HALTED)


def test_a_judge_that_is_wrong_makes_it_stale_and_no_answer_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = (Known(GoldenItem("c", "", "yes"), Answer(value="yes"), Verdict.WRONG, 3),)
    case = replace(casework(Clock()), known=known)
    case.check_judge(1)
    assert feed(case, Verdict.WRONG, 100) == []
    state = case.state(now=NOW)
    assert (state.is_stale, state.judges_right, case.ordinal) == (True, False, 0)
    assert "the canary of line 3 is judged correct, not wrong" in caplog.text
    case.known = ()
    case.check_judge(2)
    assert case.state(now=NOW).judges_right


def test_an_answer_schema_that_no_expected_answer_fits_is_a_broken_judge() -> None:
    case = casework(Clock(), rules=replace(RULES, json_schema={"type": "number"}))
    case.check_judge(1)
    assert not case.judges_right


class SlowWhenWrong:
    """A model whose wrong answers take longer than its right ones."""

    host, version = "model:1", None

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def ask(self, item: GoldenItem, *, timeout: float) -> Answer:
        wrong = int(item.id[1:]) < 20
        if wrong:
            await self.release.wait()
        return Answer(value="no" if wrong else "yes")

    def check(self, item: GoldenItem) -> None:
        """Every item can be asked."""


def probing(model: SlowWhenWrong, case: Casework) -> Probing:
    return Probing(
        golden=GOLDEN,
        rules=RULES,
        client=model,
        passes=Passes(GOLDEN, rng=random.Random(3)),
        limit=AdaptiveLimit(64),
        budget=Budget(),
        answers=Answers(40, RULES),
        timeout=5,
        clock=case.clock,
        casework=case,
    )


async def test_answers_become_evidence_in_the_order_asked_however_long_each_takes() -> None:
    model = SlowWhenWrong()
    asks = probing(model, casework(Clock()))
    heard: list[Taken] = []
    asks.answered = lambda _, one: heard.append(one)
    for _ in range(40):
        await asks.probe()
    for _ in range(5):
        await asyncio.sleep(0)
    early = len(heard)
    model.release.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert early < 40  # right answers after the first wrong one waited for it
    assert [one.position for one in heard] == list(range(40))
    assert [one.ordinal for one in heard] == list(range(1, 41))


async def test_a_kill_forgets_nothing_and_another_configuration_begins_anew(
    tmp_path: Path,
) -> None:
    clock, url = Clock(), f"sqlite:///{tmp_path}/s.db"
    case = casework(clock)
    asks = probing(SlowWhenWrong(), case)
    journal = Journal(url)
    journal.put(*terms_rows("answers", case, digest="d1"))
    for n in range(1_205):
        one = case.take(taken(Verdict.WRONG if n % 40 == 0 else Verdict.CORRECT, n))
        journal.put(*rows_of("answers", asks, one))
    assert await journal.flush()
    feed(case, Verdict.WRONG, 5)  # never written: a kill loses what nobody was told
    store = await Store.open(url)
    found = await kept(store, "answers")
    again = casework(clock)
    assert restore(again, found)
    assert again.ordinal == 1_205
    expected = casework(clock)
    for n in range(1_205):
        expected.take(taken(Verdict.WRONG if n % 40 == 0 else Verdict.CORRECT, n))
    assert again.case.state() == expected.case.state()
    other = casework(clock, rules=replace(RULES, refusals=("no",)))
    assert not restore(other, found)
    assert (other.ordinal, other.case.ordinal) == (1_205, 0)
    await store.close()
    await journal.close()


async def test_a_halt_and_the_resume_after_it_are_there_after_a_kill(tmp_path: Path) -> None:
    clock, url = Clock(), f"sqlite:///{tmp_path}/s.db"
    case = casework(clock)
    asks = probing(SlowWhenWrong(), case)
    journal = Journal(url)
    journal.put(*terms_rows("answers", case, digest="d1"))
    told: list[Event] = []
    for n in range(600):
        clock.now += 1
        one = case.take(taken(Verdict.WRONG if n < 8 else Verdict.CORRECT, n))
        told += one.events
        journal.put(*rows_of("answers", asks, one))
        if Event.RECOVERED in one.events:
            told += (events := case.resume())
            journal.put(*resume_rows("answers", case, events, digest="d1"))
    assert await journal.flush()
    assert told == [
        Event.SUSPECT, Event.HALT, Event.RECOVERING, Event.RECOVERED, Event.RESUME,
    ]  # fmt: skip
    store = await Store.open(url)
    assert [row.event for row in await store.load_events("answers")] == told
    again = casework(clock)
    assert restore(again, await kept(store, "answers"))
    assert again.case.state() == case.case.state()
    await store.close()
    await journal.close()


async def test_other_terms_forget_the_evidence_and_not_the_halt(tmp_path: Path) -> None:
    clock, url = Clock(), f"sqlite:///{tmp_path}/s.db"
    case = casework(clock)
    asks = probing(SlowWhenWrong(), case)
    journal = Journal(url)
    journal.put(*terms_rows("answers", case, digest="d1"))
    for n in range(8):
        journal.put(*rows_of("answers", asks, case.take(taken(Verdict.WRONG, n))))
    assert await journal.flush()
    stored = await Store.open(url)
    for rules in (replace(RULES, refusals=("no",)), replace(RULES, refusals=("no", "none"))):
        other = casework(clock, rules=rules)  # twice, as nothing may come in between
        assert not restore(other, await kept(stored, "answers"))
        assert other.state(now=NOW).standing is Standing.HALTED
        journal.put(*terms_rows("answers", other, digest="d1"))
        assert await journal.flush()
    assert feed(other, Verdict.CORRECT, 400) == [Event.RECOVERING, Event.RECOVERED]
    await stored.close()
    await journal.close()


async def test_a_halt_that_the_store_tells_late_stands(tmp_path: Path) -> None:
    clock, url = Clock(), f"sqlite:///{tmp_path}/s.db"
    before = casework(clock)
    asks = probing(SlowWhenWrong(), before)
    journal = Journal(url)
    journal.put(*terms_rows("answers", before, digest="d1"))
    for n in range(8):
        journal.put(*rows_of("answers", asks, before.take(taken(Verdict.WRONG, n))))
    assert await journal.flush()
    late = casework(clock)
    late.is_recalled = False  # the store could not be read at the start
    late_asks = probing(SlowWhenWrong(), late)
    for n in range(50):
        one = late.take(taken(Verdict.CORRECT, n))
        assert one.ordinal is None
        journal.put(*rows_of("answers", late_asks, one))
    assert list(terms_rows("answers", late, digest="d1")) == []
    assert await journal.flush()
    store = await Store.open(url)
    catch_up(late, await kept(store, "answers"))
    assert late.state(now=NOW).standing is Standing.HALTED
    assert (late.ordinal, late.is_recalled) == (8, True)
    await store.close()
    await journal.close()


async def test_a_halt_stands_although_nobody_can_read_the_state_behind_it(tmp_path: Path) -> None:
    clock, url = Clock(), f"sqlite:///{tmp_path}/s.db"
    case = casework(clock)
    asks = probing(SlowWhenWrong(), case)
    journal = Journal(url)
    journal.put(*terms_rows("answers", case, digest="d1"))
    for n in range(8):
        clock.now += 1
        journal.put(*rows_of("answers", asks, case.take(taken(Verdict.WRONG, n))))
    other = EvidenceRow("answers", "d1", case.key, 8, '{"version": 99}', NOW)
    journal.put(other)
    assert await journal.flush()
    store = await Store.open(url)
    again, late = casework(clock), casework(clock)
    assert not restore(again, await kept(store, "answers"))
    late.is_recalled = False
    catch_up(late, await kept(store, "answers"))
    for one in (again, late):
        state = one.state(now=clock.now)
        assert (state.standing, state.since, one.ordinal) == (Standing.HALTED, NOW + 7, 8)
    assert feed(again, Verdict.CORRECT, 400)[:2] == [Event.RECOVERING, Event.RECOVERED]
    await store.close()
    await journal.close()


def test_terms_that_do_not_begin_with_nothing_have_a_checkpoint_to_replay_from() -> None:
    case = casework(Clock())
    assert not any(isinstance(row, Checkpoint) for row in terms_rows("a", case, digest="d1"))
    feed(case, Verdict.WRONG, 8)
    other = casework(Clock(), rules=replace(RULES, refusals=("no",)))
    other.take_over(case)
    (found,) = (row for row in terms_rows("a", other, digest="d1") if isinstance(row, Checkpoint))
    assert (found.ordinal, found.terms) == (8, other.key)
    assert Case.restored(other.terms, json.loads(found.state)).halted


def test_a_clock_that_is_set_back_does_not_hide_silence() -> None:
    clock = Clock()
    case = casework(clock)
    feed(case, Verdict.WRONG, 8)
    clock.now -= 86400
    assert case.is_stale(now=clock.now)
    feed(case, Verdict.CORRECT, 400)
    assert not case.is_stale(now=clock.now)


def test_other_terms_make_a_suspect_run_from_now_on() -> None:
    clock = Clock()
    case = casework(clock)
    feed(case, Verdict.WRONG, 7)
    clock.now += 60
    other = casework(clock, rules=replace(RULES, refusals=("no",)))
    other.take_over(case)
    state = other.state(now=clock.now)
    assert (state.standing, state.since) == (Standing.RUNNING, NOW + 60)


async def test_an_answer_that_cannot_be_handed_on_holds_up_none_behind_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = SlowWhenWrong()
    asks = probing(model, casework(Clock()))
    heard: list[int] = []

    def answered(_: Probing, one: Taken) -> None:
        if one.position == 3:
            raise ValueError("of no use")
        heard.append(one.position)

    asks.answered = answered
    model.release.set()
    for _ in range(8):
        await asks.probe()
    for _ in range(5):
        await asyncio.sleep(0)
    assert heard == [0, 1, 2, 4, 5, 6, 7]
    assert "could not be handed on" in caplog.text


async def test_where_no_label_of_the_doubted_slice_holds_the_pass_goes_on() -> None:
    clock, model = Clock(), SlowWhenWrong()
    model.release.set()
    over = tuple(replace(one, valid_until=NOW - 1) if one.slice == "s1" else one for one in ITEMS)
    asks = probing(model, casework(clock))
    asks.golden = replace(GOLDEN, items=over)
    asks.passes = Passes(asks.golden, rng=random.Random(1))
    assert asks.casework is not None
    asks.casework.focus = lambda: "s1"  # type: ignore[method-assign]
    heard: list[Taken] = []
    asks.answered = lambda _, one: heard.append(one)
    for _ in range(4):
        await asks.probe()
    for _ in range(5):
        await asyncio.sleep(0)
    assert [one.focused for one in heard] == [False] * 4


async def test_a_halt_while_the_store_is_away_is_among_the_events_when_it_is_back(
    tmp_path: Path,
) -> None:
    clock, url = Clock(), f"sqlite:///{tmp_path}/s.db"
    case = casework(clock)
    case.is_recalled = False
    for n in range(9):
        clock.now += 1
        case.take(taken(Verdict.WRONG, n))
    journal, store = Journal(url), await Store.open(url)
    catch_up(case, await kept(store, "answers"))
    for _ in range(2):  # a reload writes the terms again, and not the halt
        journal.put(*terms_rows("answers", case, digest="d1"))
    assert await journal.flush()
    (event,) = await store.load_events("answers")
    assert (event.event, event.at, event.ordinal) == (Event.HALT, NOW + 8, case.ordinal)
    again = casework(clock)
    assert restore(again, await kept(store, "answers"))
    assert again.state(now=clock.now).since == NOW + 8
    await store.close()
    await journal.close()
