"""``seamwatch demo``: one command runs it, another breaks it, and nothing is left when it ends."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from seamwatch.demo.blame import Blame, Evidence, Suspect, Threshold
from seamwatch.demo.example import STAGES, configuration
from seamwatch.demo.exposed import Page
from seamwatch.demo.questions import canaries
from seamwatch.demo.screen import picture, svg
from seamwatch.demo.seen import Seen, StageSeen, TeamPage, Users
from seamwatch.demo.words import block, note, span, verdict

SLOW = 120.0  # seconds; a loaded machine is no failure


class Demo:
    """A demo that runs in *folder*, and the commands to go with it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.out = folder.parent / f"{folder.name}.out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                command("--state-dir", folder, "--port", port), stdout=out, stderr=out
            )

    def metrics(self) -> Page:
        return Page(httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text)

    def address(self, name: str) -> str:
        found: str = json.loads((self.folder / "demo.json").read_text())["addresses"][name]
        return found

    def front(self) -> dict[str, Any]:
        """Return what users get."""
        said: dict[str, Any] = httpx.get(f"{self.address('front')}/status", timeout=10).json()
        return said

    def say(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words, "--state-dir", self.folder), capture_output=True, text=True
        )

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SLOW
        while not holds():
            assert self.process.poll() is None, self.out.read_text()
            assert time.monotonic() < deadline, self.out.read_text()
            time.sleep(0.2)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "seamwatch", "demo", *map(str, words)]


def free_port() -> int:
    """Return the first of ten free ports, below those that systems give out on their own."""
    while True:
        first = random.randrange(20_000, 30_000)
        if not any(map(in_use, range(first, first + 10))):
            return first


def in_use(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def living_in(folder: Path) -> list[int]:
    """Return the processes whose working directory is *folder*."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if (process / "cwd").readlink() == folder:
                    found.append(int(process.name))
            except OSError:
                continue
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    running = Demo(folder, free_port())
    try:
        running.until((folder / "demo.json").exists)
        yield running
    finally:
        code = running.stop()
    assert code == 0, running.out.read_text()
    assert living_in(folder) == []
    assert not any(map(in_use, range(running.port, running.port + 10)))
    assert "Traceback" not in running.out.read_text()
    assert "level=error" not in (folder / "exporter.log").read_text()


def test_the_story_is_silent_to_the_teams_and_loud_in_metrics(demo: Demo, tmp_path: Path) -> None:
    demo.until(lambda: demo.metrics().one("golden_accuracy_ratio", bound="estimate") is not None)
    demo.until(lambda: demo.metrics().one("pipeline_silent_failure") == 0)
    healthy = demo.say("status").stdout
    assert "broken: nothing" in healthy

    said = demo.say("break", "all")
    assert said.returncode == 0, said.stderr
    assert [line.split()[1] for line in said.stdout.splitlines()[:-1]] == [
        "late-data",
        "stale-cache",
        "wrong-threshold",
    ]
    demo.until(lambda: demo.metrics().one("pipeline_silent_failure") == 1)
    page = demo.metrics()
    assert {value for _, value in page.all("stage_healthy")} == {1}
    assert len(page.all("stage_healthy")) == 6
    demo.until(lambda: demo.metrics().one("pipeline_target_met", slo="accuracy") == 0)
    demo.until(lambda: demo.metrics().one("pipeline_target_met", slo="freshness") == 0)
    demo.until(lambda: demo.metrics().one("seam_tuning_skew", downstream="decision") == 1)

    def told() -> bool:
        """Whether one page says all three at once: the age, the seam that lags, the skew."""
        page = demo.metrics()
        watermark = page.one("pipeline_watermark_timestamp_seconds")
        lag = page.one("seam_lag_seconds", upstream="index", downstream="cache")
        skew = page.one("seam_tuning_skew", upstream="embedding", downstream="decision")
        return (
            watermark is not None
            and (time.time() - watermark) / 86400 == pytest.approx(509, abs=0.1)
            and lag == pytest.approx((509 - 372) * 86400, abs=3600)
            and skew == 1
        )

    demo.until(told)
    demo.until(lambda: (demo.metrics().one("golden_answers_total", verdict="stale") or 0) > 0)

    demo.until(lambda: demo.front()["allowed"] is False)
    broken = demo.say("status").stdout
    assert broken.count("says ok   |") == 6
    assert "SILENT FAILURE" in broken
    picture = tmp_path / "demo.svg"
    assert demo.say("snapshot", "--svg", picture).returncode == 0
    held = demo.front()
    assert held["reason"].startswith("accuracy is proven to be under its floor of 91.0%")
    said = httpx.post(f"{demo.address('front')}/ask", json={"question": "?"}, timeout=10)
    assert (said.status_code, said.headers["Retry-After"]) == (503, "5")
    assert said.json() == {"error": f"not answering: {held['reason']}"}
    demo.until(lambda: demo.front()["total"]["held back"] > held["total"]["held back"] + 8)
    after = demo.front()
    assert (after["allowed"], after["total"]["wrong"]) == (False, held["total"]["wrong"])
    assert "users get   NO ANSWERS for " in demo.say("status").stdout

    drawn = " ".join(ElementTree.parse(picture).getroot().itertext()).replace("\xa0", " ")
    assert "SILENT FAILURE" in drawn
    assert "509 d" in drawn

    assert demo.say("heal").stdout == "healed\n"
    demo.until(lambda: demo.metrics().one("pipeline_silent_failure") == 0)
    demo.until(lambda: demo.front()["allowed"] is True)
    answered = demo.front()["total"]["right"]
    demo.until(lambda: demo.front()["total"]["right"] > answered)
    assert "broken: nothing" in demo.say("status").stdout
    log = httpx.get(f"http://127.0.0.1:{demo.port}/v1/gates/feature-answers/events").text
    events = [json.loads(line) for line in log.splitlines()]
    gate = [(one["event"], one["actor"]) for one in events if one["event"] in ("halt", "resume")]
    assert gate == [("halt", "seamwatch"), ("resume", "seamwatch")]  # nobody had to do anything


def test_no_stage_skews_or_ages_while_nothing_is_broken(demo: Demo) -> None:
    demo.say("heal")
    demo.until(lambda: demo.metrics().one("pipeline_target_met", slo="freshness") == 1)

    def skews() -> list[float]:
        page = demo.metrics()
        found = page.all("seam_version_skew") + page.all("seam_tuning_skew")
        return [value for _, value in found]

    demo.until(lambda: not any(skews()))
    assert len(skews()) >= 3


def test_it_prints_blocks_where_there_is_no_terminal(demo: Demo) -> None:
    demo.until(lambda: demo.out.read_text().count("broken: nothing") >= 1)
    text = demo.out.read_text()
    assert f"http://127.0.0.1:{demo.port}/metrics" in text
    assert "\x1b" not in text


def test_a_second_demo_in_the_same_folder_is_refused(demo: Demo) -> None:
    second = subprocess.run(
        command("--state-dir", demo.folder, "--port", free_port()), capture_output=True, text=True
    )
    assert second.returncode == 2
    assert "already running" in second.stderr
    assert demo.process.poll() is None
    assert demo.say("status").returncode == 0


def test_a_port_in_use_is_named_before_anything_starts(demo: Demo, tmp_path: Path) -> None:
    second = subprocess.run(
        command("--state-dir", tmp_path / "other", "--port", demo.port - 2),
        capture_output=True,
        text=True,
    )
    assert second.returncode == 2
    assert f"port {demo.port} is in use" in second.stderr
    assert "--port" in second.stderr
    assert not (tmp_path / "other").exists()


def test_an_unknown_fault_is_answered_with_the_known_ones(demo: Demo) -> None:
    said = demo.say("break", "gremlins")
    assert said.returncode == 2
    assert "no such fault: gremlins" in said.stderr
    assert "stale-cache" in said.stderr


@pytest.mark.parametrize("words", [["break", "all"], ["heal"], ["status"]])
def test_without_a_demo_the_other_commands_say_how_to_start_one(
    tmp_path: Path, words: list[str]
) -> None:
    said = subprocess.run(command(*words, "--state-dir", tmp_path), capture_output=True, text=True)
    assert said.returncode == 2
    assert f"no demo is running in {tmp_path}" in said.stderr
    assert "seamwatch demo" in said.stderr


def test_a_folder_of_somebody_elses_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    said = subprocess.run(
        command("--state-dir", tmp_path, "--port", free_port()), capture_output=True, text=True
    )
    assert said.returncode == 2
    assert "thesis.tex" in said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_ctrl_c_while_starting_leaves_nothing_behind(tmp_path: Path) -> None:
    early = Demo(tmp_path / "early", free_port())
    early.until(lambda: bool(living_in(tmp_path / "early")))
    assert early.stop(signal.SIGINT) == 0
    assert living_in(tmp_path / "early") == []
    assert "Traceback" not in early.out.read_text()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the children")
def test_a_killed_demo_takes_its_processes_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    killed = Demo(folder, free_port())
    killed.until((folder / "demo.json").exists)
    assert len(living_in(folder)) >= 2
    os.kill(killed.process.pid, signal.SIGKILL)
    killed.process.wait()
    deadline = time.monotonic() + SLOW
    while living_in(folder):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # What it left is no demo: the next one may start there.
    said = killed.say("status")
    assert "no demo is running" in said.stderr


def test_the_written_configuration_passes_check(tmp_path: Path) -> None:
    named = (*STAGES, "shadow")
    addresses = {name: f"http://127.0.0.1:{port}" for port, name in enumerate(named, 1)}
    (tmp_path / "seamwatch.yaml").write_text(configuration(addresses, port=10064))
    (tmp_path / "golden.jsonl").write_text(
        json.dumps({"id": "a", "input": {"question": "?"}, "expected": "widely"}) + "\n"
    )
    (tmp_path / "canary.jsonl").write_text(json.dumps(canaries()[0]) + "\n")
    said = subprocess.run(
        [sys.executable, "-m", "seamwatch", "check", tmp_path / "seamwatch.yaml"],
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def seen(**changes: object) -> Seen:
    """Return a healthy look at two stages, with *changes*."""
    healthy: dict[str, object] = {
        "at": 0.0,
        "broken": (),
        "pages": (
            TeamPage("ingest", "data", "ok", "exit 0"),
            TeamPage("answer", "platform", "ok", "0% errors"),
        ),
        "stages": {
            "ingest": StageSeen(3.0, 20.0, 2.0, (), None),
            "answer": StageSeen(5.0, None, None, (), None),
        },
        "exporter_answers": True,
        "accuracy": (0.94, 0.91, 0.96),
        "accuracy_target": 0.92,
        "slices": {"steady": 0.95},
        "window": 300.0,
        "data_age": 5.0,
        "data_age_limit": 45.0,
        "verdicts": {"correct": 282.0, "stale": 0.0},
        "declared": "nearest-document-2",
        "met": {"accuracy": True, "freshness": True},
        "silent_failure": False,
        "evidence": Evidence("running", 0.1, 0.2, None, 0.91, 0.94),
    }
    return Seen(**{**healthy, **changes})  # type: ignore[arg-type]


def test_what_is_unknown_is_called_unknown_on_the_screen() -> None:
    text = block(
        seen(
            stages={name: StageSeen(None, None, None, (), None) for name in ("ingest", "answer")},
            accuracy=None,
            slices={},
            verdicts={},
            data_age=None,
            met={},
            silent_failure=None,
        )
    )
    assert text.count("data age unknown") == 2
    assert "accuracy    unknown, no answers yet" in text
    assert "data age    unknown" in text
    assert "too few answers" in text


def test_an_exporter_that_does_not_answer_is_not_called_well() -> None:
    gone = seen(exporter_answers=False, silent_failure=None, accuracy=None, met={})
    assert "does not answer" in verdict(gone)


def test_a_stage_that_is_not_green_is_not_called_silent() -> None:
    red = seen(pages=(TeamPage("ingest", "data", "failing", "exit 1"),))
    assert verdict(red) == "a stage says itself that it is not well"


def test_an_accuracy_under_its_target_is_not_called_well_while_chance_may_explain_it() -> None:
    low = seen(accuracy=(0.91, 0.87, 0.94), met={"freshness": True})
    assert "under its target" in verdict(low)
    assert verdict(seen()) == "end to end is well"


def test_another_model_under_the_asked_name_is_shown_where_it_answers() -> None:
    stages = {
        "ingest": StageSeen(3.0, 20.0, 2.0, (), None),
        "answer": StageSeen(5.0, None, None, (), None, answered_by=("names-only-1",)),
    }
    assert "names-only-1 answers in its name" in block(seen(stages=stages))
    assert "in its name" not in block(seen())


@pytest.mark.parametrize(
    ("missed", "words"),
    [
        ({"freshness": False, "accuracy": True}, "data too old"),
        ({"accuracy": False, "freshness": True}, "answers wrong"),
        (
            {"accuracy": False, "freshness": False},
            "answers wrong, data too old",
        ),
        ({"availability": False}, "no answers"),
    ],
)
def test_the_sentence_says_what_is_missed_and_no_more(missed: dict[str, bool], words: str) -> None:
    sentence = verdict(seen(silent_failure=True, met=missed))
    assert sentence == f"SILENT FAILURE: every stage says ok; {words}"


LATE = Suspect("late-data", "data", 0.100, 0.081, 0.119, top=True)
TUNED = Suspect("wrong-threshold", "product", 0.098, 0.079, 0.117, top=True)
CACHE = Suspect("stale-cache", "platform", 0.029, 0.016, 0.042, top=False)
SMALL = Suspect("embedding-skew", "ml", 0.0, -0.001, 0.001, top=False)
OTHER = Suspect("unexplained", "", 0.012, 0.001, 0.023, top=False)
HALTED = Evidence("halted", 1.0, 0.0, 0.25, 0.91, 0.94)


def test_users_are_shown_what_they_get() -> None:
    recent = {"right": 51, "wrong": 8, "declined": 1, "held back": 0, "failed": 0}
    text = block(seen(users=Users(True, 40.0, None, recent)))
    assert "users get   last 15 s: 51 right, 8 wrong, 1 declined\n" in text
    held = block(seen(users=Users(False, 70.0, None, {"wrong": 2, "held back": 58})))
    assert (
        "users get   NO ANSWERS for 1 min: 503 and why, not a wrong answer   last 15 s: 2" in held
    )
    again = block(seen(users=Users(True, 20.0, 63.0, recent)))
    assert "1 declined   (answered again for 20 s, after 1 min without)" in again
    assert "users get" not in block(seen())


def test_suspects_are_shown_with_team_share_and_interval_and_small_ones_are_left_out() -> None:
    decided = Blame("decided", 90.0, False, (LATE, CACHE, SMALL, OTHER))
    text = block(seen(evidence=HALTED, blame=decided))
    assert "evidence    HALTED" in text
    assert "late-data (data)           10.0 points  (8.1 to 11.9)" in text
    assert "stale-cache (platform)     2.9 points  (1.6 to 4.2)" in text
    assert "unexplained                1.2 points  (0.1 to 2.3)" in text
    assert "embedding-skew" not in text


def test_suspects_of_a_case_that_is_over_are_called_the_past() -> None:
    text = block(seen(blame=Blame("decided", 90.0, True, (LATE,))))
    assert "past case   late-data (data)" in text
    assert "suspects" not in text


def test_a_tie_and_what_nobody_explains_are_called_what_they_are() -> None:
    tie = seen(evidence=HALTED, blame=Blame("undecided", 90.0, False, (LATE, TUNED, CACHE)))
    assert "undecided between late-data and wrong-threshold" in block(tie)
    nobody = seen(evidence=HALTED, blame=Blame("unexplained", 90.0, False, (OTHER,)))
    assert "unexplained: no repair wins back what is lost" in block(nobody)


def test_circumstantial_suspects_are_named_as_such_and_only_without_measured_ones() -> None:
    hints = (("decision", "product", "tuned_on_another_version"),)
    text = block(seen(blame=Blame(circumstantial=hints)))
    assert "decision (product)         circumstantial: tuned on another version" in text
    assert "circumstantial" not in block(seen(blame=Blame("decided", 90.0, False, (LATE,), hints)))


def test_evidence_says_how_far_a_halt_is_and_nothing_without_a_gate() -> None:
    assert "evidence    running  10 % of the way to a halt, 20 % to a ticket" in block(seen())
    suspect = block(seen(evidence=Evidence("suspect", 0.6, 0.9, None, 0.91, 0.94)))
    assert "SUSPECT  60 % of the way to a halt" in suspect
    assert "evidence" not in block(seen(evidence=Evidence()))


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (StageSeen(3.0, 20.0, 2.0, (), None), ""),
        (StageSeen(30.0, 20.0, 2.0, (), None), "over its limit of 20 s"),
        (StageSeen(3e7, 20.0, 2.0, (), None), "old data, fresh job"),
        (StageSeen(3e7, None, 2.0, (), "index"), "older than index, fresh job"),
        (StageSeen(3.0, None, None, ("tuned on another x",), None), "tuned on another x"),
        (StageSeen(None, 20.0, 2.0, (), None), ""),
        (StageSeen(3.0, 20.0, 2.0, (), None, 1053.0, 1204.0), "151 rows gone"),
        (StageSeen(3.0, 20.0, 2.0, (), None, 1204.0, 1204.0), ""),
        (
            StageSeen(3.0, None, None, (), None, threshold=Threshold(0.64, 0.25, 0.1, 0.08)),
            "0.64 costs 10.0 points",
        ),
        (
            StageSeen(3.0, None, None, (), None, threshold=Threshold(0.3, 0.25, 0.003, -0.01)),
            "",
        ),
    ],
)
def test_a_stages_note_names_its_own_fault_only(stage: StageSeen, words: str) -> None:
    assert note(stage) == words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (0.2, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (2.7e7, "312 d")],
)
def test_spans_are_written_for_people(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def worst() -> Seen:
    """Return a look at the story's three faults, with six stages and all there is to show."""
    old = StageSeen(3e7, 20.0, 2.0, (), None, 1093.0, 1204.0)
    stages = dict.fromkeys(STAGES, old) | {
        "decision": StageSeen(
            3e7, None, None, ("tuned on another embedding",), None,
            threshold=Threshold(0.64, 0.25, 0.1, 0.08),
        ),
    }  # fmt: skip
    return seen(
        broken=("late-data", "stale-cache", "wrong-threshold"),
        pages=tuple(TeamPage(name, "platform", "ok", "exit 0") for name in STAGES),
        stages=stages,
        accuracy=(0.71, 0.67, 0.74),
        met={"accuracy": False, "freshness": False},
        silent_failure=True,
        users=Users(allowed=False, since=12.0, held_for=None, recent={"wrong": 9, "held back": 40}),
        evidence=HALTED,
        blame=Blame("undecided", 90.0, False, (LATE, TUNED, CACHE, OTHER)),
    )


def drawn(look: Seen, width: int, height: int) -> list[str]:
    """Return the lines of the screen."""
    from rich.console import Console

    with Path(os.devnull).open("w") as nowhere:
        console = Console(width=width, height=height, record=True, file=nowhere)
        console.print(picture(look, width=width, height=height))
        return console.export_text().splitlines()


@pytest.mark.parametrize("look", [seen(broken=("late-data",)), worst()])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 50), (120, 24), (120, 40), (200, 60)])
def test_the_screen_fits_every_terminal_with_the_verdict_first(
    look: Seen, width: int, height: int
) -> None:
    lines = drawn(look, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for words in (verdict(look), "accuracy", "94.0 %" if len(look.broken) == 1 else "71.0 %"):
        assert text.index(words) < text.index("each team")
    assert "each team" in text
    assert "seamwatch see" in text
    assert "demo heal" in text


def test_suspects_are_on_the_smallest_screen() -> None:
    text = "\n".join(drawn(worst(), 80, 24))
    assert "HALTED" in text
    assert "undecided between late-data and wrong-threshold" in text
    assert "late-data (data)           10.0 points  (8.1 to 11.9)" in text


def test_the_picture_loads_nothing_from_anywhere() -> None:
    drawn = svg(seen())
    addresses = set(re.findall(r"https?://[^\s\"')]+", drawn))
    assert addresses <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert "@import" not in drawn
    assert "url(http" not in drawn
