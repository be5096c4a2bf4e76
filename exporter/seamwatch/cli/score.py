"""``seamwatch score``: ask the live model the whole golden set once and report."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import time
from typing import TYPE_CHECKING, Any

from seamwatch.cli.golden import chosen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seamwatch.cli.scorecard import Scorecard
    from seamwatch.config import Config
    from seamwatch.golden import GoldenSet
    from seamwatch.models import ModelClient
    from seamwatch.pipeline import GoldenItem, Judged
    from seamwatch.scoring import Rules

REACHED, BELOW, UNKNOWN = 0, 1, 2
MAX_TOLD = 10


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
    parser.add_argument("--config", nargs="+", default=["seamwatch.yaml"], metavar="FILE")
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
    from seamwatch import golden
    from seamwatch.config import load

    config = load(args.config)
    names = chosen(
        [name for name, one in config.settings.pipelines.items() if one.golden and one.model],
        args.pipeline,
    )
    runs = []
    for name in names:  # all files are read before the first question costs anything
        section = config.settings.pipelines[name]
        assert section.golden is not None
        base_dir = config.base_dir(name)
        golden_set = golden.load(base_dir / section.golden.file, section.golden)
        rules = golden.rules(section.golden, section.quality, base_dir=base_dir)
        runs.append(_Run(name, config, golden_set, rules, args))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return [runner.run(one.card()) for one in runs]


def _loop_factory() -> Any:
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


class _Run:
    """One pass over one pipeline's golden set."""

    def __init__(
        self,
        name: str,
        config: Config,
        golden_set: GoldenSet,
        rules: Rules,
        args: argparse.Namespace,
    ) -> None:
        self.name = name
        self.config = config
        self.section = config.settings.pipelines[name]
        self.golden = golden_set
        self.rules = rules
        self.args = args
        self.out_of_budget = False

    async def card(self) -> Scorecard:
        """Ask and report."""
        from seamwatch import models
        from seamwatch.cli.scorecard import Scorecard, figures
        from seamwatch.errors import SeamwatchError
        from seamwatch.fetch import Fetcher
        from seamwatch.golden import permutation

        assert self.section.golden is not None
        assert self.section.model is not None
        seed = random.randrange(1 << 31) if self.args.seed is None else self.args.seed
        valid = permutation(self.golden, seed=seed, now=time.time())
        if not valid:
            raise SeamwatchError(
                f"pipelines.{self.name}.golden: no item is valid now, so none can be asked; "
                "renew valid_until or valid_from"
            )
        started = time.monotonic()
        async with Fetcher() as fetcher:
            client = models.build(self.section.model, fetcher)
            items = valid[: self.args.limit]
            self._check(client, items)
            judged = await self._ask(client, items)
        found = figures(judged, self.rules)
        if not self.args.slices:
            found["slices"] = {}
        slo = self.section.slos.accuracy
        target = self.args.fail_under
        if target is None and slo is not None:
            target = slo.at_least
        return Scorecard(
            pipeline=self.name,
            file=self.section.golden.file,
            digest=self.golden.digest,
            task=self.golden.task,
            items=len(self.golden.items),
            valid=len(valid),
            seed=seed,
            target=target,
            out_of_budget=self.out_of_budget,
            duration=time.monotonic() - started,
            shows_answers=self.args.show_answers,
            **found,
        )

    def _check(self, client: ModelClient, items: tuple[GoldenItem, ...]) -> None:
        """Raise SeamwatchError if some items could never be asked, before any is."""
        from seamwatch.errors import ReadError, SeamwatchError

        wrong = []
        for item in items:
            try:
                client.check(item)
            except ReadError as error:
                wrong.append(f"pipelines.{self.name}.golden: item {item.id!r}: {error}")
        if wrong:
            more = [f"and {len(wrong) - MAX_TOLD:,} more items"] if len(wrong) > MAX_TOLD else []
            raise SeamwatchError("\n".join(wrong[:MAX_TOLD] + more))

    async def _ask(self, client: ModelClient, items: tuple[GoldenItem, ...]) -> list[Judged]:
        from seamwatch import models
        from seamwatch.scoring import judge

        assert self.section.model is not None
        asking = models.ask_all(
            client,
            items,
            timeout=self.section.model.timeout,
            limit=models.AdaptiveLimit(self.section.model.concurrency),
            budget=models.budget_of(self.section.model),
        )
        judged = []
        with _progress(self.name, len(items)) as step:
            async for item, answer in asking:
                judged.append(judge(item, answer, self.rules, at=time.time()))
                step(judged[-1])
        self.out_of_budget = asking.out_of_budget
        return judged


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
