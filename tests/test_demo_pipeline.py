"""The demo's pipeline is real: it can be broken while it runs, and its teams' pages stay green.

One pipeline process serves all tests of this file; each test starts from a healed one. Accuracy is
that of the whole golden set, asked at the real endpoint, and must be what docs/demo.md says.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from seamwatch.demo.example import STAGES
from seamwatch.demo.facts import load
from seamwatch.demo.faults import FAULTS, THE_STORY, expand
from seamwatch.demo.feed import Feed
from seamwatch.demo.ingest import Ingest
from seamwatch.demo.questions import golden_items, questions

DOCS = Path(__file__).parents[1] / "docs" / "demo.md"
DAY = 86400.0


class Pipeline:
    """A pipeline process, as curl sees it."""

    def __init__(self, folder: Path, addresses: dict[str, str]) -> None:
        self.folder = folder
        self.addresses = addresses
        self.client = httpx.Client(timeout=60)
        # thousands of questions: a bare connection takes a third of the time that httpx takes
        self._endpoint = HTTPConnection(urlsplit(addresses["answer"]).netloc, timeout=60)
        lines = (folder / "golden.jsonl").read_text(encoding="utf-8").splitlines()
        self.golden = [json.loads(line) for line in lines]

    def close(self) -> None:
        self.client.close()
        self._endpoint.close()

    def get(self, stage: str, page: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"{self.addresses[stage]}/{page}").json()
        return found

    def put(self, verb: str, *faults: str) -> httpx.Response:
        return self.client.post(
            f"{self.addresses['control']}/{verb}", json={"faults": list(faults)}
        )

    def ask(self, question: str, **headers: str) -> dict[str, Any]:
        return self.post({"question": question}, **headers)

    def post(self, asked: dict[str, str], **headers: str) -> dict[str, Any]:
        body = json.dumps(asked)
        self._endpoint.request(
            "POST", "/answer", body, {"Content-Type": "application/json", **headers}
        )
        answer: dict[str, Any] = json.loads(self._endpoint.getresponse().read())
        return answer

    def verdicts(self, *, each: int = 3, **headers: str) -> Counter[str]:
        """Ask each third item of the golden set and judge it with nothing but its row."""
        found: Counter[str] = Counter()
        for item in self.golden[::each]:
            label = self.ask(item["input"]["question"], **headers)["label"]
            if label == (item["expected"] or "abstain"):
                found["right"] += 1
            elif label in item.get("superseded", ()):
                found["stale"] += 1
            else:
                found["abstained" if label == "abstain" else "wrong"] += 1
        return found

    def accuracy(self) -> float:
        return self.verdicts(each=1)["right"] / len(self.golden)

    def health(self) -> dict[str, str]:
        return {stage: self.get(stage, "health")["status"] for stage in STAGES}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "seamwatch.demo.serve", str(folder)]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "pipeline.json").exists():
            assert child.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        found = Pipeline(folder, json.loads((folder / "pipeline.json").read_text())["addresses"])
        yield found
        found.close()
    finally:
        child.send_signal(signal.SIGTERM)
        code = child.wait(30)
    assert code == 0
    assert (folder / "log").read_text() == ""


@pytest.fixture
def pipeline(process: Pipeline) -> Pipeline:
    process.put("heal")
    return process


def documented() -> dict[str, float]:
    rows = re.findall(r"^\| `([a-z-]+)` \| ([0-9.]+) % \|", DOCS.read_text(), re.MULTILINE)
    return {name: float(figure) / 100 for name, figure in rows}


@pytest.mark.parametrize("state", ["nothing", *FAULTS, "all"])
def test_each_state_has_the_accuracy_that_the_docs_say_and_only_green_pages(
    pipeline: Pipeline, state: str
) -> None:
    if state != "nothing":
        pipeline.put("break", state)
    accuracy = pipeline.accuracy()
    assert accuracy == pytest.approx(documented()[state], abs=0.005)
    assert set(pipeline.health().values()) == {"ok"}


def test_the_story_falls_from_94_to_71_percent_and_each_fault_alone_is_visible() -> None:
    figures = documented()
    assert 0.93 <= figures["nothing"] <= 0.955
    assert 0.695 <= figures["all"] <= 0.73
    assert all(figures[name] <= figures["nothing"] - 0.04 for name in FAULTS)
    assert figures["all"] < min(figures[name] for name in THE_STORY)


def test_healing_brings_back_every_answer(pipeline: Pipeline) -> None:
    before = pipeline.verdicts()
    pipeline.put("break", *FAULTS)
    assert pipeline.get("control", "status")["broken"] == list(FAULTS)
    assert pipeline.verdicts() != before
    pipeline.put("heal")
    assert pipeline.get("control", "status")["broken"] == []
    assert pipeline.verdicts() == before


def test_faults_add_up_to_the_same_in_any_order(pipeline: Pipeline) -> None:
    for name in reversed(THE_STORY):
        pipeline.put("break", name)
    assert pipeline.accuracy() == pytest.approx(documented()["all"], abs=0.005)


def test_late_data_shows_in_the_watermark_and_not_in_the_job(pipeline: Pipeline) -> None:
    healthy = pipeline.get("ingest", "meta")
    assert time.time() - healthy["watermark"] < 60
    pipeline.put("break", "late-data")
    late = pipeline.get("ingest", "meta")
    assert late["status"] == "ok"
    assert time.time() - late["updated_at"] < 60
    assert (time.time() - late["watermark"]) / DAY == pytest.approx(372, abs=0.01)
    assert late["version"].startswith("web-features@3.0.0+")
    index = json.loads((pipeline.folder / "index.json").read_text())
    assert index["built_from"]["ingest"] == late["version"]
    assert pipeline.verdicts()["stale"] > 10


def test_a_stale_cache_shows_in_its_watermark_and_in_stale_answers_that_a_bypass_wins_back(
    pipeline: Pipeline,
) -> None:
    fresh = pipeline.verdicts()
    pipeline.put("break", "stale-cache")
    cache = pipeline.get("cache", "meta")
    assert (time.time() - cache["watermark"]) / DAY == pytest.approx(509, abs=0.01)
    assert time.time() - cache["updated_at"] < 60
    stale = pipeline.verdicts()
    assert stale["stale"] > fresh["stale"] + 5
    assert pipeline.verdicts(**{"Cache-Control": "no-cache"}) == fresh


def test_a_wrong_threshold_shows_in_what_it_was_tuned_on_and_abstains_too_often(
    pipeline: Pipeline,
) -> None:
    served = pipeline.get("embedding", "meta")["version"]
    healthy = pipeline.get("decision", "meta")
    assert healthy["tuned_on"] == {"embedding": served}
    before = pipeline.verdicts()["abstained"]
    pipeline.put("break", "wrong-threshold")
    wrong = pipeline.get("decision", "meta")
    assert wrong["tuned_on"]["embedding"] != served
    assert wrong["settings"]["threshold"] > healthy["settings"]["threshold"] + 0.2
    assert pipeline.verdicts()["abstained"] > before + 12
    # Its team has every reason to be content.
    assert pipeline.get("decision", "health")["practice_accuracy"] > 0.97


def test_embedding_skew_shows_in_what_the_index_was_built_from_and_dimensions_still_fit(
    pipeline: Pipeline,
) -> None:
    before = pipeline.get("embedding", "meta")
    index = pipeline.get("index", "meta")
    assert index["built_from"]["embedding"] == before["version"]
    pipeline.put("break", "embedding-skew")
    after = pipeline.get("embedding", "meta")
    assert after["version"] != before["version"]
    assert after["settings"] == before["settings"]
    assert pipeline.get("index", "meta")["built_from"]["embedding"] == before["version"]


def test_empty_success_loses_rows_and_its_watermark_stands_while_the_job_goes_on(
    pipeline: Pipeline,
) -> None:
    whole = pipeline.get("ingest", "meta")
    pipeline.put("break", "empty-success")
    first = pipeline.get("ingest", "meta")
    pipeline.put("break", "empty-success")  # runs the jobs once more
    second = pipeline.get("ingest", "meta")
    assert whole["rows"] == 1204
    assert second["rows"] == first["rows"] < 1204 - 100
    assert second["status"] == "ok"
    assert second["updated_at"] > first["updated_at"]
    assert second["watermark"] == first["watermark"]
    assert second["version"] != whole["version"]


def test_a_fallback_answers_under_the_asked_name_and_says_so_only_in_answered_by(
    pipeline: Pipeline,
) -> None:
    declared = pipeline.get("answer", "meta")["version"]
    assert pipeline.ask("can I use anchor positioning")["answered_by"] == declared
    pipeline.put("break", "fallback-model")
    assert pipeline.get("answer", "meta")["version"] == declared
    assert pipeline.ask("can I use anchor positioning")["answered_by"] != declared


def test_the_shadow_deployment_answers_from_the_newest_release_while_the_mirror_stands_still(
    pipeline: Pipeline,
) -> None:
    questions_now = [item["input"]["question"] for item in pipeline.golden[::10]]
    healthy = [pipeline.ask(question) for question in questions_now]
    pipeline.put("break", "late-data")
    shadow = f"{pipeline.addresses['shadow']}/answer"
    said = [pipeline.client.post(shadow, json={"question": one}).json() for one in questions_now]
    assert said == healthy
    assert [pipeline.ask(question) for question in questions_now] != healthy


def test_a_question_can_be_encoded_as_the_index_was(pipeline: Pipeline) -> None:
    questions_now = [item["input"]["question"] for item in pipeline.golden[::10]]
    healthy = [pipeline.ask(question) for question in questions_now]
    pipeline.put("break", "embedding-skew")
    assert [pipeline.post({"question": one, "encoder": "index"}) for one in questions_now] == (
        healthy
    )
    assert [pipeline.ask(question) for question in questions_now] != healthy


def test_a_priority_question_gets_the_slot_that_is_kept_for_it(pipeline: Pipeline) -> None:
    healthy = pipeline.ask("can I use anchor positioning")
    pipeline.put("break", "fallback-model")
    asked = {"question": "can I use anchor positioning", "tier": "priority"}
    assert pipeline.post(asked) == healthy
    assert pipeline.ask("can I use anchor positioning") != healthy


@pytest.mark.parametrize("field", ["encoder", "tier"])
def test_an_unknown_choice_gets_a_400_that_lists_the_known_ones(
    pipeline: Pipeline, field: str
) -> None:
    answer = pipeline.client.post(
        f"{pipeline.addresses['answer']}/answer", json={"question": "?", field: "golden"}
    )
    assert answer.status_code == 400
    assert field in answer.text
    assert {"encoder": "index", "tier": "priority"}[field] in answer.text


def test_jobs_run_on_their_own_and_move_the_watermark(pipeline: Pipeline) -> None:
    first = pipeline.get("ingest", "meta")
    deadline = time.monotonic() + 30
    while (second := pipeline.get("ingest", "meta"))["watermark"] == first["watermark"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert second["version"] == first["version"]


def test_the_cache_counts_hits_misses_and_bypasses(pipeline: Pipeline) -> None:
    def counts() -> tuple[int, int, int]:
        page = pipeline.get("cache", "health")
        return page["hits"], page["misses"], page["bypassed"]

    hits, misses, bypassed = counts()
    question = f"is the number {time.time_ns()} supported"
    pipeline.ask(question)
    pipeline.ask(question)
    pipeline.ask(question, **{"Cache-Control": "no-cache"})
    assert counts() == (hits + 1, misses + 1, bypassed + 1)


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"{}", '{"question": "..."}'), (b'{"question": ""}', "1000"), (b"[1", "not JSON")],
)
def test_a_bad_question_gets_a_400_that_says_what_to_send(
    pipeline: Pipeline, body: bytes, says: str
) -> None:
    answer = pipeline.client.post(
        f"{pipeline.addresses['answer']}/answer",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400
    assert says in answer.text
    assert set(pipeline.health().values()) == {"ok"}


def test_an_unknown_fault_is_refused_with_the_known_names(pipeline: Pipeline) -> None:
    answer = pipeline.put("break", "late-data", "gremlins")
    assert answer.status_code == 400
    assert "gremlins" in answer.text
    assert "embedding-skew" in answer.text
    assert pipeline.get("control", "status")["broken"] == []


def test_a_web_page_cannot_break_the_demo_behind_the_browsers_back(pipeline: Pipeline) -> None:
    answer = pipeline.client.post(
        f"{pipeline.addresses['control']}/break",
        content=b'{"faults": ["all"]}',
        headers={"Content-Type": "text/plain"},
    )
    assert answer.status_code == 415


def test_every_label_and_superseded_answer_is_a_fact_of_a_release(process: Pipeline) -> None:
    facts = load()
    newest = facts.statuses[facts.newest]
    assert facts.newest == "3.40.0"
    about_features = [item for item in process.golden if item["slice"] != "off-topic"]
    assert len(about_features) == 602
    for item in about_features:
        assert item["expected"] == newest[item["id"]]
        said = {statuses.get(item["id"]) for statuses in facts.statuses.values()}
        assert set(item["superseded"]) == said - {item["expected"], None}


def test_the_golden_set_is_the_same_in_every_run_and_shares_nothing_with_practice() -> None:
    facts = load()
    assert golden_items(facts) == golden_items(load())
    golden, practice = (questions(facts, golden=half) for half in (True, False))
    assert not {one.about for one in golden if one.about} & {one.about for one in practice}
    off_topic = [{one.text for one in half if one.about is None} for half in (golden, practice)]
    assert off_topic[0]
    assert not off_topic[0] & off_topic[1]


def test_the_ingest_page_turns_red_when_its_job_fails(tmp_path: Path) -> None:
    ingest = _ingest(tmp_path)
    ingest.run(now=1000.0)
    assert ingest.health(now=1001.0)["status"] == "ok"
    ingest.feed.mirror = "a release that was never published"
    ingest.run(now=1003.0)
    assert ingest.health(now=1004.0)["status"] == "failing"
    assert ingest.meta()["status"] == "failed"


def test_the_ingest_page_turns_red_when_its_job_no_longer_runs(tmp_path: Path) -> None:
    ingest = _ingest(tmp_path)
    ingest.run(now=1000.0)
    assert ingest.health(now=1060.0)["status"] == "failing"


def test_an_ingest_that_moves_to_an_older_release_leaves_no_row_of_the_newer_one(
    tmp_path: Path,
) -> None:
    ingest = _ingest(tmp_path)
    facts = ingest.feed.facts
    for release in (facts.newest, "2.36.0", "3.10.0", facts.newest):
        ingest.feed.mirror = release
        ingest.run(now=1000.0)
        assert ingest.documents()[1] == facts.documents(release)


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["all"], list(THE_STORY)),
        (["wrong-threshold", "late-data"], ["late-data", "wrong-threshold"]),
        (["all", "fallback-model", "all"], [*THE_STORY, "fallback-model"]),
    ],
)
def test_all_means_the_three_faults_of_the_story(names: list[str], meant: list[str]) -> None:
    assert list(expand(names)) == meant


def _ingest(folder: Path) -> Ingest:
    return Ingest(folder / "documents.db", Feed(load(), started=1000.0))
