"""Real servers out of environments of their own (`make test-slow` makes them)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENTS = Path(__file__).parents[2] / ".venv-slow"
PATIENCE = 240.0  # seconds; a loaded machine is slow, and nothing here is about speed


@contextmanager
def program(
    name: str, *words: str, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command *words* of the environment *name* in *folder*, and end all of its processes.

    What it says is kept in ``folder/said``.
    """
    path = ENVIRONMENTS / name / "bin"
    assert (path / words[0]).exists(), f"{path / words[0]} is missing; run `make test-slow`"
    variables = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", **(settings or {})}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [str(path / words[0]), *words[1:]],
            cwd=folder,
            env=variables,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End *process* and what it has started, which may outlive it."""
    for sent, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 20.0)):
        end = time.monotonic() + patience
        try:
            os.killpg(process.pid, sent)
            while time.monotonic() < end:
                process.poll()  # or it stays in the group
                os.killpg(process.pid, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            return


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return once *condition* holds; fail when the process ends before, or after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not condition():
        ended = process.poll() is not None
        if ended or time.monotonic() > end:
            raise AssertionError((folder / "said").read_text(errors="replace")[-4000:])
        time.sleep(0.2)


def call(
    method: str,
    url: str,
    document: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> tuple[int, Any]:
    """Return status and JSON of the answer, as somebody with another client sees it."""
    sent = dict(headers or {})
    if document is not None:
        body = json.dumps(document).encode()
        sent["Content-Type"] = "application/json"
    elif body is not None:
        sent.setdefault("Content-Type", "text/plain")
    request = urllib.request.Request(url, data=body, headers=sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, content = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, content = error.code, error.read()
    except OSError:
        return 0, None
    return status, json.loads(content) if content.strip() else None
