"""Retuning promises: a threshold is chosen by other items than the one that it judges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seamwatch.config.threshold import ThresholdSection
from seamwatch.errors import Reason
from seamwatch.pipeline import Answer, Failure, GoldenItem, Judged, Task
from seamwatch.scoring import Rules, judge
from seamwatch.watch.retuning import KEPT, Fork, Retuning
from seamwatch.watch.worker import Worker

RULES = Rules(Task.MULTICLASS)
RIGHT, WRONG = (1.0, 0.0, True, False), (0.0, 1.0, False, True)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def retuning(worker: Worker, **section: object) -> Retuning:
    settings = ThresholdSection.model_validate({"stage": "decision"} | section)
    return Retuning(settings, RULES, score="verdict", worker=worker)


def filled(made: Retuning, count: int = 40, *, best: float = 0.5) -> None:
    """Tell of items with scores from 0 to 1; answering is right from *best* on."""
    for n in range(count):
        score = n / (count - 1)
        made.heard(f"q-{n}", Fork(score, *(RIGHT if score >= best else WRONG)))


def judged(expected: object, **answer: object) -> Judged:
    return judge(GoldenItem("q", {}, expected), Answer(**answer), RULES, at=0)  # type: ignore[arg-type]


def test_an_answer_that_was_declined_is_worth_its_candidate_under_a_lower_threshold(
    worker: Worker,
) -> None:
    made = retuning(worker)
    fork = made.fork(judged("yes", refused=True, candidate="yes", score=0.4))
    assert fork is not None
    assert (fork.under(0.3), fork.under(0.4), fork.under(0.5)) == (1.0, 1.0, 0.0)


def test_declining_is_right_where_nothing_should_be_said(worker: Worker) -> None:
    fork = retuning(worker).fork(judged(None, value="yes", candidate="yes", score=0.4))
    assert fork is not None
    assert (fork.under(0.3), fork.under(0.5)) == (0.0, 1.0)


def test_no_threshold_changes_an_answer_without_a_score(worker: Worker) -> None:
    fork = retuning(worker).fork(judged("yes", value="yes"))
    assert fork is not None
    assert (fork.under(-9.0), fork.under(9.0)) == (1.0, 1.0)


def test_a_failure_is_no_answer_under_any_threshold(worker: Worker) -> None:
    failed = judged("yes", failure=Failure(Reason.TIMEOUT, "late"))
    assert retuning(worker).fork(failed) is None


async def test_the_threshold_lies_where_the_answers_turn_right(worker: Worker) -> None:
    made = retuning(worker)
    filled(made, best=0.5)
    assert await made.threshold("q-3", {}) == pytest.approx(0.5, abs=0.02)


async def test_an_item_has_no_say_in_the_threshold_that_it_is_judged_by(worker: Worker) -> None:
    chosen = set()
    for own in (RIGHT, WRONG):
        made = retuning(worker)
        filled(made)
        made.heard("mine", Fork(0.49, *own))
        chosen.add(await made.threshold("mine", {"mine": Fork(0.49, *own)}))
        chosen.add(await made.threshold("mine", {}))
    assert len(chosen) == 1


async def test_answers_with_the_same_repairs_replace_the_plain_ones(worker: Worker) -> None:
    made = retuning(worker)
    filled(made, best=0.5)
    repaired = {f"q-{n}": Fork(n / 39, *RIGHT) for n in range(10, 40)}
    assert await made.threshold("q-39", repaired) == pytest.approx(0.25, abs=0.02)


async def test_the_objective_is_that_of_the_section(worker: Worker) -> None:
    made = retuning(worker, objective="cost", wrong=1.0, declined=5.0)
    for n in range(40):  # half of the answers are wrong at every score
        made.heard(f"q-{n}", Fork(n / 39, 0.0, 0.0, right=n % 2 == 0, declined_right=False))
    assert (await made.threshold("q-0", {}) or 1.0) < 0.05


async def test_too_few_scores_choose_no_threshold(worker: Worker) -> None:
    made = retuning(worker)
    filled(made, 30)
    made.heard("scoreless", Fork(float("inf"), *RIGHT))
    assert not made.is_ready
    assert await made.threshold("q-3", {}) is None
    filled(made, 31)
    assert made.is_ready


def test_only_the_newest_answers_are_kept(worker: Worker) -> None:
    made = retuning(worker)
    filled(made, KEPT + 50)
    filled(made, KEPT + 50)
    assert made.heard_of == KEPT
