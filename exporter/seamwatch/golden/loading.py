"""Load a golden set: read its file, check every row and the rows against one another."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from seamwatch.config.schema import GoldenSection
from seamwatch.golden.faults import MAX_SHOWN, Faults, kind_of, shown
from seamwatch.golden.items import item_of
from seamwatch.golden.rows import MAX_ITEMS, PARQUET, check_file, rows
from seamwatch.pipeline import GoldenItem, Task
from seamwatch.scoring.rules import label_of

MAX_SLICES = 200
"""Slices of a set; each is a label value of several metrics."""
REST = "(none)"
"""The slice of the items that name none, in a set where others do."""

_LABELLED = (Task.BINARY, Task.MULTICLASS, Task.MULTILABEL)


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """Items with known right answers; the same file is the same set. It can be pickled."""

    digest: str  # sha256 of the file, hex
    task: Task
    items: tuple[GoldenItem, ...]
    slices: Mapping[str, int]  # slice -> number of items; empty when no item names one


def load(path: Path, section: GoldenSection) -> GoldenSet:
    """Read the golden set in *path* (JSON Lines, CSV or Parquet) as *section* says.

    Raises GoldenError with everything that is wrong with it, each with file and line.
    """
    task = Task(section.task)
    parquet = path.suffix.lower() in PARQUET
    faults = Faults(path, word="row " if parquet else "")
    check_file(path, faults)
    seen = _Seen(task, section)
    digest = hashlib.sha256()
    for line, row in rows(path, task, faults, digest):
        item = item_of(row, task, section.slices, line, faults)
        if item is not None:
            seen.add(item, line, faults)
    seen.finish(faults)
    faults.raise_any()
    items = tuple(seen.items)
    slices = Counter(item.slice for item in items if item.slice)
    if slices and slices.total() < len(items):
        items = tuple(item if item.slice else replace(item, slice=REST) for item in items)
        slices = Counter(item.slice for item in items)
    return GoldenSet(digest.hexdigest(), task, items, dict(slices))


class _Seen:
    """The items so far, and what can only be said of several of them together."""

    def __init__(self, task: Task, section: GoldenSection) -> None:
        self.items: list[GoldenItem] = []
        self._task = task
        self._section = section
        self._lines: dict[str, int] = {}  # id -> line
        self._kinds: dict[str, list[int]] = {}  # kind of label -> the first lines that have it
        self._counts: Counter[str] = Counter()  # kind of label -> items
        self._labels: dict[str, int] = {}  # label -> the first line that has it
        self._strange: Counter[str] = Counter()  # label that is not in labels -> items
        self._slices: set[str] = set()
        self._known = None if section.labels is None else frozenset(section.labels)

    def add(self, item: GoldenItem, line: int, faults: Faults) -> None:
        """Take in an item; what it contradicts goes to *faults*."""
        first = self._lines.setdefault(item.id, line)
        if first != line:
            faults.add(line, f"id {shown(item.id)} is also on line {first}; give each its own")
            return
        if len(self.items) >= MAX_ITEMS:
            faults.fail(line, f"more than {MAX_ITEMS:,} items; ask a sample of them")
        self.items.append(item)
        self._slices.add(item.slice)
        if len(self._slices) > MAX_SLICES:
            faults.fail(
                line,
                f"more than {MAX_SLICES} slices ({shown(item.slice)} is one more); "
                "name coarser slices",
            )
        if item.expected is not None and self._task in _LABELLED:
            self._note_labels(item, line, faults)

    def _note_labels(self, item: GoldenItem, line: int, faults: Faults) -> None:
        several = self._task is Task.MULTILABEL
        for one in item.expected if several else (item.expected,):
            kind = kind_of(one)
            self._counts[kind] += 1
            lines = self._kinds.setdefault(kind, [])
            if len(lines) < MAX_SHOWN:
                lines.append(line)
            label = str(label_of(one))
            self._labels.setdefault(label, line)
            if self._known is not None and label not in self._known:
                self._strange[label] += 1

    def finish(self, faults: Faults) -> None:
        """Note what the set as a whole lacks."""
        for strange, times in self._strange.items():  # one misspelt label is one problem
            more = f", {times:,} times" if times > 1 else ""
            text = f"expected {shown(strange)} is not in labels{more}; {_listed(self._known or ())}"
            faults.add(self._labels[strange], text)
        if not self.items:
            if not faults:
                faults.add(0, "holds no item; write one item a line")
            return
        if len(self._counts) > 1:
            (most, _), *others = self._counts.most_common()
            for kind, _ in others:
                for line in dict.fromkeys(self._kinds[kind]):
                    text = f"expected is {kind}, but {most} on line {self._kinds[most][0]}"
                    faults.add(line, f"{text}; write the same kind everywhere")
        elif self._task is Task.BINARY and len(self._labels) > 2:
            label, line = list(self._labels.items())[2]
            faults.add(
                line,
                f"expected {shown(label)} is a third label after "
                f"{_quoted(list(self._labels)[:2])}; write task multiclass or correct the label",
            )
        positive = self._section.positive
        if positive is not None and self._labels and positive not in self._labels:
            faults.add(
                0,
                f"no item expects {shown(positive)}, which positive names; {_listed(self._labels)}",
            )


def _quoted(labels: Iterable[str]) -> str:
    return " and ".join(shown(label) for label in labels)


def _listed(labels: Collection[str]) -> str:
    some = ", ".join(shown(label) for label in sorted(labels)[:8])
    return f"write one of {some}{', ...' if len(labels) > 8 else ''}"
