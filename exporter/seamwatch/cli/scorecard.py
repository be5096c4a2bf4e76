"""What one run over a golden set found, and how it is shown: table, Markdown or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seamwatch.pipeline import Estimate, Judged, Verdict
    from seamwatch.scoring import Rules

MAX_FAILURES = 10


@dataclass(frozen=True, slots=True)
class Scorecard:
    """One run over a golden set."""

    pipeline: str
    file: str
    digest: str
    task: str
    items: int  # in the set
    valid: int  # of them, valid now
    asked: int
    seed: int  # of the order in which they were asked
    accuracy: Estimate | None  # None: no answer came
    availability: Estimate | None
    target: float | None  # accuracy that is asked for
    verdicts: Mapping[Verdict, int]
    slices: Mapping[str, Estimate]
    measures: Mapping[str, float]
    answered_by: Mapping[str, int]  # version -> answers
    failures: tuple[Judged, ...]  # worst first
    out_of_budget: bool = False
    duration: float = 0.0  # seconds
    shows_answers: bool = field(default=False)

    @property
    def is_below(self) -> bool:
        """Say whether the accuracy is known not to reach the target."""
        if self.target is None or self.accuracy is None:
            return False
        return self.accuracy.value < self.target


def figures(judged: list[Judged], rules: Rules) -> dict[str, Any]:
    """Return the parts of a scorecard that follow from the judged answers."""
    from seamwatch.scoring import Window, columns, measures

    window = Window(max(1, len(judged)))
    for one in judged:
        window.add(one)
    names = Counter(one.answer.answered_by for one in judged if one.answer.answered_by is not None)
    return {
        "asked": len(judged),
        "accuracy": window.accuracy(),
        "availability": window.availability(),
        "verdicts": window.verdicts(),
        "slices": window.slices(),
        "measures": measures(columns(judged, rules)),
        "answered_by": dict(names.most_common()),
        "failures": worst(judged),
    }


def worst(judged: Iterable[Judged]) -> tuple[Judged, ...]:
    """Return the answers that lost most, heaviest items first, failures of transport last."""
    from seamwatch.pipeline import Verdict

    lost = [one for one in judged if one.verdict is not Verdict.CORRECT]

    def order(one: Judged) -> tuple[bool, float, str]:
        return one.credit is None, -one.item.weight * (1 - (one.credit or 0)), one.item.id

    return tuple(sorted(lost, key=order)[:MAX_FAILURES])


def as_json(cards: list[Scorecard]) -> str:
    """Return the scorecards as one JSON document; what is unknown is null or absent."""
    return json.dumps({card.pipeline: _plain(card) for card in cards}, indent=2, ensure_ascii=False)


def _plain(card: Scorecard) -> dict[str, Any]:
    return {
        "file": card.file,
        "digest": card.digest,
        "task": card.task,
        "items": {"all": card.items, "valid": card.valid, "asked": card.asked},
        "seed": card.seed,
        "out_of_budget": card.out_of_budget,
        "duration_seconds": round(card.duration, 3),
        "accuracy": _ratio(card.accuracy),
        "target": card.target,
        "reached": None if card.target is None or card.accuracy is None else not card.is_below,
        "availability": _ratio(card.availability),
        "verdicts": {str(verdict): count for verdict, count in card.verdicts.items()},
        "slices": {name: _ratio(one) for name, one in card.slices.items()},
        "measures": dict(card.measures),
        "answered_by": dict(card.answered_by),
        "failures": [_failure(one, card) for one in card.failures],
    }


def _ratio(estimate: Estimate | None) -> dict[str, float] | None:
    if estimate is None:
        return None
    return {
        "value": estimate.value,
        "lower": estimate.lower,
        "upper": estimate.upper,
        "n": estimate.n,
    }


def _failure(one: Judged, card: Scorecard) -> dict[str, Any]:
    found: dict[str, Any] = {"id": one.item.id, "verdict": str(one.verdict)}
    if one.item.slice:
        found["slice"] = one.item.slice
    if one.answer.failure is not None:
        found["reason"] = str(one.answer.failure.reason)
    elif card.shows_answers:
        found |= {"expected": one.item.expected, "answer": one.answer.value}
    return found


Table = tuple[str, list[str], list[list[str]]]
"""Title, headings and rows."""


def as_text(cards: list[Scorecard]) -> str:
    """Return the scorecards as aligned plain text."""
    return "\n\n".join("\n".join(_text(card)) for card in cards)


def _text(card: Scorecard) -> list[str]:
    lines = [f"{card.pipeline}: {headline(card)}", *(f"  {line}" for line in _notes(card))]
    for table in _tables(card):
        lines += laid_out(*table)
    return lines


def laid_out(title: str, headings: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table as aligned lines, an empty one and the title before it."""
    cells = [headings, *rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(headings))]
    lines = ["", f"  {title}"]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"    {'  '.join(padded).rstrip()}")
    return lines


def as_markdown(cards: list[Scorecard]) -> str:
    """Return the scorecards as Markdown, e.g. for a comment on a change."""
    parts = []
    for card in cards:
        parts.append(f"## {_escaped(card.pipeline)}\n\n**{headline(card)}**")
        notes = _notes(card)
        if notes:
            parts.append("\n".join(f"- {_escaped(note)}" for note in notes))
        for title, headings, rows in _tables(card):
            lines = [" | ".join(headings), " | ".join("---" for _ in headings)]
            lines += [" | ".join(_escaped(cell) for cell in row) for row in rows]
            parts.append(f"### {title}\n\n" + "\n".join(f"| {line} |" for line in lines))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    for mark in "\\|*_`<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text


def headline(card: Scorecard) -> str:
    """Return the accuracy in a sentence, with n, interval and target."""
    if card.accuracy is None:
        return f"accuracy unknown: none of {card.asked:,} questions was answered"
    text = f"accuracy {percent(card.accuracy)} over {card.accuracy.n:,} answers"
    if card.target is None:
        return text
    wanted = f"{card.target:.1%}"
    return f"{text}, {'below' if card.is_below else 'reaches'} the target of {wanted}"


def percent(estimate: Estimate) -> str:
    """Return a ratio with its interval, e.g. ``93.8% (91.2% to 95.6%)``."""
    return f"{estimate.value:.1%} ({estimate.lower:.1%} to {estimate.upper:.1%})"


def _notes(card: Scorecard) -> list[str]:
    short = card.digest[:12]
    notes = [f"{card.file} ({card.task}, sha256 {short}): {card.items:,} items"]
    if card.valid < card.items:
        notes[0] += f", {card.items - card.valid:,} of them not valid now"
    asked = f"asked {card.asked:,} in {card.duration:.1f} s"
    notes.append(f"{asked}, seed {card.seed}" if card.asked < card.valid else asked)
    if card.out_of_budget:
        notes.append("stopped early: the probe budget of the model is spent")
    if card.availability is not None and card.availability.value < 1:
        notes.append(f"answered at all: {percent(card.availability)}")
    return notes


def _tables(card: Scorecard) -> list[Table]:
    tables: list[Table] = []
    rows = [[str(verdict), f"{count:,}"] for verdict, count in card.verdicts.items()]
    tables.append(("Verdicts", ["verdict", "answers"], rows))
    if card.slices:
        ordered = sorted(card.slices.items(), key=lambda found: found[1].value)
        rows = [[printable(name), percent(one), f"{one.n:,}"] for name, one in ordered]
        tables.append(("Slices, worst first", ["slice", "accuracy", "answers"], rows))
    if card.measures:
        rows = [[name, f"{value:.4g}"] for name, value in card.measures.items()]
        tables.append(("Measures", ["measure", "value"], rows))
    if card.answered_by:
        rows = [[printable(name), f"{count:,}"] for name, count in card.answered_by.items()]
        tables.append(("Answered by", ["version", "answers"], rows))
    if card.failures:
        tables.append(_failures(card))
    return tables


def _failures(card: Scorecard) -> Table:
    headings = ["item", "verdict", "slice"]
    if card.shows_answers:
        headings += ["expected", "answer"]
    rows = []
    for one in card.failures:
        failure = one.answer.failure
        verdict = str(one.verdict) if failure is None else f"{one.verdict} ({failure.reason})"
        row = [printable(one.item.id), verdict, printable(one.item.slice)]
        if card.shows_answers:
            told = "" if failure is None else failure.message
            row += [printable(one.item.expected), printable(told or one.answer.value)]
        rows.append(row)
    return "Worst failures", headings, rows


def printable(value: Any, limit: int = 60) -> str:
    """Return *value* on one line, short, without characters that would move the cursor."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = "".join(one if one.isprintable() else " " for one in text)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
