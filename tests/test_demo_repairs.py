"""The demo's repairs are real: each wins back what healing its fault wins back, and nothing else.

Every sixth golden item is asked in-process, through the gateway, the cache and the threshold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import combinations

import pytest

from seamwatch.demo.answer import FALLBACK, PLAIN, PRIMARY, Reply, Route
from seamwatch.demo.assembly import Assembly
from seamwatch.demo.facts import load
from seamwatch.demo.faults import FAULTS, THE_STORY
from seamwatch.demo.questions import questions
from seamwatch.demo.repairs import REPAIRED_BY, REPAIRS, together

CALLED = [name for name in FAULTS if name != "wrong-threshold"]  # repaired by another call


class Small:
    """The pipeline, with a sixth of the golden set."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.golden = questions(assembly.facts, golden=True)[::6]
        self.broken: set[str] = set()

    def put(self, *broken: str) -> None:
        for name, fault in FAULTS.items():
            if (name in broken) != (name in self.broken):
                (fault.break_it if name in broken else fault.heal)(self.assembly)
        self.broken = set(broken)
        self.assembly.run_jobs(now=time.time())

    def ask(self, route: Route = PLAIN) -> list[Reply]:
        return [self.assembly.answer(one.text, route) for one in self.golden]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(Assembly(load(), tmp_path_factory.mktemp("demo"), started=time.time()))


@pytest.fixture
def pipeline(made: Small) -> Iterator[Small]:
    made.put()
    yield made
    made.put()


@pytest.mark.parametrize("broken", CALLED)
def test_a_repair_answers_as_the_healed_pipeline_does_while_its_fault_stays(
    pipeline: Small, broken: str
) -> None:
    healthy = pipeline.ask()
    pipeline.put(broken)
    before = pipeline.ask()
    assert before != healthy
    assert pipeline.ask(REPAIRS[REPAIRED_BY[broken]].route) == healthy
    assert pipeline.ask() == before


@pytest.mark.parametrize(
    "pair", [one for one in combinations(FAULTS, 2) if set(one) != {"late-data", "empty-success"}]
)
def test_of_two_faults_each_repair_undoes_its_own_only(
    pipeline: Small, pair: tuple[str, str]
) -> None:
    for mine, other in (pair, pair[::-1]):
        if mine in CALLED:
            pipeline.put(other)
            healed = pipeline.ask()
            pipeline.put(mine, other)
            assert pipeline.ask(REPAIRS[REPAIRED_BY[mine]].route) == healed


def test_repairs_combine_to_the_healthy_pipeline(pipeline: Small) -> None:
    healthy = pipeline.ask()
    without_threshold = [name for name in THE_STORY if name != "wrong-threshold"]
    pipeline.put(*without_threshold, "embedding-skew", "fallback-model")
    route = together([*without_threshold, "embedding-skew", "fallback-model"]).route
    assert pipeline.ask(route) == healthy


def test_no_repair_changes_an_answer_of_the_healthy_pipeline(pipeline: Small) -> None:
    healthy = pipeline.ask()
    for repair in REPAIRS.values():
        assert pipeline.ask(repair.route) == healthy


def test_the_candidate_and_the_score_tell_what_another_threshold_would_answer(
    pipeline: Small,
) -> None:
    healthy = pipeline.ask()
    threshold = pipeline.assembly.decision.tuning.threshold
    pipeline.put("wrong-threshold")
    again = [reply.candidate if reply.score >= threshold else "abstain" for reply in pipeline.ask()]
    assert again == [reply.label for reply in healthy]


def test_the_fallback_has_no_candidate_because_no_threshold_was_applied(pipeline: Small) -> None:
    pipeline.put("fallback-model")
    assert {(reply.answered_by, reply.candidate) for reply in pipeline.ask()} == {(FALLBACK, None)}
    priority = pipeline.ask(REPAIRS["fallback-model"].route)
    assert {reply.answered_by for reply in priority} == {PRIMARY}


def test_each_repair_blames_another_stage() -> None:
    blamed = [repair.blames for repair in REPAIRS.values()]
    assert len(set(blamed)) == len(blamed) == 5
    assert set(REPAIRED_BY) == set(FAULTS)
