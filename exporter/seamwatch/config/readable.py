"""Whether the files that a configuration names are there and hold what they should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seamwatch.config.problems import Finding, KeyPath


def check_file(path: KeyPath, file: Path) -> Iterator[Finding]:
    """Yield why *file*, which stands at *path*, cannot be read."""
    try:
        if file.is_dir():
            yield Finding(path, f"{file} is a directory; write the path of a file")
        else:
            with file.open("rb") as content:
                content.read(1)
    except FileNotFoundError:
        message = f"there is no file {file}; write a path relative to this configuration file"
        yield Finding(path, message)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        yield Finding(path, f"{file} cannot be read ({reason}); write the path of a readable file")


def wrong_with_schema(file: Path) -> str | None:
    """Return why *file* holds no JSON Schema, None if it does."""
    import json

    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        schema = json.loads(file.read_bytes())
    except ValueError as error:
        return f"the file is not JSON ({error})"
    except RecursionError:
        return "the file is nested too deeply"
    if not isinstance(schema, dict):
        return "the file holds no JSON Schema"
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its top"
        return f"the file is no JSON Schema (at {where}: {error.message})"
    return None
