"""``seamwatch golden bless``: what the model scores while it is good, kept as the baseline."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from seamwatch.cli.given import add_config, config_files
from seamwatch.errors import GoldenError, SeamwatchError

if TYPE_CHECKING:
    from seamwatch.cli.asking import Session, Subject
    from seamwatch.cli.blesscard import BlessCard
    from seamwatch.evidence import Blessing
    from seamwatch.pipeline import GoldenItem, Judged

WRITTEN, NOT_WRITTEN = 0, 1
TRIES = 3
"""Times that an item is asked in one pass until it answers."""
PAUSE = 1.0
"""Seconds before failed items are asked again; twice that before the third time."""
MISSING = 0.02
"""Share of the items of a pass that may stay without an answer."""
_WAIT = 15.0  # seconds between two looks at a spent budget

Sleep = Callable[[float], Awaitable[None]]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "bless",
        help="keep what the model scores now as the baseline of later evidence",
        description="Ask the live model the whole golden set several times, each in a fresh random "
        "order, and keep what it scores as the baseline of later evidence. Do it while the answers "
        "are known to be good: after a release that people have looked at, and whenever the golden "
        "set has changed. Errors are asked again and never counted.",
        epilog="exit status: 0 written, 1 not written because the earlier blessing is better, "
        "2 configuration, golden set or model cannot be used",
    )
    add_config(parser)
    parser.add_argument("--pipeline", metavar="NAME", help="only this one; default: all with a set")
    parser.add_argument(
        "--passes",
        type=_passes,
        default=5,
        metavar="N",
        help="how often each item is asked (default: %(default)s); 2 at least to tell solid items "
        "from flaky ones, 5 to tell them well",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write it (default: golden.blessing of the pipeline, beside the set)",
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite an earlier blessing that is better"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def _passes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of passes; write 1 to 100")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Bless what *args* name, print what was found and return the exit status.

    Raises SeamwatchError if a configuration, a golden set, a model or a file cannot be used.
    """
    from seamwatch.cli import blesscard
    from seamwatch.cli.asking import run_all, subjects
    from seamwatch.config import load

    found = subjects(load(config_files(args)), args.pipeline)
    files = _files(found, args.out)
    earlier = {
        name: _earlier(path, is_forced=args.force) for name, path in files.items()
    }  # all is looked at before the first question costs anything
    cards: list[BlessCard] = run_all(
        partial(bless, subject, files[subject.name], args.passes, earlier[subject.name], args.force)
        for subject in found
    )
    print(blesscard.as_json(cards) if args.format == "json" else blesscard.as_text(cards))
    for card in cards:
        for warning in card.warnings:
            print(f"seamwatch: {card.pipeline}: {warning}", file=sys.stderr)
    return WRITTEN if all(card.is_written for card in cards) else NOT_WRITTEN


def _files(found: Sequence[Subject], out: Path | None) -> dict[str, Path]:
    """Return where the blessing of each pipeline goes; raise SeamwatchError where it cannot."""
    from seamwatch.golden import blessed

    if out is not None and len(found) > 1:
        names = " or ".join(subject.name for subject in found)
        raise SeamwatchError(f"--out takes one blessing; give --pipeline {names}")
    files: dict[str, Path] = {}
    for subject in found:
        path = blessed.path_of(subject.asked, subject.base_dir) if out is None else out
        golden_file = subject.base_dir / subject.asked.file
        if path.resolve() == golden_file.resolve():
            raise SeamwatchError(f"{path} is the golden set itself; write another file")
        first = next((name for name, one in files.items() if one == path), None)
        if first is not None:
            raise SeamwatchError(
                f"pipelines.{subject.name}.golden and pipelines.{first}.golden would share the "
                f"blessing {path}; give each its own golden.blessing"
            )
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise SeamwatchError(f"{path.parent} is no directory that can be written to")
        files[subject.name] = path
    return files


def _earlier(path: Path, *, is_forced: bool) -> Blessing | None:
    from seamwatch.golden import blessed

    try:
        return blessed.parse(path)
    except GoldenError as error:
        if is_forced:
            return None
        raise SeamwatchError(f"{error}; with --force it is overwritten") from error


async def bless(
    subject: Subject,
    path: Path,
    passes: int,
    earlier: Blessing | None,
    is_forced: bool,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> BlessCard:
    """Ask *passes* times, compare with the *earlier* blessing, and write unless that is better.

    *clock* is that of the budget and *sleep* waits for it.
    """
    from seamwatch import models
    from seamwatch.cli.asking import Session, any_seed
    from seamwatch.cli.blesscard import card_of
    from seamwatch.evidence import Blessing
    from seamwatch.fetch import Fetcher
    from seamwatch.golden import blessed
    from seamwatch.golden.terms import score_of

    model, gate, now = subject.section.model, subject.section.gate, time.time()
    assert model is not None
    items = subject.order(seed=0, now=now)
    questions = passes * len(items)
    if model.budget.per_day is not None and questions > model.budget.per_day:
        raise SeamwatchError(
            f"pipelines.{subject.name}: {passes} passes are {questions:,} questions, and "
            f"model.budget.per_day is {model.budget.per_day:,}; write fewer --passes, or a larger "
            "budget"
        )
    async with Fetcher() as fetcher:
        session = Session(subject, models.build(model, fetcher), clock)
        session.check(items)
        asker = _Asker(subject, session, sleep)
        answers = [
            await asker.one_pass(
                subject.order(seed=any_seed(), now=now), f"{subject.name} pass {turn} of {passes}"
            )
            for turn in range(1, passes + 1)
        ]
    blessing = Blessing.of(
        answers,
        digest=subject.golden.digest,
        rules=blessed.rules_digest(subject.rules),
        at=time.time(),
        score=score_of(subject.asked, gate.score if gate else None),
    )
    card = card_of(subject, path, blessing, answers, earlier, asked=asker.asked, again=asker.again)
    if card.is_worse and not is_forced:
        return card.refused()
    blessed.write(path, blessing)
    return card


class _Asker:
    """Asks one pass after the other; what fails is asked again."""

    def __init__(self, subject: Subject, session: Session, sleep: Sleep) -> None:
        self.asked = 0
        self.again = 0
        self._subject = subject
        self._session = session
        self._sleep = sleep
        self._has_told = False

    async def one_pass(self, items: Sequence[GoldenItem], title: str) -> list[Judged]:
        """Return one judged answer an item, at most MISSING of them failures.

        Raises SeamwatchError when more of them stay without an answer.
        """
        answered: list[Judged] = []
        failed: list[Judged] = []
        waiting = list(items)
        for turn in range(TRIES):
            if turn:
                self.again += len(waiting)
                await self._sleep(PAUSE * turn)
            judged = await self._within_budget(waiting, title)
            answered += [one for one in judged if one.verdict.is_answer]
            failed = [one for one in judged if not one.verdict.is_answer]
            waiting = [one.item for one in failed]
            if not waiting:
                break
        if len(failed) > MISSING * len(items):
            raise SeamwatchError(self._about(failed, len(items), title))
        return answered + failed

    async def _within_budget(self, items: Sequence[GoldenItem], title: str) -> list[Judged]:
        judged = await self._session.ask(items, title)
        while self._session.out_of_budget:
            seen = {one.item.id for one in judged}
            left = [item for item in items if item.id not in seen]
            if not left:
                break
            if not self._has_told:
                self._has_told = True
                text = "the probe budget of the model is spent; going on as it allows"
                print(f"seamwatch: {self._subject.name}: {text}", file=sys.stderr, flush=True)
            await self._sleep(_WAIT)
            judged += await self._session.ask(left, title)
        self.asked += len(judged)
        return judged

    def _about(self, failed: Sequence[Judged], items: int, title: str) -> str:
        reasons: dict[str, int] = {}
        for one in failed:
            if one.answer.failure is not None:
                reason = str(one.answer.failure.reason)
                reasons[reason] = reasons.get(reason, 0) + 1
        told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        return (
            f"{title}: {len(failed):,} of {items:,} items gave no answer when asked {TRIES} times "
            f"({told}); nothing is blessed: what did answer would not stand for the whole. See "
            "seamwatch check --live"
        )
