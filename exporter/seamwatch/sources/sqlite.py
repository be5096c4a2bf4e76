"""One row from an SQLite file: read-only, never created, interrupted when its time is over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from seamwatch.errors import ReadError, Reason
from seamwatch.sources.local import regular_file
from seamwatch.sources.quoting import problem
from seamwatch.sources.row import Row, check_columns, one_row
from seamwatch.sources.threads import Threads

LOCK_SHARE = 0.5  # of the timeout: how long to wait for somebody else's lock
QUERY_SHARE = 0.9  # of the timeout: then the query is interrupted, and its thread ends
STEPS = 10_000  # of SQLite's machine between two looks at the clock: well under a millisecond
MAX_LENGTH = 64 << 20  # bytes of a value or of a stored row that is looked at

_REASONS = {
    "SQLITE_BUSY": Reason.LOCKED,
    "SQLITE_LOCKED": Reason.LOCKED,
    "SQLITE_PROTOCOL": Reason.LOCKED,
    "SQLITE_CANTOPEN": Reason.UNREACHABLE,
    "SQLITE_IOERR": Reason.UNREACHABLE,
    "SQLITE_PERM": Reason.UNAUTHORIZED,
    "SQLITE_AUTH": Reason.UNAUTHORIZED,
    "SQLITE_NOTADB": Reason.NOT_JSON,
    "SQLITE_CORRUPT": Reason.NOT_JSON,
    "SQLITE_TOOBIG": Reason.TOO_LARGE,
    "SQLITE_NOMEM": Reason.TOO_LARGE,
}


@dataclass(frozen=True, slots=True)
class Sqlite:
    """Reads the row of one query, in one of our own threads."""

    threads: Threads
    path: Path
    query: str
    timeout: float

    async def row(self) -> Row:
        """Return the only row, by column name; raise ReadError for anything else."""
        where = f"sqlite:///{self.path}"
        return await self.threads.run(
            lambda: self._row(where, monotonic() + self.timeout * QUERY_SHARE),
            key=(self.path, self.query),
            host=where,
            timeout=self.timeout,
            where=where,
        )

    def _row(self, where: str, deadline: float) -> Row:
        regular_file(self.path, where=where, missing=Reason.UNREACHABLE)
        try:
            with closing(
                sqlite3.connect(
                    f"{self.path.absolute().as_uri()}?mode=ro",
                    uri=True,
                    timeout=self.timeout * LOCK_SHARE,
                    isolation_level=None,
                )
            ) as connection:
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LENGTH)
                connection.execute("PRAGMA query_only = ON")
                connection.set_progress_handler(lambda: monotonic() > deadline, STEPS)
                cursor = connection.execute(self.query)
                names = [column[0] for column in cursor.description or ()]
                check_columns(names, where=where)
                rows = cursor.fetchmany(2)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise self._translated(error, where) from error
        return one_row([dict(zip(names, row, strict=True)) for row in rows], where=where)

    def _translated(self, error: Exception, where: str) -> ReadError:
        name: str = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_INTERRUPT":
            return ReadError(Reason.TIMEOUT, f"{where}: no answer within {self.timeout:g} s")
        if name.startswith("SQLITE_READONLY"):
            return ReadError(Reason.QUERY, f"{where}: the query writes; write a SELECT")
        if not name and "decode" in str(error):
            return ReadError(Reason.BAD_ENCODING, f"{where}: a text is not UTF-8")
        family = "_".join(name.split("_")[:2])
        return ReadError(_REASONS.get(family, Reason.QUERY), f"{where}: {problem(error)}")
