"""The blessing of a golden set as a file beside it: one line an item, for people to review.

A blessing holds for the very bytes of a set and for the rules by which its answers were judged. One
that belongs to another set or to other rules is never used, and it is said why.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from seamwatch.config.schema import GoldenSection
from seamwatch.errors import GoldenError
from seamwatch.evidence import Blessing
from seamwatch.golden.loading import GoldenSet
from seamwatch.pipeline import Verdict
from seamwatch.scoring import Rules

log = logging.getLogger(__name__)

FORMAT = 1
MAX_BYTES = 64 << 20
MAX_PASSES = 1000
_AGAIN = "run seamwatch golden bless again"
_VERDICTS = frozenset(("", *Verdict))


def path_of(asked: GoldenSection, base_dir: Path) -> Path:
    """Return where the blessing of the set in *asked* stands."""
    return base_dir / (asked.blessing or f"{asked.file}.blessing.json")


def rules_digest(rules: Rules) -> str:
    """Return the sha256, in hex, of how answers are judged.

    Only what differs from the defaults counts, so that a rule added by a later version leaves
    the blessings of sets that do not use it alone.
    """
    told = {
        field.name: value
        for field in fields(rules)
        if (value := getattr(rules, field.name)) != field.default or field.default is MISSING
    }
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def read(
    path: Path, golden: GoldenSet, rules: Rules, *, score: str | None = None
) -> Blessing | None:
    """Return the blessing in *path*; None without one and, after a warning, for one of no use."""
    blessing, why = examine(path, golden, rules, score=score)
    if why is not None:
        log.warning("blessing not used", extra={"reason": why})
    return blessing


def examine(
    path: Path, golden: GoldenSet, rules: Rules, *, score: str | None = None
) -> tuple[Blessing | None, str | None]:
    """Return the blessing in *path* and why it is not used, one of them or both None.

    Both are None where there is no file. *score* is what the gate takes of a probe, ``verdict``
    or ``credit``; a blessing of the other is not used.
    """
    try:
        blessing = parse(path)
    except GoldenError as error:
        return None, str(error)
    if blessing is None:
        return None, None
    why = None
    if blessing.digest != golden.digest:
        why = (
            f"it blesses another golden set, sha256 {blessing.digest[:12]}, and this one is"
            f" {golden.digest[:12]}"
        )
    elif blessing.rules != rules_digest(rules):
        why = "answers are judged by other rules now than when it was written"
    elif score is not None and blessing.score != score:
        why = f"it holds the {blessing.score} of each answer, and the gate takes its {score}"
    return (blessing, None) if why is None else (None, f"{path}: {why}; {_AGAIN}")


def parse(path: Path) -> Blessing | None:
    """Return whatever blessing *path* holds; None where there is no file.

    Raises GoldenError where the file cannot be read or is none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GoldenError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(content) > MAX_BYTES:
        raise GoldenError([f"{path}: larger than {MAX_BYTES >> 20} MiB; {_AGAIN}"])
    try:
        return _blessing(json.loads(content))
    except KeyError as error:
        raise GoldenError([f"{path}: no blessing: {error} is missing; {_AGAIN}"]) from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise GoldenError([f"{path}: no blessing: {reason}; {_AGAIN}"]) from error


def _blessing(plain: Any) -> Blessing:
    if plain["format"] != FORMAT:
        raise ValueError(f"format {plain['format']!r}, and this version knows {FORMAT} alone")
    passes, items = plain["passes"], plain["items"]
    if type(passes) is not int or not 1 <= passes <= MAX_PASSES:
        raise ValueError(f"passes is {passes!r}, not 1 to {MAX_PASSES}")
    if plain["score"] not in ("verdict", "credit"):
        raise ValueError(f"score is {plain['score']!r}, neither verdict nor credit")
    scores = tuple(float(score) for score in plain["scores"])
    if not all(map(math.isfinite, scores)) or any(b < a for a, b in pairwise(scores)):
        raise ValueError("scores are not finite numbers in ascending order")
    return Blessing(
        digest=str(plain["golden"]),
        rules=str(plain["rules"]),
        at=datetime.fromisoformat(plain["at"]).timestamp(),
        passes=passes,
        answered_by=tuple(str(version) for version in plain["answered_by"]),
        credit={name: _outcomes(name, item["x"], passes) for name, item in items.items()},
        verdicts={name: _verdicts(name, item["verdicts"], passes) for name, item in items.items()},
        scores=scores,
        slices={name: str(item.get("slice", "")) for name, item in items.items()},
        score=plain["score"],
    )


def _outcomes(name: str, row: Any, passes: int) -> tuple[float | None, ...]:
    known = [x for x in row if x is not None]
    if len(row) != passes or not all(
        isinstance(x, int | float) and not isinstance(x, bool) and 0 <= x <= 1 for x in known
    ):
        raise ValueError(f"x of item {name[:60]!r} is not {passes} numbers from 0 to 1")
    return tuple(None if x is None else float(x) for x in row)


def _verdicts(name: str, row: Any, passes: int) -> tuple[str, ...]:
    row = [row] * passes if isinstance(row, str) else row
    if len(row) != passes or not _VERDICTS.issuperset(row):
        raise ValueError(f"verdicts of item {name[:60]!r} are not {passes} verdicts")
    return tuple(row)


def write(path: Path, blessing: Blessing) -> None:
    """Write *blessing* to *path*: the whole file or none of it, and on the disk when this returns.

    Raises GoldenError where it cannot be written or would be too large to be read again.
    """
    content = "".join(f"{line}\n" for line in _lines(blessing)).encode()
    if len(content) > MAX_BYTES:
        raise GoldenError(
            [f"{path}: would be larger than {MAX_BYTES >> 20} MiB; bless fewer items or passes"]
        )
    path = path.resolve()  # a link stays one
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                if path.exists():
                    os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise GoldenError([f"{path}: cannot be written: {error.strerror}"]) from error


def _lines(blessing: Blessing) -> Iterator[str]:
    """Yield the file's lines; what is derived stands in it for readers and is not read back."""
    yield "{"
    for name, value in _head(blessing).items():
        yield f'  "{name}": {_compact(value)},'
    yield '  "items": {'
    last = len(blessing.credit) - 1
    for place, (name, row) in enumerate(blessing.credit.items()):
        verdicts: Sequence[str] | str = blessing.verdicts.get(name, ("",) * len(row))
        if len(set(verdicts)) == 1:
            verdicts = verdicts[0]
        item: dict[str, Any] = {"slice": blessing.slices.get(name, "")}
        item |= {"x": [_short(x) for x in row], "verdicts": verdicts}
        yield f"    {_compact(name)}: {_compact(item)}{',' if place < last else ''}"
    yield "  },"
    yield f'  "scores": {_compact(blessing.scores)}'
    yield "}"


def _head(blessing: Blessing) -> Mapping[str, Any]:
    baseline = blessing.baseline
    return {
        "format": FORMAT,
        "golden": blessing.digest,
        "rules": blessing.rules,
        "at": datetime.fromtimestamp(blessing.at, UTC).isoformat(),
        "passes": blessing.passes,
        "score": blessing.score,
        "answered_by": blessing.answered_by,
        "baseline": None if baseline is None else round(baseline, 6),
        "solid": len(blessing.solid),
    }


def _short(x: float | None) -> float | int | None:
    return int(x) if x is not None and x in (0.0, 1.0) else x


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
