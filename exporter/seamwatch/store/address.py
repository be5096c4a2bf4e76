"""The ``store`` setting: which database, by which driver, and what of it may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seamwatch.errors import Reason, StoreError

if TYPE_CHECKING:
    from sqlalchemy import URL

DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+asyncpg"}
_ALSO = {"postgres": "postgresql"}
_WRITE = "write sqlite:////absolute/path.db or postgresql://user@host/database"
_AMBIGUOUS = "the address cannot be taken apart; percent-encode / @ : # ? in user and password"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the store is; *shown* holds no password."""

    url: URL
    shown: str
    path: Path | None  # of a SQLite file; None for a server or for memory only


def parse_address(text: str) -> Address:
    """Return the address for ``sqlite:///path`` or ``postgresql://...``.

    ``sslmode=`` is understood as libpq does. Raises StoreError for anything else; its text does
    not repeat *text*, which may hold a password.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if _is_ambiguous(text):
        raise StoreError(f"store: {_AMBIGUOUS}", reason=Reason.QUERY)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # without the cause: its text may be a part of the password
        raise StoreError(f"store: not a database URL; {_WRITE}", reason=Reason.QUERY) from None
    dialect, _, driver = url.drivername.partition("+")
    wanted = DRIVERS.get(_ALSO.get(dialect, dialect))
    if wanted is None or driver not in ("", wanted.partition("+")[2]):
        raise StoreError(
            f"store: {url.drivername} is not a database that can be used; {_WRITE}",
            reason=Reason.QUERY,
        )
    url = url.set(drivername=wanted)
    mode = url.query.get("sslmode")
    if isinstance(mode, str) and dialect != "sqlite":
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    name = url.database
    in_file = dialect == "sqlite" and name not in (None, "", ":memory:")
    path = Path(name).absolute() if in_file and name is not None else None
    return Address(url, _shown(url, path), path)


def _is_ambiguous(text: str) -> bool:
    """Say whether a part of the password may be read, and then shown, as host, port or database."""
    if text.startswith("sqlite"):
        return False  # a path, without user and password
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return True
    signs = text.count("@")
    return signs > 1 or signs != parts.netloc.count("@") or bool(parts.fragment)


def _shown(url: URL, path: Path | None) -> str:
    """Return what logs may show: a path, or host and database."""
    if path is not None:
        return str(path)
    if url.drivername.startswith("sqlite"):
        return "SQLite in memory"
    host = url.host or url.query.get("host") or "local socket"
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL database {url.database} at {host}{port}"
