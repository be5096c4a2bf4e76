"""The demo's screen: what each team sees beside what seamwatch sees, the verdict first.

Three layouts, by the terminal: both sides beside one another, one over the other, and for 24 lines
one table of both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamwatch.demo.faults import FAULTS
from seamwatch.demo.seen import Seen
from seamwatch.demo.words import PARTED, end_to_end, note, span, verdict

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

COMMAND = "seamwatch demo"
WIDTH, HEIGHT = 120, 40  # of the picture, in characters
BESIDE = 104  # columns from which both sides fit beside one another
TALL = 40  # lines from which both sides fit over one another, with all figures

WIDEST = {"stage": 9, "team": 8, "health": 6, "page": 4, "data age": 8, "job ran": 7}  # columns


def picture(
    seen: Seen, *, width: int = WIDTH, height: int = HEIGHT, command: str = COMMAND
) -> RenderableType:
    """Return the screen for a terminal of *width* columns and *height* lines."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table

    brief = height < (30 if width >= BESIDE else TALL)
    bad = bool(seen.silent_failure) or not seen.exporter_answers
    whole = Panel(
        Group(_sentence(seen), _whole(seen, brief=brief)),
        title="end to end, in /metrics",
        border_style="red" if bad else "cyan",
    )
    teams = Panel(_teams(seen), title="what each team sees", border_style="green")
    seams = Panel(_seams(seen), title="what seamwatch sees", border_style="cyan")
    if width >= BESIDE:
        grid = Table.grid(expand=True)
        grid.add_column(ratio=54)
        grid.add_column(ratio=66)
        grid.add_row(teams, seams)
        sides: RenderableType = grid
    elif brief:
        sides = Panel(_both(seen), title="what each team and seamwatch see", border_style="cyan")
    else:
        sides = Group(teams, seams)
    return Group(_heading(seen, brief=brief), whole, sides, _next(seen, command, brief=brief))


def _heading(seen: Seen, *, brief: bool) -> Text:
    from rich.text import Text

    broken = ", ".join(seen.broken) or "nothing"
    text = Text.assemble(("seamwatch demo", "bold"), "  broken now: ")
    text.append(broken, style="bold red" if seen.broken else "green")
    if brief:
        text.no_wrap, text.overflow = True, "ellipsis"
        return text
    for name in seen.broken:
        text.append(f"\n  {name}: {FAULTS[name].what}", style="dim")
    return text


def _teams(seen: Seen) -> Table:
    table = _columns("stage", "team", "health", "its page says")
    for page in seen.pages:
        table.add_row(page.stage, page.team, _light(page.status), page.summary)
    return table


def _seams(seen: Seen) -> Table:
    table = _columns("stage", "data age", "job ran", "seam")
    for page in seen.pages:
        stage = seen.stages[page.stage]
        words, style = _note(seen, page.stage)
        job = "-" if stage.job_age is None else span(stage.job_age)
        table.add_row(page.stage, span(stage.data_age), job, words, style=style)
    return table


def _both(seen: Seen) -> Table:
    from rich.text import Text

    table = _columns("stage", "team", "page", "data age", "seam")
    for page in seen.pages:
        words, style = _note(seen, page.stage)
        age = Text(span(seen.stages[page.stage].data_age), style=style)
        light = _light("ok" if page.status == "ok" else "bad")
        table.add_row(page.stage, page.team, light, age, Text(words, style=style))
    return table


def _light(status: str) -> str:
    return f"[{'green' if status == 'ok' else 'red'}]● {status}[/]"


def _note(seen: Seen, name: str) -> tuple[str, str]:
    """Return what to say of a stage's seams, and in which style."""
    stage = seen.stages[name]
    if words := note(stage):
        return words, "bold red"
    passing = stage.data_age is not None and stage.data_age > PARTED
    return "passes it on" if passing else "ok", "" if stage.data_age is not None else "dim"


def _columns(*names: str) -> Table:
    from rich.table import Table

    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    for name in names[:-1]:
        table.add_column(name, no_wrap=True, min_width=WIDEST[name])
    table.add_column(names[-1], no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _whole(seen: Seen, *, brief: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=len("past case"))
    table.add_column(no_wrap=brief, overflow="ellipsis" if brief else "fold")
    for what, figure, holds in end_to_end(seen, brief=brief):
        style = "" if holds is None else "green" if holds else "bold red"
        table.add_row(what, Text(figure), style=style)
    return table


def _sentence(seen: Seen) -> Text:
    from rich.text import Text

    well = seen.silent_failure is False
    style = "bold red" if seen.silent_failure else "green" if well else "yellow"
    return Text(verdict(seen), style=style)


def _next(seen: Seen, command: str, *, brief: bool) -> Text:
    from rich.text import Text

    wanted = f"{command} heal" if seen.broken else f"{command} break all"
    text = Text.assemble(("in another terminal:  ", "dim"), (wanted, "bold"))
    if not seen.broken and not brief:
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
