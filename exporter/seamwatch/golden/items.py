"""Turn one row of a golden file into an item, or say all that is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from seamwatch.golden import fields as check
from seamwatch.golden.faults import Faults, kind_of, shown
from seamwatch.pipeline import GoldenItem, Task
from seamwatch.scoring.rules import label_of

_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "id": check.name,
    "slice": check.name,
    "weight": check.weight,
    "valid_from": check.moment,
    "valid_until": check.moment,
    "context_ids": check.names,
    "label_source": check.prose,
    "note": check.prose,
}
_KNOWN = frozenset(check.FIELDS)
_NEEDED = frozenset(("id", "input", "expected"))


def item_of(
    row: dict[str, Any], task: Task, slices: str | None, line: int, faults: Faults
) -> GoldenItem | None:
    """Return the row as an item; None after noting in *faults* all that is wrong with it."""
    wrong = [] if _KNOWN.issuperset(row) and _NEEDED.issubset(row) else _names(row)
    values = _values(row, wrong)
    given = row.get("input")
    if "input" in row and (given is None or (isinstance(given, str) and not given.strip())):
        wrong.append("input is empty; write what the model is asked")
    if type(given) is not str and (why := check.unsendable(given)) is not None:
        wrong.append(f"input {why}")
    expected = row.get("expected")
    if expected is not None:
        expected = _checked("expected", lambda one: check.answer(one, task), expected, wrong)
        if type(expected) is str and len(expected) < 64:
            expected = sys.intern(expected)  # a label stands on many lines
    superseded = row.get("superseded")
    if superseded is not None:
        superseded = _superseded(superseded, expected, task, wrong)
    if slices is not None and "slice" not in values:
        values["slice"] = _slice_of(given, slices, wrong)
    if wrong:
        for text in wrong:
            faults.add(line, text)
        return None
    return GoldenItem(input=given, expected=expected, superseded=tuple(superseded or ()), **values)


def _names(row: dict[str, Any]) -> list[str]:
    unknown = [name for name in row if name not in _KNOWN]
    absent = [name for name in ("id", "input", "expected") if name not in row]
    return [
        *(f"unknown field {shown(name)}; {check.meant(name)}" for name in unknown),
        *(f'no field "{name}"; write id, input and expected in each item' for name in absent),
    ]


def _values(row: dict[str, Any], wrong: list[str]) -> dict[str, Any]:
    """Return the fields of the row that mean the same in every task."""
    values: dict[str, Any] = {}
    for name, value in row.items():
        read = _PLAIN.get(name)
        if read is not None and (value is not None or name == "id"):
            values[name] = _checked(name, read, value, wrong)
    if values.get("slice"):
        values["slice"] = sys.intern(values["slice"])
    start, end = values.get("valid_from"), values.get("valid_until")
    if start is not None and end is not None and start >= end:
        wrong.append("valid_from is not before valid_until; write the earlier time first")
    return values


def _checked(name: str, read: Callable[[Any], Any], value: Any, wrong: list[str]) -> Any:
    try:
        return read(value)
    except ValueError as error:
        wrong.append(f"{name} {error}")
        return None


def _superseded(value: Any, expected: Any, task: Task, wrong: list[str]) -> list[Any]:
    lists = task in (Task.MULTILABEL, Task.RANKING)
    if not isinstance(value, list | tuple) or (
        lists and value and not isinstance(value[0], list | tuple)
    ):
        value = [value]
    found = []
    for one in value:
        old = _checked("superseded", lambda old: check.answer(old, task), one, wrong)
        if old is None:
            continue
        found.append(old)
        if expected is not None and check.equal(old, expected, task):
            wrong.append(
                f"superseded holds {shown(one)}, which is the expected answer; "
                "write only answers that are no longer right"
            )
    return found


def _slice_of(given: Any, name: str, wrong: list[str]) -> str:
    value = given.get(name) if isinstance(given, dict) else None
    if value is None:
        wrong.append(f'input has no field "{name}", which golden.slices names; write it or slice')
        return ""
    text = label_of(value)
    if text is None:
        wrong.append(f"input.{name} is {kind_of(value)}; write text, as it names the slice")
        return ""
    return sys.intern(str(_checked(f"input.{name}", check.name, text, wrong)))
