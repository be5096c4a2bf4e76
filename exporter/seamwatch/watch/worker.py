"""One process beside the exporter for what burns CPU, so that no scrape waits for arithmetic."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import ParamSpec, TypeVar

from seamwatch.errors import SeamwatchError

P = ParamSpec("P")
T = TypeVar("T")

TASKS_A_PROCESS = 500  # then a new one starts, so that memory of large jobs is given back


def _settle() -> None:
    """Make the new process one that the exporter alone ends, and that never outlives it."""
    # Ctrl-C and a hang-up go to the whole process group; the exporter answers them.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # The queue of a pool has no end of file: without this a killed exporter leaves its worker.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Worker:
    """Runs functions in a spawned process, which starts at the first call.

    scikit-learn costs 1.5 s of CPU and 90 MB to import: it is imported there, never here.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``call(*args, **kwargs)``; all of it must be picklable.

        Raises:
            SeamwatchError: the process was killed; the next call starts another.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max_workers=1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_settle,
                max_tasks_per_child=TASKS_A_PROCESS,
            )
        pool = self._pool
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(pool, partial(call, *args, **kwargs))
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None
            name = getattr(call, "__name__", repr(call))
            raise SeamwatchError(
                f"the worker process was killed during {name}; if memory is short, give it more"
            ) from error

    def close(self) -> None:
        """End the process; what it was doing is abandoned."""
        if self._pool is not None:
            for process in multiprocessing.active_children():
                if process.pid in (self._pool._processes or {}):
                    process.terminate()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
