"""The running /v1 is held to the document that it serves, by Schemathesis."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import (
    allow_header_conformance,
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ports import free_port
from seamwatch.web.gates.openapi import openapi

SLOW = 60.0  # seconds; a loaded machine is no failure
CONFIG = """\
teams: {ml: {}}
pipelines:
  answers:
    owner: ml
    stages:
      ingest: {team: ml, kind: source, source: {static: {version: "1"}}}
      model: {team: ml, kind: model, after: ingest}
    model: {http: {url: "http://127.0.0.1:9/", json: {q: "{{ input }}"}, answer: label}}
    golden: {file: golden.jsonl, task: multiclass, every: 1h}
    gate: {mode: enforce, on_unknown: allow, floor: 90%, alerts: [Cost]}
store: sqlite:///s.db
"""
CHECKS = [
    allow_header_conformance,
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
OPERATIONS = {
    (operation := found.ok()).label: operation
    for found in schemathesis.openapi.from_dict(openapi()).get_all_operations()
}


class Server:
    """A running exporter, and a token for all that there is."""

    def __init__(self, folder: Path) -> None:
        (folder / "seamwatch.yaml").write_text(CONFIG)
        (folder / "golden.jsonl").write_text('{"id": "a", "input": "a", "expected": "yes"}\n')
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "log"
        scopes = [word for one in ("read", "check", "halt", "resume", "override", "bless", "admin")
                  for word in ("--scope", one)]  # fmt: skip
        made = subprocess.run(
            [sys.executable, "-m", "seamwatch", "token", "create", "test", *scopes],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        self.headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "seamwatch", "run",
                 "--web.listen-address", f"127.0.0.1:{port}"],
                cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + SLOW
        while not self.is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("openapi"))
    try:
        yield running
    finally:
        running.process.terminate()
        code = running.process.wait(30)
    assert code == 0
    log = running.log.read_text()
    assert "Traceback" not in log
    assert "level=error" not in log


def test_the_document_is_served_as_it_is_written(server: Server) -> None:
    assert httpx.get(f"{server.url}/v1/openapi.json", headers=server.headers).json() == openapi()


@pytest.mark.filterwarnings("ignore")  # of the libraries that draw the requests
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_as_the_document_says(server: Server, label: str) -> None:
    operation = OPERATIONS[label]
    known = {"path_parameters": {"pipeline": "answers"}} if "{pipeline}" in label else {}
    drawn = [
        operation.as_strategy(GenerationMode.POSITIVE, **known),
        operation.as_strategy(GenerationMode.POSITIVE),
    ]
    with suppress(Exception):  # where nothing could be wrong
        drawn.append(operation.as_strategy(GenerationMode.NEGATIVE, **known))

    @given(case=st.one_of(drawn))
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def tried(case: schemathesis.Case) -> None:
        answer = case.call(base_url=server.url, headers=server.headers, timeout=SLOW)
        case.validate_response(answer, checks=CHECKS)

    tried()


@pytest.mark.parametrize("label", OPERATIONS)
def test_without_a_token_nothing_but_the_document_is_answered(server: Server, label: str) -> None:
    method, path = label.split()
    address = server.url + path.replace("{pipeline}", "answers")
    answer = httpx.request(method, address)
    if path == "/v1/openapi.json":
        assert answer.status_code == 200
        return
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
