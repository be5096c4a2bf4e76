"""The demo's screen: what each team sees beside what seamwatch sees, as a picture or as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamwatch.demo.faults import FAULTS
from seamwatch.demo.seen import Seen, StageSeen

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

COMMAND = "seamwatch demo"
WIDTH = 120  # columns that the picture needs
BESIDE = 104  # columns from which both sides fit beside one another
PARTED = 86400.0  # seconds of data age that make a row stand out
STALE_JOB = 15.0  # a job age under this is "just now" beside a data age of days

WIDEST = {"stage": 9, "team": 8, "health": 6, "data age": 8, "job ran": 7}  # columns

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def span(seconds: float | None) -> str:
    """Return a duration for people: ``7 s``, ``3 min``, ``315 d``; ``unknown`` for None."""
    if seconds is None:
        return "unknown"
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{seconds / size:.0f} {unit}"


def percent(ratio: float | None) -> str:
    """Return a ratio for people; ``unknown`` for None."""
    return "unknown" if ratio is None else f"{100 * ratio:.1f} %"


def note(seen: StageSeen) -> str:
    """Say what is wrong with a stage's seams, empty where nothing is known to be."""
    parts = list(seen.skewed)
    age, job = seen.data_age, seen.job_age
    if age is not None and age > PARTED:
        old = f"older than {seen.bottleneck}" if seen.bottleneck else "old data"
        if seen.bottleneck or job is not None:
            fresh = job is not None and job < STALE_JOB
            parts.append(f"{old}, fresh job" if fresh else old)
    elif age is not None and seen.limit is not None and age > seen.limit:
        parts.append(f"over its limit of {span(seen.limit)}")
    return "; ".join(parts)


def verdict(seen: Seen) -> str:
    """Say in one sentence how the whole is doing."""
    if not seen.exporter_answers:
        return "seamwatch does not answer on /metrics"
    if seen.silent_failure:
        return "SILENT FAILURE: every stage says it is healthy, and the answers are wrong"
    if any(page.status != "ok" for page in seen.pages):
        return "a stage says itself that it is not well"
    if seen.silent_failure is None or seen.accuracy is None:
        return "watching; too few answers to say more"
    if seen.accuracy_target is not None and seen.accuracy[0] < seen.accuracy_target:
        return "accuracy is under its target, by no more than chance allows so far"
    return "end to end is well"


def end_to_end(seen: Seen) -> list[tuple[str, str, bool | None]]:
    """Return rows of (what, figure, holds); None where it cannot be told."""
    rows: list[tuple[str, str, bool | None]] = []
    target = seen.accuracy_target
    if seen.accuracy is None:
        rows.append(("accuracy", "unknown, no answers yet", None))
    else:
        value, lower, upper = seen.accuracy
        figure = (
            f"{percent(value)}  ({100 * lower:.0f} to {100 * upper:.0f} %,"
            f" last {seen.window or 0:.0f} answers)  target {percent(target)}"
        )
        rows.append(("accuracy", figure, seen.met.get("accuracy")))
    if seen.slices:
        figure = "   ".join(f"{name} {percent(seen.slices[name])}" for name in sorted(seen.slices))
        rows.append(("by slice", figure, None))
    figure = f"{span(seen.data_age)}  limit {span(seen.data_age_limit)}"
    rows.append(("data age", figure, seen.met.get("freshness")))
    counts = "   ".join(f"{name} {count:.0f}" for name, count in seen.verdicts.items() if count)
    rows.append(("answers", counts or "none yet", None))
    if others := set(seen.answered_by) - {seen.declared}:
        figure = f"{', '.join(sorted(others))}, where {seen.declared or 'another'} was asked"
        rows.append(("answered by", figure, False))
    return rows


def hint(seen: Seen, command: str) -> str:
    """Say what to type next; *command* is how the demo's commands are called here."""
    return f"{command} heal" if seen.broken else f"{command} break all"


def block(seen: Seen) -> str:
    """Return the screen as plain text, one line a stage."""
    lines = [f"broken: {', '.join(seen.broken) or 'nothing'}"]
    for page in seen.pages:
        stage = seen.stages[page.stage]
        lines.append(
            f"  {page.stage:<10}{page.team:<10}says {page.status:<4} | seamwatch:"
            f" data age {span(stage.data_age)}{', ' + note(stage) if note(stage) else ''}"
        )
    lines += [f"  {what:<12}{figure}" for what, figure, _ in end_to_end(seen)]
    return "\n".join([*lines, f"  {verdict(seen)}"])


def picture(seen: Seen, *, width: int = WIDTH, command: str = COMMAND) -> RenderableType:
    """Return the screen for a terminal of *width* columns: both sides, or one over the other."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table

    teams = Panel(_teams(seen), title="what each team sees", border_style="green")
    seams = Panel(_seams(seen), title="what seamwatch sees", border_style="cyan")
    if width < BESIDE:
        sides: RenderableType = Group(teams, seams)
    else:
        sides = grid = Table.grid(expand=True)
        grid.add_column(ratio=54)
        grid.add_column(ratio=66)
        grid.add_row(teams, seams)
    bad = bool(seen.silent_failure) or not seen.exporter_answers
    whole = Panel(
        Group(_whole(seen), _sentence(seen)),
        title="end to end, in /metrics",
        border_style="red" if bad else "cyan",
    )
    return Group(_heading(seen), sides, whole, _next(seen, command))


def _heading(seen: Seen) -> Text:
    from rich.text import Text

    broken = ", ".join(seen.broken) or "nothing"
    text = Text.assemble(("seamwatch demo", "bold"), "  broken now: ")
    text.append(broken, style="bold red" if seen.broken else "green")
    for name in seen.broken:
        text.append(f"\n  {name}: {FAULTS[name].what}", style="dim")
    return text


def _teams(seen: Seen) -> Table:
    table = _columns("stage", "team", "health", "its page says")
    for page in seen.pages:
        well = page.status == "ok"
        table.add_row(
            page.stage, page.team, f"[{'green' if well else 'red'}]● {page.status}[/]", page.summary
        )
    return table


def _seams(seen: Seen) -> Table:
    table = _columns("stage", "data age", "job ran", "seam")
    for page in seen.pages:
        stage = seen.stages[page.stage]
        words = note(stage)
        style = "bold red" if words else "" if stage.data_age is not None else "dim"
        job = "-" if stage.job_age is None else span(stage.job_age)
        passing = stage.data_age is not None and stage.data_age > PARTED
        words = words or ("passes it on" if passing else "ok")
        table.add_row(page.stage, span(stage.data_age), job, words, style=style)
    return table


def _columns(*names: str) -> Table:
    from rich.table import Table

    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    for name in names[:-1]:
        table.add_column(name, no_wrap=True, min_width=WIDEST[name])
    table.add_column(names[-1], no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _whole(seen: Seen) -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for what, figure, holds in end_to_end(seen):
        style = "" if holds is None else "green" if holds else "bold red"
        table.add_row(what, figure, style=style)
    return table


def _sentence(seen: Seen) -> Text:
    from rich.text import Text

    text = verdict(seen)
    well = seen.silent_failure is False
    return Text(text, style="bold red" if seen.silent_failure else "green" if well else "yellow")


def _next(seen: Seen, command: str) -> Text:
    from rich.text import Text

    text = Text.assemble(("in another terminal:  ", "dim"), (hint(seen, command), "bold"))
    if not seen.broken:
        text.append(f"\n          or one of:  {'  '.join(FAULTS)}", style="dim")
    return text


def svg(seen: Seen) -> str:
    """Return the screen as an SVG picture that loads nothing from anywhere."""
    import io
    import re

    from rich.console import Console

    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(picture(seen))
    drawn = console.export_svg(title="seamwatch demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
