"""Start and end what the demo consists of: the pipeline, the real exporter, and what users ask.

Everything lives in one folder: databases, manifest, golden set, seamwatch.yaml, logs, and
``demo.json``, by which the other commands find a demo that runs.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from seamwatch.demo.example import configuration
from seamwatch.demo.exposed import Page
from seamwatch.errors import SeamwatchError

HOST = "127.0.0.1"
PATIENCE = 120.0  # seconds for a process to listen, on a machine that has much else to do
GOODBYE = 8.0  # seconds from SIGTERM to SIGKILL
STAGE_PORTS = 9  # six stages, the control port, the shadow deployment, what users ask
LARGEST = 8 << 20  # bytes of an answer that are read
BLESSING = "golden.jsonl.blessing.json"
OURS = (
    "demo.json",
    "pipeline.json",
    "index.json",
    "golden.jsonl",
    "canary.jsonl",
    BLESSING,
    "seamwatch.yaml",
)
LOGS = ("pipeline.log", "exporter.log", "front.log", "blessing.log")
BLESSING_PASSES = 2  # the fewest that tell solid items from flaky ones; answers here never flicker
DATABASES = ("documents.db", "seamwatch.db")
REPLACED = (
    *OURS,
    *(f"{name}{end}" for name in DATABASES for end in ("", "-wal", "-shm", "-journal")),
)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_DIRECT = build_opener(ProxyHandler({}))  # a proxy of the environment cannot reach our loopback


@dataclass(frozen=True, slots=True)
class Running:
    """Where a demo answers."""

    exporter: str
    addresses: Mapping[str, str]  # stage, "control", "shadow" or "front" -> base address
    rows: Mapping[str, float] = field(default_factory=dict)  # by stage, when all was well


class Demo:
    """Owns the processes; ``stop`` ends them and everything that they started."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self.folder = folder
        self.port = port
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._owns = False  # the folder: not before nobody else was found to

    def check(self) -> None:
        """Raise SeamwatchError where it could not start: folder or ports are somebody else's."""
        _check_free(self.folder)
        _check_ports(range(self.port, self.port + STAGE_PORTS + 1))

    def start(self) -> Running:
        """Start all and wait until they answer; raise SeamwatchError and leave nothing running.

        The golden set is blessed meanwhile, before anybody can break what is blessed.
        """
        self.check()
        self._owns = True
        _clear(self.folder)
        try:
            addresses = self._start_pipeline()
            addresses["front"] = f"http://{HOST}:{self.port + STAGE_PORTS}"
            running = Running(f"http://{HOST}:{self.port}", addresses)
            self._start_exporter(running)
            self._bless(running)
            self._start_front(running)
            running = replace(running, rows=_rows(running))
            (self.folder / "demo.json").write_text(json.dumps(asdict(running), indent=1))
        except BaseException:
            self.stop()
            raise
        return running

    def ended(self) -> str | None:
        """Return a sentence about a process that ended on its own, None while all run."""
        for name, child in self._children.items():
            done = name == "blessing" and child.poll() == 0
            if child.poll() is not None and not done:
                return f"the {name} ended with code {child.returncode}{self._last_words(name)}"
        return None

    def stop(self) -> None:
        """End all, politely first; return when they are gone."""
        if self._owns:
            with suppress(OSError):
                (self.folder / "demo.json").unlink()
        children = list(reversed(self._children.values()))
        for child in children:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + GOODBYE
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
            _signal(child, signal.SIGKILL)
            child.wait()
        self._children.clear()

    def _start_pipeline(self) -> dict[str, str]:
        self._spawn("pipeline", "seamwatch.demo.serve", str(self.folder), str(self.port + 1))
        file = self.folder / "pipeline.json"
        self._wait("pipeline", file.exists)
        addresses: dict[str, str] = json.loads(file.read_text())["addresses"]
        return addresses

    def _start_exporter(self, running: Running) -> None:
        settings = self.folder / "seamwatch.yaml"
        settings.write_text(configuration(running.addresses, port=self.port), encoding="utf-8")
        listen = f"--web.listen-address={HOST}:{self.port}"
        self._spawn("exporter", "seamwatch", "run", "--config", str(settings), listen)
        self._wait("exporter", lambda: fetch(f"{running.exporter}/metrics") is not None)

    def _bless(self, running: Running) -> None:
        """Write what the golden set scores while all is well, and let the exporter read it."""
        settings = str(self.folder / "seamwatch.yaml")
        self._spawn(
            "blessing", "seamwatch", "golden", "bless", "--config", settings,
            "--passes", str(BLESSING_PASSES),
        )  # fmt: skip
        self._wait("blessing", lambda: self._children["blessing"].poll() == 0)
        del self._children["blessing"]
        answer = post(f"{running.exporter}/-/reload")
        if answer is None or answer[0] != 200:
            said = "nothing" if answer is None else answer[1].decode(errors="replace").strip()
            raise SeamwatchError(f"the exporter did not take up the blessing: it said {said}")

    def _start_front(self, running: Running) -> None:
        addresses = running.addresses
        self._spawn(
            "front", "seamwatch.demo.front", str(self.port + STAGE_PORTS), running.exporter,
            addresses["answer"],
        )  # fmt: skip
        self._wait("front", lambda: fetch(f"{addresses['front']}/status") is not None)

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as out:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone; we end them in order
                preexec_fn=_end_with_parent,
            )

    def _wait(self, name: str, answers: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not answers():
            if sentence := self.ended():
                raise SeamwatchError(sentence)
            if time.monotonic() > deadline:
                raise SeamwatchError(
                    f"the {name} did not answer within {PATIENCE:.0f} s{self._last_words(name)}"
                )
            time.sleep(0.05)

    def _last_words(self, name: str) -> str:
        """Return the end of a log, for an error text."""
        log = self.folder / f"{name}.log"
        lines = log.read_text(errors="replace").strip().splitlines()[-8:] if log.exists() else []
        return "".join(f"\n  {line}" for line in [f"see {log}:", *lines])


def find(folder: Path) -> Running:
    """Return the demo that runs in *folder*; raise SeamwatchError where none does."""
    file = folder / "demo.json"
    try:
        found = json.loads(file.read_text())
        running = Running(found["exporter"], found["addresses"], found["rows"])
    except (OSError, ValueError, KeyError, TypeError):
        running = None
    if running is None or b'"broken"' not in (
        fetch(running.addresses["control"] + "/status") or b""
    ):
        raise SeamwatchError(
            f"no demo is running in {folder}; start one with `seamwatch demo`, in another terminal"
        )
    return running


def fetch(url: str, *, timeout: float = 2.0) -> bytes | None:
    """Return the body, also of an error status; None where nothing answers in time."""
    try:
        with _DIRECT.open(url, timeout=timeout) as response:
            body: bytes = response.read(LARGEST)
            return body
    except HTTPError as error:
        with error:
            return error.read(LARGEST)
    except (OSError, HTTPException, ValueError):
        return None


def post(url: str, sent: Any = None) -> tuple[int, bytes] | None:
    """Return status and body of what answers to *sent* as JSON; None where nothing answers."""
    request = Request(
        url, data=json.dumps(sent).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with _DIRECT.open(request, timeout=60) as response:
            return response.status, response.read(LARGEST)
    except HTTPError as error:
        with error:
            return error.code, error.read(LARGEST)
    except (OSError, HTTPException, ValueError):
        return None


def control(running: Running, verb: str, faults: Iterable[str] = ()) -> list[str]:
    """Break or heal the running pipeline; return what is broken afterwards.

    Raises:
        SeamwatchError: the pipeline refuses, with its own words, or does not answer.
    """
    answer = post(f"{running.addresses['control']}/{verb}", {"faults": list(faults)})
    if answer is None:
        raise SeamwatchError("the demo's control port does not answer")
    status, body = answer
    if status != 200:
        raise SeamwatchError(body.decode(errors="replace"))
    broken: list[str] = json.loads(body)["broken"]
    return broken


def _rows(running: Running) -> dict[str, float]:
    """Return how many documents the stages that hold them say they have."""
    page = Page((fetch(f"{running.exporter}/metrics") or b"").decode("utf-8", "replace"))
    rows = {labels["pipeline_stage"]: value for labels, value in page.all("stage_rows")}
    return {stage: rows[stage] for stage in ("ingest", "index") if stage in rows}


def _check_free(folder: Path) -> None:
    """Refuse a folder where a demo runs, or one that holds something else."""
    try:
        running: Running | None = find(folder)
    except SeamwatchError:
        running = None
    if running is not None:
        raise SeamwatchError(
            f"a demo is already running in {folder} ({running.exporter}/metrics); end it, or give"
            " another --state-dir and --port"
        )
    known = {*REPLACED, *LOGS, ".gitignore", "index.partial"}
    if folder.is_dir() and (strange := {path.name for path in folder.iterdir()} - known):
        raise SeamwatchError(
            f"{folder} holds files that are not the demo's ({', '.join(sorted(strange)[:3])});"
            " give an empty or new --state-dir"
        )
    if folder.exists() and not folder.is_dir():
        raise SeamwatchError(f"{folder} is a file; give a folder as --state-dir")


def _check_ports(ports: range) -> None:
    if ports.start < 1 or ports.stop > 65536:
        raise SeamwatchError(f"--port {ports.start}: give a port from 1 to {65535 - STAGE_PORTS}")
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise SeamwatchError(
                    f"port {port} is in use; the demo needs {ports.start} to {ports.stop - 1}:"
                    " give another --port"
                ) from error


def _clear(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in REPLACED:
            (folder / name).unlink(missing_ok=True)
        (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise SeamwatchError(f"cannot write to {folder}: {error.strerror}") from error


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    """Send *number* to the child and to all that it started; each is a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _end_with_parent() -> None:
    """Ask Linux to end this child when the demo is killed and cannot; others have no such call."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
