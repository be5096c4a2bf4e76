"""Asking a live model from the command line: once by ``score``, several times by ``bless``."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamwatch.errors import ReadError, SeamwatchError

if TYPE_CHECKING:
    from seamwatch.config import Config
    from seamwatch.config.schema import GoldenSection, PipelineSection
    from seamwatch.golden import GoldenSet
    from seamwatch.models import ModelClient
    from seamwatch.pipeline import GoldenItem, Judged
    from seamwatch.scoring import Rules

MAX_TOLD = 10


@dataclass(frozen=True)
class Subject:
    """A pipeline whose model can be asked: its settings, its golden set and its rules."""

    name: str
    section: PipelineSection
    base_dir: Path
    golden: GoldenSet
    rules: Rules

    @property
    def asked(self) -> GoldenSection:
        """The settings of the golden set."""
        assert self.section.golden is not None
        return self.section.golden

    def order(self, *, seed: int, now: float) -> tuple[GoldenItem, ...]:
        """Return what is asked in one pass; raise SeamwatchError where no item is valid."""
        from seamwatch.golden import permutation

        valid = permutation(self.golden, seed=seed, now=now)
        if not valid:
            raise SeamwatchError(
                f"pipelines.{self.name}.golden: no item is valid now, so none can be asked; "
                "renew valid_until or valid_from"
            )
        return valid


def subjects(config: Config, wanted: str | None) -> list[Subject]:
    """Return the pipelines with a set and a model, or the *wanted* one, their files read.

    Raises SeamwatchError if there is none, or a golden set cannot be used.
    """
    from seamwatch import golden
    from seamwatch.cli.golden import chosen

    pipelines = config.settings.pipelines
    names = chosen([name for name, one in pipelines.items() if one.golden and one.model], wanted)
    found = []
    for name in names:
        section, base_dir = pipelines[name], config.base_dir(name)
        assert section.golden is not None
        items = golden.load(base_dir / section.golden.file, section.golden)
        rules = golden.rules(section.golden, section.quality, base_dir=base_dir)
        found.append(Subject(name, section, base_dir, items, rules))
    return found


class Session:
    """One model that is asked within one budget, however many passes there are."""

    def __init__(
        self, subject: Subject, client: ModelClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        from seamwatch import models

        model = subject.section.model
        assert model is not None
        self._subject = subject
        self._client = client
        self._clock = clock
        self._timeout = model.timeout
        self._limit = models.AdaptiveLimit(model.concurrency)
        self._budget = models.budget_of(model)
        self.out_of_budget = False  # whether the last asking ended early

    def check(self, items: Iterable[GoldenItem]) -> None:
        """Raise SeamwatchError if some items could never be asked, before any is."""
        wrong = []
        for item in items:
            try:
                self._client.check(item)
            except ReadError as error:
                wrong.append(f"pipelines.{self._subject.name}.golden: item {item.id!r}: {error}")
        if wrong:
            more = [f"and {len(wrong) - MAX_TOLD:,} more items"] if len(wrong) > MAX_TOLD else []
            raise SeamwatchError("\n".join(wrong[:MAX_TOLD] + more))

    async def ask(self, items: Sequence[GoldenItem], title: str) -> list[Judged]:
        """Return the judged answers, errors among them; fewer where the budget is spent."""
        from seamwatch import models
        from seamwatch.scoring import judge

        asking = models.ask_all(
            self._client,
            items,
            timeout=self._timeout,
            limit=self._limit,
            budget=self._budget,
            clock=self._clock,
        )
        judged = []
        with _progress(title, len(items)) as step:
            async for item, answer in asking:
                judged.append(judge(item, answer, self._subject.rules, at=time.time()))
                step(judged[-1])
        self.out_of_budget = asking.out_of_budget
        return judged


def run_all(tasks: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Run *tasks* one after the other on one event loop and return what each gave."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return [runner.run(_awaited(task)) for task in tasks]


async def _awaited(task: Callable[[], Awaitable[Any]]) -> Any:
    return await task()


def any_seed() -> int:
    """Return a seed that nobody chose."""
    return random.randrange(1 << 31)


def _loop_factory() -> Any:
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


@contextlib.contextmanager
def _progress(name: str, total: int) -> Iterator[Any]:
    """Show a bar on stderr while asking, where a person is watching it."""
    if not sys.stderr.isatty():
        yield lambda judged: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from seamwatch.pipeline import Verdict

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[right]}"),
    )
    right = answers = 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=total, right="")

        def step(judged: Judged) -> None:
            nonlocal right, answers
            answers += judged.verdict.is_answer
            right += judged.verdict is Verdict.CORRECT
            shown = f"{right / answers:.1%} correct" if answers else ""
            progress.update(task, advance=1, right=shown)

        yield step
