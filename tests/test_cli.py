"""The command: instant help, exit codes for scripts, and a first configuration that works."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from seamwatch import __version__, sources
from seamwatch.cli import COMMANDS, init, live, main
from seamwatch.config.sources import SourceSection
from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Observation

HEAVY = "aiohttp pydantic sklearn numpy prometheus_client yaml rich sqlalchemy asyncio grafanalib"
COMMAND = [sys.executable, "-m", "seamwatch"]


def seamwatch(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=cwd, timeout=60, check=False
    )


def test_help_loads_nothing_that_takes_time() -> None:
    code = (
        "import sys\nfrom seamwatch.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        f"print([name for name in '{HEAVY}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for name, line in COMMANDS.items():
        assert re.search(rf"^    {name} +{re.escape(line)}$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_of_itself_what_the_table_says(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    importlib.import_module(f"seamwatch.cli.{name}").add(subparsers)
    lines = {action.dest: action.help for action in subparsers._choices_actions}
    assert lines == {name: COMMANDS[name]}
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: seamwatch {name}")


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"seamwatch {__version__}\n"


def test_without_a_command_the_help_is_shown_as_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: seamwatch")


def test_a_misspelt_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chekc"]) == 2
    assert capsys.readouterr().err == (
        'seamwatch: there is no command "chekc"; did you mean check?'
        f" commands: {', '.join(COMMANDS)}\n"
    )


def test_nobody_reading_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, "schema"], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    pipe = tmp_path / "seamwatch.yaml"
    os.mkfifo(pipe)  # nobody writes: the command waits in it
    process = subprocess.Popen(
        [*COMMAND, "check", str(pipe)],
        stderr=subprocess.PIPE,
        text=True,
        # what runs the tests in the background may have us ignore it, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with pipe.open("w"):  # returns once the command reads
        process.send_signal(signal.SIGINT)
    # the pipe ends: a signal that came just before the command began to wait is seen then
    assert process.wait(60) == 130
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_check_prints_every_problem_and_fails(tmp_path: Path) -> None:
    (tmp_path / "seamwatch.yaml").write_text("teams: {}\npipelines: {}\nwbe: {}\n")
    done = seamwatch("check", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(
        "seamwatch.yaml: 1 problem\n  seamwatch.yaml:3:1: wbe: unknown key;"
    )


def test_check_reads_the_golden_set_and_tries_its_items_on_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    golden = tmp_path / "golden.jsonl"
    golden.write_text('{"id": "a", "input": {"questoin": "?"}, "expected": "x"}\n')
    assert main(["check"]) == 1
    text = capsys.readouterr().err
    line, column = place_of("{{ input.question }}", tmp_path / "seamwatch.yaml")
    assert text == (
        f"seamwatch.yaml: 1 problem\n  seamwatch.yaml:{line}:{column}:"
        " pipelines.my-pipeline.model.http.json.question: golden item 'a' has nothing at"
        ' {{ input.question }} of the model\'s template; did you mean "input.questoin"?'
        " write one of input.questoin\n"
    )
    golden.write_text('{"id": "a", "input": {}}\n{"id": "a"\n')
    assert main(["check"]) == 1
    assert f"{golden}:2" in capsys.readouterr().err


def place_of(text: str, path: Path) -> tuple[int, int]:
    """Return line and column, from 1, of the quote before *text*."""
    before = path.read_text().partition(text)[0]
    return before.count("\n") + 1, len(before) - before.rfind("\n") - 1


EVIDENCE = """
teams: {ml: {}}
pipelines:
  rag:
    owner: ml
    stages:
      ingest: {team: ml, kind: source, source: {static: {version: "1"}}}
      cache: {team: ml, kind: cache, after: ingest}
      answer: {team: ml, kind: model, after: cache}
    model:
      http: {url: "http://m.example/", json: {q: "{{ input.text }}", k: 3}, answer: a, score: s}
      repairs: {cold: {blames: cache, headers: {Cache-Control: no-cache}}}
    golden: {file: golden.jsonl, task: text}
    quality: {score_drift: {}}
"""
ITEMS = "".join(
    json.dumps({"id": f"q{n}", "input": {"text": "?"}, "expected": "x", "slice": "en"}) + "\n"
    for n in range(3)
)


def checked(folder: Path, text: str, items: str = ITEMS) -> subprocess.CompletedProcess[str]:
    (folder / "seamwatch.yaml").write_text(text)
    (folder / "golden.jsonl").write_text(items)
    return seamwatch("check", cwd=folder)


def test_check_warns_of_what_will_stay_unknown_or_unused(tmp_path: Path) -> None:
    done = checked(tmp_path, EVIDENCE)
    assert done.returncode == 0
    assert done.stdout.startswith("ok: 1 pipeline")
    at = "warning: seamwatch.yaml:"
    assert done.stderr.splitlines() == [
        f"{at}6:5: pipelines.rag.stages: no stage publishes a status, so a silent failure, where"
        " all call themselves healthy and the answers are wrong, can never be told; publish status"
        " in one",
        f"{at}9:7: pipelines.rag.stages.answer: comes last and has no source, so the age of the"
        " data behind its answers is unknown; add source: to it",
        f"{at}12:7: pipelines.rag.model.repairs: they are tried when the evidence says that"
        " something is wrong, and none is taken without a gate; add gate: to the pipeline",
        f"{at}13:5: pipelines.rag.golden: there is no blessing {tmp_path}/golden.jsonl.blessing"
        ".json, which quality.score_drift needs; run seamwatch golden bless while the answers are"
        " good",
    ]


def test_check_has_no_warning_where_nothing_is_missing(tmp_path: Path) -> None:
    text = EVIDENCE.replace('version: "1"', 'version: "1", status: ok')
    text = text.replace("after: cache}", 'after: cache, source: {static: {version: "1"}}}')
    text = text.replace("    quality: {score_drift: {}}\n", "    gate: {floor: 88%}\n")
    done = checked(tmp_path, text)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_warns_of_credentials_that_a_repair_takes_to_another_host(tmp_path: Path) -> None:
    model = 'http: {url: "http://m.example/", '
    repair = '{blames: cache, url: "http://shadow.example/"}'
    text = EVIDENCE.replace("{blames: cache, headers: {Cache-Control: no-cache}}", repair)
    warned = "pipelines.rag.model.repairs.cold.url: bearer_token_file"
    assert "shadow.example" not in checked(tmp_path, text).stderr
    text = text.replace(model, f"{model}bearer_token_file: /run/token, ")
    done = checked(tmp_path, text)
    assert done.returncode == 0
    assert f"{warned} of the model is sent to shadow.example too; ask another" in done.stderr


def test_check_says_why_a_blessing_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl.blessing.json").write_text("{}")
    done = checked(tmp_path, EVIDENCE)
    assert done.returncode == 0
    assert (
        f"warning: seamwatch.yaml:13:20: pipelines.rag.golden.file: the blessing is not used: "
        f"{tmp_path}/golden.jsonl.blessing.json: no blessing: 'format' is missing; run seamwatch "
        "golden bless again"
    ) in done.stderr


def test_a_misspelt_placeholder_is_one_problem_at_its_place_however_many_items(
    tmp_path: Path,
) -> None:
    done = checked(tmp_path, EVIDENCE.replace("input.text", "input.txt"))
    assert done.returncode == 1
    assert done.stderr == (
        "seamwatch.yaml: 1 problem\n  seamwatch.yaml:11:50: pipelines.rag.model.http.json.q: golden"
        " item 'q0' has nothing at {{ input.txt }} of the model's template, and so it is with 2"
        ' more; did you mean "input.text"? write one of input.text\n'
    )


def test_a_floor_of_a_slice_that_no_item_is_in_is_a_problem(tmp_path: Path) -> None:
    gate = "    gate: {floor: 88%, slices: {floors: {ne: 90%, en: 85%}}}\n"
    done = checked(tmp_path, EVIDENCE + gate)
    assert done.returncode == 1
    assert (
        "pipelines.rag.gate.slices.floors.ne: no item of the golden set is in slice" in done.stderr
    )
    assert "seamwatch.yaml:15:42: " in done.stderr
    assert "write one of en\n" in done.stderr
    assert "floors.en" not in done.stderr


def test_an_address_that_cannot_be_read_has_its_line(tmp_path: Path) -> None:
    url = "postgresql://u:p/w@db.example/x"
    text = EVIDENCE.replace('static: {version: "1"}', 'sql: {url: "${URL}", query: SELECT 1}')
    (tmp_path / "seamwatch.yaml").write_text(text)
    (tmp_path / "golden.jsonl").write_text(ITEMS)
    done = subprocess.run(
        [*COMMAND, "check"], capture_output=True, text=True, cwd=tmp_path, check=False,
        env={**os.environ, "URL": url},
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        "seamwatch.yaml:7:60: pipelines.rag.stages.ingest.source.sql.url: the url cannot be taken"
    ) in done.stderr
    assert "p/w" not in done.stderr


@pytest.mark.parametrize("words", [["x.yaml"], ["--config", "x.yaml"]])
@pytest.mark.parametrize(
    "command", [["check"], ["run"], ["score"], ["golden", "bless"]], ids=lambda words: words[-1]
)
def test_every_command_takes_its_files_with_and_without_config(
    command: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("teams: 7\n")
    assert main([*command, *words]) in (1, 2)
    assert "x.yaml:1:8: teams: " in capsys.readouterr().err
    assert main([*command, "y.yaml", "--config", "x.yaml"]) == 2
    assert "y.yaml is given and --config x.yaml as well" in capsys.readouterr().err


def test_the_first_configuration_passes_check_as_it_stands(tmp_path: Path) -> None:
    done = seamwatch("init", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("golden.jsonl", "seamwatch.yaml", "stamp.py", "stamp.sh")
    ]
    done = seamwatch("check", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ok: 1 pipeline, 3 stages (3 with a source), 2 teams, 3 golden items\n"


def test_the_lines_that_are_commented_out_work_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGPASSWORD", "x")
    monkeypatch.setenv("MODEL_TOKEN", "x")
    assert main(["init"]) == 0
    path = tmp_path / "seamwatch.yaml"
    text = path.read_text()
    text = text.replace("          file: {path: stages/ingest.json}\n", "")
    text = text.replace("          file: {path: stages/index.json}\n", "")
    text = re.sub(
        r"(?m)^( *)# (sql:|  url: post|  query:|http:|answered_by|bearer|store:|web:)",
        r"\1\2",
        text,
    )
    path.write_text(text)
    assert main(["check"]) == 0, capsys.readouterr().err
    assert "bearer_token: ${MODEL_TOKEN}" in text
    assert "\nstore: " in text


def test_init_overwrites_only_when_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_text("mine")
    done = seamwatch("init", "--out", str(tmp_path / "x.yaml"))
    assert done.returncode == 2
    assert done.stderr == (
        f"seamwatch: {tmp_path}/golden.jsonl would be overwritten;"
        " give --force, or --out with another place\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["golden.jsonl"]
    assert (tmp_path / "golden.jsonl").read_text() == "mine"
    assert seamwatch("init", "--force", "--out", str(tmp_path / "x.yaml")).returncode == 0
    assert (tmp_path / "golden.jsonl").read_text() != "mine"
    assert seamwatch("check", str(tmp_path / "x.yaml")).returncode == 0


def test_init_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = seamwatch("init", "--out", str(tmp_path / "file" / "x.yaml"))
    assert done.returncode == 2
    assert done.stderr.startswith("seamwatch: cannot write ")
    assert "Traceback" not in done.stderr


async def read_file(path: Path) -> Observation:
    section = SourceSection.model_validate({"file": {"path": str(path)}})
    async with Fetcher() as fetcher:
        source = sources.build(section, sources.Reach(fetcher), timeout=5, base_dir=path.parent)
        try:
            return await source.read(now=datetime.now(UTC).timestamp())
        finally:
            await source.close()


async def test_the_stamp_that_a_team_pastes_is_read_by_the_file_source(tmp_path: Path) -> None:
    stamp: Any = runpy.run_path(str(init.START / "stamp.py"))["stamp"]
    path = tmp_path / "stages" / "index.json"
    newest = datetime.now(UTC) - timedelta(hours=12)
    stamp(str(path), version="build-7", watermark=newest, built_from={"ingest": "b-1"}, rows=12)
    seen = await read_file(path)
    assert seen.healthy is True
    assert (seen.version, seen.built_from, seen.rows) == ("build-7", {"ingest": "b-1"}, 12)
    assert seen.watermark == pytest.approx(newest.timestamp(), abs=1)
    assert seen.updated_at == pytest.approx(datetime.now(UTC).timestamp(), abs=60)
    assert path.stat().st_mode & 0o777 == 0o644
    stamp(str(path), version="build-8")
    assert (await read_file(path)).version == "build-8"
    assert list(path.parent.iterdir()) == [path]


async def test_the_stamp_of_shell_scripts_is_read_by_the_file_source(tmp_path: Path) -> None:
    assert await asyncio.to_thread(main, ["init", "--out", str(tmp_path / "seamwatch.yaml")]) == 0
    process = await asyncio.create_subprocess_exec(
        *("./stamp.sh", "stages/ingest.json", "batch-412", "2026-11-22T09:00:00Z"), cwd=tmp_path
    )
    assert await process.wait() == 0
    seen = await read_file(tmp_path / "stages" / "ingest.json")
    assert (seen.version, seen.healthy) == ("batch-412", True)
    assert seen.watermark == datetime(2026, 11, 22, 9, tzinfo=UTC).timestamp()


class Answers(BaseHTTPRequestHandler):
    """A stage, a broken stage and a model on one port."""

    def do_GET(self) -> None:
        if self.path == "/meta":
            facts = {"status": "ok", "version": "b-7", "watermark": "2026-11-22T09:00:00Z"}
            self.answer(200, facts | {"built_from": {"ingest": "batch-1"}})
        else:
            self.answer(500, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, {"answer": self.server.says, "version": "m-3"})  # type: ignore[attr-defined]

    def answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.says = "Paris"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def live_configuration(folder: Path, port: int, *, index: str = "meta") -> Path:
    path = folder / "seamwatch.yaml"
    path.write_text(f"""\
teams: {{data: {{}}, ml: {{}}}}
pipelines:
  rag:
    owner: ml
    stages:
      ingest: {{team: data, kind: source}}
      index:
        {{team: data, kind: index, after: ingest, source: {{http: {{url: "http://127.0.0.1:{port}/{index}"}}}}}}
      answer: {{team: ml, kind: model, after: index, source: {{static: {{version: "m-3"}}}}}}
    model:
      http:
        url: http://127.0.0.1:{port}/answer
        json: {{question: "{{{{ input.question }}}}"}}
        answer: answer
        answered_by: version
    golden: {{file: golden.jsonl, task: text}}
""")
    (folder / "golden.jsonl").write_bytes((init.START / "golden.jsonl").read_bytes())
    return path


def test_check_live_shows_what_each_stage_and_the_model_said(
    tmp_path: Path, server: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = live_configuration(tmp_path, server.server_port)
    assert main(["check", "--live", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("ok: 1 pipeline, 3 stages (2 with a source)")
    assert re.search(r"│ ingest +│ source │ - +│ no source", text)
    assert re.search(
        r"│ index .*healthy +│ b-7 +│ 2026-11-22 09:00:00Z \(.*\) │ - +│ ingest=batch-1 +│", text
    )
    assert re.search(r"item capital-fr: correct in 0\.\d+ s, answered by m-3\n", text)


def test_check_live_shows_a_wrong_answer_without_calling_it_a_failure(
    tmp_path: Path, server: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says = "Lyon"  # type: ignore[attr-defined]
    path = live_configuration(tmp_path, server.server_port)
    assert main(["check", "--live", "--pipeline", "rag", str(path)]) == 0
    assert "wrong in" in (text := capsys.readouterr().out)
    assert 'it said "Lyon", expected "Paris"' in text


def test_check_live_fails_with_the_reason_when_a_stage_cannot_be_read(
    tmp_path: Path, server: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = live_configuration(tmp_path, server.server_port, index="broken")
    assert main(["check", "--live", str(path)]) == 1
    text = capsys.readouterr().out
    assert re.search(r"│ index .*│ bad_status │", text)
    assert re.search(r"^bad_status index: http://127.0.0.1:\d+/broken.*500", text, re.MULTILINE)


def test_check_live_fails_when_nobody_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = live_configuration(tmp_path, 1)
    assert main(["check", "--live", str(path)]) == 1
    text = capsys.readouterr().out
    assert "unreachable index: " in text
    assert "item capital-fr: error in" in text


def test_check_live_names_the_pipelines_when_one_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = live_configuration(tmp_path, 1)
    assert main(["check", "--live", "--pipeline", "rga", str(path)]) == 2
    assert 'there is no pipeline "rga"; write one of rag' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3600, "1h"),
        (3960, "1h 6m"),
        (180000, "2d 2h"),
        (-90, "in 1m"),
    ],
)
def test_ages_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert live.age(seconds) == text
