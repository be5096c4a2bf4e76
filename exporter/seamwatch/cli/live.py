"""What ``check --live`` shows: each stage read once, each model asked one golden item."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from seamwatch import golden, models, sources
from seamwatch.config import Config
from seamwatch.config.schema import PipelineSection, StageSection
from seamwatch.errors import ReadError
from seamwatch.fetch import Fetcher
from seamwatch.golden import GoldenSet
from seamwatch.pipeline import Judged, Observation, Verdict
from seamwatch.scoring import judge

_AT_ONCE = 32  # stages read at the same time
_WIDE = 140  # columns where there is no terminal to fit
_BAD = (Verdict.ERROR, Verdict.TIMEOUT, Verdict.INVALID)  # the configuration may be to blame


@dataclass(frozen=True, slots=True)
class Seen:
    """One pipeline as it answered: per stage an observation, an error, or None without source."""

    stages: Mapping[str, Observation | ReadError | None]
    asked: Judged | None  # None without a model, a golden set, or an item that is valid now
    duration: float  # seconds for all of it

    @property
    def failed(self) -> bool:
        """Say whether something could not be read or asked."""
        return any(isinstance(seen, ReadError) for seen in self.stages.values()) or (
            self.asked is not None and self.asked.verdict in _BAD
        )


def show(config: Config, goldens: Mapping[str, GoldenSet], names: Sequence[str]) -> int:
    """Read and ask all in *names*, print what came, and return the exit code."""
    now = time.time()
    seen = asyncio.run(_look(config, goldens, names, now=now))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDE)
    for name in names:
        section = config.settings.pipelines[name]
        console.print()
        console.print(_table(name, section, config, seen[name], now=now))
        for stage, found in seen[name].stages.items():
            if isinstance(found, ReadError):
                text = f"[red]{found.reason}[/] {escape(stage)}: {escape(str(found))}"
                console.print(text, soft_wrap=True)
        console.print(_about_model(section, seen[name].asked), soft_wrap=True)
    return int(any(one.failed for one in seen.values()))


async def _look(
    config: Config, goldens: Mapping[str, GoldenSet], names: Sequence[str], *, now: float
) -> dict[str, Seen]:
    turns = asyncio.Semaphore(_AT_ONCE)
    async with Fetcher() as fetcher:
        reach = sources.Reach(fetcher)
        try:
            found = await asyncio.gather(
                *(_look_at(config, name, goldens.get(name), reach, turns, now) for name in names)
            )
        finally:
            await reach.close()
    return dict(zip(names, found, strict=True))


async def _look_at(
    config: Config,
    name: str,
    items: GoldenSet | None,
    reach: sources.Reach,
    turns: asyncio.Semaphore,
    now: float,
) -> Seen:
    section, base_dir = config.settings.pipelines[name], config.base_dir(name)
    started = time.monotonic()
    order = [stage.name for stage in config.pipelines[name].stages]
    found = await asyncio.gather(
        *(_read(section.stages[stage], reach, base_dir, turns, now) for stage in order),
    )
    asked = await _ask(section, items, reach.fetcher, base_dir, now)
    return Seen(dict(zip(order, found, strict=True)), asked, time.monotonic() - started)


async def _read(
    section: StageSection,
    reach: sources.Reach,
    base_dir: Path,
    turns: asyncio.Semaphore,
    now: float,
) -> Observation | ReadError | None:
    if section.source is None:
        return None
    source = sources.build(section.source, reach, timeout=section.timeout, base_dir=base_dir)
    try:
        async with turns:
            return await source.read(now=now)
    except ReadError as error:
        return error
    finally:
        await source.close()


async def _ask(
    section: PipelineSection,
    items: GoldenSet | None,
    fetcher: Fetcher,
    base_dir: Path,
    now: float,
) -> Judged | None:
    if section.model is None or section.golden is None or items is None:
        return None
    item = next((item for item in items.items if item.is_valid(now=now)), None)
    if item is None:
        return None
    answer = await models.build(section.model, fetcher).ask(item, timeout=section.model.timeout)
    rules = golden.rules(section.golden, section.quality, base_dir=base_dir)
    return judge(item, answer, rules, at=now)


def _table(name: str, section: PipelineSection, config: Config, seen: Seen, *, now: float) -> Table:
    table = Table(title=escape(name), title_justify="left", title_style="bold", expand=False)
    for column in ("stage", "kind", "source", "says", "version", "watermark", "updated_at"):
        table.add_column(column, overflow="fold")
    table.add_column("built_from", overflow="fold")
    for stage, found in seen.stages.items():
        one = section.stages[stage]
        kind = one.source.kind if one.source is not None else "-"
        table.add_row(escape(stage), one.kind, kind, *_cells(found, now))
    return table


def _cells(found: Observation | ReadError | None, now: float) -> list[str]:
    if found is None:
        return ["no source", "-", "-", "-", "-"]
    if isinstance(found, ReadError):
        return [f"[red]{found.reason}[/]", "-", "-", "-", "-"]
    says = {None: "-", True: "[green]healthy[/]", False: "[red]not healthy[/]"}[found.healthy]
    built_from = ", ".join(f"{up}={version}" for up, version in found.built_from.items())
    return [
        says,
        escape(found.version or "-"),
        _moment(found.watermark, now),
        _moment(found.updated_at, now),
        escape(built_from or "-"),
    ]


def _moment(at: float | None, now: float) -> str:
    if at is None:
        return "-"
    text = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{text} ({age(now - at)})"


def age(seconds: float) -> str:
    """Return *seconds* as people say it: ``40s``, ``12m``, ``3h 5m``, ``4d 2h``."""
    if seconds < 0:
        return f"in {age(-seconds)}"
    whole = int(seconds)
    for size, unit, small_size, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if whole >= size:
            rest = whole % size // small_size
            return f"{whole // size}{unit} {rest}{small}" if rest else f"{whole // size}{unit}"
    return f"{whole // 60}m" if whole >= 60 else f"{whole}s"


def _about_model(section: PipelineSection, asked: Judged | None) -> str:
    if section.model is None:
        return "model: none is configured"
    if asked is None:
        why = "no golden set" if section.golden is None else "no golden item is valid now"
        return f"model: not asked ({why})"
    answer = asked.answer
    colour = "red" if asked.verdict in _BAD else "yellow"
    if asked.verdict is Verdict.CORRECT:
        colour = "green"
    by = f", answered by {escape(answer.answered_by)}" if answer.answered_by else ""
    text = (
        f"model: item {escape(asked.item.id)}: [{colour}]{asked.verdict}[/]"
        f" in {answer.duration:.3f} s{by}"
    )
    if answer.failure is not None:
        return f"{text}: {answer.failure.reason}: {escape(answer.failure.message)}"
    if asked.verdict is not Verdict.CORRECT:
        said, expected = _short(answer.value), _short(asked.item.expected)
        text += f"; it said {escape(said)}, expected {escape(expected)}"
    return text


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
