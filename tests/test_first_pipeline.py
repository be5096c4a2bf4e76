"""The guide for a first pipeline works: its commands are run in their order, as they stand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import require_tool
from ports import free_port

GUIDE = Path(__file__).parents[1] / "docs" / "first-pipeline.md"
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
PATIENCE = 60  # seconds until what the guide shows must be there


class Shell:
    """One bash that all commands are typed into, in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        command = self.bin / "seamwatch"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m seamwatch "$@"\n')
        command.chmod(0o755)
        environ = os.environ | {
            "PATH": f"{self.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        }
        self._process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def type(self, commands: str) -> str:
        """Run *commands*; return what they print; fail if one of them fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"set -e\n{commands}\nset +e\necho END OF BLOCK\n")
        self._process.stdin.flush()
        printed = []
        for line in self._process.stdout:
            if line == "END OF BLOCK\n":
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"{commands}\nfailed after\n{''.join(printed)}")

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def test_every_command_of_the_guide_works_and_shows_what_the_guide_shows(shell: Shell) -> None:
    ports = {"10064": str(free_port()), "8000": str(free_port())}
    typed, printed = "", ""
    for kind, text in BLOCKS:
        for port, free in ports.items():
            text = text.replace(port, free)
        if kind == "sh":
            typed, printed = text, shell.type(adapted(text, ports))
        elif kind == "text":
            deadline = time.monotonic() + PATIENCE
            while missing := [line for line in claims(text) if line not in printed]:
                assert time.monotonic() < deadline, f"{missing} not in\n{printed}"
                printed = shell.type("sleep 0.2\n" + adapted(typed, ports, again=True))


def adapted(text: str, ports: dict[str, str], *, again: bool = False) -> str:
    """Return the commands for free ports and for shells that other tests share a machine with."""
    text = text.replace("curl -s ", "curl -s --retry 20 --retry-connrefused --retry-delay 1 ")
    where = f"--web.listen-address 127.0.0.1:{ports['10064']} 2>log"
    text = text.replace("seamwatch run &", f"seamwatch run {where} &")
    text = text.replace("every: 1s", "every: 200ms")
    port = f"seamwatch init\nsed -i s/:8000/:{ports['8000']}/ seamwatch.yaml\n"
    text = text.replace("seamwatch init\n", port)
    return text.rstrip("\n") + (" || true\n" if again else "\n")


def claims(text: str) -> list[str]:
    """Return the lines that must be printed; of a counter only its name and labels."""
    return [re.sub(r"(_total\{.*\}) .*", r"\1", line) for line in text.splitlines()]


def test_the_queries_of_the_guide_are_promql_on_metrics_that_exist(tmp_path: Path) -> None:
    from seamwatch import catalogue

    queries = [
        query
        for kind, text in BLOCKS
        if kind == "promql"
        for query in re.findall(r"^(?!#)\S.*$", text, re.MULTILINE)
    ]
    assert len(queries) == 5
    rules = tmp_path / "rules.yaml"
    lines = [f"  - {{record: 'a:b{i}', expr: '{query}'}}" for i, query in enumerate(queries)]
    rules.write_text("groups:\n- name: guide\n  rules:\n" + "\n".join(lines) + "\n")
    done = subprocess.run(
        [require_tool("promtool"), "check", "rules", str(rules)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    known = Path(catalogue.__file__).read_text(encoding="utf-8")
    for name in re.findall(r"seamwatch_(\w+)", " ".join(queries)):
        assert f'"{name}' in known, name


def test_the_scrape_configuration_of_the_guide_is_prometheus_s(tmp_path: Path) -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml"]
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    done = subprocess.run(
        [require_tool("promtool"), "check", "config", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
