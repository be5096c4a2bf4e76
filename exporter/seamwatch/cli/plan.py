"""``seamwatch plan``: what a floor, a rate and a promise amount to, before they are used."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamwatch.cli.golden import chosen

if TYPE_CHECKING:
    from seamwatch.config import Config
    from seamwatch.config.gate import GateSection
    from seamwatch.config.schema import PipelineSection
    from seamwatch.evidence import Blessing, Terms
    from seamwatch.golden import GoldenSet
    from seamwatch.planning import Law, Plan, Setting

DROPS = (0.04, 0.09, 0.14, 0.23)
ASSUMED_ABOVE_FLOOR = 0.04  # the baseline of a set that nobody blessed: the usual tolerance
_PICTURES = (".svg", ".png")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "plan",
        help="say what a floor and a rate amount to: time, halts, money",
        description="Say, for your own golden set, floor, slices and rate, how many probes, how "
        "much time and money a halt takes for a range of drops, how often it halts although "
        "nothing is wrong, what a recovery takes, and which promises can never be kept. "
        "Simulated; asks the model nothing.",
        epilog="exit status: 0 planned, 2 configuration or golden set cannot be used",
    )
    parser.add_argument("--config", nargs="+", default=["seamwatch.yaml"], metavar="FILE")
    parser.add_argument("--pipeline", metavar="NAME", help="only this one; default: all with a set")
    parser.add_argument(
        "--drops",
        type=_drops,
        default=DROPS,
        metavar="POINTS",
        help="drops of the accuracy in points (default: 4,9,14,23)",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument(
        "--picture",
        type=_picture,
        metavar="FILE",
        help="draw time to halt against drop: .svg or .png; needs seamwatch[plot]",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the simulation")
    what_if = parser.add_argument_group("what if", "try values that are not in the configuration")
    what_if.add_argument("--floor", type=_ratio, metavar="RATIO", help="gate.floor, e.g. 88%%")
    what_if.add_argument("--every", type=_period, metavar="TIME", help="golden.every, e.g. 15s")
    what_if.add_argument(
        "--baseline",
        type=_ratio,
        metavar="RATIO",
        help="what the set scores while healthy, where it is not blessed (default: 4 points above "
        "the floor)",
    )
    parser.set_defaults(run=run)


def _drops(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part.strip().removesuffix("%")) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} are no points; write 4,9,14,23") from error
    wrong = [one for one in found if not 0.1 <= one <= 100]
    if wrong or len(found) > 20:
        raise argparse.ArgumentTypeError(f"{text!r}: write up to 20 drops of 0.1 to 100 points")
    return tuple(sorted({one / 100 for one in found}))


def _ratio(text: str) -> float:
    from seamwatch.config.fields import parse_ratio

    try:
        found = parse_ratio(text if text.endswith("%") else float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no ratio; write 0.92 or 92%") from error
    if not 0 < found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must lie between 0 and 1, e.g. 92%")
    return found


def _period(text: str) -> float:
    from seamwatch.config.fields import parse_period

    try:
        return parse_period(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _picture(text: str) -> Path:
    if Path(text).suffix not in _PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} is no picture; write a name in .svg or .png")
    return Path(text)


def run(args: argparse.Namespace) -> int:
    """Plan for the pipelines that *args* name; print the plans and return the exit status.

    Raises SeamwatchError if a configuration or a golden set cannot be used.
    """
    from seamwatch.cli.plansheet import as_json, show
    from seamwatch.config import load
    from seamwatch.errors import SeamwatchError

    if args.picture is not None:
        from seamwatch.cli.planpicture import require

        require()
    config = load(args.config)
    names = chosen(
        [name for name, one in config.settings.pipelines.items() if one.golden and one.model],
        args.pipeline,
    )
    if args.picture is not None and len(names) > 1:
        raise SeamwatchError(f"one picture shows one pipeline; give --pipeline {names[0]}")
    plans = {name: _plan(name, config, args) for name in names}
    if args.picture is not None:
        from seamwatch.cli.planpicture import draw

        draw(plans[names[0]], names[0], args.picture)
    if args.format == "json":
        print(as_json(plans))
    else:
        show(plans)
        if args.picture is not None:
            print(f"\npicture: {args.picture}")
    return 0


def _plan(name: str, config: Config, args: argparse.Namespace) -> Plan:
    from seamwatch.planning import plan

    setting = _setting(name, config, args)
    drops = [one for one in args.drops if one <= setting.law.baseline]
    return plan(setting, drops, seed=args.seed)


def _setting(name: str, config: Config, args: argparse.Namespace) -> Setting:
    """Return what the plan of pipeline *name* follows from.

    Raises SeamwatchError where there is no floor to plan with, or the set cannot be used.
    """
    from seamwatch import golden
    from seamwatch.config.models import BudgetSection
    from seamwatch.planning import Pace, Setting

    section = _with(config.settings.pipelines[name], args)
    asked, model, gate = section.golden, section.model, section.gate
    assert asked is not None
    assert model is not None
    golden_set = golden.load(config.base_dir(name) / asked.file, asked)
    blessing = _blessing(name, config, section, golden_set)
    gate = _gate(name, gate, blessing, args)
    section = section.model_copy(update={"gate": gate})
    budget: BudgetSection = model.budget
    repairs = [one for one in model.repairs.values() if not one.threshold or one.url]
    terms, law = _terms(section, golden_set, blessing, args)
    return Setting(
        law=law,
        terms=terms,
        pace=Pace(asked.every, gate.burst.factor, budget.per_hour, budget.per_day),
        blessed=blessing is not None,
        cost=model.cost,
        false_halts=gate.max_false_halts_per_year,
        false_tickets=gate.max_false_tickets_per_year,
        false_resumes=gate.resume.max_false_resumes_per_halt,
        halted_probes=gate.resume.max_halted_probes,
        min_halt=gate.resume.min_halt,
        inquiry_probes=model.attribution.max_probes if repairs else None,
        inquiry_probes_a_day=model.attribution.per_day if repairs else None,
    )


def _with(section: PipelineSection, args: argparse.Namespace) -> PipelineSection:
    if args.every is None or section.golden is None:
        return section
    golden = section.golden.model_copy(update={"every": args.every})
    return section.model_copy(update={"golden": golden})


def _blessing(
    name: str, config: Config, section: PipelineSection, golden_set: GoldenSet
) -> Blessing | None:
    from seamwatch import golden
    from seamwatch.golden import blessed
    from seamwatch.golden.terms import score_of

    asked, base_dir = section.golden, config.base_dir(name)
    assert asked is not None
    rules = golden.rules(asked, section.quality, base_dir=base_dir)
    wanted = None if section.gate is None else section.gate.score
    path = blessed.path_of(asked, base_dir)
    found, why = blessed.examine(path, golden_set, rules, score=score_of(asked, wanted))
    if why is not None:
        print(f"seamwatch: {name}: blessing not used: {why}", file=sys.stderr)
    return found


def _gate(
    name: str, gate: GateSection | None, blessing: Blessing | None, args: argparse.Namespace
) -> GateSection:
    """Return the gate with what *args* try; raise SeamwatchError where no floor follows."""
    from seamwatch.config.gate import GateSection
    from seamwatch.errors import SeamwatchError

    found = GateSection() if gate is None else gate
    floor: float | None = found.floor if args.floor is None else args.floor
    if floor is None and blessing is None and args.baseline is not None:
        floor = args.baseline - found.floor_below_baseline
    if floor is None and blessing is None:
        raise SeamwatchError(
            f"pipelines.{name}.gate: there is no floor, and the golden set is not blessed; write "
            "floor: 90%, or run `seamwatch golden bless`, or try --floor 90% or --baseline 94%"
        )
    return found.model_copy(update={"floor": floor})


def _terms(
    section: PipelineSection,
    golden_set: GoldenSet,
    blessing: Blessing | None,
    args: argparse.Namespace,
) -> tuple[Terms, Law]:
    from seamwatch.errors import SeamwatchError
    from seamwatch.golden.terms import terms_for
    from seamwatch.planning import Law

    gate = section.gate
    assert gate is not None
    valid = [item for item in golden_set.items if item.is_valid(now=time.time())]
    if not valid:
        raise SeamwatchError(
            "no golden item is valid now, so none can be asked; renew valid_until or valid_from"
        )
    if blessing is not None:
        law = Law.blessed(blessing, [item.id for item in valid])
        baseline, floor = blessing.baseline, gate.floor
        if baseline is None or floor is None or floor < baseline:
            return terms_for(section, golden_set, blessing), law
        # no terms are on offer for a floor that a healthy set is below; plain ones show why
        plain = gate.model_copy(update={"items": "plain"})
        terms = terms_for(section.model_copy(update={"gate": plain}), golden_set, None)
        return replace(terms, baseline=baseline), law
    terms = terms_for(section, golden_set, None)
    assumed: Any = args.baseline
    if assumed is None:
        assumed = min(terms.floor + ASSUMED_ABOVE_FLOOR, (1 + terms.floor) / 2)
    return terms, Law.assumed(Counter(item.slice for item in valid), assumed)
