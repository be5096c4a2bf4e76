"""The rules: promtool finds no fault in them, they fire and clear, and name only what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import compare, require_tool
from seamwatch.assets import assets
from seamwatch.catalogue import FAMILIES

HERE = Path(__file__).parent
TESTS = sorted((HERE / "rules").glob("*.test.yaml"))
FILES = sorted(assets("alerts").glob("*.rules.yaml"))
SEVERITIES = {"page", "ticket", "notify", "none"}
FROM_PROMETHEUS = {"instance", "job", "le", "alertname", "alertstate"}
SELECTOR = re.compile(r"(?<![:\w])(seamwatch_\w+)(?:\{([^}]*)\})?")
RECORDED = re.compile(r"\b(\w+:seamwatch_\w+:\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on|group_left|without|ignoring)\s*\(([^()]*)\)")


@cache
def groups() -> tuple[dict[str, Any], ...]:
    return tuple(group for file in FILES for group in yaml.safe_load(file.read_text())["groups"])


@cache
def rules() -> tuple[dict[str, Any], ...]:
    return tuple(rule for group in groups() for rule in group["rules"])


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def unescaped(text: str) -> str:
    return text.replace('\\"', '"')


def expressions(rule: dict[str, Any]) -> Iterator[str]:
    """Yield the rule's own query and those of its templates."""
    yield rule["expr"]
    for text in rule.get("annotations", {}).values():
        for query in re.findall(r'(?:printf|query) "((?:[^"\\]|\\.)*)"', text):
            yield unescaped(query).replace("%q", '"x"')


def labels_of(matchers: str) -> set[str]:
    return set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


@dataclass(frozen=True)
class Run:
    """What promtool found in one file of tests, and what the alerts in it would have sent."""

    problems: str
    sent: dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Run all files of tests side by side, once.

    To see what is sent, each alert is also asked for where it fires, as if it were silent there:
    those complaints are no problems, all others are.
    """
    where = tmp_path_factory.mktemp("rules")
    for file in FILES:
        shutil.copy(file, where)
    asked: set[str] = set()
    for file in reversed(TESTS):  # those of burn rates and symptoms say most
        content = yaml.safe_load(file.read_text())
        for test in content["tests"]:
            test["alert_rule_test"] = list(questions(test, asked))
        (where / file.name).write_text(yaml.safe_dump(content, sort_keys=False, width=10_000))
    running = {
        file.name: subprocess.Popen(
            [require_tool("promtool"), "test", "rules", file.name],
            cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for file in TESTS
    }  # fmt: skip
    return {name: understood(process.communicate()[0]) for name, process in running.items()}


def questions(test: dict[str, Any], asked: set[str]) -> Iterator[dict[str, Any]]:
    for check in test["promql_expr_test"]:
        for sample in check["exp_samples"]:
            name = re.search(r'alertname="(\w+)"', sample["labels"])
            if name is not None and "pending" not in sample["labels"] and name[1] not in asked:
                asked.add(name[1])
                yield {"eval_time": check["eval_time"], "alertname": name[1], "exp_alerts": []}


ANSWER = re.compile(
    r"^ *alertname: ?\w+, time: \S+ *\n *exp:\[\], *\n *got:\[(.*?)\n *\] *$",
    re.MULTILINE | re.DOTALL,
)
SENT = re.compile(r"Labels:\{(.*?)\}\s+Annotations:\{(.*)\}")
PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def understood(output: str) -> Run:
    found = {}
    for answer in ANSWER.findall(output):
        for labels, texts in SENT.findall(answer):
            said = dict(PAIR.findall(labels))
            name = said.pop("alertname")
            lines = [f"  {k}: {unescaped(v)}\n" for k, v in PAIR.findall(texts) if k != "runbook"]
            found[name, " ".join(f"{k}={v}" for k, v in said.items())] = "".join(lines)
    rest = ANSWER.sub("", output)
    heads = r"^ *(Unit Testing: +\S+|SUCCESS|FAILED:?|name: .*,)? *$"
    return Run(re.sub(heads, "", rest, flags=re.MULTILINE).strip(), found)


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_are_silent_fire_and_clear(file: Path, runs: dict[str, Run]) -> None:
    assert runs[file.name].problems == ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_promtool_finds_nothing_in_the_rules(file: Path) -> None:
    ran = subprocess.run(
        [require_tool("promtool"), "check", "rules", "--lint=all", "--lint-fatal", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_metric_and_label_in_a_rule_is_exported_or_recorded() -> None:
    exported = {family.name: set(family.labels) for family in FAMILIES}
    for family in FAMILIES:
        if family.kind == "histogram":
            for end in ("_bucket", "_count", "_sum"):
                exported[family.name + end] = set(family.labels)
    known = set().union(*exported.values()) | FROM_PROMETHEUS
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        for expression in expressions(rule):
            for name, matchers in SELECTOR.findall(RECORDED.sub("", expression)):
                assert name in exported, (rule, name)
                assert labels_of(matchers) <= exported[name] | FROM_PROMETHEUS, (name, matchers)
            for name, matchers in RECORDED.findall(expression):
                assert name in recorded, name
                assert labels_of(matchers) <= known | {"burn"}, (name, matchers)
            for inside in GROUPING.findall(expression):
                found = {label.strip() for label in inside.split(",")} - {""}
                assert found <= known, (rule, found)


def test_every_recorded_series_is_read_by_something() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    read = {name for rule in rules() for e in expressions(rule) for name, _ in RECORDED.findall(e)}
    assert recorded <= read


def test_every_alert_says_what_whose_and_what_first() -> None:
    for name, rule in alerts().items():
        said = rule["annotations"]
        assert rule["labels"]["severity"] in SEVERITIES, name
        assert {"summary", "description", "first_move"} <= set(said), name
        assert said["runbook"] == name
        assert said["runbook_url"].startswith(f"https://seamwatch.example/runbooks/{name}")
        assert said["dashboard_url"].startswith("https://grafana.example/d/sw-")
        assert "$value" not in str(rule["labels"]), f"{name}: a value in a label makes it flap"
        assert len(said["summary"].splitlines()) == 1, name


def test_alerts_of_pipelines_carry_pipeline_and_team_so_that_they_find_their_owner() -> None:
    without = {
        name
        for name, rule in alerts().items()
        if not re.search(r"group_left \(team\)|by \(pipeline, suspect, team\)", rule["expr"])
    }
    of_pipelines = {
        n for n in without if "$labels.pipeline" in str(alerts()[n]["annotations"]["summary"])
    }
    assert of_pipelines == {"SLOObjectiveMissing"}  # what is missing is what says whose it is


def test_groups_fit_rulers_with_the_usual_limits_and_old_prometheis() -> None:
    names = [group["name"] for group in groups()]
    assert len(set(names)) == len(names)
    for group in groups():
        assert set(group) == {"name", "interval", "rules"}, group["name"]  # no labels, no limit
        assert len(group["rules"]) <= 20, group["name"]


def test_the_owner_is_woken_by_few_alerts() -> None:
    pages = {name for name, rule in alerts().items() if rule["labels"]["severity"] == "page"}
    assert pages == {
        "AccuracyUnderFloor", "AuditRewritten", "GateHalted", "GatesHaltedTogether",
        "HaltNotEffective", "PipelineSilentFailure", "PipelineTargetMissed", "SLOBurnRatePage",
        "SLONoData", "SeamwatchDown", "SeamwatchNobodyLeads", "StoreFailing",
    }  # fmt: skip


def test_every_alert_is_tried_silent_firing_and_clearing() -> None:
    """An alert that is expected somewhere must be absent at another time of the same test."""
    tried: set[str] = set()
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            checks = test["promql_expr_test"]
            for name in alerts():
                seen = [
                    (check["eval_time"], name in str(check["exp_samples"]))
                    for check in checks
                    if "ALERTS" in check["expr"] and not excludes(check["expr"], name)
                ]
                when = [shown for _, shown in sorted(seen, key=lambda one: minutes(one[0]))]
                if True in when and False in when[when.index(True) :] and not when[0]:
                    tried.add(name)
    # the watchdog has no other state than firing, a rewritten audit stays so for a day
    assert set(alerts()) - tried == {"Watchdog", "AuditRewritten"}


def excludes(expression: str, name: str) -> bool:
    chosen = re.search(r'alertname="(\w+)"', expression)
    return chosen is not None and chosen[1] != name


def minutes(text: str) -> float:
    units = {"d": 1440.0, "h": 60.0, "m": 1.0}
    return sum(float(n) * units[u] for n, u in re.findall(r"([\d.]+)([dhm])", text))


def test_annotations_read_as_they_should(
    runs: dict[str, Run], request: pytest.FixtureRequest
) -> None:
    found = {key: text for run in runs.values() for key, text in run.sent.items()}
    assert {name for name, _ in found} == set(alerts())
    text = "\n".join(f"{name} {labels}\n{said}" for (name, labels), said in sorted(found.items()))
    assert "error expanding" not in text
    assert "<no value>" not in text
    compare(HERE / "golden" / "rules" / "annotations.txt", text, request)
