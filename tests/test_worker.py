"""The worker process: it computes, it is replaced when killed, and it never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seamwatch.errors import SeamwatchError
from seamwatch.watch.worker import Worker


async def test_work_is_done_in_another_process() -> None:
    worker = Worker()
    try:
        assert await worker.run(os.getpid) != os.getpid()
    finally:
        worker.close()


async def test_an_exception_of_the_work_comes_back() -> None:
    worker = Worker()
    try:
        with pytest.raises(ValueError, match="invalid literal"):
            await worker.run(int, "x")
    finally:
        worker.close()


async def test_a_killed_process_is_an_error_and_the_next_call_has_another() -> None:
    worker = Worker()
    try:
        with pytest.raises(SeamwatchError, match="worker process was killed during kill"):
            await worker.run(os.kill, await worker.run(os.getpid), signal.SIGKILL)
        assert await worker.run(abs, -1) == 1
    finally:
        worker.close()


def test_a_killed_exporter_leaves_no_worker_behind(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, os\n"
        "from seamwatch.watch.worker import Worker\n"
        "async def main():\n"
        "    print(await Worker().run(os.getpid), flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while is_running(worker):
        assert time.monotonic() < deadline, "the worker is still there"
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
