"""One row of a query: which columns it may have, and how many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from seamwatch.config.sources import FieldsSection
from seamwatch.errors import ReadError, Reason
from seamwatch.sources.quoting import shown

MAX_CELL = 64 << 10  # characters of one cell

Row = dict[str, Any]  # column name -> value as the driver gives it

FIELDS: tuple[str, ...] = tuple(FieldsSection.model_fields)
MAPPINGS: tuple[str, ...] = ("built_from", "tuned_on")


def _field(column: str) -> str | None:
    lowered = column.lower()
    if lowered in FIELDS:
        return lowered
    for mapping in MAPPINGS:
        if lowered.startswith(f"{mapping}_") and len(column) > len(mapping) + 1:
            return f"{mapping}_{column[len(mapping) + 1 :]}"
    return None


def check_columns(names: Sequence[str], *, where: str) -> None:
    """Raise ReadError unless every column is a field of the contract, and none occurs twice."""
    seen = set()
    for name in names:
        field = _field(name)
        if field is None:
            raise ReadError(
                Reason.BAD_CONTRACT,
                f"{where}: {shown(name)} is no field of the stage contract; name the columns"
                f" {', '.join(FIELDS)}, built_from_<stage> or tuned_on_<stage>",
            )
        if field in seen:
            raise ReadError(Reason.AMBIGUOUS, f"{where}: the column {shown(field)} occurs twice")
        seen.add(field)


def one_row(rows: Sequence[Row], *, where: str) -> Row:
    """Return the only one of *rows*, its cells of bounded size; raise ReadError otherwise."""
    if not rows:
        raise ReadError(Reason.NO_DATA, f"{where}: the query gave no row; it should give one")
    if len(rows) > 1:
        raise ReadError(
            Reason.AMBIGUOUS,
            f"{where}: the query gave more than one row; aggregate, or ORDER BY ... LIMIT 1",
        )
    for name, cell in rows[0].items():
        if isinstance(cell, str | bytes) and len(cell) > MAX_CELL:
            raise ReadError(
                Reason.TOO_LARGE,
                f"{where}: the column {shown(name)} has more than {MAX_CELL} characters",
            )
    return rows[0]


def values(row: Row, *, where: str) -> Row:
    """Return the contract fields in *row*: mappings read from JSON text and from own columns."""
    found: Row = {}
    parts: dict[str, Row] = {}
    for column, cell in row.items():
        field = _field(column) or column
        if field not in FIELDS:
            mapping = next(name for name in MAPPINGS if field.startswith(f"{name}_"))
            parts.setdefault(mapping, {})[field[len(mapping) + 1 :]] = cell
        elif field in (*MAPPINGS, "settings"):
            found[field] = _mapping(cell, field, where)
        else:
            found[field] = cell
    for mapping, columns in parts.items():
        whole = found.get(mapping)
        if whole is None or isinstance(whole, dict):
            found[mapping] = {**(whole or {}), **columns}
    return found


def _mapping(cell: Any, field: str, where: str) -> Any:
    if not isinstance(cell, str):
        return cell
    if not cell.strip():
        return None
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError as error:
        raise ReadError(
            Reason.BAD_CONTRACT,
            f'{where}: {field} is {shown(cell)}; write JSON, e.g. {{"ingest": "batch-412"}}',
        ) from error
