"""Paths in seamwatch.yaml are relative to the file that they stand in, not to where one stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seamwatch.config.environment import FromEnv

_FILES = (
    "bearer_token_file",
    "password_file",
    "ca_file",
    "cert_file",
    "key_file",
    "url_file",
    "secret_file",
)


def make_absolute(data: Mapping[str, Any], base_dirs: Mapping[str, Path]) -> None:
    """Make the paths of credentials and certificates in *data* absolute, in place.

    The paths of golden sets, JSON Schemas and sources stay as they are written: those who read
    them are told the directory.
    """
    pipelines = data.get("pipelines")
    for name, pipeline in pipelines.items() if isinstance(pipelines, dict) else ():
        for target in _targets(pipeline):
            _resolve(target, base_dirs[name])
            for below in ("basic_auth", "tls"):
                if isinstance(target.get(below), dict):
                    _resolve(target[below], base_dirs[name])


def _targets(pipeline: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(pipeline, dict):
        return
    stages = pipeline.get("stages")
    stages = list(stages.values()) if isinstance(stages, dict) else []
    holders = [stage.get("source") for stage in stages if isinstance(stage, dict)]
    quality = pipeline.get("quality")
    signals = quality.get("signals") if isinstance(quality, dict) else None
    gate = pipeline.get("gate")
    actions = gate.get("actions") if isinstance(gate, dict) else None
    holders += actions if isinstance(actions, list) else []
    for holder in (*holders, pipeline.get("model"), signals):
        if isinstance(holder, dict):
            yield from (target for target in holder.values() if isinstance(target, dict))


def _resolve(section: dict[str, Any], base_dir: Path) -> None:
    for key in _FILES:
        value = section.get(key)
        if isinstance(value, str) and value:
            path = str(base_dir / value)
            section[key] = (
                FromEnv(path, value.written, value.filled_in)
                if isinstance(value, FromEnv)
                else path
            )
