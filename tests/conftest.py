"""What the tests share: tools that must be there."""

from __future__ import annotations

import os
import shutil

import pytest


def require_tool(name: str) -> str:
    """Return the path of program *name*; skip loudly without it, but fail where CI=true."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed; `make test` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path
