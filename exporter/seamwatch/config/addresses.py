"""Addresses of seamwatch itself: where it listens, how people reach it, where it stores."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from seamwatch.config.fields import Secret, shown

_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+(?:%[A-Za-z0-9._-]+)?\]|[A-Za-z0-9._-]*):(\d{1,5})")
_SQLITE = re.compile(r"(sqlite(?:\+pysqlite)?):///(.*)", re.DOTALL)
STORE_SCHEMES = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+asyncpg")
_MEMORY = (":memory:", "")


def parse_listen(text: str) -> tuple[str | None, int]:
    """Return host and port of ``:10064``, ``127.0.0.1:10064`` or ``[::1]:10064``.

    The host is None for every interface, the port 0 for any free one. Raises ValueError.
    """
    match = _LISTEN.fullmatch(text)
    if not match or int(match[2]) > 65535:
        raise ValueError(
            f"{shown(text)} is not an address to listen on;"
            " write :10064, 127.0.0.1:10064 or [::1]:10064"
        )
    return match[1].strip("[]") or None, int(match[2])


def _check_listen(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f'{value} is only a port; write ":{value}" for every interface')
    if isinstance(value, str):
        parse_listen(value)
    return value


def _check_external_url(text: str) -> str:
    parts = urlsplit(text)
    try:
        works = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        works = False
    if not works or parts.query or parts.fragment or parts.username:
        raise ValueError(
            f"{shown(text)} is not the address of a site; write https://seamwatch.example"
        )
    return text.rstrip("/")


def _check_store(value: Any) -> Any:
    if isinstance(value, str):
        scheme = value.partition(":")[0]
        works = _SQLITE.fullmatch(value) if scheme.startswith("sqlite") else "://" in value
        if scheme not in STORE_SCHEMES or not works:
            raise ValueError(
                "this is not a store; write sqlite:///seamwatch.db"
                " or postgresql+asyncpg://user:${PGPASSWORD}@host/database"
            )
    return value


def sqlite_path(url: str) -> str | None:
    """Return the file that an SQLite URL names as written, None for any other or no file."""
    match = _SQLITE.fullmatch(url)
    path = unquote(match[2].partition("?")[0]) if match else ""
    return None if path in _MEMORY or path.startswith("file:") else path


def with_sqlite_path(url: str, path: str) -> str:
    """Return the SQLite *url* with another file in it."""
    match = _SQLITE.fullmatch(url)
    if not match:
        return url
    _, mark, query = match[2].partition("?")
    return f"{match[1]}:///{path}{mark}{query}"


Listen = Annotated[str, BeforeValidator(_check_listen)]
"""``host:port``, ``:port`` or ``[v6]:port``."""

ExternalUrl = Annotated[str, AfterValidator(_check_external_url)]
"""How people reach the pages, without the last slash."""

StoreUrl = Annotated[Secret, BeforeValidator(_check_store)]
"""An SQLAlchemy URL; a secret because it may hold a password."""

DEFAULT_STORE = SecretStr("sqlite:///seamwatch.db")
