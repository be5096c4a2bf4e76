"""``seamwatch check``: what is wrong with a configuration, before anything runs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from seamwatch.errors import GoldenError, ReadError, SeamwatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seamwatch.config import Config
    from seamwatch.golden import GoldenSet


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "check",
        help="say what is wrong with a configuration",
        description="Check a configuration and the golden sets that it names; all problems at"
        " once, each with file and line. Exit code 0: nothing is wrong; 1: something is.",
    )
    parser.add_argument(
        "files",
        nargs="*",
        default=["seamwatch.yaml"],
        metavar="FILE",
        help="configuration files, or a directory of them (default: seamwatch.yaml)",
    )
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
    from seamwatch.config import ConfigError, load

    try:
        config = load(args.files)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    goldens: dict[str, GoldenSet] = {}
    problems = [*_read_golden_sets(config, goldens), *_unreachable(config, goldens)]
    if problems:
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        lines = "".join(f"\n  {problem}" for problem in problems)
        print(f"{', '.join(args.files)}: {count}{lines}", file=sys.stderr)
        return 1
    print(f"ok: {_summary(config, goldens)}", flush=True)
    if not args.live:
        return 0
    from seamwatch.cli.live import show

    return show(config, goldens, _chosen(config, args.pipeline))


def _read_golden_sets(config: Config, goldens: dict[str, GoldenSet]) -> Iterator[str]:
    """Fill *goldens* and yield what is wrong with the sets that cannot be used."""
    from seamwatch import golden

    for name, section in config.settings.pipelines.items():
        if section.golden is not None:
            try:
                file = config.base_dir(name) / section.golden.file
                goldens[name] = golden.load(file, section.golden)
                golden.rules(section.golden, section.quality, base_dir=config.base_dir(name))
            except GoldenError as error:
                yield from error.problems


def _unreachable(config: Config, goldens: dict[str, GoldenSet]) -> Iterator[str]:
    """Yield what could never be read or asked as it is configured; nothing is connected."""
    from seamwatch import models, sources
    from seamwatch.fetch import Fetcher

    fetcher = Fetcher()
    reach = sources.Reach(fetcher)
    for name, section in config.settings.pipelines.items():
        for stage, one in section.stages.items():
            if one.source is not None:
                try:
                    base_dir = config.base_dir(name)
                    sources.build(one.source, reach, timeout=one.timeout, base_dir=base_dir)
                except SeamwatchError as error:
                    yield f"pipelines.{name}.stages.{stage}.source: {error}"
        if section.model is not None:
            try:
                client = models.build(section.model, fetcher)
                for item in goldens[name].items if name in goldens else ():
                    client.check(item)
            except ReadError as error:
                yield f"pipelines.{name}.model: item {item.id}: {error}"
            except SeamwatchError as error:
                yield f"pipelines.{name}.model: {error}"


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
