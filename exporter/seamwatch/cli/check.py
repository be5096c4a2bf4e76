"""``seamwatch check``: what is wrong with a configuration, before anything runs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from seamwatch.cli.given import add_config, config_files
from seamwatch.errors import SeamwatchError

if TYPE_CHECKING:
    from seamwatch.config import Config
    from seamwatch.golden import GoldenSet
    from seamwatch.scoring import Rules


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "check",
        help="say what is wrong with a configuration",
        description="Check a configuration and the golden sets that it names; all problems at"
        " once, each with file and line. Warnings tell what will stay unknown or unused. Exit code"
        " 0: nothing is wrong; 1: something is.",
    )
    add_config(parser)
    parser.add_argument(
        "--live",
        action="store_true",
        help="then read each stage once, ask each model one golden item, and show what came",
    )
    parser.add_argument(
        "--pipeline",
        action="append",
        metavar="NAME",
        help="with --live: only this pipeline; may be given several times",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check the files; return the exit code."""
    from seamwatch.cli import fitting
    from seamwatch.config import ConfigError, load
    from seamwatch.config.advice import advise
    from seamwatch.config.places import place_in

    files = config_files(args)
    try:
        config = load(files)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    goldens: dict[str, GoldenSet] = {}
    rules: dict[str, Rules] = {}
    problems = [*fitting.read_golden_sets(config, goldens, rules)]
    problems += map(str, place_in(config.files, fitting.misfits(config, goldens)))
    if problems:
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        lines = "".join(f"\n  {problem}" for problem in problems)
        print(f"{', '.join(files)}: {count}{lines}", file=sys.stderr)
        return 1
    doubts = [*advise(config), *fitting.unusable_blessings(config, goldens, rules)]
    for doubt in place_in(config.files, doubts):
        print(f"warning: {doubt}", file=sys.stderr)
    print(f"ok: {_summary(config, goldens)}", flush=True)
    if not args.live:
        return 0
    from seamwatch.cli.live import show

    return show(config, goldens, _chosen(config, args.pipeline))


def _chosen(config: Config, names: list[str] | None) -> list[str]:
    for name in names or ():
        if name not in config.pipelines:
            known = ", ".join(config.pipelines)
            raise SeamwatchError(f'there is no pipeline "{name}"; write one of {known}')
    return names or list(config.pipelines)


def _summary(config: Config, goldens: dict[str, GoldenSet]) -> str:
    stages = sum(len(pipeline.stages) for pipeline in config.pipelines.values())
    read = sum(
        stage.source is not None
        for section in config.settings.pipelines.values()
        for stage in section.stages.values()
    )
    items = sum(len(golden.items) for golden in goldens.values())
    counts = [
        _count(len(config.pipelines), "pipeline"),
        f"{_count(stages, 'stage')} ({read} with a source)",
        _count(len(config.settings.teams), "team"),
        _count(items, "golden item"),
    ]
    return ", ".join(counts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
