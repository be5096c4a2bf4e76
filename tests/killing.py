"""Writers that are killed at random moments. They are forked, so that many of them cost little.

A writer's program reads lines and forks a writer for each, which prints its process id and then
what it knows to be on disk; when the writer was killed the program prints ``dead``.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def nursery(program: Path) -> Iterator[subprocess.Popen[str]]:
    """Run *program* for as long as the block lasts."""
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


def write_and_kill(
    process: subprocess.Popen[str], line: str, dice: random.Random, *, at_most: int = 5
) -> list[str]:
    """Let a writer write, kill it before it says *at_most* lines or soon after; return them."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    pid = int(process.stdout.readline())
    said = [process.stdout.readline() for _ in range(dice.randrange(at_most))]
    time.sleep(dice.uniform(0.0, 0.02))  # it is the moment that is at stake
    os.kill(pid, signal.SIGKILL)
    while not said or said[-1] != "dead\n":
        said.append(process.stdout.readline())
        assert said[-1], "the writer failed by itself"
    return said[:-1]


def say(what: Any) -> None:
    """Tell the one that kills."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def fork_for_each_line(write: Callable[..., Coroutine[Any, Any, None]]) -> None:
    """Be the program: fork a process that runs ``write(*words)`` for each line of words."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            say(os.getpid())
            asyncio.run(write(*line.split()))
            os._exit(1)
        os.waitpid(child, 0)
        say("dead")
