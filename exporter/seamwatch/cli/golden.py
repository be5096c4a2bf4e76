"""``seamwatch golden``: what is wrong or weak in a golden set, and what it is blessed with."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from seamwatch.cli import bless

if TYPE_CHECKING:
    from seamwatch.config.quality import QualitySection
    from seamwatch.config.schema import GoldenSection
    from seamwatch.golden import Finding, GoldenSet

TASKS = ("binary", "multiclass", "multilabel", "regression", "ranking", "text")
CLEAN, FOUND = 0, 1
MAX_IDS = 5


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("golden", help="look after golden sets")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    lint = commands.add_parser(
        "lint",
        help="find what is wrong or weak in a golden set",
        description="Find what is wrong or weak in a golden set: broken rows, conflicting and "
        "expired labels, slices too small to tell anything, answers that stand in the question.",
        epilog="exit status: 0 nothing found, 1 something found, 2 the set cannot be used",
    )
    lint.add_argument("file", nargs="?", type=Path, metavar="FILE", help=".jsonl, .csv, .parquet")
    lint.add_argument(
        "--task", choices=TASKS, help="what FILE expects, where --config is not given"
    )
    lint.add_argument(
        "--config", nargs="+", metavar="CONFIG", help="lint the golden sets of this configuration"
    )
    lint.add_argument("--pipeline", metavar="NAME", help="only this pipeline of the configuration")
    lint.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="CHECK",
        help="do not tell findings of this check, e.g. leak; may be given several times",
    )
    lint.add_argument("--format", choices=("table", "json"), default="table")
    lint.set_defaults(run=run)
    bless.add(commands)


def run(args: argparse.Namespace) -> int:
    """Lint what *args* name; print the findings and return the exit status.

    Raises SeamwatchError if a set cannot be used.
    """
    from seamwatch.errors import SeamwatchError
    from seamwatch.golden import Check

    unknown = [name for name in args.ignore if name not in list(Check)]
    if unknown:
        known = ", ".join(Check)
        raise SeamwatchError(f"no check is called {unknown[0]!r}; write one of {known}")
    results = [_lint(*one, ignored=args.ignore) for one in _sections(args)]
    if args.format == "json":
        _print_json(results)
    else:
        for path, golden, findings in results:
            _print(path, golden, findings)
    return FOUND if any(findings for _, _, findings in results) else CLEAN


def _sections(args: argparse.Namespace) -> list[tuple[Path, GoldenSection, QualitySection, Path]]:
    from seamwatch.config import load
    from seamwatch.config.quality import QualitySection
    from seamwatch.config.schema import GoldenSection
    from seamwatch.errors import SeamwatchError

    if args.config is None:
        if args.file is None or args.task is None:
            raise SeamwatchError(
                "give FILE and --task, or --config; see seamwatch golden lint --help"
            )
        section = GoldenSection(file=str(args.file), task=args.task)
        return [(args.file, section, QualitySection(), Path())]
    config = load(args.config)
    pipelines = config.settings.pipelines
    names = chosen([name for name, one in pipelines.items() if one.golden], args.pipeline)
    if args.file is not None and len(names) > 1:
        raise SeamwatchError(
            f"FILE is judged by one pipeline; give --pipeline {' or '.join(names)}"
        )
    found = []
    for name in names:
        golden = pipelines[name].golden
        assert golden is not None
        base_dir = config.base_dir(name)
        path = args.file or base_dir / golden.file
        found.append((path, golden, pipelines[name].quality, base_dir))
    return found


def chosen(names: list[str], wanted: str | None) -> list[str]:
    """Return the pipelines to work on; raise SeamwatchError when there is none."""
    from seamwatch.errors import SeamwatchError

    if not names:
        raise SeamwatchError("no pipeline has a golden set; write pipelines.<name>.golden")
    if wanted is None:
        return names
    if wanted not in names:
        known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise SeamwatchError(f"no pipeline {wanted!r} has a golden set; write one of {known}")
    return [wanted]


_Result = tuple[Path, "GoldenSet", list["Finding"]]


def _lint(
    path: Path,
    section: GoldenSection,
    quality: QualitySection,
    base_dir: Path,
    *,
    ignored: list[str],
) -> _Result:
    from seamwatch.golden import lint, load, rules

    golden = load(path, section)
    judged_by = rules(section, quality, base_dir=base_dir)
    found = lint(golden, time.time(), rules=judged_by)
    return path, golden, [one for one in found if one.check not in ignored]


def _print(path: Path, golden: GoldenSet, findings: list[Finding]) -> None:
    about = f"{path}: {len(golden.items):,} items, {golden.task}"
    if golden.slices:
        about += f", {len(golden.slices)} slices"
    print(f"{about}: {len(findings) or 'nothing'} found")
    width = max((len(one.check) for one in findings), default=0)
    for one in findings:
        print(f"  {one.check:<{width}}  {one.text}{_ids(one)}")


def _ids(finding: Finding) -> str:
    shown = [name if name.isprintable() else ascii(name) for name in finding.ids[:MAX_IDS]]
    if not shown:
        return ""
    more = len(finding.ids) - len(shown)
    return f" ({', '.join(shown)}{f' and {more:,} more' if more else ''})"


def _print_json(results: list[_Result]) -> None:
    import json

    report = [
        {
            "file": str(path),
            "digest": golden.digest,
            "task": golden.task,
            "items": len(golden.items),
            "slices": dict(golden.slices),
            "findings": [
                {"check": one.check, "text": one.text, "ids": list(one.ids)} for one in findings
            ],
        }
        for path, golden, findings in results
    ]
    print(json.dumps(report, indent=2, ensure_ascii=False))
