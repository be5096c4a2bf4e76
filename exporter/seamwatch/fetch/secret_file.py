"""Secrets in files, read again when the file changes, so that they can be rotated while we run."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from seamwatch.errors import ReadError, Reason

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SECRET_FILE_BYTES = 64 << 10


def one_line(key: str, text: str) -> str:
    """Return *text* stripped; raise ReadError unless it is one line of ASCII, not empty."""
    text = text.strip()
    if not text or not text.isascii() or _CONTROL.search(text):
        raise ReadError(Reason.UNAUTHORIZED, f"{key} is not one line of plain text")
    return text


class SecretFile:
    """The text of a small file.

    Args:
        key: the key of the configuration that names it.
        path: the file.
    """

    def __init__(self, key: str, path: str) -> None:
        self._key = f"{key} {path}"
        self._path = Path(path)
        self._stamp: tuple[int, int, int] | None = None
        self._text = ""

    def __call__(self) -> str:
        """Return the text, without white space around it; raise ReadError."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp != self._stamp:
                # a pipe would block the event loop, a huge file would fill the memory
                if not stat.S_ISREG(found.st_mode) or found.st_size > _SECRET_FILE_BYTES:
                    raise ReadError(Reason.UNAUTHORIZED, f"{self._key} is not a small plain file")
                self._text = one_line(self._key, self._path.read_text("utf-8"))
                self._stamp = stamp
        except OSError as error:
            raise ReadError(
                Reason.UNAUTHORIZED, f"{self._key} cannot be read: {error.strerror}"
            ) from error
        except UnicodeDecodeError as error:
            raise ReadError(Reason.UNAUTHORIZED, f"{self._key} is not text") from error
        return self._text
