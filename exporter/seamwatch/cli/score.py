"""``seamwatch score``: ask the live model the whole golden set once and report."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING

from seamwatch.cli.given import add_config, config_files

if TYPE_CHECKING:
    from seamwatch.cli.asking import Subject
    from seamwatch.cli.scorecard import Scorecard

REACHED, BELOW, UNKNOWN = 0, 1, 2


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "score",
        help="ask the live model the whole golden set once and report",
        description="Ask the live model every item of the golden set that is valid now, once, and "
        "report accuracy with its interval, verdicts, slices and measures.",
        epilog="exit status: 0 the accuracy reaches what is asked for, 1 it does not, "
        "2 it is unknown: configuration, golden set or model cannot be used",
    )
    add_config(parser)
    parser.add_argument("--pipeline", metavar="NAME", help="only this one; default: all with a set")
    parser.add_argument("--format", choices=("table", "json", "markdown"), default="table")
    parser.add_argument(
        "--fail-under",
        type=_ratio,
        metavar="RATIO",
        help="accuracy to reach, 0.92 or 92%% (default: slos.accuracy.at_least of the pipeline)",
    )
    parser.add_argument(
        "--limit", type=_count, metavar="N", help="ask only N items, each slice by its share"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="of the order, to ask the same N again"
    )
    parser.add_argument("--slices", action="store_true", help="report each slice as well")
    parser.add_argument(
        "--show-answers",
        action="store_true",
        help="print expected and given answers of the worst failures; they may be private",
    )
    parser.set_defaults(run=run)


def _ratio(text: str) -> float:
    from seamwatch.config.fields import parse_ratio

    try:
        return parse_ratio(text if text.endswith("%") else float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no ratio; write 0.92 or 92%") from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of items; write 1 or more")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Score the pipelines that *args* name; print the report and return the exit status.

    Raises SeamwatchError if a configuration, a golden set or a model cannot be used.
    """
    from seamwatch.cli import scorecard

    cards = _scored(args)
    show = {
        "table": scorecard.as_text,
        "json": scorecard.as_json,
        "markdown": scorecard.as_markdown,
    }[args.format]
    print(show(cards))
    if any(card.accuracy is None for card in cards):
        return UNKNOWN
    return BELOW if any(card.is_below for card in cards) else REACHED


def _scored(args: argparse.Namespace) -> list[Scorecard]:
    from seamwatch.cli.asking import run_all, subjects
    from seamwatch.config import load

    # all files are read before the first question costs anything
    found = subjects(load(config_files(args)), args.pipeline)
    return run_all(partial(_card, subject, args) for subject in found)


async def _card(subject: Subject, args: argparse.Namespace) -> Scorecard:
    """Ask one pass over the golden set and report."""
    from seamwatch import models
    from seamwatch.cli.asking import Session, any_seed
    from seamwatch.cli.scorecard import Scorecard, figures
    from seamwatch.fetch import Fetcher

    model, slo = subject.section.model, subject.section.slos.accuracy
    assert model is not None
    seed = any_seed() if args.seed is None else args.seed
    valid = subject.order(seed=seed, now=time.time())
    items = valid[: args.limit]
    started = time.monotonic()
    async with Fetcher() as fetcher:
        session = Session(subject, models.build(model, fetcher))
        session.check(items)
        judged = await session.ask(items, subject.name)
    found = figures(judged, subject.rules)
    if not args.slices:
        found["slices"] = {}
    target = args.fail_under
    if target is None and slo is not None:
        target = slo.at_least
    return Scorecard(
        pipeline=subject.name,
        file=subject.asked.file,
        digest=subject.golden.digest,
        task=subject.golden.task,
        items=len(subject.golden.items),
        valid=len(valid),
        seed=seed,
        target=target,
        out_of_budget=session.out_of_budget,
        duration=time.monotonic() - started,
        shows_answers=args.show_answers,
        **found,
    )
