"""Reading the plain values of a file that may be wrong: what has another shape counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mapping(section: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return what stands at *key*; empty where that is no mapping."""
    value = section.get(key)
    return value if isinstance(value, dict) else {}


def names(section: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the texts at *key*, one or a list of them."""
    value = section.get(key)
    listed = value if isinstance(value, list) else [value]
    return tuple(name for name in listed if isinstance(name, str))
