"""From the configuration to the rules by which answers are judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from seamwatch.config.quality import QualitySection
from seamwatch.config.schema import GoldenSection
from seamwatch.errors import GoldenError
from seamwatch.pipeline import Task
from seamwatch.scoring import Rules

MAX_SCHEMA = 1 << 20
"""Bytes of a JSON Schema file."""


def rules(
    section: GoldenSection,
    quality: QualitySection | None = None,
    *,
    base_dir: Path | None = None,
) -> Rules:
    """Return the rules of a golden set; *base_dir* is what paths in the settings are relative to.

    Raises GoldenError if the JSON Schema cannot be read, is none, or refers to other files.
    """
    schema = None
    if quality is not None and quality.json_schema is not None:
        schema = _schema((base_dir or Path()) / quality.json_schema)
    return Rules(
        task=Task(section.task),
        refusals=section.refusals,
        labels=section.labels,
        positive=section.positive,
        tolerance=section.tolerance,
        relative_tolerance=section.relative_tolerance,
        k=section.k,
        at_least=section.at_least,
        text_measure=section.text_measure,
        ranking_measure=section.ranking_measure,
        score_of=section.score_of,
        json_schema=schema,
    )


def _schema(path: Path) -> dict[str, Any]:
    import jsonschema
    import referencing
    from jsonschema.exceptions import SchemaError

    schema = _json(path)
    kind = jsonschema.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        place = "/".join(str(step) for step in error.absolute_path) or "the whole"
        raise GoldenError([f"{path}: no JSON Schema: {place}: {error.message[:200]}"]) from error
    resource = referencing.Resource.from_contents(
        schema, default_specification=referencing.jsonschema.DRAFT202012
    )
    resolver = referencing.Registry().with_resource("", resource).resolver()
    for target in _references(schema):
        try:
            if not target.startswith("#"):
                raise LookupError(target)
            resolver.lookup(target)
        except (LookupError, referencing.exceptions.Unresolvable) as error:
            raise GoldenError(
                [
                    f'{path}: $ref "{target}" leads nowhere in this file; '
                    "write the definition in it, under $defs"
                ]
            ) from error
    try:
        for sample in ("", 0, [], [""]):
            kind(schema, registry=referencing.Registry()).is_valid(sample)
    except RecursionError as error:
        raise GoldenError(
            [f"{path}: refers to itself without end; write what an answer looks like"]
        ) from error
    return schema


def _json(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise GoldenError([f"{path}: there is no such file; write the path of a JSON Schema"])
        if path.stat().st_size > MAX_SCHEMA:
            raise GoldenError([f"{path}: larger than {MAX_SCHEMA >> 20} MiB; write a smaller one"])
        schema = orjson.loads(path.read_bytes())
    except OSError as error:
        raise GoldenError([f"{path}: cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise GoldenError([f"{path}: broken JSON ({error}); write a JSON Schema"]) from error
    if not isinstance(schema, dict):
        raise GoldenError([f"{path}: no JSON object; write a JSON Schema"])
    return schema


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key in ("$ref", "$dynamicRef") and isinstance(one, str):
                yield one
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)
