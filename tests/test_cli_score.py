"""``seamwatch score`` and ``seamwatch golden lint``: their output and exit status."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from live_model import Answering, Model, command


@pytest.fixture
def serve() -> Iterator[Callable[[Answering], Model]]:
    models: list[Model] = []

    def start(answering: Answering) -> Model:
        models.append(Model(answering))
        return models[-1]

    yield start
    for model in models:
        model.close()


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
    golden: {{file: golden.jsonl, task: multiclass, refusals: no idea}}
    slos: {{accuracy: {{at_least: 75%, objective: 99%}}}}
"""


def world(tmp_path: Path, url: str, *, items: int = 40) -> Path:
    (tmp_path / "seamwatch.yaml").write_text(CONFIG.format(url=url))
    rows = [
        {
            "id": f"q{n}",
            "input": {"question": f"number {n}"},
            "expected": "even" if n % 2 == 0 else "odd",
            "slice": "low" if n < items // 2 else "high",
            "superseded": ["blue"],
        }
        for n in range(items)
    ]
    rows.append({"id": "old", "input": {"question": "?"}, "expected": "even",
                 "valid_until": "2020-01-01T00:00:00Z", "slice": "low"})  # fmt: skip
    (tmp_path / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def right(question: str) -> tuple[int, Any]:
    label = "even" if int(question.split()[1]) % 2 == 0 else "odd"
    return 200, {"label": label, "score": 0.9, "version": "m-7"}


def faulty(question: str) -> tuple[int, Any]:
    """Answer the numbers under 8 in each way that an answer can be."""
    odd: dict[int, tuple[int, Any]] = {
        0: (200, {"label": "odd", "version": "m-6"}),
        1: (200, {"label": "blue", "version": "m-6"}),
        2: (200, {"label": ["even"], "version": "m-7"}),
        3: (200, {"label": "No idea!", "version": "m-7"}),
        4: (500, {"error": "the cache said secret-answer"}),
    }
    return odd.get(int(question.split()[1]), right(question))


def test_a_run_reports_accuracy_verdicts_slices_and_who_answered(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    model = serve(faulty)
    status = command("score", "--slices", cwd=world(tmp_path, model.url))
    out, err = capsys.readouterr()
    assert status == 0
    assert err == ""
    assert len(model.asked) == 40
    lines = [line.rstrip() for line in out.splitlines() if "asked 40 in" not in line]
    digest = hashlib.sha256((tmp_path / "golden.jsonl").read_bytes()).hexdigest()
    assert lines[:9] == [
        "support: accuracy 89.7% (76.4% to 95.9%) over 39 answers, reaches the target of 75.0%",
        f"  golden.jsonl (multiclass, sha256 {digest[:12]}): 41 items, 1 of them not valid now",
        "  answered at all: 97.5% (87.1% to 99.6%)",
        "",
        "  Verdicts",
        "    verdict  answers",
        "    correct  35",
        "    wrong    1",
        "    stale    1",
    ]
    text = "\n".join(lines)
    assert "    invalid  1\n    refused  1\n    error    1\n    timeout  0\n" in text
    assert (
        "    low    78.9% (56.7% to 91.5%)    19\n    high   100.0% (83.9% to 100.0%)  20" in text
    )
    assert "    m-7      37\n    m-6      2" in text
    assert "    q0    wrong               low\n" in text
    assert text.endswith("    q4    error (bad_status)  low")
    assert "blue" not in text
    assert "secret-answer" not in text


def test_below_the_target_the_status_is_1(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    cwd = world(tmp_path, serve(faulty).url)
    assert command("score", "--fail-under", "95%", cwd=cwd) == 1
    assert "over 39 answers, below the target of 95.0%" in capsys.readouterr().out
    assert command("score", "--fail-under", "0.8", cwd=cwd) == 0


def test_json_is_for_machines_and_tells_answers_only_when_asked(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    cwd = world(tmp_path, serve(faulty).url)
    assert command("score", "--format", "json", cwd=cwd) == 0
    card = json.loads(capsys.readouterr().out)["support"]
    assert card["accuracy"]["n"] == 39
    assert card["accuracy"]["value"] == pytest.approx(35 / 39)
    assert card["items"] == {"all": 41, "valid": 40, "asked": 40}
    assert (card["target"], card["reached"]) == (0.75, True)
    assert card["verdicts"]["stale"] == 1
    assert card["measures"]["accuracy"] == pytest.approx(35 / 39)
    assert card["failures"][0] == {"id": "q0", "verdict": "wrong", "slice": "low"}
    assert card["slices"] == {}
    assert command("score", "--format", "json", "--show-answers", cwd=cwd) == 0
    card = json.loads(capsys.readouterr().out)["support"]
    assert card["failures"][1] == {
        "id": "q1", "verdict": "stale", "slice": "low", "expected": "odd", "answer": "blue"
    }  # fmt: skip


def test_markdown_escapes_what_a_golden_set_names(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    cwd = world(tmp_path, serve(faulty).url)
    text = (cwd / "golden.jsonl").read_text().replace('"low"', '"lo|w_*<b>"')
    (cwd / "golden.jsonl").write_text(text)
    assert command("score", "--format", "markdown", "--slices", cwd=cwd) == 0
    out = capsys.readouterr().out
    assert out.startswith("## support\n\n**accuracy 89.7% (76.4% to 95.9%) over 39 answers")
    assert "| lo\\|w\\_\\*\\<b\\> | 78.9% (56.7% to 91.5%) | 19 |" in out


def test_a_limit_asks_each_slice_by_its_share_and_a_seed_the_same_again(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    model = serve(right)
    cwd = world(tmp_path, model.url)
    assert command("score", "--limit", "10", "--seed", "3", cwd=cwd) == 0
    first = sorted(model.asked)
    assert "asked 10 in" in capsys.readouterr().out
    assert 4 <= sum(int(question.split()[1]) < 20 for question in first) <= 6
    model.asked.clear()
    assert command("score", "--limit", "10", "--seed", "3", cwd=cwd) == 0
    assert sorted(model.asked) == first


def test_when_nothing_is_answered_the_accuracy_is_unknown_and_the_status_2(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    cwd = world(tmp_path, serve(lambda _: (500, {})).url)
    assert command("score", "--fail-under", "0", cwd=cwd) == 2
    out = capsys.readouterr().out
    assert out.startswith("support: accuracy unknown: none of 40 questions was answered")
    assert "answered at all: 0.0% (0.0% to 8.8%)" in out


def test_a_spent_budget_ends_the_run_and_is_said(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    model = serve(right)
    cwd = world(tmp_path, model.url)
    text = (cwd / "seamwatch.yaml").read_text()
    text = text.replace("    golden:", "      budget: {per_hour: 5}\n    golden:")
    (cwd / "seamwatch.yaml").write_text(text)
    assert command("score", cwd=cwd) == 0
    assert "stopped early: the probe budget of the model is spent" in capsys.readouterr().out
    assert len(model.asked) == 5


@pytest.mark.parametrize(
    ("change", "words", "told"),
    [
        (("golden.jsonl", '"id": "q1"', '"id": "q0"'), [], 'golden.jsonl:2: id "q0" is also on'),
        (("seamwatch.yaml", "owner: ml", "owner: nobody"), [], "nobody"),
        (("golden.jsonl", '"question"', '"query"'), [], "pipelines.support.golden: item 'q"),
        (None, ["--pipeline", "x"], "no pipeline 'x' has a golden set; write one of support"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_asked(
    tmp_path: Path,
    serve: Callable[[Answering], Model],
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str, str] | None,
    words: list[str],
    told: str,
) -> None:
    model = serve(right)
    cwd = world(tmp_path, model.url)
    if change is not None:
        name, old, new = change
        (cwd / name).write_text((cwd / name).read_text().replace(old, new))
    assert command("score", *words, cwd=cwd) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert out == ""
    assert model.asked == []


def test_a_set_that_is_wholly_expired_is_not_scored(
    tmp_path: Path, serve: Callable[[Answering], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    model = serve(right)
    cwd = world(tmp_path, model.url, items=0)
    assert command("score", cwd=cwd) == 2
    assert "no item is valid now, so none can be asked" in capsys.readouterr().err


def test_a_person_at_a_terminal_sees_progress_and_a_pipe_gets_only_the_report(
    tmp_path: Path, serve: Callable[[Answering], Model]
) -> None:
    cwd = world(tmp_path, serve(right).url)
    ours, theirs = pty.openpty()
    code = "import sys; from seamwatch.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "score", "--format", "json"]
    with subprocess.Popen(
        words, cwd=cwd, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as running:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # Linux says EIO when the other end of a terminal closes
            pass
        os.close(ours)
        assert running.stdout is not None
        report = json.loads(running.stdout.read())
    assert running.returncode == 0
    assert report["support"]["accuracy"]["value"] == 1.0
    assert b"support" in shown
    assert b"40/40" in shown


def test_lint_prints_findings_and_the_status_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cwd = world(tmp_path, "http://127.0.0.1:1/")
    assert command("golden", "lint", "golden.jsonl", "--task", "multiclass", cwd=cwd) == 1
    assert capsys.readouterr().out == (
        "golden.jsonl: 41 items, multiclass, 2 slices: 3 found\n"
        "  expired      1 item expired and not asked any more; renew or remove (old)\n"
        '  small-slice  slice "high" has 20 valid items: with about 90% right '
        "the 95 % interval is 70% to 97%\n"
        '  small-slice  slice "low" has 20 valid items: with about 90% right '
        "the 95 % interval is 70% to 97%\n"
    )
    ignoring = ["--ignore", "expired", "--ignore", "small-slice"]
    assert command("golden", "lint", "--config", "seamwatch.yaml", *ignoring, cwd=cwd) == 0
    assert "41 items, multiclass, 2 slices: nothing found" in capsys.readouterr().out


def test_lint_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cwd = world(tmp_path, "http://127.0.0.1:1/")
    words = ["--config", "seamwatch.yaml", "--pipeline", "support", "--format", "json"]
    assert command("golden", "lint", *words, cwd=cwd) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert report["findings"][0] == {
        "check": "expired",
        "text": "1 item expired and not asked any more; renew or remove",
        "ids": ["old"],
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.jsonl", "--task", "text"], "none.jsonl: there is no such file"),
        (["golden.jsonl"], "give FILE and --task, or --config"),
        (["golden.jsonl", "--task", "text", "--ignore", "x"], "no check is called 'x'; write one"),
        (["--config", "none.yaml"], "none.yaml"),
    ],
)
def test_lint_that_cannot_be_done_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    cwd = world(tmp_path, "http://127.0.0.1:1/")
    assert command("golden", "lint", *words, cwd=cwd) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert out == ""
