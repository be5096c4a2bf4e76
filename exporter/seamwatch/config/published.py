"""The JSON Schema of seamwatch.yaml, with the meaning of each key from the text under its field."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from typing import Any

from seamwatch.config.fields import Section
from seamwatch.config.schema import Settings

HIDDEN = "**********"  # how pydantic writes the default of a secret
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema as plain values."""
    schema = Settings.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    for section in sections():
        part = schema if section is Settings else definitions[section.__name__]
        _describe(section, part)
    for part in (schema, *definitions.values()):
        _tidy(part)
    title = "seamwatch configuration"
    return {"$schema": DIALECT, "title": title, **schema, "$defs": definitions}


def sections() -> tuple[type[Section], ...]:
    """Return every section that a configuration can have, Settings first."""
    found: dict[type[Section], None] = {}
    open_: list[Any] = [Settings]
    while open_:
        part = open_.pop(0)
        if isinstance(part, type) and issubclass(part, Section):
            if part not in found:
                found[part] = None
                open_ += [field.annotation for field in part.model_fields.values()]
        else:
            open_ += getattr(part, "__args__", ())
    return tuple(found)


def meanings(section: type[Section]) -> dict[str, str]:
    """Return what each key of *section*, as it is written, means."""
    by_field: dict[str, str] = {}
    for base in reversed(section.__mro__):
        by_field |= _texts_of(base.__module__).get(base.__name__, {})
    return {
        field.alias or name: by_field[name]
        for name, field in section.model_fields.items()
        if name in by_field
    }


@cache
def _texts_of(module: str) -> dict[str, dict[str, str]]:
    """Return the texts that stand under the fields of each class in *module*."""
    if not module.startswith("seamwatch."):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return {node.name: _texts_in(node) for node in classes}


def _texts_in(node: ast.ClassDef) -> dict[str, str]:
    texts = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            texts[field.target.id] = " ".join(str(text.value.value).split())
    return texts


def _describe(section: type[Section], part: dict[str, Any]) -> None:
    properties = part.get("properties", {})
    for key, meaning in meanings(section).items():
        properties[key]["description"] = meaning


def _tidy(part: dict[str, Any]) -> None:
    """Drop what pydantic adds for its own use from a schema, and refuse names that are none."""
    for key in ("title", "writeOnly", "format"):
        part.pop(key, None)
    if part.get("default", ...) in (None, {}) or part.get("default") == HIDDEN:
        part.pop("default", None)
    if "patternProperties" in part:
        part["additionalProperties"] = False
    for key in ("properties", "patternProperties"):
        for below in part.get(key, {}).values():
            _tidy(below)
    for below in (*part.get("anyOf", ()), part.get("items"), part.get("additionalProperties")):
        if isinstance(below, dict):
            _tidy(below)
    if "$ref" in part:
        part.pop("default", None)  # a section's defaults are those of its keys
