"""Read CSV rows: cells are text, and the task says what the text stands for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from seamwatch.golden.faults import Faults, shown
from seamwatch.golden.fields import FIELDS, meant
from seamwatch.pipeline import Task

MAX_CELL = 4 << 20
"""Characters of one cell."""


def csv_rows(
    lines: Iterator[tuple[int, bytes]], task: Task, faults: Faults
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the first line and the fields of each row; an empty cell is no field."""
    csv.field_size_limit(MAX_CELL)  # of the whole process; nothing else in it reads CSV
    reader = csv.reader(_decoded(lines, faults), strict=True)
    header: list[str] | None = None
    start = 1
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            faults.fail(start, f"broken CSV ({error}); close each quote and double those inside")
        if cells is None:
            break
        if not any(cells):
            continue
        if header is None:
            header = _header(cells, start, faults)
        elif len(cells) != len(header):
            faults.add(
                start,
                f"{len(cells)} cells where the header has {len(header)}; "
                "put cells that hold commas in double quotes",
            )
        else:
            fields = _fields(dict(zip(header, cells, strict=True)), task, start, faults)
            if fields is not None:
                yield start, fields


def _decoded(lines: Iterator[tuple[int, bytes]], faults: Faults) -> Iterator[str]:
    for number, line in lines:
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            faults.fail(
                number,
                f"byte 0x{line[error.start]:02x} at column {error.start + 1} is not UTF-8; "
                'save the file as UTF-8 (spreadsheets call it "CSV UTF-8")',
            )


def _header(cells: list[str], line: int, faults: Faults) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and ";" in names[0]:
        faults.fail(line, "the columns are separated by semicolons; write commas")
    unknown = False
    for name in names:
        if name not in FIELDS:
            faults.add(line, f"unknown column {shown(name)}; {meant(name)}")
            unknown = True
    for name in sorted(set(names)):
        if names.count(name) > 1:
            faults.add(line, f'column "{name}" is there {names.count(name)} times; keep one')
            unknown = True
    absent = [name for name in ("id", "input", "expected") if name not in names]
    if absent:
        faults.add(line, f"no column {' and no column '.join(absent)}; {_HEADER}")
    if unknown or absent:
        faults.raise_any()
    return names


_HEADER = "write a first line such as id,input,expected,slice"


def _fields(cells: dict[str, str], task: Task, line: int, faults: Faults) -> dict[str, Any] | None:
    fields: dict[str, Any] = {}
    good = True
    for name, cell in cells.items():
        if cell == "":
            continue
        try:
            fields[name] = _READ.get(name, _text)(cell, task)
        except ValueError as error:
            faults.add(line, f"{name} {error}")
            good = False
    if "expected" not in fields and good:
        faults.add(line, "expected is empty; write the answer, or null if the model should refuse")
        good = False
    return fields if good else None


def _text(cell: str, _: Task) -> str:
    return cell


def _input(cell: str, _: Task) -> Any:
    if not cell.lstrip().startswith("{"):
        return cell
    try:
        return orjson.loads(cell)
    except ValueError as error:
        raise ValueError(
            f"starts with {{ but is not JSON ({error}); write a JSON object with its quotes doubled"
        ) from error


def _array(cell: str) -> list[Any]:
    try:
        found = orjson.loads(cell)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError(f'{shown(cell)} is not a JSON array; write ["a", "b"], quotes doubled')
    return found


def _number(cell: str, _: Task) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise ValueError(f"{shown(cell)} is not a number; write one such as 0.5") from error


def _expected(cell: str, task: Task) -> Any:
    if cell == "null":
        return None
    if task is Task.REGRESSION:
        return _number(cell, task)
    if task in (Task.MULTILABEL, Task.RANKING):
        return _array(cell)
    return cell


def _superseded(cell: str, task: Task) -> list[Any]:
    if cell.lstrip().startswith("["):
        found = _array(cell)
        if task not in (Task.MULTILABEL, Task.RANKING) or isinstance(next(iter(found), []), list):
            return found
        return [found]
    return [_expected(cell, task)]


def _ids(cell: str, _: Task) -> list[Any]:
    return _array(cell) if cell.lstrip().startswith("[") else [cell]


def _time(cell: str, _: Task) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


_READ: dict[str, Callable[[str, Task], Any]] = {
    "input": _input,
    "expected": _expected,
    "weight": _number,
    "superseded": _superseded,
    "valid_from": _time,
    "valid_until": _time,
    "context_ids": _ids,
}
