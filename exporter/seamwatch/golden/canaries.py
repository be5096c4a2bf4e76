"""Read the canaries: answers whose verdict is known, which guard against a broken judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from seamwatch.golden.faults import Faults, shown
from seamwatch.pipeline import Verdict
from seamwatch.scoring import Known

MAX_CANARIES = 100
"""Each is judged again in each pass."""
MAX_BYTES = 1 << 20

_FIELDS = ("expected", "answer", "verdict")
_VERDICTS = tuple(v.value for v in Verdict if v.is_answer and v is not Verdict.STALE)


def canaries(path: Path) -> tuple[Known, ...]:
    """Return the known answers in *path*, JSON Lines.

    Raises GoldenError with everything that is wrong with it, each with file and line.
    """
    faults = Faults(path)
    found = []
    for number, line in enumerate(_content(path, faults).splitlines(), 1):
        if line.strip() and (one := _canary(line, number, faults)) is not None:
            found.append(one)
    if len(found) > MAX_CANARIES:
        faults.add(0, f"more than {MAX_CANARIES} canaries; keep the ones that tell most")
    if not found and not faults:
        faults.add(0, "holds no canary; write one a line, or remove golden.canary")
    faults.raise_any()
    return tuple(found)


def _content(path: Path, faults: Faults) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            faults.fail(0, f"larger than {MAX_BYTES >> 20} MiB; keep the canaries that tell most")
        return path.read_bytes()
    except OSError as error:
        faults.fail(0, f"cannot be read: {error.strerror}")


def _canary(line: bytes, number: int, faults: Faults) -> Known | None:
    try:
        row: Any = orjson.loads(line)
    except ValueError as error:
        faults.add(number, f"broken JSON ({error}); write one JSON object a line")
        return None
    if not isinstance(row, dict) or set(row) != set(_FIELDS):
        faults.add(number, f"{shown(row)}; write an object with just {', '.join(_FIELDS)}")
        return None
    if row["verdict"] not in _VERDICTS:
        known = ", ".join(_VERDICTS)
        faults.add(number, f"verdict {shown(row['verdict'])} is none; write one of {known}")
        return None
    return Known(row["expected"], row["answer"], Verdict(row["verdict"]))
