"""A real PostgreSQL of one's own, for as long as a block lasts."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a new, empty server; skip loudly without one, but fail where CI=true."""
    with warnings.catch_warnings():
        # it complains of a missing XDG_RUNTIME_DIR when imported
        warnings.simplefilter("ignore")
        try:
            import pgserver
        except ImportError:
            message = "pgserver is not installed; `make test` installs it"
            pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
        with tempfile.TemporaryDirectory(prefix="seamwatch-pg-", dir="/tmp") as home:
            server = pgserver.get_server(Path(home) / "data", cleanup_mode="stop")
            try:
                yield server.get_uri()
            finally:
                server.cleanup()


def postgres_control(url: str, *command: str) -> None:
    """Stop or start the server behind *url*; its socket is where its data is."""
    import pgserver

    home = Path(parse_qs(urlsplit(url).query)["host"][0])
    user = "pgserver" if os.geteuid() == 0 else None
    pgserver.pg_ctl(["-w", *command], pgdata=home, user=user)
