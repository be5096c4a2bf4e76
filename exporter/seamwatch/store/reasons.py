"""What can go wrong with a database, translated at the edge: a Reason and what to do."""

from __future__ import annotations

import socket
import sqlite3
import ssl

from seamwatch.errors import Reason, StoreError

_SQLITE = {
    sqlite3.SQLITE_BUSY: Reason.LOCKED,
    sqlite3.SQLITE_LOCKED: Reason.LOCKED,
    sqlite3.SQLITE_FULL: Reason.DISK_FULL,
    sqlite3.SQLITE_CORRUPT: Reason.CORRUPT,
    sqlite3.SQLITE_NOTADB: Reason.CORRUPT,
    sqlite3.SQLITE_CANTOPEN: Reason.UNREACHABLE,
    sqlite3.SQLITE_IOERR: Reason.UNREACHABLE,
    sqlite3.SQLITE_READONLY: Reason.UNAUTHORIZED,
    sqlite3.SQLITE_PERM: Reason.UNAUTHORIZED,
    sqlite3.SQLITE_AUTH: Reason.UNAUTHORIZED,
    sqlite3.SQLITE_TOOBIG: Reason.QUERY,
    sqlite3.SQLITE_CONSTRAINT: Reason.QUERY,
    sqlite3.SQLITE_MISMATCH: Reason.QUERY,
    sqlite3.SQLITE_ERROR: Reason.BAD_CONTRACT,
}

# SQLSTATE, whole or its class: PostgreSQL documentation, appendix A
_POSTGRES = {
    "53100": Reason.DISK_FULL,
    "53": Reason.OVERLOADED,
    "28": Reason.UNAUTHORIZED,
    "42501": Reason.UNAUTHORIZED,
    "25006": Reason.UNAUTHORIZED,
    "55P03": Reason.LOCKED,
    "40": Reason.LOCKED,
    "57014": Reason.TIMEOUT,
    "57": Reason.UNREACHABLE,
    "58": Reason.UNREACHABLE,
    "08": Reason.UNREACHABLE,
    "3D": Reason.UNREACHABLE,
    "XX": Reason.CORRUPT,
    "22": Reason.QUERY,
    "23": Reason.QUERY,
    "42": Reason.BAD_CONTRACT,
}

_ADVICE = {
    Reason.LOCKED: "another process holds it; stop that one, or give each exporter its own store",
    Reason.DISK_FULL: "free space on that disk, or set `store` to another place",
    Reason.CORRUPT: "move the file away and restart to begin a new one, or restore a backup",
    Reason.UNREACHABLE: "create the directory, start the server, or correct `store`",
    Reason.UNAUTHORIZED: "let seamwatch's user write there, or correct user and password",
    Reason.TIMEOUT: "look at the load of that disk or server",
    Reason.DNS: "correct the host in `store`, or the name server",
    Reason.TLS: "correct the certificate, or `sslmode` in `store`",
    Reason.OVERLOADED: "allow more connections there",
    Reason.BAD_CONTRACT: "its tables are not those that seamwatch made; set `store` elsewhere",
    Reason.QUERY: "the row was refused; it is left out so that the others are written",
}


def store_error(error: Exception, where: str) -> StoreError:
    """Return *error*, whatever raised it, as a StoreError that says where, what and what to do."""
    reason, found = _classified(error)
    advice = _ADVICE.get(reason)
    return StoreError(f"store {where}: {found}" + (f"; {advice}" if advice else ""), reason=reason)


def _classified(error: Exception) -> tuple[Reason, str]:
    """Return the reason of *error*, and what was found in one line without SQL or values."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        reason = _reason(cause)
        if reason is not None:
            return reason, _line(cause)
        cause = getattr(cause, "orig", None) or cause.__cause__ or cause.__context__
    return Reason.INTERNAL, type(error).__name__


def _reason(error: BaseException) -> Reason | None:
    """Return the reason of one exception of a chain, None if it says nothing by itself."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _SQLITE.get(code & 0xFF, Reason.INTERNAL)
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRES.get(state, _POSTGRES.get(state[:2], Reason.INTERNAL))
    for kinds, reason in _KINDS:
        if isinstance(error, kinds):
            return reason
    return None


_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Reason], ...] = (
    (ImportError, Reason.MISSING_DRIVER),
    (TimeoutError, Reason.TIMEOUT),
    (socket.gaierror, Reason.DNS),
    (ssl.SSLError, Reason.TLS),
    (PermissionError, Reason.UNAUTHORIZED),
    (OSError, Reason.UNREACHABLE),
    ((UnicodeError, OverflowError), Reason.QUERY),
)


def _line(error: BaseException) -> str:
    """Return the first line of what *error* says."""
    if isinstance(error, ModuleNotFoundError):
        extra = "seamwatch[postgres]" if error.name == "asyncpg" else error.name
        return f"its driver {error.name} is missing; run pip install {extra}"
    if isinstance(error, UnicodeError | OverflowError):
        return f"{type(error).__name__} in a value"  # the text would repeat the value
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
