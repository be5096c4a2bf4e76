"""When which job runs: jitter, back-off, a limit a host and one over all; no two of one job."""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

JITTER = 0.1  # each interval is stretched or shrunk by up to this share, so that jobs spread out
BACKOFF = 2.0  # each failure in a row doubles the interval ...
BACKOFF_STEPS = 3  # ... up to eight times
BACKOFF_CAP = 300.0  # seconds; but never less than the job's own interval
SLOW = 1.0  # seconds after which a run no longer counts for its host: a hung one blocks nobody
NEVER = 1e9  # seconds
STARTS_A_SECOND = 500.0  # at the start, jobs are spread so that no more than this many begin


@dataclass(slots=True, eq=False)
class Job:
    """Something that is done again and again. *run* returns whether it succeeded."""

    run: Callable[[], Awaitable[bool]]
    every: float  # seconds
    host: str = ""  # jobs of one host share its limit; "" shares nothing
    gives_way: bool = True  # a slow run leaves its place in the limit to the next
    failures: int = 0  # in a row
    cancelled: bool = False
    turn: int = -1  # the entry of the schedule that holds; older ones are passed over
    due: float | None = None  # loop time of that entry; None while it runs or waits in line
    hasten: Callable[[Job], None] | None = None  # set by the schedule that runs it

    def pace(self, every: float) -> None:
        """Run *every* so many seconds from now on; a faster pace does not wait for the old one."""
        faster, self.every = every < self.every, every
        if faster and self.hasten is not None:
            self.hasten(self)


def interval(every: float, failures: int, draw: float) -> float:
    """Return the seconds until a job's next start; *draw* is uniform in [0, 1)."""
    steps = min(failures, BACKOFF_STEPS)
    backed_off = max(every, min(every * BACKOFF**steps, BACKOFF_CAP))
    return backed_off * (1 + JITTER * (2 * draw - 1))


@dataclass(slots=True)
class Schedule:
    """Runs jobs at their times on the running loop; monotonic time only.

    A job is due again only when it has ended, so a slow one is never piled up. A job whose host
    is full waits in that host's own line and holds up nobody else; a run that is slow gives its
    place in the host's limit to the next, unless it is one of many that would be slow together.
    """

    per_host: int = 8
    in_flight: int = 1024
    rng: random.Random = field(default_factory=random.Random)
    _due: list[tuple[float, int, Job]] = field(default_factory=list)
    _sequence: int = 0
    _running: dict[asyncio.Task[None], Job] = field(default_factory=dict)
    _holding: dict[asyncio.Task[None], asyncio.TimerHandle] = field(default_factory=dict)
    _hosts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _lines: dict[str, deque[Job]] = field(default_factory=lambda: defaultdict(deque))
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, jobs: Iterable[Job]) -> None:
        """Start *jobs*, the first runs spread over a short time."""
        new = list(jobs)
        now = asyncio.get_running_loop().time()
        spread = len(new) / STARTS_A_SECOND
        for job in new:
            job.hasten = self._hasten
            self._push(now + self.rng.random() * min(job.every, spread), job)
        self._wake.set()

    def cancel(self, jobs: Iterable[Job]) -> None:
        """Stop *jobs*: those that run now are cancelled, the others never start again.

        They are let go of at once, however long it is until they would have been due: what they
        hold is whole pipelines.
        """
        gone = set(jobs)
        for job in gone:
            job.cancelled = True
        if gone:
            self._due = [one for one in self._due if not one[2].cancelled]
            heapq.heapify(self._due)
        for task, job in self._running.items():
            if job in gone:
                task.cancel()

    async def run(self) -> None:
        """Start jobs as they fall due, until cancelled; then cancel what still runs."""
        try:
            while True:
                self._wake.clear()
                delay = self._start_due(asyncio.get_running_loop().time())
                try:
                    async with asyncio.timeout(delay):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _start_due(self, now: float) -> float | None:
        while self._due and self._due[0][0] <= now and len(self._running) < self.in_flight:
            _, turn, job = heapq.heappop(self._due)
            if job.cancelled or turn != job.turn:
                continue
            job.due = None
            if job.host and self._hosts[job.host] >= self.per_host:
                self._lines[job.host].append(job)
            else:
                self._start(job)
        if not self._due or len(self._running) >= self.in_flight:
            return None  # an added or ended job wakes the loop
        return max(0.0, self._due[0][0] - now)

    def _start(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._once(job))
        self._running[task] = job
        if job.host:
            self._hosts[job.host] += 1
            slow = SLOW if job.gives_way else NEVER
            self._holding[task] = loop.call_later(slow, self._leave, task)
        task.add_done_callback(self._ended)

    async def _once(self, job: Job) -> None:
        try:
            succeeded = await job.run()
        except Exception:  # the one broad handler: a bug in one job must not end the others
            log.exception("a job failed unexpectedly; it will be tried again")
            succeeded = False
        job.failures = 0 if succeeded else job.failures + 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._leave(task)
        job = self._running.pop(task)
        if task.cancelled():
            job.failures += 1  # not by us, if it goes on: some library cancelled what it awaited
        if not job.cancelled:
            delay = interval(job.every, job.failures, self.rng.random())
            self._push(task.get_loop().time() + delay, job)
        self._wake.set()

    def _leave(self, task: asyncio.Task[None]) -> None:
        """Let the next job of the same host have the place of *task*, if it still holds one."""
        timer = self._holding.pop(task, None)
        if timer is None:
            return
        timer.cancel()
        host = self._running[task].host
        self._hosts[host] -= 1
        line = self._lines.get(host)
        while line:
            waiting = line.popleft()
            if not waiting.cancelled:
                self._push(0.0, waiting)
                self._wake.set()
                break
        if not self._hosts[host]:
            del self._hosts[host]
        if line is not None and not line:
            del self._lines[host]

    def _hasten(self, job: Job) -> None:
        """Bring a waiting job forward to its new pace; one that runs, or is due, is left alone."""
        now = asyncio.get_running_loop().time()
        if job.due is not None and job.due > now + job.every:
            self._push(now + interval(job.every, 0, self.rng.random()), job)
            self._wake.set()

    def _push(self, at: float, job: Job) -> None:
        self._sequence += 1
        job.turn, job.due = self._sequence, at
        heapq.heappush(self._due, (at, self._sequence, job))
