"""``${NAME}`` in seamwatch.yaml: how the environment's values come in, and stay unseen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


class FromEnv(str):
    """A text that holds values of the environment; messages show *written* in its place."""

    written: str
    filled_in: tuple[str, ...]  # the values alone

    def __new__(cls, value: str, written: str, filled_in: tuple[str, ...] = ()) -> FromEnv:
        """Return *value*, remembering how the file has it."""
        text = super().__new__(cls, value)
        text.written = written
        text.filled_in = filled_in
        return text

    def __reduce__(self) -> tuple[type[FromEnv], tuple[str, str, tuple[str, ...]]]:
        return FromEnv, (str(self), self.written, self.filled_in)


def without_values(message: str, value: Any) -> str:
    """Return *message* without what the environment filled in anywhere in *value*."""
    if isinstance(value, FromEnv):
        for secret in filter(None, value.filled_in):
            message = message.replace(secret, "***")
    for below in value.values() if isinstance(value, dict) else ():
        message = without_values(message, below)
    for below in value if isinstance(value, list) else ():
        message = without_values(message, below)
    return message


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return *text* with each ``${NAME}`` replaced; ``$${`` stands for ``${`` itself.

    Raises:
        ValueError: a variable is not set, or is not written ``${NAME}``.
    """
    used: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match[1]
        if name is None:
            raise ValueError(
                "${ does not begin a variable here; write ${NAME} with letters, digits and _,"
                " or $${ for the text itself"
            )
        if name not in environ:
            raise ValueError(
                f"${{{name}}} is not set in the environment; set {name}, or write $${{{name}}}"
                " for the text itself"
            )
        used.append(environ[name])
        return environ[name]

    value = _VARIABLE.sub(replace, text)
    return FromEnv(value, text, tuple(used)) if used else value
