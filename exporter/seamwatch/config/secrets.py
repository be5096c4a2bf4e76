"""Credentials belong into the environment or into files: a literal one is refused, unseen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from seamwatch.config.environment import FromEnv
from seamwatch.config.problems import Finding, KeyPath

_SECRET_NAME = re.compile(
    r"auth|token|secret|passw|credential|cookie|api[-_]?key|access[-_]?key|\bkey\b|signature",
    re.IGNORECASE,
)
_VARIABLE = "write ${NAME} and set NAME in the environment"


def literal_secrets(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield each credential of *data* that is written out, empty or broken over lines."""
    yield from _check_url(("store",), data.get("store"))
    for name, pipeline in _items(data.get("pipelines")):
        at = ("pipelines", name)
        for stage, section in _items(_get(pipeline, "stages")):
            for kind, source in _items(_get(section, "source")):
                yield from _check_target((*at, "stages", stage, "source", kind), source)
        model = _get(pipeline, "model")
        for kind in ("http", "open_inference"):
            yield from _check_target((*at, "model", kind), _get(model, kind))
        for repair, section in _items(_get(model, "repairs")):
            yield from _check_target((*at, "model", "repairs", repair), section)
        for signal, section in _items(_get(_get(pipeline, "quality"), "signals")):
            yield from _check_target((*at, "quality", "signals", signal), section)
        actions = _get(_get(pipeline, "gate"), "actions")
        for index, action in enumerate(actions if isinstance(actions, list) else ()):
            for kind, section in _items(action):
                yield from _check_target((*at, "gate", "actions", index, kind), section)


def names_a_secret(name: str) -> bool:
    """Say whether what is called *name* (a header, a variable) is taken for a secret."""
    return _SECRET_NAME.search(name) is not None


def _check_target(at: KeyPath, target: Any) -> Iterator[Finding]:
    if not isinstance(target, dict):
        return
    if "bearer_token" in target:
        yield from _check((*at, "bearer_token"), target["bearer_token"], "or use bearer_token_file")
    for holder, key in ((("basic_auth",), "password"), ((), "password"), ((), "secret")):
        value = _get(_get(target, holder[0]) if holder else target, key)
        if value is not None:
            yield from _check((*at, *holder, key), value, f"or use {key}_file")
    for key in ("headers", "options"):
        for name, value in _items(target.get(key)):
            if names_a_secret(str(name)):
                yield from _check((*at, key, name), value, "")
            else:
                yield from _check_lines((*at, key, name), value)
    if at[-2:] == ("source", "sql") or at[-1] == "redis":
        yield from _check_url((*at, "url"), target.get("url"))


def _check(path: KeyPath, value: Any, otherwise: str) -> Iterator[Finding]:
    if not isinstance(value, str):
        return
    if not isinstance(value, FromEnv):
        instead = f"{_VARIABLE}, {otherwise}" if otherwise else _VARIABLE
        yield Finding(path, f"a secret is written out here; {instead}")
    elif not value.strip():
        yield Finding(path, f"{value.written} is set, but empty; set it to the secret")
    else:
        yield from _check_lines(path, value)


def _check_lines(path: KeyPath, value: Any) -> Iterator[Finding]:
    if isinstance(value, str) and ("\n" in value or "\r" in value):
        what = value.written if isinstance(value, FromEnv) else "the value"
        yield Finding(path, f"{what} holds a line break; write it in one line")


def _check_url(path: KeyPath, value: Any) -> Iterator[Finding]:
    if isinstance(value, str) and not isinstance(value, FromEnv):
        try:
            has_password = bool(urlsplit(value).password)
        except ValueError:
            has_password = "@" in value
        if has_password:
            message = "a password is written out in the URL; write ${NAME} in its place"
            yield Finding(path, f"{message} and set NAME in the environment")


def _items(section: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(section, dict):
        yield from section.items()


def _get(section: Any, key: str) -> Any:
    return section.get(key) if isinstance(section, dict) else None
