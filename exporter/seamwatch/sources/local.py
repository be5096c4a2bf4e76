"""Local files, read so that nothing hangs: no pipes, no devices, bounded size. All calls block."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from seamwatch.errors import ReadError, Reason

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def translated(error: OSError, *, where: str, missing: Reason = Reason.NO_DATA) -> ReadError:
    """Return the ReadError for what the operating system says."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ReadError(missing, f"{where}: there is no such file")
    if isinstance(error, PermissionError):
        return ReadError(Reason.UNAUTHORIZED, f"{where}: not readable for seamwatch's user")
    return ReadError(Reason.UNREACHABLE, f"{where}: {(error.strerror or 'broken').lower()}")


def regular_file(path: Path, *, where: str, missing: Reason = Reason.NO_DATA) -> os.stat_result:
    """Return the status of *path*; raise ReadError if it is no plain file that exists."""
    try:
        found = path.stat()
    except OSError as error:
        raise translated(error, where=where, missing=missing) from error
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise ReadError(Reason.NOT_JSON, f"{where}: this is {kind}; write the path of a file")
    return found


def too_large(where: str, limit: int) -> ReadError:
    """Return the error for a file of more than *limit* bytes."""
    return ReadError(Reason.TOO_LARGE, f"{where}: the file is larger than max_bytes, {limit}")


def content(path: Path, *, limit: int, where: str) -> bytes:
    """Return the bytes of a plain file; raise ReadError for more than *limit* of them."""
    if regular_file(path, where=where).st_size > limit:
        raise too_large(where, limit)
    try:
        # O_NONBLOCK, because the file may have become a pipe since
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            body = file.read(limit + 1)
    except OSError as error:
        raise translated(error, where=where) from error
    if len(body) > limit:
        raise too_large(where, limit)
    return body


def files(pattern: str, *, prefix: str, deadline: float, where: str) -> Iterator[tuple[str, float]]:
    """Yield path and modification time of the plain files that match *pattern*.

    *prefix* is the directory before the first wildcard; *deadline* is monotonic, and a search
    that is not over by then raises ReadError.
    """
    try:
        with os.scandir(prefix or "."):
            pass
    except OSError as error:
        raise translated(error, where=where) from error
    # pathlib takes no absolute patterns
    for path in glob.iglob(pattern, recursive=True):  # noqa: PTH207
        if monotonic() > deadline:
            raise ReadError(Reason.TIMEOUT, f"{where}: the search took too long; narrow it")
        try:
            found = Path(path).stat()
        except OSError:
            continue  # deleted since it was listed
        if stat.S_ISREG(found.st_mode):
            yield path, found.st_mtime
