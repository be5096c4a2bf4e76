"""What the tests share: tools that must be there."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the expected texts in tests/golden"
    )


@pytest.fixture(autouse=True)
def log_handlers() -> Iterator[None]:
    """Take away what a command run in this process logs to: its stream ends with the test."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def compare(expected: Path, found: str, request: pytest.FixtureRequest) -> None:
    """Compare *found* with the file *expected*, or write it there under --update-golden."""
    if request.config.getoption("--update-golden"):
        expected.write_text(found, encoding="utf-8")
    assert expected.exists(), f"{expected} is missing; run pytest with --update-golden"
    assert found == expected.read_text(encoding="utf-8")


def require_tool(name: str) -> str:
    """Return the path of program *name*; skip loudly without it, but fail where CI=true."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed; `make test` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path
