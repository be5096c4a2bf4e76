"""Alerts and runbooks are carried along, belong together, and name only metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from conftest import require_tool
from seamwatch import catalogue
from seamwatch.assets import assets


def alerts() -> dict[str, dict[str, object]]:
    return {
        rule["alert"]: rule
        for file in assets("alerts").glob("*.rules.yaml")
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def runbooks() -> dict[str, str]:
    return {file.stem: file.read_text() for file in assets("runbooks").glob("*.md")}


def queries(text: str) -> list[str]:
    blocks = re.findall(r"```promql\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def names(text: str) -> set[str]:
    return set(re.findall(r"(?<!:)\bseamwatch_[a-z_]+", text))


def exported() -> set[str]:
    suffixes = ("_bucket", "_count", "_sum")
    families = [*catalogue.PIPELINES, *catalogue.OWN]
    found = {family.name for family in families}
    return found | {name + suffix for name in found for suffix in suffixes}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert set(alerts()) == set(runbooks())
    assert all(rule["annotations"]["runbook"] == name for name, rule in alerts().items())


def test_every_metric_in_an_alert_or_runbook_exists() -> None:
    texts = [file.read_text() for file in assets("alerts").glob("*.rules.yaml")]
    for text in [*texts, *(query for book in runbooks().values() for query in queries(book))]:
        assert names(text) <= exported()


def test_runbooks_say_what_a_woken_person_needs_in_the_same_order() -> None:
    wanted = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Proof", "Afterwards"]
    for name, text in runbooks().items():
        assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == wanted, name


def test_every_query_in_a_runbook_parses(tmp_path: Path) -> None:
    rules = [
        {"record": f"seamwatch:query:{number}", "expr": query}
        for number, query in enumerate(q for book in runbooks().values() for q in queries(book))
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))
    ran = subprocess.run(
        [require_tool("promtool"), "check", "rules", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_dashboards_alerts_and_runbooks_are_where_the_package_looks() -> None:
    assert {kind: assets(kind).is_dir() for kind in ("dashboards", "alerts", "runbooks")} == {
        "dashboards": True,
        "alerts": True,
        "runbooks": True,
    }
