"""``seamwatch golden bless`` asks a real model, keeps its score, and never loses a better one."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live_model import Answering, Model, command
from seamwatch import golden
from seamwatch.cli import bless
from seamwatch.cli.asking import Subject, subjects
from seamwatch.cli.blesscard import compare
from seamwatch.config import load
from seamwatch.errors import GoldenError
from seamwatch.evidence import Blessing
from seamwatch.golden import blessed
from seamwatch.pipeline import Answer, GoldenItem, Judged, Task, Verdict
from seamwatch.scoring import Rules

CONFIG = """
teams: {{ml: {{}}}}
pipelines:
  support:
    owner: ml
    stages:
      ingest: {{team: ml, kind: source}}
      answer: {{team: ml, kind: model, after: ingest}}
    model:
      http:
        url: {url}
        json: {{question: "{{{{ input.question }}}}"}}
        answer: label
        score: score
        answered_by: version
{model}
    golden: {{file: golden.jsonl, task: multiclass{golden}}}
{rest}
"""
GATE = "    gate: {floor_below_baseline: 5%}\n"
FLAKY = {3, 7}
HOPELESS = {5}


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answering], Model]]:
    monkeypatch.setattr(bless, "PAUSE", 0.0)
    models: list[Model] = []

    def start(answering: Answering) -> Model:
        models.append(Model(answering))
        return models[-1]

    yield start
    for model in models:
        model.close()


def world(
    folder: Path, url: str, *, items: int = 40, model: str = "", rest: str = GATE, golden: str = ""
) -> Path:
    (folder / "seamwatch.yaml").write_text(
        CONFIG.format(url=url, model=model, rest=rest, golden=golden)
    )
    rows = (
        {"id": f"q{n}", "input": {"question": str(n)}, "expected": "yes", "slice": f"s{n % 2}"}
        for n in range(items)
    )
    (folder / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "golden.jsonl.blessing.json"


def good(question: str) -> tuple[int, Any]:
    return 200, {"label": "yes", "score": 0.9, "version": "v7"}


def mixed() -> Answering:
    """Return a model that is wrong on HOPELESS, and on FLAKY every other time."""
    times: Counter[int] = Counter()
    turn = threading.Lock()

    def answer(question: str) -> tuple[int, Any]:
        with turn:
            times[int(question)] += 1
            odd = times[int(question)] % 2
        wrong = int(question) in HOPELESS or (int(question) in FLAKY and not odd)
        return 200, {"label": "no" if wrong else "yes", "score": 0.25, "version": "v7"}

    return answer


def found(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(capsys.readouterr().out)["support"]
    return report


def test_what_the_model_scores_is_shown_and_kept(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    model = serve(mixed())
    path = world(tmp_path, model.url)
    assert command("golden", "bless", cwd=tmp_path) == 0
    out = capsys.readouterr().out
    assert re.sub(r"sha256 \w+", "sha256 X", out) == (
        "support: blessed, baseline 95.5% (93.8% to 97.2%) over 5 passes of 40 items\n"
        "  golden.jsonl (multiclass, sha256 X); as a sample of all questions 84.2% to 98.8%\n"
        "  asked 200\n"
        "  floor 90.5%: baseline less gate.floor_below_baseline, 0.05\n"
        f"  written to {path}\n"
        "\n"
        "  Items\n"
        "    kind      items  did well\n"
        "    solid     37     at or above the mean of the set in every pass\n"
        "    flaky     2      now and then\n"
        "    hopeless  1      never; say nothing about a drop\n"
        "\n"
        "  Slices, worst first\n"
        "    slice  baseline  items  solid  flaky  hopeless\n"
        "    s1     91.0%     20     17     2      1\n"
        "    s0     100.0%    20     20     0      0\n"
        "\n"
        "  Answered by\n"
        "    version  answers\n"
        "    v7       200\n"
    )
    subject = one(tmp_path)
    blessing = blessed.read(path, subject.golden, subject.rules)
    assert blessing is not None
    assert blessing.baseline == pytest.approx(0.955)
    assert blessing.solid == {f"q{n}" for n in range(40)} - {"q3", "q5", "q7"}
    assert sorted(blessing.credit["q3"]) == [0, 0, 1, 1, 1]
    assert blessing.scores == (0.25,) * 200
    assert Counter(model.asked) == {str(n): 5 for n in range(40)}


def one(folder: Path) -> Subject:
    return subjects(load(folder / "seamwatch.yaml"), None)[0]


def test_each_pass_is_in_another_order(tmp_path: Path, serve: Callable[[Answering], Model]) -> None:
    model = serve(good)
    world(tmp_path, model.url, model="      concurrency: 1")
    assert command("golden", "bless", "--passes", "3", cwd=tmp_path) == 0
    orders = {tuple(model.asked[start : start + 40]) for start in (0, 40, 80)}
    assert len(orders) == 3
    assert {frozenset(order) for order in orders} == {frozenset(map(str, range(40)))}


def test_errors_are_asked_again_and_never_counted(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    times: Counter[str] = Counter()

    def stumbling(question: str) -> tuple[int, Any]:
        times[question] += 1
        return (500, {}) if question == "9" and times[question] < 3 else good(question)

    world(tmp_path, serve(stumbling).url)
    assert command("golden", "bless", "--passes", "2", "--format", "json", cwd=tmp_path) == 0
    report = found(capsys)
    assert (report["asked"], report["asked_again"]) == (82, 2)
    assert report["baseline"]["value"] == 1
    assert report["items"] == {"all": 40, "solid": 40, "flaky": 0, "hopeless": 0, "unknown": 0}
    assert report["floor"] == pytest.approx(0.95)


def test_an_item_that_never_answers_is_unknown_and_not_wrong(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    def lame(question: str) -> tuple[int, Any]:
        return (500, {}) if question == "9" else good(question)

    path = world(tmp_path, serve(lame).url, items=60)
    assert command("golden", "bless", "--passes", "2", cwd=tmp_path) == 0
    out = capsys.readouterr().out
    assert "baseline 100.0%" in out
    assert "unknown   1      answered less than twice" in out
    blessing = blessed.parse(path)
    assert blessing is not None
    assert blessing.credit["q9"] == (None, None)
    assert blessing.verdicts["q9"] == ("error", "error")
    assert blessing.item_class("q9") == ""


def test_a_model_that_often_fails_is_not_blessed(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(question: str) -> tuple[int, Any]:
        return (500, {}) if int(question) % 10 == 0 else good(question)

    model = serve(failing)
    path = world(tmp_path, model.url)
    assert command("golden", "bless", cwd=tmp_path) == 2
    assert capsys.readouterr().err == (
        "seamwatch: support pass 1 of 5: 4 of 40 items gave no answer when asked 3 times "
        "(4 bad_status); nothing is blessed: what did answer would not stand for the whole. "
        "See seamwatch check --live\n"
    )
    assert not path.exists()
    assert len(model.asked) == 40 + 4 + 4  # and no further pass


def test_a_broken_model_does_not_overwrite_a_better_blessing(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    broken: list[bool] = []

    def answer(question: str) -> tuple[int, Any]:
        wrong = bool(broken) and int(question) < 8
        return 200, {"label": "no" if wrong else "yes", "version": "v8" if broken else "v7"}

    path = world(tmp_path, serve(answer).url)
    assert command("golden", "bless", "--passes", "2", cwd=tmp_path) == 0
    before = path.read_bytes()
    broken.append(True)
    capsys.readouterr()
    assert command("golden", "bless", "--passes", "2", cwd=tmp_path) == 1
    told = capsys.readouterr()
    assert told.out.startswith("support: not blessed, baseline 80.0%")
    assert "written to" not in told.out
    assert told.err == (
        "seamwatch: support: the baseline is 80.0%, and was 100.0% when it was blessed before "
        "(v7): the model looks broken\n"
        f"seamwatch: support: not written: {path} stays as it is; with --force it is overwritten\n"
    )
    assert path.read_bytes() == before
    assert command("golden", "bless", "--passes", "2", "--force", cwd=tmp_path) == 0
    assert b'"baseline": 0.8,' in path.read_bytes()


def test_flicker_and_a_single_item_do_not_look_broken() -> None:
    def of(*rows: tuple[float, ...]) -> Blessing:
        return blessing_of({f"q{n}": row for n, row in enumerate(rows)})

    solid, flaky, lost = (1.0,) * 4, (1.0, 0.0, 1.0, 0.0), (0.0,) * 4
    assert compare(of(*[solid] * 20), of(*[solid] * 19, lost)) == (False, [])
    assert compare(of(*[solid] * 20), of(*[solid] * 18, lost, lost))[0]
    assert compare(of(*[flaky] * 10, *[solid] * 10), of(*[flaky] * 11, *[solid] * 9)) == (False, [])
    assert compare(of(*[solid] * 20), of(*[flaky] * 20))[0]
    assert compare(of(*[lost] * 20), of(*[solid] * 20)) == (False, [])
    assert compare(None, of(solid)) == (False, [])


def test_a_harder_set_is_told_and_not_refused() -> None:
    before = blessing_of({f"q{n}": (1.0, 1.0) for n in range(50)})
    rows = {f"r{n}": (float(n % 2),) * 2 for n in range(50)}
    harder = dataclasses.replace(blessing_of(rows), digest="d" * 64)
    refused, (warning,) = compare(before, harder)
    assert not refused
    assert warning.startswith("the baseline is 50.0%, and was 100.0%")
    assert "is it harder, or the model worse?" in warning


def test_a_slice_that_fell_is_named_though_the_whole_did_not() -> None:
    slices = {f"q{n}": "small" if n < 3 else "large" for n in range(300)}
    before = blessing_of({f"q{n}": (float(n != 299),) * 3 for n in range(300)}, slices)
    after = blessing_of({f"q{n}": (float(n not in (0, 1)),) * 3 for n in range(300)}, slices)
    assert compare(before, after) == (
        False,
        ["slices did better when it was blessed before: small (33%, was 100%)"],
    )


def test_the_budget_is_kept_and_waited_for(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    model = serve(good)
    world(tmp_path, model.url, model="      budget: {per_hour: 50}")
    now = 0.0
    sent: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        sent.append((now, len(model.asked)))
        now += seconds

    subject = one(tmp_path)
    path = tmp_path / "b.json"
    blessing = bless.bless(subject, path, 3, None, False, clock=lambda: now, sleep=sleep)
    card = asyncio.run(blessing)
    assert card.asked == len(model.asked) == 120
    assert now > 3600 * 2
    for at, count in sent:
        earlier = [asked for then, asked in sent if then <= at - 3600]
        assert count - max(earlier, default=0) <= 50
    assert capsys.readouterr().err.count("the probe budget of the model is spent") == 1


def test_a_day_that_is_too_short_is_told_before_anything_is_asked(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    model = serve(good)
    world(tmp_path, model.url, model="      budget: {per_day: 100}")
    assert command("golden", "bless", cwd=tmp_path) == 2
    assert "5 passes are 200 questions, and model.budget.per_day is 100" in capsys.readouterr().err
    assert model.asked == []


def test_a_floor_that_the_baseline_cannot_carry_is_told(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    world(tmp_path, serve(mixed()).url, rest="    gate: {floor: 99%}\n")
    assert command("golden", "bless", cwd=tmp_path) == 0
    told = capsys.readouterr()
    assert "  floor unknown: gate.floor\n" in told.out
    assert "seamwatch: support: the gate cannot use it: " in told.err


def test_without_a_gate_a_floor_is_suggested(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    world(tmp_path, serve(good).url, rest="")
    assert command("golden", "bless", "--passes", "1", cwd=tmp_path) == 0
    told = capsys.readouterr()
    assert "floor 96.0%: baseline less 4%, a good beginning: there is no gate yet" in told.out
    assert "one pass cannot tell solid items from flaky ones; write --passes 5" in told.err


def test_versions_that_take_turns_are_told(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    def two(question: str) -> tuple[int, Any]:
        return 200, {"label": "yes", "version": f"v{1 + (question == '3')}"}

    world(tmp_path, serve(two).url)
    assert command("golden", "bless", "--format", "json", cwd=tmp_path) == 0
    report = found(capsys)
    assert report["answered_by"] == {"v1": 195, "v2": 5}
    assert report["warnings"] == ["2 versions answered (v1, v2): one baseline stands for all"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "golden.jsonl"), "golden.jsonl is the golden set itself; write another file"),
        (("--out", "nowhere/b.json"), "nowhere is no directory that can be written to"),
        (("--out", "notes.txt"), "notes.txt: no blessing: "),
        (("--pipeline", "sales"), "no pipeline 'sales' has a golden set; write one of support"),
    ],
)
def test_what_could_not_be_kept_is_refused_before_anything_is_asked(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    serve: Callable[[Answering], Model],
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = serve(good)
    world(tmp_path, model.url)
    (tmp_path / "notes.txt").write_text("do not lose me")
    assert command("golden", "bless", *words, cwd=tmp_path) == 2
    assert said in capsys.readouterr().err
    assert model.asked == []
    assert (tmp_path / "notes.txt").read_text() == "do not lose me"


def test_the_file_is_there_for_people_one_line_an_item(
    tmp_path: Path, serve: Callable[[Answering], Model]
) -> None:
    world(tmp_path, serve(mixed()).url, golden=", blessing: kept.json")
    assert command("golden", "bless", "--passes", "2", cwd=tmp_path) == 0
    lines = (tmp_path / "kept.json").read_text().splitlines()
    assert '  "passes": 2,' in lines
    assert '  "answered_by": ["v7"],' in lines
    assert '    "q0": {"slice": "s0", "x": [1, 1], "verdicts": "correct"},' in lines
    assert '    "q3": {"slice": "s1", "x": [1, 0], "verdicts": ["correct", "wrong"]},' in lines
    assert '    "q5": {"slice": "s1", "x": [0, 0], "verdicts": "wrong"},' in lines


def blessing_of(
    rows: dict[str, tuple[float, ...]], slices: dict[str, str] | None = None
) -> Blessing:
    passes = len(next(iter(rows.values())))
    return Blessing(
        digest="a" * 64,
        rules="b" * 64,
        at=1.0,
        passes=passes,
        answered_by=(),
        credit=rows,
        verdicts={
            name: tuple("correct" if x else "wrong" for x in row) for name, row in rows.items()
        },
        slices=slices or dict.fromkeys(rows, ""),
    )


JUDGED = st.builds(
    lambda number, verdict, credit, score, version: Judged(
        GoldenItem(f'q"{number}\u2028', "?", "x", slice=("", "é")[number % 2]),
        Answer(score=score, answered_by=version),
        verdict,
        credit if verdict.is_answer else None,
        at=1.0,
    ),
    st.integers(0, 8),
    st.sampled_from(Verdict),
    st.floats(0, 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.text(max_size=3),
)
PASSES = st.lists(st.lists(JUDGED, max_size=9, unique_by=lambda one: one.item.id), min_size=1)


@given(PASSES, st.sampled_from(["verdict", "credit"]), st.integers(0, 4_000_000_000_000_000))
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read_back_the_same(
    passes: list[list[Judged]], score: str, microseconds: int
) -> None:
    import tempfile

    at = microseconds / 1e6
    kept = Blessing.of(passes, digest="a" * 64, rules="b" * 64, at=at, score=score)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "b.json")
        blessed.write(path, kept)
        assert blessed.parse(path) == kept


def sets(folder: Path) -> tuple[Path, golden.GoldenSet, Rules]:
    items = (GoldenItem("q0", "?", "x"),)
    path = folder / "b.json"
    rules = Rules(Task.TEXT, refusals=("no idea",))
    kept = dataclasses.replace(blessing_of({"q0": (1.0, 0.0)}), rules=blessed.rules_digest(rules))
    blessed.write(path, kept)
    return path, golden.GoldenSet("a" * 64, Task.TEXT, items, {}), rules


def test_a_blessing_of_another_set_or_other_rules_is_not_used_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, items, rules = sets(tmp_path)
    assert blessed.examine(path, items, rules, score="verdict")[1] is None
    again = "; run seamwatch golden bless again"
    other = dataclasses.replace(items, digest="c" * 64)
    assert blessed.examine(path, other, rules) == (
        None,
        f"{path}: it blesses another golden set, sha256 aaaaaaaaaaaa, and this one is cccccccccccc"
        + again,
    )
    stricter = dataclasses.replace(rules, refusals=())
    assert blessed.examine(path, items, stricter) == (
        None,
        f"{path}: answers are judged by other rules now than when it was written{again}",
    )
    assert blessed.examine(path, items, rules, score="credit") == (
        None,
        f"{path}: it holds the verdict of each answer, and the gate takes its credit{again}",
    )
    with caplog.at_level(logging.WARNING):
        assert blessed.read(path, other, rules) is None
    assert "another golden set" in caplog.records[0].__dict__["reason"]
    assert blessed.read(tmp_path / "none", items, rules) is None


def test_rules_count_only_where_they_differ_from_the_defaults() -> None:
    plain = blessed.rules_digest(Rules(Task.TEXT))
    assert plain == blessed.rules_digest(Rules(Task.TEXT, k=10, tolerance=0.0))
    others = [
        Rules(Task.MULTICLASS),
        Rules(Task.TEXT, refusals=("no",)),
        Rules(Task.TEXT, at_least=0.5),
        Rules(Task.TEXT, json_schema={"type": "string"}),
        Rules(Task.TEXT, json_schema={"type": "number"}),
    ]
    assert len({plain, *map(blessed.rules_digest, others)}) == 6


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"format": 1', '"format": 2', "format 2, and this version knows 1 alone"),
        ('"passes": 2', '"passes": 3', "x of item 'q0' is not 3 numbers from 0 to 1"),
        ('"passes": 2', '"passes": true', "passes is True, not 1 to 1000"),
        ('"x": [1, 0]', '"x": [1, 7]', "x of item 'q0' is not 2 numbers from 0 to 1"),
        ('"wrong"', '"rong"', "verdicts of item 'q0' are not 2 verdicts"),
        ('"score": "verdict"', '"score": "mood"', "score is 'mood', neither verdict nor credit"),
        ('"scores": []', '"scores": [2, 1]', "scores are not finite numbers in ascending order"),
        ('"scores": []', '"scores": [NaN]', "scores are not finite numbers in ascending order"),
        ('  "rules"', '  "rulez"', "'rules' is missing"),
        ("{", "<<<<<<< {", "Expecting value"),
        ('"items": {', '"items": [{', "Expecting"),
    ],
)
def test_a_damaged_file_is_not_used_and_says_where(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    path, items, rules = sets(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    blessing, why = blessed.examine(path, items, rules)
    assert blessing is None
    assert why is not None
    assert why.startswith(f"{path}: no blessing: ")
    assert said in why


@given(
    st.binary(max_size=200) | st.text('{}[]":,0123456789.xe abformt', max_size=80).map(str.encode)
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_blessing_or_are_told_apart(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "b.json")
        path.write_bytes(content)
        with pytest.raises(GoldenError, match="no blessing"):
            blessed.parse(path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    with path.open("wb") as file:
        file.truncate(blessed.MAX_BYTES + 1)
    with pytest.raises(GoldenError, match="larger than 64 MiB"):
        blessed.parse(path)


def test_writing_keeps_mode_and_link_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path, _, _ = sets(tmp_path)
    path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    kept = blessed.parse(path)
    assert kept is not None
    blessed.write(link, dataclasses.replace(kept, at=7.0))
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    again = blessed.parse(path)
    assert again is not None
    assert again.at == 7
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.json", "link.json"]


def test_a_write_that_fails_leaves_the_old_blessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _, _ = sets(tmp_path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    kept = blessed.parse(path)
    assert kept is not None
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GoldenError, match="cannot be written: No space left on device"):
        blessed.write(path, kept)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["b.json"]
