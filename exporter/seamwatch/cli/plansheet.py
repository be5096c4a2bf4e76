"""How a plan is shown: tables for people, JSON for everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seamwatch.planning import DAY, advice
from seamwatch.planning.words import a_year, count, duration, large, percent, points

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from seamwatch.planning import Fall, Plan, Rate, Setting, Spread, Wait

_NARROW = 90  # columns below which a table shows less
_PIPED = 110  # columns where there is no terminal to fit
_NEVER = "never"


def show(plans: Mapping[str, Plan]) -> None:
    """Print the plans, as wide as the terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPED)
    for at, (name, plan) in enumerate(plans.items()):
        if at:
            console.print()
        _show(console, name, plan)


def _show(console: Console, name: str, plan: Plan) -> None:
    from rich.padding import Padding
    from rich.text import Text

    narrow = console.width < _NARROW
    console.print(Text.assemble((name, "bold"), ": ", _about(plan.setting)))
    for line in _terms(plan.setting):
        console.print(_line(line))
    console.print(_falls(plan, narrow))
    if plan.slices:
        console.print(_slices(plan, narrow))
    for title, lines in _told(plan):
        console.print(Text(f"\n{title}", style="bold"))
        for line in lines:
            console.print(_line(line))
    told = advice(plan)
    if told:
        console.print(Text("\nBefore you rely on it", style="bold"))
        for one in told:
            console.print(Padding(_hanging("! ", one), (0, 0, 0, 2), expand=False))
    console.print(Text(f"\n{_method(plan)}", style="dim"))


def _line(text: str) -> RenderableType:
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text(text), (0, 0, 0, 2), expand=False)


def _hanging(mark: str, text: str) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=0)
    grid.add_column(width=len(mark), no_wrap=True)
    grid.add_column()
    grid.add_row(Text(mark, style="yellow"), Text(text))
    return grid


def _about(setting: Setting) -> str:
    interval = setting.interval
    slices = f", {len(setting.law.slices)} slices" if setting.law.slices else ""
    seen = "blessed at" if setting.blessed else "assumed to be healthy at"
    return (
        f"{setting.items:,} golden items{slices}, {seen} {percent(interval.value)}"
        f" ({percent(interval.lower)} to {percent(interval.upper)} of all such questions)"
    )


def _terms(setting: Setting) -> Iterator[str]:
    terms, pace = setting.terms, setting.pace
    text = f"halts below {percent(terms.floor)} ({terms.items.value.replace('_', '-')} comparison"
    if terms.slice_weight:
        text += f", slices weigh {percent(terms.slice_weight)}"
        text += ", focus on a failing one" if terms.focus else ""
    yield f"{text}); limit A = {large(terms.limit)}"
    text = f"a probe every {duration(pace.drip)}"
    if pace.factor > 1:
        text += f", {pace.factor:g} times as fast when suspicious"
    limits = [
        f"{most:,} {unit}"
        for most, unit in ((pace.per_hour, "an hour"), (pace.per_day, "a day"))
        if most is not None
    ]
    yield text + (f", at most {' and '.join(limits)}" if limits else "")


def _falls(plan: Plan, narrow: bool) -> Table:
    table = _table("How long a drop goes on until it halts", narrow)
    table.add_column("drop")
    table.add_column("left", justify="right")
    table.add_column("probes", justify="right")
    table.add_column("time", justify="right")
    if not narrow:
        table.add_column("95 % within", justify="right")
    costs = plan.setting.cost > 0
    if costs:
        table.add_column("cost", justify="right")
    tickets = plan.setting.terms.ticket_limit is not None and not narrow
    if tickets:
        table.add_column("ticket after", justify="right")
    for fall, name in _named(plan):
        row = [name, percent(fall.after), _probes(fall.halt), _time(fall, plan)]
        if not narrow:
            row.append(_within(fall.halt))
        if costs:
            row.append("-" if fall.money is None else money(fall.money))
        if tickets:
            row.append(_ticket(fall))
        table.add_row(*(_plain(cell) for cell in row))
    return table


def _named(plan: Plan) -> Iterator[tuple[Fall, str]]:
    for fall in plan.falls:
        yield fall, points(fall.loss)
    for fall in plan.local:
        yield fall, f"{points(fall.loss)}, all in {fall.slice}"
    yield plan.outage, "every answer wrong"


def _slices(plan: Plan, narrow: bool) -> Table:
    table = _table("A slice that fails altogether", narrow)
    table.add_column("slice")
    for heading in ("items", "healthy", "floor", "probes", "time"):
        table.add_column(heading, justify="right")
    if not narrow:
        table.add_column("95 % within", justify="right")
    for one in plan.slices:
        floor = "none" if one.floor is None else percent(one.floor)
        row = [one.name, f"{one.items:,}", percent(one.baseline), floor]
        row += [_probes(one.dead.halt), _time(one.dead, plan)]
        if not narrow:
            row.append(_within(one.dead.halt))
        table.add_row(*(_plain(cell) for cell in row))
    return table


def _table(title: str, narrow: bool) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=f"\n{title}",
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1) if narrow else (0, 2),
        pad_edge=False,
    )


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text("".join(one if one.isprintable() else " " for one in text))


def _probes(wait: Wait) -> str:
    if wait.probes.mean is not None:
        return count(wait.probes.mean)
    if wait.typical is None:
        return _NEVER
    return f"about {count(wait.typical)}"


def _time(fall: Fall, plan: Plan) -> str:
    wait = fall.halt
    seconds = wait.seconds.mean if wait.seconds.mean is not None else wait.seconds.median
    if seconds is None:
        if wait.typical is None:
            return "-"
        seconds = wait.typical * plan.healthy.seconds
    return duration(seconds)


def _within(wait: Wait) -> str:
    if wait.probes.p95 is None or wait.seconds.p95 is None:
        return "-"
    return f"{count(wait.probes.p95)}, {duration(wait.seconds.p95)}"


def _ticket(fall: Fall) -> str:
    # a halt that comes first leaves no ticket to raise
    probes = fall.ticket.probes.median
    return "-" if probes is None else f"{count(probes)} probes"


def money(value: float) -> str:
    """Return an amount in the user's own currency: ``0.004``, ``1.25``, ``1,250``."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def _told(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    yield "How often it cries wolf", list(_false(plan))
    yield "After a fix", list(_resume(plan))
    yield "What it costs", list(_costs(plan))


def _false(plan: Plan) -> Iterator[str]:
    setting = plan.setting
    floor = percent(setting.terms.floor)
    yield f"false halts while healthy: {_rate(plan.false_halts)}"
    yield (
        f"exactly at {floor} all year: promised at most {setting.false_halts:g} a year, simulated"
        f" {_rate(plan.false_halts_at_floor)}"
    )
    if plan.false_tickets is None:
        yield "tickets: none, they need a blessing"
    else:
        yield (
            f"tickets while healthy: promised at most {setting.false_tickets:g} a year, simulated"
            f" {_rate(plan.false_tickets)}"
        )


def _rate(rate: Rate) -> str:
    text = a_year(rate.value)
    return text if rate.reliable else f"{text} (order of magnitude)"


def _resume(plan: Plan) -> Iterator[str]:
    setting, resume = plan.setting, plan.resume
    above = percent(setting.terms.resume_above or setting.terms.floor)
    probes, seconds = resume.wait.probes, resume.wait.seconds
    if probes.mean is not None and seconds.mean is not None:
        text = f"{count(probes.mean)} probes, {duration(seconds.mean)}"
        if probes.p95 is not None and seconds.p95 is not None:
            text += f" (95 % within {count(probes.p95)}, {duration(seconds.p95)})"
    elif probes.median is not None and seconds.median is not None:
        text = f"half of the time within {count(probes.median)} probes, {duration(seconds.median)}"
    else:
        text = f"not within {resume.wait.longest:,} probes"
    yield f"proof that it is above {above} again: {text}"
    told = f"{setting.halted_probes:,} halted probes"
    yield (
        f"false proof in {told} exactly at {above}: promised at most"
        f" {percent(setting.false_resumes)}, simulated {resume.at_bound.value:.1%}"
    )
    if resume.broken:
        loss, worst = max(resume.broken, key=lambda one: one[1].value)
        seen = f"{worst.value:.1%}" if worst.value else f"none in {worst.runs} runs"
        yield f"the same while a drop of {points(loss)} or more is not fixed: {seen}"


def _costs(plan: Plan) -> Iterator[str]:
    setting, probes = plan.setting, plan.healthy.probes_a_day
    text = f"a normal day: {count(probes)} probes"
    if setting.cost:
        text += f", {money(plan.daily_cost)}; a year {money(365.25 * plan.daily_cost)}"
    if plan.healthy.suspect:
        share = plan.healthy.suspect
        text += f"; {'less than 0.01%' if share < 1e-4 else f'{share:.2%}'} of them in bursts"
    yield text
    most = DAY / setting.pace.sustained
    text = f"a day suspicious or halted: up to {count(most)} probes"
    yield text + (f", {money(most * setting.cost)}" if setting.cost else "")
    if setting.inquiry_probes is None:
        yield "naming a suspect: nothing is asked, no repairs are configured"
        return
    text = f"naming a suspect: at most {setting.inquiry_probes:,} probes an inquiry"
    if setting.cost:
        text += f" ({money(setting.inquiry_probes * setting.cost)})"
    if setting.inquiry_probes_a_day is not None:
        text += f", at most {setting.inquiry_probes_a_day:,} a day"
        if setting.cost:
            text += f" ({money(setting.inquiry_probes_a_day * setting.cost)})"
    yield text


def _method(plan: Plan) -> str:
    waits = [fall.halt for fall in plan.falls if fall.halt.probes.mean]
    errors = [(one.probes.error or 0) / (one.probes.mean or 1) for one in waits]
    runs = [fall.halt.runs for fall in plan.falls]
    text = (
        f"Simulated, seed {plan.seed}: {min(runs, default=0)} to {max(runs, default=0)} runs a drop"
    )
    if errors:
        text += f", standard error of the means up to {max(errors):.1%}"
    rates = [plan.false_halts, plan.false_halts_at_floor]
    known = [one.error / one.value for one in rates if 0 < one.value < float("inf")]
    if known:
        text += (
            "; false halts by importance sampling, standard error up to"
            f" {max(known):.0%}: they are too rare to wait for"
        )
    return f"{text}."


def as_json(plans: Mapping[str, Plan]) -> str:
    """Return the plans as one JSON document; what never happens or is unknown is null."""
    return json.dumps(
        {name: _document(plan) for name, plan in plans.items()}, indent=2, ensure_ascii=False
    )


def _document(plan: Plan) -> dict[str, Any]:
    setting, terms, pace = plan.setting, plan.setting.terms, plan.setting.pace
    interval = setting.interval
    return {
        "seed": plan.seed,
        "golden": {
            "items": setting.items,
            "slices": dict(
                zip(setting.law.slices, (int(n) for n in setting.law.sizes), strict=False)
            ),
            "blessed": setting.blessed,
            "baseline": interval.value,
            "lower": interval.lower,
            "upper": interval.upper,
        },
        "terms": terms.to_json(),
        "pace": {
            "seconds_between_probes": pace.drip,
            "seconds_between_burst_probes": pace.burst,
            "burst_probes": None if pace.burst_probes == float("inf") else pace.burst_probes,
        },
        "drops": [_fall(fall) for fall in (*plan.falls, *plan.local)],
        "outage": _fall(plan.outage),
        "slices": [
            {"slice": one.name, "items": one.items, "floor": one.floor} | _fall(one.dead)
            for one in plan.slices
        ],
        "false_halts_per_year": {
            "healthy": _rate_document(plan.false_halts),
            "at_floor": {"promised": setting.false_halts}
            | _rate_document(plan.false_halts_at_floor),
        },
        "false_tickets_per_year": None
        if plan.false_tickets is None
        else {"promised": setting.false_tickets} | _rate_document(plan.false_tickets),
        "resume": {
            "above": terms.resume_above or terms.floor,
            "wait": _wait(plan.resume.wait),
            "false_resume": {
                "halted_probes": setting.halted_probes,
                "promised": setting.false_resumes,
                "at_bound": plan.resume.at_bound.value,
                "error": plan.resume.at_bound.error,
            },
        },
        "a_day": {
            "probes": plan.healthy.probes_a_day,
            "cost": plan.daily_cost,
            "burst_share": plan.healthy.suspect,
            "most_probes": DAY / setting.pace.sustained,
        },
        "inquiry": {
            "max_probes": setting.inquiry_probes,
            "max_probes_a_day": setting.inquiry_probes_a_day,
        },
        "warnings": list(advice(plan)),
    }


def _fall(fall: Fall) -> dict[str, Any]:
    return {
        "drop": fall.loss,
        "left": fall.after,
        "slice": fall.slice,
        "halt": _wait(fall.halt),
        "cost": fall.money,
        "ticket": _wait(fall.ticket),
    }


def _wait(wait: Wait) -> dict[str, Any]:
    return {
        "probes": _spread(wait.probes),
        "seconds": _spread(wait.seconds),
        "reached": wait.reached,
        "runs": wait.runs,
        "simulated_probes": wait.longest,
        "first_order_probes": wait.first_order,
    }


def _spread(spread: Spread) -> dict[str, float | None]:
    names: Sequence[str] = ("mean", "error", "p05", "median", "p95")
    return {name: getattr(spread, name) for name in names}


def _rate_document(rate: Rate) -> dict[str, Any]:
    known = rate.value < float("inf")
    return {
        "simulated": rate.value if known else None,
        "error": rate.error if known else None,
        "reliable": rate.reliable,
        "all_the_time": not known,
    }
