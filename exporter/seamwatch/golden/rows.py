"""Read JSON Lines, CSV and Parquet into one mapping for each row, within bounds of size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import orjson

from seamwatch.golden.csvrows import csv_rows
from seamwatch.golden.faults import Faults, kind_of
from seamwatch.pipeline import Task

MAX_FILE = 256 << 20
"""Bytes of a golden file."""
MAX_LINE = 4 << 20
"""Bytes of one line of it."""
MAX_ITEMS = 2_000_000

Numbered = Iterator[tuple[int, dict[str, Any]]]

_MAGIC = {
    b"PAR1": "is a Parquet file; name it with .parquet",
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"PK\x03\x04": "is a zip archive or a spreadsheet; save it as CSV or JSON Lines",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}


def rows(path: Path, task: Task, faults: Faults, digest: Any) -> Numbered:
    """Yield line number and fields of each row of *path*, by its suffix.

    *digest* (a hashlib object) has seen the whole file at the end. What is wrong with a row goes
    to *faults*; what makes the rest unreadable raises GoldenError.
    """
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json_rows(_lines(path, faults, digest), faults)
    if suffix == ".csv":
        return csv_rows(_lines(path, faults, digest), task, faults)
    if suffix in PARQUET:
        return _parquet_rows(path, faults, digest)
    faults.fail(0, f'a file named "*{suffix}" is not read; write .jsonl, .csv or .parquet')


PARQUET = (".parquet", ".pq")


def check_file(path: Path, faults: Faults) -> None:
    """Raise GoldenError unless *path* is a readable file of a size that is read at all."""
    try:
        if not path.exists():
            faults.fail(0, "there is no such file; write the path of the golden set")
        if not path.is_file():  # a pipe would wait for ever
            faults.fail(0, "is not a file; write the path of the golden set")
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        faults.fail(0, f"cannot be read: {error.strerror}; check its path and permissions")
    if size == 0:
        faults.fail(0, "is empty; write one item a line")
    if size > MAX_FILE:
        _too_large(faults)


def _too_large(faults: Faults) -> NoReturn:
    faults.fail(0, f"is larger than {MAX_FILE >> 20} MiB; ask a sample of it")


def _lines(path: Path, faults: Faults, digest: Any) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers; never hold more than one, however long the file is."""
    total = 0
    with path.open("rb") as file:
        for number in count(1):
            line = file.readline(MAX_LINE + 1)
            if not line:
                return
            total += len(line)
            digest.update(line)
            if total > MAX_FILE:
                _too_large(faults)
            if number == 1:
                for magic, text in _MAGIC.items():
                    if line.startswith(magic):
                        faults.fail(0, text)
                line = line.removeprefix(b"\xef\xbb\xbf")
            if b"\0" in line:
                column = line.index(b"\0") + 1
                faults.fail(number, f"binary data at column {column}; write text in UTF-8")
            if len(line) > MAX_LINE:
                faults.fail(number, f"a line of more than {MAX_LINE >> 20} MiB; write shorter ones")
            yield number, line


def _json_rows(lines: Iterator[tuple[int, bytes]], faults: Faults) -> Numbered:
    for number, line in lines:
        if line.isspace():
            continue
        try:
            fields = orjson.loads(line)
        except ValueError as error:
            faults.add(number, _why_not_json(number, line, str(error)))
            continue
        if not isinstance(fields, dict):
            if number == 1 and line.lstrip()[:1] == b"[":
                faults.fail(1, _ARRAY)
            faults.add(number, f"{kind_of(fields)} where an item should be; {_ONE_OBJECT}")
        elif (line.count(b'"expected"') > 1 or line.count(b'"id"') > 1) and (twice := _twice(line)):
            faults.add(number, f'"{twice}" is written twice; keep the right one')
        else:
            yield number, fields


_ONE_OBJECT = "write one JSON object on each line"
_ARRAY = f"the file is one JSON array; {_ONE_OBJECT}, without brackets and commas around them"


class _NotANumberError(Exception):
    """A constant that Python reads and JSON does not have."""


def _refuse(constant: str) -> NoReturn:
    raise _NotANumberError(constant)


def _why_not_json(number: int, line: bytes, otherwise: str) -> str:
    try:
        text = line.decode()
        json.loads(text, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        return (
            f"byte 0x{line[error.start]:02x} at column {error.start + 1} is not UTF-8; "
            "save the file as UTF-8"
        )
    except _NotANumberError as error:
        return f"{error} is not JSON; write a number, or null where the model should refuse"
    except json.JSONDecodeError as error:
        if number == 1 and text.lstrip()[:1] == "[":
            return _ARRAY
        return f"broken JSON at column {error.colno} ({error.msg}); {_ONE_OBJECT}"
    except RecursionError:
        return f"JSON nested too deep; {_ONE_OBJECT} with fewer levels"
    return f"broken JSON ({otherwise}); {_ONE_OBJECT}"


def _twice(line: bytes) -> str | None:
    """Return a key of the row that is written twice, None if they all differ."""
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found[:] = [key for key, _ in pairs]  # the outermost object is the last to be built
        return dict(pairs)

    json.loads(line, object_pairs_hook=note)
    return next((key for place, key in enumerate(found) if key in found[:place]), None)


def _parquet_rows(path: Path, faults: Faults, digest: Any) -> Numbered:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        faults.fail(0, "reading Parquet needs pyarrow; run pip install 'seamwatch[parquet]'")
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    try:
        with ParquetFile(path) as table:
            about = table.metadata
            size = sum(about.row_group(n).total_byte_size for n in range(about.num_row_groups))
            if about.num_rows > MAX_ITEMS or size > 4 * MAX_FILE:
                faults.fail(0, f"has {about.num_rows:,} rows in {size >> 20} MiB; ask a sample")
            number = 0
            for batch in table.iter_batches(batch_size=1024):
                for fields in batch.to_pylist():
                    number += 1
                    # a column that is empty here is a field that is not written; but expected
                    # null says that the model should refuse
                    yield (
                        number,
                        {k: v for k, v in fields.items() if v is not None or k == "expected"},
                    )
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        faults.fail(0, f"is not a Parquet file that can be read: {str(error).splitlines()[0]}")
