"""Object stores and file servers through fsspec. All calls block and run in our own threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ftplib import error_perm
from typing import Any
from urllib.parse import urlsplit

from seamwatch.errors import ReadError, Reason
from seamwatch.sources.local import too_large
from seamwatch.sources.quoting import problem

# What the stores call the time of the last change, and the packages that fsspec needs for them.
_MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "modified", "modify")
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "hdfs": "pyarrow",
    "webdav": "webdav4",
    "smb": "smbprotocol",
}
# Stores whose own client takes a time-out; with it a hung thread ends by itself.
_TIMEOUT = {"ftp": "timeout", "sftp": "timeout", "ssh": "timeout"}


class Remote:
    """One path in a store that fsspec knows.

    A connection is made for each reading and never kept: the clients of ftp and sftp are no good
    after a broken connection, and listings must not come from a cache.
    """

    __slots__ = ("_options", "_protocol", "_url", "host")

    def __init__(self, url: str, options: Mapping[str, Any], *, timeout: float) -> None:
        parts = urlsplit(url)
        self._url = url
        self._protocol = parts.scheme.lower()
        self.host = f"{self._protocol}://{parts.netloc.rpartition('@')[2]}"
        self._options = dict(options)
        if self._protocol in _TIMEOUT:
            self._options.setdefault(_TIMEOUT[self._protocol], timeout)

    def content(self, *, limit: int) -> bytes:
        """Return the whole object; raise ReadError for more than *limit* bytes."""
        try:
            system, path = self._open()
            if (system.info(path).get("size") or 0) > limit:
                raise too_large(self._url, limit)
            with system.open(path, "rb") as file:
                body: bytes = file.read(limit + 1)
        except ReadError:
            raise
        except Exception as error:  # each store has exceptions of its own
            raise self._translated(error) from error
        if len(body) > limit:
            raise too_large(self._url, limit)
        return body

    def files(self) -> Iterator[tuple[str, float | None]]:
        """Yield path and modification time of the objects that the path's pattern matches."""
        try:
            system, path = self._open()
            found = system.glob(path, detail=True)
            for name, info in found.items():
                if info.get("type") == "file":
                    yield name, _modified(info)
        except ReadError:
            raise
        except Exception as error:  # each store has exceptions of its own
            raise self._translated(error) from error

    def prefix(self, url: str) -> str:
        """Return *url* as it stands before the names that ``files`` yields."""
        import fsspec

        stripped: str = fsspec.get_filesystem_class(self._protocol)._strip_protocol(url)
        return stripped

    def _open(self) -> tuple[Any, str]:
        import fsspec

        system, path = fsspec.core.url_to_fs(
            self._url, **self._options, skip_instance_cache=True, use_listings_cache=False
        )
        return system, path

    def _translated(self, error: Exception) -> ReadError:
        reason, text = self._reason(error)
        for secret in self._options.values():
            if isinstance(secret, str) and len(secret) >= 4:
                text = text.replace(secret, "***")
        return ReadError(reason, f"{self._url}: {text}")

    def _reason(self, error: Exception) -> tuple[Reason, str]:
        if isinstance(error, ImportError) or "Protocol not known" in str(error):
            package = _PACKAGES.get(self._protocol)
            advice = f"run pip install {package}" if package else "write another address"
            return Reason.MISSING_DRIVER, f"no client for {self._protocol}:// here; {advice}"
        if isinstance(error, FileNotFoundError):
            return Reason.NO_DATA, "there is no such object"
        if isinstance(error, PermissionError) or (
            isinstance(error, error_perm) and str(error).startswith("53")
        ):
            return Reason.UNAUTHORIZED, problem(error)
        if isinstance(error, TimeoutError):
            return Reason.TIMEOUT, "no answer in time"
        return Reason.UNREACHABLE, f"{type(error).__name__}: {problem(error)}"


def _modified(info: Mapping[str, Any]) -> float | None:
    """Return when an object changed, in seconds since the epoch; None when the store is silent."""
    value = next((info[key] for key in _MODIFIED if info.get(key) is not None), None)
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            # MLSD of FTP writes 20261122090000.123, always in UTC
            value = (
                datetime.strptime(value[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
                if value[:14].isdecimal()
                else datetime.fromisoformat(value)
            )
        except ValueError:
            return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return None
