"""The stage contract: what a stage says of itself, from any JSON or any row to an Observation."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from seamwatch.config.sources import HEALTHY, FieldsSection, TimeFormat
from seamwatch.errors import ReadError, Reason
from seamwatch.pipeline import Observation
from seamwatch.sources.quoting import problem, shown
from seamwatch.sources.times import Times

MAX_TEXT = 200  # characters of a version or a name: both become label values
MAX_ENTRIES = 100  # of built_from, tuned_on and settings
MAX_SETTINGS = 16 << 10  # bytes of settings as JSON; an observation is kept in memory

Find = Callable[[Any], Any]
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the stage contract as stages publish it."""
    path = Path(__file__).with_name("stage-contract.schema.json")
    document: dict[str, Any] = orjson.loads(path.read_bytes())
    return document


def _refuse(message: str) -> ReadError:
    return ReadError(Reason.BAD_CONTRACT, message)


def text(value: Any, *, field: str) -> str | None:
    """Return a version or name; None for null and blank text. Whole numbers become text.

    Raises:
        ReadError: BAD_CONTRACT for other types, control characters, more than 200 characters.
    """
    if value is None:
        return None
    if isinstance(value, float | Decimal):
        raise _refuse(
            f"{field} is the number {shown(value)}; write it as text, in quotes: "
            "as a number 1.10 becomes 1.1"
        )
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 200:
        return str(value)
    if not isinstance(value, str):
        raise _refuse(f"{field} is {shown(value)}; write text")
    value = value.strip()
    if len(value) > MAX_TEXT:
        raise _refuse(f"{field} has {len(value)} characters; write at most {MAX_TEXT}")
    if not value.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise _refuse(f"{field} is {shown(value)}; write it without control characters")
    return value or None


def number(value: Any, *, field: str) -> float | None:
    """Return a count, 0 or more; None for null.

    Raises:
        ReadError: BAD_CONTRACT for text, booleans, NaN, infinity and negative numbers.
    """
    if value is None:
        return None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        try:
            count = float(value)
        except (OverflowError, ValueError):  # too large, or a signalling NaN
            count = math.inf
        if math.isfinite(count) and count >= 0:
            return count
    raise _refuse(f"{field} is {shown(value)}; write a number, 0 or more")


@dataclass(frozen=True, slots=True)
class Contract:
    """How one source's answers become observations; shared by all sources that say the same."""

    times: Times
    healthy: frozenset[str]  # casefolded
    find: Mapping[str, Find]  # field -> where it stands in a document

    def read(self, document: Any, *, now: float, where: str) -> Observation:
        """Return what *document* (any JSON value) says, the fields found by their expressions.

        Raises:
            ReadError: BAD_CONTRACT or BAD_TIME; the message starts with *where*.
        """
        values = {}
        for field, find in self.find.items():
            try:
                values[field] = find(document)
            except (JMESPathError, RecursionError, TypeError, ValueError, ArithmeticError) as error:
                raise _refuse(
                    f"{where}: the expression for {field} failed on this answer: {problem(error)}"
                ) from error
        return self.observe(values, now=now, where=where, found=document)

    def observe(
        self, values: Mapping[str, Any], *, now: float, where: str, found: Any = None
    ) -> Observation:
        """Return the observation that *values* (by contract field) make; None is unknown.

        Raises:
            ReadError: BAD_CONTRACT or BAD_TIME; the message starts with *where*.
        """
        try:
            observation = Observation(
                healthy=self._health(values.get("status")),
                version=text(values.get("version"), field="version"),
                watermark=self.times.parse(values.get("watermark"), field="watermark", now=now),
                updated_at=self.times.parse(values.get("updated_at"), field="updated_at", now=now),
                built_from=_versions(values.get("built_from"), "built_from"),
                tuned_on=_versions(values.get("tuned_on"), "tuned_on"),
                rows=number(values.get("rows"), field="rows"),
                settings=_settings(values.get("settings")),
            )
            if (observation.version, observation.watermark, observation.updated_at) == (None,) * 3:
                raise _refuse(
                    "none of version, watermark, updated_at is known; give at least one"
                    + _hint(found)
                )
        except ReadError as error:
            raise ReadError(error.reason, f"{where}: {error}") from error.__cause__
        return observation

    def _health(self, status: Any) -> bool | None:
        if status is None or isinstance(status, bool):
            return status
        if isinstance(status, str):
            word = status.strip().casefold()
            return word in self.healthy if word else None
        if isinstance(status, int | float | Decimal):
            digits = shown(status)  # as text, because a Decimal may refuse to be compared
            if digits in self.healthy or digits in ("1", "1.0"):
                return True
            if digits in ("0", "0.0"):
                return False
            if any(word.isdecimal() for word in self.healthy):  # e.g. healthy: ["200"]
                return False
        raise _refuse(f"status is {shown(status)}; write a word, true or false, or 1 or 0")


def _versions(value: Any, field: str) -> Mapping[str, str]:
    if value is None:
        return _NOTHING
    if not isinstance(value, Mapping):
        raise _refuse(f'{field} is {shown(value)}; write {{"<stage>": "<version>"}}')
    if len(value) > MAX_ENTRIES:
        raise _refuse(f"{field} has {len(value)} entries; write at most {MAX_ENTRIES}")
    versions = {}
    for stage, entry in value.items():
        if not isinstance(stage, str) or (name := text(stage, field=f"a key of {field}")) is None:
            raise _refuse(f"a key of {field} is {shown(stage)}; write the name of a stage")
        if (version := text(entry, field=f"{field}.{shown(name)[1:-1]}")) is not None:
            versions[name] = version
    return MappingProxyType(versions) if versions else _NOTHING


def _settings(value: Any) -> Mapping[str, Any]:
    if value is None:
        return _NOTHING
    if not isinstance(value, Mapping):
        raise _refuse(f'settings is {shown(value)}; write a mapping, e.g. {{"threshold": 0.72}}')
    if len(value) > MAX_ENTRIES:
        raise _refuse(f"settings has {len(value)} entries; write at most {MAX_ENTRIES}")
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError as error:
        raise _refuse("settings hold something that is not JSON") from error
    if size > MAX_SETTINGS:
        raise _refuse(f"settings take {size} bytes; write at most {MAX_SETTINGS}")
    return MappingProxyType(dict(value)) if value else _NOTHING


def _hint(found: Any) -> str:
    if found is None:
        return ""
    if not isinstance(found, dict):
        return f" (the answer is {shown(found)}; map it with `fields:`)"
    keys = ", ".join(shown(key, 30) for key in list(found)[:8])
    return f" (the answer has {keys}; map them with `fields:`)" if keys else " (the answer is {})"


@lru_cache(maxsize=4096)
def _finder(expression: str) -> Find:
    if _KEY.fullmatch(expression):  # the usual case, fifteen times faster than the interpreter
        return lambda document: document.get(expression) if isinstance(document, dict) else None
    compiled: Find = jmespath.compile(expression).search
    return compiled


@lru_cache(maxsize=4096)
def contract(
    time: TimeFormat = "auto",
    zone: str | None = None,
    healthy: tuple[str, ...] = HEALTHY,
    fields: FieldsSection | None = None,
) -> Contract:
    """Return the contract of a source; equal arguments give one shared object."""
    fields = fields or FieldsSection()
    return Contract(
        times=Times(time, zone),
        healthy=frozenset(word.strip().casefold() for word in healthy),
        find=MappingProxyType(
            {field: _finder(getattr(fields, field)) for field in type(fields).model_fields}
        ),
    )
