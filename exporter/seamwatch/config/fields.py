"""The field types of seamwatch.yaml: durations, ratios, sizes, names, secrets, expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from seamwatch.config.environment import FromEnv

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LOOSE_DURATION = re.compile(
    r"(\d+(?:\.\d+)?) *"
    r"(msecs?|milliseconds?|sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|days?|weeks?|[smhdw])",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

MAX_REGEX = 1000
"""Characters of a regular expression."""


class Section(BaseModel):
    """A mapping in seamwatch.yaml: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,  # the input may be a secret
    )


def shown(value: Any) -> str:
    """Return *value* as a message shows it: short, texts in double quotes, ``${NAME}`` unfilled."""
    if isinstance(value, FromEnv):
        return value.written
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:56] + '..."'


def parse_duration(value: Any) -> float:
    """Return seconds for ``90s``, ``15m``, ``1h30m``; raise ValueError for anything else."""
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if parts and "".join(number + unit for number, unit in parts) == value:
            return sum(float(number) * _SECONDS[unit] for number, unit in parts)
        if match := _LOOSE_DURATION.fullmatch(value):
            meant = match[1] + ("ms" if match[2].lower().startswith("ms") else match[2][0].lower())
            raise ValueError(f"{shown(value)} is not a duration; write {meant}")
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        raise ValueError(f"{shown(value)} has no unit; write {value:g}s, {value:g}m or {value:g}h")
    raise ValueError(f"{shown(value)} is not a duration; write 90s, 15m, 6h or 2d")


def parse_period(value: Any) -> float:
    """Return seconds above 0; raise ValueError for anything else."""
    seconds = parse_duration(value)
    if seconds == 0:
        raise ValueError(f"{shown(value)} is no time at all; write a duration above 0 such as 15m")
    return seconds


def parse_ratio(value: Any) -> float:
    """Return a number in [0, 1] for ``0.92`` or ``92%``; raise ValueError for anything else."""
    instead = "0.92 or 92%"
    ratio: float | None = None
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        ratio = float(match[1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        ratio = float(value)
        if 1 < ratio <= 100:
            instead = f"{ratio / 100:g} or {ratio:g}%"
    if ratio is None or not 0 <= ratio <= 1:
        raise ValueError(f"{shown(value)} is not a ratio; write {instead}")
    return ratio


def parse_share(value: Any) -> float:
    """Return a number in (0, 1) for ``0.92`` or ``92%``; raise ValueError for anything else."""
    ratio = parse_ratio(value)
    if not 0 < ratio < 1:
        raise ValueError(
            f"{shown(value)} is an end of the scale, which can mean nothing here;"
            " write a ratio above 0 and below 1 such as 0.92 or 92%"
        )
    return ratio


def parse_limit(value: Any) -> float:
    """Return any number, ``92%`` as 0.92; raise ValueError for anything else."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        return float(match[1]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{shown(value)} is not a limit; write a number or 92%")


def parse_size(value: Any) -> int:
    """Return bytes for ``64KiB`` or ``1MiB``; raise ValueError for anything else."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _BYTES[match[2]]
    raise ValueError(f"{shown(value)} is not a size; write 64KiB, 1MiB or 1GiB")


def _check_expression(value: Any) -> Any:
    if isinstance(value, str):
        try:
            jmespath.compile(value)
        except JMESPathError as error:
            position = getattr(error, "lex_position", None)
            where = "" if position is None else f" (see its character {position + 1})"
            raise ValueError(
                f"{shown(value)} is not a JMESPath expression{where}; write a path such as"
                " data.label or outputs[0].score"
            ) from error
    return value


def _check_regex(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(
            f"{shown(value)} is not a regular expression ({str(error)[:80]});"
            r" write one such as \bas an AI\b"
        ) from error
    if len(value) > MAX_REGEX:
        raise ValueError(
            f"a regular expression of {len(value):,} characters; write {MAX_REGEX:,} at most"
        )
    return value


def format_duration(seconds: float) -> str:
    """Return the shortest way to write *seconds*: ``90s``, ``15m``, ``2d``."""
    for unit in ("w", "d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:g}{unit}"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def format_size(size: int) -> str:
    """Return the shortest way to write *size* bytes: ``64KiB``, ``1MiB``."""
    unit = next(unit for unit in reversed(_BYTES) if size % _BYTES[unit] == 0)
    return f"{size // _BYTES[unit]}{unit}"


def _as(schema: dict[str, Any], written: Callable[[Any], Any] = lambda value: value) -> Any:
    """Return a hook that makes *schema* the JSON Schema of a field, its default as *written*."""

    def replace(generated: dict[str, Any]) -> None:
        default = {}
        if generated.get("default") is not None:
            default = {"default": written(generated["default"])}
        generated.clear()
        generated.update(schema | default)

    return replace


def one_or_many(value: Any) -> Any:
    """Return a single text, or a list, as a tuple; anything else as it is."""
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _one_or_many_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


_DURATION_SCHEMA = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"}
_RATIO_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^\d+(\.\d+)?%$"},
    ]
}
_SHARE_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "string", "pattern": r"^\d+(\.\d+)?%$"},
    ]
}
_LIMIT_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\d+(\.\d+)?%$"}]}


def _percent(ratio: float) -> str:
    return f"{ratio * 100:g}%"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(json_schema_extra=_as(_DURATION_SCHEMA, format_duration)),
]
"""Seconds, written ``90s 15m 6h 2d``."""

Period = Annotated[
    float,
    BeforeValidator(parse_period),
    Field(json_schema_extra=_as(_DURATION_SCHEMA, format_duration)),
]
"""Seconds above 0, written like a duration."""

Ratio = Annotated[
    float,
    BeforeValidator(parse_ratio),
    Field(json_schema_extra=_as(_RATIO_SCHEMA)),
]
"""A number in [0, 1], written ``0.92`` or ``92%``."""

Share = Annotated[
    float,
    BeforeValidator(parse_share),
    Field(json_schema_extra=_as(_SHARE_SCHEMA, _percent)),
]
"""A number in (0, 1), written ``0.92`` or ``92%``."""

Limit = Annotated[
    float,
    BeforeValidator(parse_limit),
    Field(json_schema_extra=_as(_LIMIT_SCHEMA)),
]
"""Any number; one followed by ``%`` is a hundredth of it."""

Regex = Annotated[str, AfterValidator(_check_regex)]
"""A regular expression as Python reads it, compiled once when the file is read."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(
        json_schema_extra=_as({"type": "string", "pattern": r"^\d+(B|KiB|MiB|GiB)$"}, format_size)
    ),
]
"""Bytes, written ``64KiB`` or ``1MiB``."""

Expression = Annotated[str, BeforeValidator(_check_expression)]
"""A JMESPath expression, checked when the file is read."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", max_length=128)]
"""A name that becomes a label value and a part of URLs."""

_NAME_SCHEMA = {"type": "string", "pattern": r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", "maxLength": 128}

Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(one_or_many),
    Field(json_schema_extra=_as(_one_or_many_of(_NAME_SCHEMA))),
]
"""One name or a list of them."""

Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(one_or_many),
    Field(json_schema_extra=_as(_one_or_many_of({"type": "string"}))),
]
"""One text or a list of them."""

Regexes = Annotated[
    tuple[Regex, ...],
    BeforeValidator(one_or_many),
    Field(json_schema_extra=_as(_one_or_many_of({"type": "string", "maxLength": MAX_REGEX}))),
]
"""One regular expression or a list of them."""


Listed = BeforeValidator(_listed)
"""Marks a tuple type as a YAML list."""


Secret = Annotated[SecretStr, Field()]
"""A text that is never shown; write it as ``${ENV}`` or in a ``*_file``."""
