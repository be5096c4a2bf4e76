"""Tensors of the Open Inference Protocol as JSON: made from golden items, taken apart again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from seamwatch.config.models import TensorSection
from seamwatch.errors import ReadError, Reason
from seamwatch.models.template import as_text, compile_template
from seamwatch.pipeline import GoldenItem

_DEPTH = 16  # of nested lists; real tensors have fewer dimensions


class Tensor:
    """One input tensor, filled for each item."""

    def __init__(self, section: TensorSection) -> None:
        self._section = section
        self._render = compile_template(section.value)
        self._convert = _CONVERTERS[_family(section.datatype)]
        self._fixed: Mapping[str, Any] = {"name": section.name, "datatype": section.datatype} | (
            {"parameters": section.parameters} if section.parameters else {}
        )

    def filled(self, item: GoldenItem) -> dict[str, Any]:
        """Return the tensor for *item*; raise ReadError when the item's value does not fit."""
        value = self._render(item)
        data = flat(value)
        if not data:
            raise self._misfit(item, "is empty, ragged or nested too deeply")
        try:
            converted = [self._convert(element) for element in data]
        except ValueError as error:
            raise self._misfit(item, str(error)) from error
        shape = self._shape(item, value, len(data))
        return {**self._fixed, "shape": shape, "data": converted}

    def _shape(self, item: GoldenItem, value: Any, size: int) -> list[int]:
        if self._section.shape is None:
            lengths = _lengths(value)
            return [1] if not lengths else [1, *lengths] if len(lengths) == 1 else lengths
        shape = list(self._section.shape)
        if -1 in shape:
            shape[shape.index(-1)] = size // abs(math.prod(shape))
        if math.prod(shape) != size:
            found = list(self._section.shape)
            raise self._misfit(item, f"has {size} element(s), which do not fill shape {found}")
        return shape

    def _misfit(self, item: GoldenItem, what: str) -> ReadError:
        return ReadError(
            Reason.BAD_CONTRACT,
            f"golden item {item.id!r}: the value for tensor {self._section.name!r}"
            f" ({self._section.datatype}) {what}",
        )


def flat(value: Any) -> list[Any] | None:
    """Return the elements of nested lists in row-major order; None when they are no tensor."""
    if not isinstance(value, list | tuple):
        return None if isinstance(value, dict) else [value]
    for _ in range(_DEPTH):
        nested = [isinstance(element, list | tuple) for element in value]
        if not any(nested):
            return list(value)
        if not all(nested) or len({len(element) for element in value}) > 1:
            return None
        value = [inner for element in value for inner in element]
    return None


def _lengths(value: Any) -> list[int]:
    lengths = []
    while isinstance(value, list | tuple):
        lengths.append(len(value))
        value = value[0] if value else None
    return lengths


def _family(datatype: str) -> str:
    return datatype.rstrip("0123456789")


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"has {as_text(value)[:40]}, which is neither true nor false")


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(f"has {as_text(value)[:40]}, which is not a whole number")


def _natural(value: Any) -> int:
    if (whole := _whole(value)) >= 0:
        return whole
    raise ValueError(f"has {whole}, which is below 0")


def _number(value: Any) -> float:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(f"has {as_text(value)[:40]}, which is not a number")


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "BOOL": _bool,
    "INT": _whole,
    "UINT": _natural,
    "FP": _number,
    "BYTES": as_text,
}
