"""The field types of seamwatch.yaml: durations, ratios, sizes, names, secrets, expressions."""

from __future__ import annotations

import re
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Section(BaseModel):
    """A mapping in seamwatch.yaml: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def parse_duration(value: Any) -> float:
    """Return seconds for ``90s``, ``15m``, ``1h30m``; raise ValueError for anything else."""
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if parts and "".join(number + unit for number, unit in parts) == value:
            return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    raise ValueError(f"{value!r} is not a duration; write 90s, 15m, 6h or 2d")


def parse_ratio(value: Any) -> float:
    """Return a number in [0, 1] for ``0.92`` or ``92%``; raise ValueError for anything else."""
    ratio: float | None = None
    if isinstance(value, str) and value.endswith("%"):
        try:
            ratio = float(value[:-1]) / 100
        except ValueError:
            ratio = None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        ratio = float(value)
    if ratio is None or not 0 <= ratio <= 1:
        raise ValueError(f"{value!r} is not a ratio; write 0.92 or 92%")
    return ratio


def parse_size(value: Any) -> int:
    """Return bytes for ``64KiB`` or ``1MiB``; raise ValueError for anything else."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _BYTES[match[2]]
    raise ValueError(f"{value!r} is not a size; write 64KiB, 1MiB or 1GiB")


def _check_expression(value: Any) -> Any:
    if isinstance(value, str):
        try:
            jmespath.compile(value)
        except JMESPathError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{value!r} is not a JMESPath expression: {reason}") from error
    return value


def _as(schema: dict[str, Any]) -> Any:
    """Return a hook that makes *schema* the JSON Schema of a field."""

    def replace(generated: dict[str, Any]) -> None:
        default = {"default": generated["default"]} if "default" in generated else {}
        generated.clear()
        generated.update(schema | default)

    return replace


def _one_or_many(value: Any) -> Any:
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_DURATION_SCHEMA = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"}
_RATIO_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^\d+(\.\d+)?%$"},
    ]
}

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(json_schema_extra=_as(_DURATION_SCHEMA)),
]
"""Seconds, written ``90s 15m 6h 2d``."""

Ratio = Annotated[
    float,
    BeforeValidator(parse_ratio),
    Field(json_schema_extra=_as(_RATIO_SCHEMA)),
]
"""A number in [0, 1], written ``0.92`` or ``92%``."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(json_schema_extra=_as({"type": "string", "pattern": r"^\d+(B|KiB|MiB|GiB)$"})),
]
"""Bytes, written ``64KiB`` or ``1MiB``."""

Expression = Annotated[str, BeforeValidator(_check_expression)]
"""A JMESPath expression, checked when the file is read."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", max_length=128)]
"""A name that becomes a label value and a part of URLs."""

Names = Annotated[tuple[Name, ...], BeforeValidator(_one_or_many)]
"""One name or a list of them."""

Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
"""One text or a list of them."""


Listed = BeforeValidator(_listed)
"""Marks a tuple type as a YAML list."""


Secret = Annotated[SecretStr, Field()]
"""A text that is never shown; write it as ``${ENV}`` or in a ``*_file``."""
