"""``seamwatch plan``: tables, JSON, pictures, and what it says when it cannot plan."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import random
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from seamwatch.cli import main
from seamwatch.config import load as load_config
from seamwatch.evidence import Blessing
from seamwatch.golden import load, rules
from seamwatch.golden.blessed import rules_digest, write

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
        {{url: "http://127.0.0.1:1/answer", json: {{q: "{{{{ input }}}}"}}, answer: label}}
      cost: 0.01
      {model}
    golden: {{file: golden.jsonl, task: multiclass, every: 15s}}
    {gate}
"""
SLICES = ("billing", "returns [old]", "stores")


def pipeline(
    tmp_path: Path, *, gate: str = "gate: {floor: 90%}", model: str = "", bless: bool = True
) -> Path:
    """Write a configuration with a golden set of 90 items, blessed at about 94 %."""
    items = [
        {"id": f"q{at}", "input": f"question {at}", "expected": "yes", "slice": SLICES[at % 3]}
        for at in range(90)
    ]
    (tmp_path / "golden.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in items))
    path = tmp_path / "seamwatch.yaml"
    path.write_text(CONFIG.format(gate=gate, model=model))
    if bless:
        config = load_config([path])
        asked = config.settings.pipelines["support"].golden
        assert asked is not None
        golden = load(tmp_path / "golden.jsonl", asked)
        dice = random.Random(1)
        right = [0.0 if at % 18 == 0 else 0.99 for at in range(90)]
        rows = {
            item.id: tuple(float(dice.random() < rate) for _ in range(5))
            for item, rate in zip(golden.items, right, strict=True)
        }
        judged = rules(asked, config.settings.pipelines["support"].quality, base_dir=tmp_path)
        blessing = Blessing(
            digest=golden.digest,
            rules=rules_digest(judged),
            at=time.time(),
            passes=5,
            answered_by=("m-1",),
            credit=rows,
            slices={item.id: item.slice for item in golden.items},
        )
        write(tmp_path / "golden.jsonl.blessing.json", blessing)
    return path


def planned(path: Path, *more: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["plan", "--config", str(path), "--drops", "14,23", *more]) == 0
    return capsys.readouterr().out


def document(path: Path, *more: str, capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(planned(path, "--format", "json", *more, capsys=capsys))["support"]


def test_a_plan_tells_delays_false_halts_recovery_and_money(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = "gate: {floor: 90%, slices: {focus: true}}"
    model = "repairs: {cache: {blames: answer, headers: {Cache-Control: no-cache}}}"
    text = planned(pipeline(tmp_path, gate=gate, model=model), capsys=capsys)
    lines = text.splitlines()
    assert lines[0].startswith("support: 90 golden items, 3 slices, blessed at 94.2%")
    assert "item-aware comparison, slices weigh 50%, focus on a failing one" in lines[1]
    rows = {line[:28].strip(): line[28:].split() for line in lines if " points" in line[:28]}
    slow, fast = (int(rows[f"{drop} points"][1]) for drop in (14, 23))
    assert fast < slow < 1000
    assert any(line.strip().startswith("14 points, all in") for line in lines)
    assert any(line.strip().startswith("returns [old]") for line in lines), "no markup in names"
    assert any(line.strip().startswith("every answer wrong") for line in lines)
    assert "false halts while healthy: less than once in 10,000 years" in text
    assert "exactly at 90% all year: promised at most 0.5 a year, simulated" in text
    assert "tickets while healthy: promised at most 2 a year" in text
    assert "proof that it is above 90% again: " in text
    assert "a normal day: 5,760 probes, 57.60" in text
    assert "naming a suspect: at most 800 probes an inquiry (8.00), at most 3,000 a day" in text
    assert "standard error of the means up to" in text
    assert "by importance" in text


def test_json_holds_the_same_as_numbers_and_null_for_what_never_comes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipeline(tmp_path, model="budget: {per_hour: 1200}")
    found = document(path, "--drops", "2,23", capsys=capsys)
    small, large, *_ = found["drops"]
    assert small["drop"] == 0.02
    assert small["cost"] is None
    assert small["halt"]["probes"]["mean"] is None
    assert small["halt"]["first_order_probes"] is None
    probes = large["halt"]["probes"]
    assert probes["p05"] < probes["mean"] < probes["p95"]
    assert 0 < probes["error"] < 0.1 * probes["mean"]
    assert large["cost"] == pytest.approx(0.01 * probes["mean"])
    assert found["terms"]["items"] == "item_aware"
    # always at burst rate, within the budget, over half a halt a year
    assert found["terms"]["limit"] == pytest.approx(1200 * 8766 / 0.5)
    assert found["pace"]["burst_probes"] == pytest.approx(1067, abs=1)
    assert found["false_halts_per_year"]["at_floor"]["promised"] == 0.5
    assert 0 < found["false_halts_per_year"]["at_floor"]["simulated"] <= 0.5
    assert found["resume"]["false_resume"]["at_bound"] <= 0.08
    assert any("a drop of 2 points" in one for one in found["warnings"])


def test_the_same_seed_prints_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pipeline(tmp_path)
    assert planned(path, capsys=capsys) == planned(path, "--seed", "0", capsys=capsys)


def test_what_if_values_replace_those_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipeline(tmp_path)
    found = document(path, "--floor", "85%", "--every", "60s", capsys=capsys)
    assert found["terms"]["floor"] == 0.85
    assert found["pace"]["seconds_between_probes"] == 60


def test_a_set_that_is_not_blessed_is_planned_on_an_assumption_that_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipeline(tmp_path, bless=False)
    text = planned(path, capsys=capsys)
    assert "assumed to be healthy at 94%" in text
    assert "tickets: none, they need a blessing" in text
    assert "the golden set is not blessed" in text
    found = document(path, "--baseline", "97%", capsys=capsys)
    assert found["golden"]["baseline"] == 0.97


def test_a_blessing_of_another_set_is_not_used_and_it_is_said_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipeline(tmp_path)
    with (tmp_path / "golden.jsonl").open("a") as file:
        file.write('{"id": "new", "input": "one more", "expected": "yes", "slice": "stores"}\n')
    assert main(["plan", "--config", str(path), "--drops", "23"]) == 0
    printed = capsys.readouterr()
    assert "blessing not used" in printed.err
    assert "blesses another golden set" in printed.err
    assert "91 golden items, 3 slices, assumed to be healthy at 94%" in printed.out


def test_without_a_floor_or_a_blessing_it_says_what_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipeline(tmp_path, gate="", bless=False)
    assert main(["plan", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert "pipelines.support.gate: there is no floor, and the golden set is not blessed" in error
    assert "try --floor 90% or --baseline 94%" in error
    found = document(path, "--baseline", "94%", capsys=capsys)
    assert found["terms"]["floor"] == pytest.approx(0.9)


def test_a_blessed_set_needs_no_gate_to_be_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(pipeline(tmp_path, gate=""), capsys=capsys)
    assert found["terms"]["floor"] == pytest.approx(found["golden"]["baseline"] - 0.04)


def test_a_floor_above_the_baseline_is_planned_to_show_what_it_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipeline(tmp_path)
    text = planned(path, "--floor", "97%", capsys=capsys)
    assert "! the floor of 97% is not below the baseline of 94.2%: it halts" in text
    assert "it halts after about" in text
    assert "false halts while healthy: all the time" in text
    found = document(path, "--floor", "97%", capsys=capsys)
    assert found["false_halts_per_year"]["healthy"]["simulated"] is None
    assert found["false_halts_per_year"]["healthy"]["all_the_time"] is True


def test_a_picture_is_drawn_and_is_the_same_for_the_same_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipeline(tmp_path)
    first, again = tmp_path / "first.svg", tmp_path / "again.svg"
    for target in (first, again):
        text = planned(path, "--picture", str(target), capsys=capsys)
        assert f"picture: {target}" in text
    assert first.read_bytes() == again.read_bytes()
    assert ElementTree.parse(first).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_a_picture_may_be_a_png_beside_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / "plan.png"
    found = document(pipeline(tmp_path, bless=False), "--picture", str(drawn), capsys=capsys)
    assert found["drops"]
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert drawn.stat().st_size > 20_000


def test_a_picture_that_cannot_be_written_is_an_error_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "nowhere" / "plan.png"
    path = pipeline(tmp_path)
    assert main(["plan", "--config", str(path), "--drops", "23", "--picture", str(target)]) == 2
    assert f"{target}: cannot be written" in capsys.readouterr().err


def test_without_matplotlib_a_picture_is_refused_before_anything_is_reckoned(
    tmp_path: Path,
) -> None:
    path = pipeline(tmp_path)
    script = (
        "import sys; sys.modules['matplotlib'] = None; from seamwatch.cli import main;"
        f"sys.exit(main(['plan', '--config', {str(path)!r}, '--picture', 'plan.svg']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install 'seamwatch[plot]'" in done.stderr


def test_matplotlib_is_loaded_for_pictures_only(tmp_path: Path) -> None:
    path = pipeline(tmp_path)
    script = (
        "import sys; from seamwatch.cli import main;"
        f"main(['plan', '--config', {str(path)!r}, '--drops', '23', '--format', 'json']);"
        "print('matplotlib' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == "False"


@pytest.mark.parametrize(
    ("argument", "value", "told"),
    [
        ("--drops", "a lot", "'a lot' are no points; write 4,9,14,23"),
        ("--drops", "0,9", "write up to 20 drops of 0.1 to 100 points"),
        ("--picture", "plan.pdf", "'plan.pdf' is no picture; write a name in .svg or .png"),
        ("--floor", "90", "'90' is no ratio; write 0.92 or 92%"),
        ("--floor", "0", "'0' must lie between 0 and 1, e.g. 92%"),
        ("--every", "15", "write 90s, 15m, 6h or 2d"),
    ],
)
def test_an_argument_that_makes_no_sense_is_told_with_one_that_does(
    argument: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["plan", argument, value])
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err


def test_drops_below_everything_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(pipeline(tmp_path), "--drops", "23,99", capsys=capsys)
    assert {one["drop"] for one in found["drops"]} == {0.23}


def test_a_narrow_terminal_gets_a_narrow_table(tmp_path: Path) -> None:
    path = pipeline(tmp_path)
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 70, 0, 0))
    hidden = ("COLUMNS", "LINES", "FORCE_COLOR")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-m", "seamwatch", "plan", "--config", str(path), "--drops", "23"]
    running = subprocess.Popen(
        command, stdout=writer, env=environ | {"TERM": "xterm", "NO_COLOR": "1"}
    )
    os.close(writer)
    printed = b""
    while True:
        try:
            part = os.read(reader, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        printed += part
    os.close(reader)
    assert running.wait() == 0
    lines = printed.decode().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert max(len(line) for line in lines if "\x1b" not in line) <= 70
    assert any(line.strip().startswith("23 points ") for line in lines)
    assert not any("95 % within " in line for line in lines if "drop" in line)


def test_the_help_and_the_page_on_planning_name_every_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    told = capsys.readouterr().out
    page = (Path(__file__).parents[1] / "docs" / "planning.md").read_text(encoding="utf-8")
    for option in ("--drops", "--format", "--picture", "--seed", "--floor", "--every"):
        assert option in told
        assert option in page
    assert "--baseline" in page
