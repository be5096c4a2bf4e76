"""From a break in the demo to the owner's pager: exporter, Prometheus, Alertmanager, all real."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from conftest import require_tool
from ports import free_port
from test_demo import Demo
from test_demo import free_port as free_ports

SLOW = 240.0  # seconds; a loaded machine is no failure
TEAMS = ("data", "ml", "platform", "product")
PROMETHEUS = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules/*.rules.yaml]
scrape_configs:
  - job_name: seamwatch
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]
"""


class Pager:
    """Stands for the receivers of all teams: what came, by path, with the time."""

    def __init__(self) -> None:
        self.got: list[tuple[float, str, dict[str, Any]]] = []
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                pager.got.append((time.monotonic(), self.path, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def of(self, path: str, status: str) -> list[dict[str, Any]]:
        return [body for _, to, body in self.got if to == path and body["status"] == status]


@contextmanager
def running(folder: Path, *command: str) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    found = Demo(tmp_path / "demo", free_ports())
    try:
        found.until((tmp_path / "demo" / "demo.json").exists)
        yield found
    finally:
        found.stop()


def bundle(folder: Path, demo: Demo, pager: Pager) -> Path:
    """Write the bundle of the demo, with receivers that are here, in a hurry."""
    text = (demo.folder / "seamwatch.yaml").read_text()
    for team in TEAMS:
        ways = {
            way: {"webhook_configs": [{"url": f"{pager.url}/{team}/{way}"}]}
            for way in ("page", "notify")
        }
        text = text.replace(f"\n  {team}: {{}}\n", f"\n  {team}: {json.dumps(ways)}\n")
    (demo.folder / "bundled.yaml").write_text(text)
    made = subprocess.run(
        [sys.executable, "-m", "seamwatch", "bundle", str(demo.folder / "bundled.yaml"),
         "--out", str(folder), "--external-url", f"http://127.0.0.1:{demo.port}"],
        capture_output=True, text=True,
    )  # fmt: skip
    (demo.folder / "bundled.yaml").unlink()  # the demo's folder is the demo's
    assert made.returncode == 0, made.stderr
    for rules in (folder / "prometheus" / "rules").glob("*.yaml"):
        rules.write_text(re.sub(r"interval: (30s|1m)", "interval: 1s", rules.read_text()))
    path = folder / "alertmanager" / "alertmanager.yml"
    content = yaml.safe_load(path.read_text())
    content["route"] |= {"group_wait": "3s", "group_interval": "10s"}
    path.write_text(yaml.safe_dump(content))
    return folder


def until(holds: Callable[[], Any], said: Callable[[], Any] = lambda: "") -> None:
    deadline = time.monotonic() + SLOW
    while not holds():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)


def test_a_break_is_one_page_for_the_owner_that_opens_on_the_evidence_and_news_for_the_suspect(
    tmp_path: Path, demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    pager = Pager()
    out = bundle(tmp_path / "bundle", demo, pager)
    prometheus, alertmanager = free_port(), free_port()
    (out / "prometheus" / "prometheus.yml").write_text(
        PROMETHEUS.format(exporter=demo.port, alertmanager=alertmanager)
    )
    with (
        running(
            out / "alertmanager", require_tool("prometheus-alertmanager"),
            "--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{alertmanager}",
        ),
        running(
            out / "prometheus", require_tool("prometheus"), "--config.file=prometheus.yml",
            "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{prometheus}",
        ),
    ):  # fmt: skip
        query = f"http://127.0.0.1:{prometheus}/api/v1/query"

        def found(expression: str) -> list[Any]:
            try:
                said = httpx.get(query, params={"query": expression}, timeout=10).json()
            except (httpx.HTTPError, ValueError):  # it is starting
                return []
            result: list[Any] = said["data"]["result"]
            return result

        until(lambda: found("seamwatch_pipeline_silent_failure == 0"))
        until(lambda: found('ALERTS{alertname="Watchdog"}'))
        assert not pager.of("/platform/page", "firing")
        broken = time.monotonic()
        assert demo.say("break", "all").returncode == 0
        until(lambda: pager.of("/platform/page", "firing"), lambda: found("ALERTS"))
        paged = next(at for at, to, _ in pager.got if to == "/platform/page")
        with capsys.disabled():
            sys.stdout.write(f"\nfrom break to page: {paged - broken:.1f} s\n")
        until(lambda: pager.of("/data/notify", "firing"), lambda: found("ALERTS"))
        told = pager.of("/data/notify", "firing")[0]
        assert told["groupLabels"] == {"pipeline": "feature-answers"}
        until(lambda: found('ALERTS{alertname="GateHalted", alertstate="firing"}'))
        time.sleep(12.0)  # a group interval: whatever else would page has had its time
        pages = pager.of("/platform/page", "firing")
        woken = {one["labels"]["alertname"] for page in pages for one in page["alerts"]}
        assert len(pages) <= 2, woken  # the halt takes the place of what came before it
        last = pages[-1]["alerts"][-1]
        assert "feature-answers" in last["annotations"]["summary"]
        link = last["annotations"]["runbook_url"]
        opened = httpx.get(link, timeout=10)
        assert opened.status_code == 200
        assert "feature-answers now" in opened.text
        assert "ingest of team data" in opened.text
        others = {to for _, to, _ in pager.got if to.endswith("/page")}
        assert others == {"/platform/page"}  # nobody else is woken

        assert demo.say("heal").returncode == 0
        until(lambda: pager.of("/platform/page", "resolved"), lambda: found("ALERTS"))
