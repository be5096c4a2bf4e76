"""Answers whose verdict is known: judged again and again, they show when the judge is broken."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seamwatch.errors import GoldenError
from seamwatch.golden import fields as check
from seamwatch.golden.faults import Faults, shown
from seamwatch.golden.rows import check_file, rows
from seamwatch.pipeline import Answer, GoldenItem, Task, Verdict
from seamwatch.scoring import Known, Rules, judge

MAX_CANARIES = 1000
_FIELDS = ("expected", "answer", "verdict", "superseded")
_VERDICTS = tuple(verdict for verdict in Verdict if verdict.is_answer)


def canaries(path: Path, task: Task) -> tuple[Known, ...]:
    """Read the JSON Lines in *path*; raise GoldenError with all that is wrong, file and line."""
    faults = Faults(path)
    check_file(path, faults)
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        faults.fail(0, "is not read as JSON Lines; give it a name that ends with .jsonl")
    found: list[Known] = []
    for line, row in rows(path, task, faults, hashlib.sha256()):
        if len(found) >= MAX_CANARIES:
            faults.fail(line, f"more than {MAX_CANARIES:,} canaries; one for each rule is enough")
        canary = _canary(line, row, task, faults)
        if canary is not None:
            found.append(canary)
    if not found and not faults:
        faults.add(0, 'holds no canary; write {"expected": "x", "answer": "x", "verdict": ...}')
    faults.raise_any()
    return tuple(found)


def misjudged(canaries: Sequence[Known], rules: Rules) -> list[tuple[Known, Verdict]]:
    """Return the canaries that *rules* judge otherwise than people did, with that verdict."""
    judged = ((one, judge(one.item, one.answer, rules, at=0.0).verdict) for one in canaries)
    return [(one, verdict) for one, verdict in judged if verdict is not one.verdict]


def check_canaries(path: Path, rules: Rules) -> None:
    """Raise GoldenError unless the canaries in *path* are judged as people judged them."""
    wrong = misjudged(canaries(path, rules.task), rules)
    if wrong:
        raise GoldenError(
            [
                f"{path}:{one.line}: is {one.verdict} as it is written here, and judged {verdict};"
                " correct it, or the rules under golden"
                for one, verdict in wrong
            ]
        )


def _canary(line: int, row: dict[str, Any], task: Task, faults: Faults) -> Known | None:
    wrong = [
        f"unknown field {shown(name)}; write {', '.join(_FIELDS)}"
        for name in row
        if name not in _FIELDS
    ]
    wrong += [
        f'no field "{name}"; write expected, answer and verdict'
        for name in _FIELDS[:3]
        if name not in row
    ]
    verdict = row.get("verdict")
    if "verdict" in row and verdict not in _VERDICTS:
        wrong.append(f"verdict {shown(verdict)} is none; write one of {', '.join(_VERDICTS)}")
    expected, old = row.get("expected"), row.get("superseded")
    try:
        expected = None if expected is None else check.answer(expected, task)
        olds = [] if old is None else old if isinstance(old, list) else [old]
        superseded = tuple(check.answer(one, task) for one in olds)
    except ValueError as error:
        wrong.append(f"expected or superseded {error}")
    for text in wrong:
        faults.add(line, text)
    if wrong:
        return None
    item = GoldenItem(f"canary:{line}", "", expected, superseded=superseded)
    return Known(item, Answer(value=row["answer"]), Verdict(str(verdict)), line)
