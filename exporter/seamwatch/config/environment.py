"""``${NAME}`` in seamwatch.yaml: how the environment's values come in, and stay unseen."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


class FromEnv(str):
    """A text that holds a value of the environment; messages show *written* in its place."""

    written: str

    def __new__(cls, value: str, written: str) -> FromEnv:
        """Return *value*, remembering how the file has it."""
        text = super().__new__(cls, value)
        text.written = written
        return text

    def __reduce__(self) -> tuple[type[FromEnv], tuple[str, str]]:
        return FromEnv, (str(self), self.written)


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return *text* with each ``${NAME}`` replaced; ``$${`` stands for ``${`` itself.

    Raises:
        ValueError: a variable is not set, or is not written ``${NAME}``.
    """
    used = False

    def replace(match: re.Match[str]) -> str:
        nonlocal used
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
        used = True
        return environ[name]

    value = _VARIABLE.sub(replace, text)
    return FromEnv(value, text) if used else value
