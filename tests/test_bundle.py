"""``seamwatch bundle`` writes what Prometheus, Alertmanager and Kubernetes take as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from conftest import require_tool
from seamwatch.cli import main

CONFIG = """\
teams:
  platform: {page: {webhook_configs: [{url: "http://127.0.0.1:1/", send_resolved: true}]}}
  data: {}
pipelines:
  rag: {owner: platform, stages: {ingest: {team: data, kind: source}}}
  lost: {owner: data, stages: {ingest: {team: data, kind: source}}}
web: {external_url: "https://watch.example.org/seamwatch/"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "seamwatch.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bundle(*arguments: str) -> Path:
    assert main(["bundle", *arguments]) == 0
    return Path("seamwatch-bundle")


def run(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_files_are_taken_by_promtool_and_amtool_and_link_to_ones_own_addresses(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = bundle("--grafana-url", "https://graphs.example.org")
    said = capsys.readouterr().out
    rules = sorted((out / "prometheus" / "rules").glob("*.rules.yaml"))
    assert len(rules) >= 4
    checked = run(require_tool("promtool"), "check", "rules", *map(str, rules))
    assert checked.count("SUCCESS") == len(rules)
    alertmanager = out / "alertmanager" / "alertmanager.yml"
    assert "SUCCESS" in run(require_tool("amtool"), "check-config", str(alertmanager))
    assert alertmanager.stat().st_mode & 0o777 == 0o600
    text = "".join(path.read_text() for path in rules)
    assert "https://watch.example.org/seamwatch/runbooks/GateHalted?pipeline=" in text
    assert "https://graphs.example.org/d/" in text
    for path in out.rglob("*.*"):
        assert "seamwatch.example" not in path.read_text() or path.parent.name == "runbooks"
    assert (out / "runbooks" / "GateHalted.md").exists()
    assert "written    seamwatch-bundle/alertmanager/alertmanager.yml" in said
    assert "rule_files: [rules/*.rules.yaml] in prometheus.yml" in said
    assert "team data owns a pipeline and has neither page nor notify" in said


@pytest.mark.parametrize("how", ["files", "kubernetes", "prometheus-operator"])
def test_writing_again_changes_nothing(
    folder: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = bundle("--format", how)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.*")}
    capsys.readouterr()
    bundle("--format", how)
    assert "\nwritten " not in "\n" + capsys.readouterr().out
    assert before == {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.*")
    }


def test_the_operator_gets_rules_that_are_the_same_as_the_files(folder: Path) -> None:
    plain = bundle()
    wanted = {
        path.name.removesuffix(".rules.yaml"): yaml.safe_load(path.read_text())
        for path in (plain / "prometheus" / "rules").glob("*.rules.yaml")
    }
    label = ("--label", "release=kube-prometheus-stack")
    out = bundle("--format", "prometheus-operator", "--out", "k8s", *label)
    del out
    for name, rules in wanted.items():
        found = yaml.safe_load(Path(f"k8s/rules-{name}.yaml").read_text())
        assert (found["apiVersion"], found["kind"]) == (
            "monitoring.coreos.com/v1",
            "PrometheusRule",
        )
        assert found["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        assert found["spec"] == rules
        assert "&id" not in Path(f"k8s/rules-{name}.yaml").read_text()
    monitor = yaml.safe_load(Path("k8s/servicemonitor.yaml").read_text())
    assert monitor["spec"]["endpoints"][0]["path"] == "/metrics"
    secret = yaml.safe_load(Path("k8s/alertmanager.yaml").read_text())
    assert yaml.safe_load(secret["stringData"]["alertmanager.yaml"])["route"]
    assert Path("k8s/alertmanager.yaml").stat().st_mode & 0o777 == 0o600


def test_kubernetes_gets_config_maps_whose_content_is_that_of_the_files(folder: Path) -> None:
    bundle("--format", "kubernetes", "--out", "k8s")
    rules = yaml.safe_load(Path("k8s/rules.yaml").read_text())
    assert rules["kind"] == "ConfigMap"
    assert all(yaml.safe_load(text)["groups"] for text in rules["data"].values())
    assert len(Path("k8s/rules.yaml").read_bytes()) < 900_000  # a ConfigMap ends at 1 MiB


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--external-url", "watch.example.org"], "write an address such as https://host/path"),
        (["--external-url", 'https://a/"x'], "write an address such as https://host/path"),
        (["--label", "release"], "--label release: write NAME=VALUE"),
        (["--out", "seamwatch.yaml/x"], "cannot write seamwatch.yaml/x/"),
    ],
)
def test_what_cannot_be_is_told(
    folder: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_without_an_address_it_is_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "seamwatch.yaml").write_text(CONFIG.partition("web:")[0])
    assert main(["bundle"]) == 2
    assert "nobody has said where people reach the exporter" in capsys.readouterr().err
