"""``sql``: one row of a query; its columns are named like the fields of the stage contract."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import urlsplit

from seamwatch.config.sources import SqlSource
from seamwatch.errors import ReadError, Reason, SeamwatchError
from seamwatch.pipeline import Observation
from seamwatch.sources.contract import contract
from seamwatch.sources.postgres import Postgres, named
from seamwatch.sources.reach import Reach
from seamwatch.sources.row import values
from seamwatch.sources.sqlite import Sqlite

_URL_BYTES = 4096


class SqlReader:
    """Reads a stage from a database; the kind of database is in the URL."""

    __slots__ = ("_base", "_contract", "_path", "_query", "_reach", "_timeout", "_url", "host")

    def __init__(self, section: SqlSource, reach: Reach, *, timeout: float, base_dir: Path) -> None:
        self._contract = contract(section.time, section.zone, section.healthy)
        self._reach = reach
        self._timeout = timeout
        self._query = section.query
        self._base = base_dir
        self._path = None if section.url_file is None else base_dir / section.url_file
        self._url = ""
        self.host = str(self._path or "")
        if section.url is not None:
            try:
                self._use(section.url.get_secret_value())
            except SeamwatchError as error:
                raise SeamwatchError(f"source.sql.url: {error}") from error

    def _use(self, url: str) -> None:
        """Take *url* from now on; raise SeamwatchError when no such database can be read."""
        try:
            scheme = urlsplit(url).scheme.partition("+")[0]
        except ValueError:
            scheme = ""
        if scheme == "sqlite":
            self.host = f"sqlite:///{_sqlite_path(url, self._base)}"
        elif scheme in ("postgresql", "postgres"):
            if _is_ambiguous(url):
                raise SeamwatchError(
                    "the url cannot be taken apart; percent-encode / @ : # ? in user and password"
                )
            self.host = named(url)
            self._reach.pools.retain(url)
        else:
            raise SeamwatchError(
                "this database cannot be read; write sqlite:///file.db or postgresql://user@host/db"
            )
        self._url = url

    async def read(self, *, now: float) -> Observation:
        """Return what the row says; raise ReadError within the timeout."""
        if self._path is not None:
            await self._reload()
        row = await self._row().row()
        where = self.host
        return self._contract.observe(values(row, where=where), now=now, where=where)

    def _row(self) -> Postgres | Sqlite:
        if self._url.startswith("sqlite"):
            path = _sqlite_path(self._url, self._base)
            return Sqlite(self._reach.threads, path, self._query, self._timeout)
        return Postgres(self._reach.pools, self._url, self._query, self._timeout)

    async def _reload(self) -> None:
        url = _url_in(self._path) if self._path is not None else ""
        if url == self._url:
            return
        await self.close()
        try:
            self._use(url)
        except SeamwatchError as error:
            raise ReadError(Reason.UNREACHABLE, f"{self._path}: {error}") from error

    async def close(self) -> None:
        """Give up the connections, if no other source uses them."""
        if self._url and not self._url.startswith("sqlite"):
            await self._reach.pools.release(self._url)
        self._url = ""


def _sqlite_path(url: str, base: Path) -> Path:
    name = url.partition("://")[2].removeprefix("/").partition("?")[0]
    if not name or name == ":memory:":
        raise SeamwatchError("a database in memory has nothing to read; write sqlite:///file.db")
    return base / name


def _url_in(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _URL_BYTES:
            raise ReadError(Reason.UNAUTHORIZED, f"url_file {path} is not a small plain file")
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise ReadError(
            Reason.UNAUTHORIZED, f"url_file {path} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ReadError(Reason.UNAUTHORIZED, f"url_file {path} is not text") from error


def _is_ambiguous(url: str) -> bool:
    """Say whether a part of the password may be read, and then shown, as host, port or path."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return True
    signs = url.count("@")
    return signs > 1 or signs != parts.netloc.count("@") or bool(parts.fragment)
