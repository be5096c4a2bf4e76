"""Team data's first stage: the job that copies the mirror into SQL, page by page."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

from seamwatch.demo.facts import Document
from seamwatch.demo.feed import Feed, Page

KEPT_RUNS = 200
LATE = 30.0  # seconds without a run after which the team's page is no longer green

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, name TEXT, label TEXT, page INT);
CREATE TABLE IF NOT EXISTS pages (page INT PRIMARY KEY, watermark REAL);
CREATE TABLE IF NOT EXISTS runs (finished_at REAL, exit_code INT, batch TEXT, rows INT);
"""

STATE = """
SELECT CASE exit_code WHEN 0 THEN 'ok' ELSE 'failed' END AS status,
       batch AS version,
       (SELECT min(watermark) FROM pages) AS watermark,
       finished_at AS updated_at,
       rows
FROM runs ORDER BY finished_at DESC LIMIT 1
"""
"""The stage contract as one row; seamwatch.yaml asks the same."""


class Ingest:
    """One job with one database; ``run`` is called by the scheduler, from one thread at a time."""

    team, name = "data", "ingest"

    def __init__(self, database: Path, feed: Feed) -> None:
        self.database = database
        self.feed = feed
        with closing(self._connect()) as connection:
            connection.executescript(SCHEMA)

    def run(self, *, now: float) -> None:
        """Replace each page with what came, and note how the run ended; raises nothing."""
        try:
            release, pages = self.feed.read(now=now)
            with closing(self._connect()) as connection, connection:
                for page in pages:
                    _replace(connection, page)
                _note(connection, now, 0, batch_name(release, _documents(connection)))
        except (sqlite3.Error, KeyError, OSError):
            with closing(self._connect()) as connection, connection:
                _note(connection, now, 1, None)

    def documents(self) -> tuple[str, tuple[Document, ...]]:
        """Return the newest batch and what the table holds."""
        with closing(self._connect()) as connection:
            documents = _documents(connection)
            last = connection.execute(
                "SELECT batch FROM runs WHERE exit_code = 0 ORDER BY finished_at DESC LIMIT 1"
            ).fetchone()
        return (last[0] if last else "none"), documents

    def meta(self) -> dict[str, Any]:
        """Return the stage contract."""
        with closing(self._connect()) as connection:
            connection.row_factory = sqlite3.Row
            row = connection.execute(STATE).fetchone()
        return dict(row) if row else {"status": "starting"}

    def health(self, *, now: float) -> dict[str, Any]:
        """Return the team's page: did the last run end well, and was it lately."""
        meta = self.meta()
        age = now - meta.get("updated_at", now)
        well = meta["status"] == "ok" and age < LATE
        said = f"{'exit 0' if meta['status'] == 'ok' else meta['status']}, {age:.0f} s ago"
        return {
            "status": "ok" if well else "failing",
            "summary": said,
            "last_run_age_seconds": round(age, 1),
            "last_run_status": meta["status"],
        }

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.database, timeout=5)


def _replace(connection: sqlite3.Connection, page: Page) -> None:
    """Put in what came in place of what was there. A page's watermark comes from its rows."""
    connection.execute("DELETE FROM documents WHERE page = ?", (page.number,))
    # Where a new page boundary moved a document, the newer page has it.
    connection.executemany(
        "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)",
        [(one.id, one.name, one.label, page.number) for one in page.documents],
    )
    if page.documents:
        connection.execute(
            "INSERT OR REPLACE INTO pages VALUES (?, ?)", (page.number, page.complete_until)
        )


def batch_name(release: str, documents: Iterable[Document]) -> str:
    """Name a batch after its content, *documents* in the order of their ids."""
    rows = [(one.id, one.name, one.label) for one in documents]
    return f"web-features@{release}+{sha256(repr(rows).encode()).hexdigest()[:6]}"


def _documents(connection: sqlite3.Connection) -> tuple[Document, ...]:
    rows = connection.execute("SELECT id, name, label FROM documents ORDER BY id")
    return tuple(Document(*row) for row in rows)


def _note(connection: sqlite3.Connection, now: float, code: int, batch: str | None) -> None:
    connection.execute(
        "INSERT INTO runs SELECT ?, ?, ?, count(*) FROM documents", (now, code, batch)
    )
    connection.execute(
        "DELETE FROM runs WHERE rowid <= (SELECT max(rowid) FROM runs) - ?", (KEPT_RUNS,)
    )
