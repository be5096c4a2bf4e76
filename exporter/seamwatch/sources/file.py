"""``file``: a manifest in the shape of the stage contract, or the newest object of a pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from pydantic import SecretStr

from seamwatch.config.reach import HttpTarget
from seamwatch.config.sources import DATE_PARTS, FileSource
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch.endpoint import Endpoint
from seamwatch.pipeline import Observation
from seamwatch.sources import local
from seamwatch.sources.body import decode
from seamwatch.sources.contract import Contract, contract
from seamwatch.sources.quoting import shown
from seamwatch.sources.reach import Reach, Source
from seamwatch.sources.remote import Remote

_WILD = re.compile(r"[*?\[]")


def file_reader(section: FileSource, reach: Reach, *, timeout: float, base_dir: Path) -> Source:
    """Return the reader for a manifest over HTTP, a local file, or an object store."""
    if section.protocol in ("http", "https"):
        return _HttpManifest(section, reach, timeout)
    return _Files(section, reach, timeout, base_dir)


class _HttpManifest:
    """A manifest behind a web address: our own client, because fsspec's has no bounds."""

    __slots__ = ("_contract", "_endpoint", "_reach", "_timeout", "host")

    def __init__(self, section: FileSource, reach: Reach, timeout: float) -> None:
        self._contract = _contract(section)
        # validated already, as a path
        target = HttpTarget.model_construct(url=section.path, max_bytes=section.max_bytes)
        self._endpoint = Endpoint(target)
        self._reach = reach
        self._timeout = timeout
        self.host = self._endpoint.url.authority

    async def read(self, *, now: float) -> Observation:
        """Return what the manifest says; raise ReadError within the timeout."""
        fetched = await self._reach.fetcher.fetch(self._endpoint, timeout=self._timeout)
        where = self._endpoint.name()
        return self._contract.read(decode(fetched.body, where=where), now=now, where=where)

    async def close(self) -> None:
        """Connections belong to the fetcher."""


class _Files:
    """Local files and fsspec stores, read in one of our own threads."""

    __slots__ = ("_contract", "_date", "_path", "_reach", "_remote", "_section", "_timeout", "host")

    def __init__(self, section: FileSource, reach: Reach, timeout: float, base_dir: Path) -> None:
        self._section = section
        self._contract = _contract(section)
        self._date = section.watermark_in_name and _DateInName(section.watermark_in_name)
        self._reach = reach
        self._timeout = timeout
        self._remote: Remote | None = None
        if section.protocol == "file":
            self._path = str(base_dir / section.path.removeprefix("file://"))
            # the mount cannot be asked for (that may hang); two parts of the path stand for it
            self.host = "file:" + "/".join(Path(self._path).parts[:3]).replace("//", "/")
        else:
            self._path = section.path
            self._remote = Remote(section.path, _options(section), timeout=timeout)
            self.host = self._remote.host

    async def read(self, *, now: float) -> Observation:
        """Return what the file or its name says; raise ReadError within the timeout."""
        where = self._path
        deadline = monotonic() + self._timeout
        work: Callable[[float], bytes | dict[str, Any]] = (
            self._manifest if self._section.read == "manifest" else self._newest
        )
        found = await self._reach.threads.run(
            partial(work, deadline), key=self, host=self.host, timeout=self._timeout, where=where
        )
        if isinstance(found, bytes):
            return self._contract.read(decode(found, where=where), now=now, where=where)
        return self._contract.observe(found, now=now, where=where)

    async def close(self) -> None:
        """Nothing is held between two readings."""

    def _manifest(self, deadline: float) -> bytes:
        limit = self._section.max_bytes
        if self._remote is not None:
            return self._remote.content(limit=limit)
        return local.content(Path(self._path), limit=limit, where=self._path)

    def _newest(self, deadline: float) -> dict[str, Any]:
        prefix = _WILD.split(self._path, maxsplit=1)[0].rpartition("/")[0]
        if self._remote is not None:
            found = self._remote.files()
            prefix = self._remote.prefix(prefix)
        else:
            found = local.files(self._path, prefix=prefix, deadline=deadline, where=self._path)
        date = self._date or None
        newest = _newest(found, date, where=self._path)
        version = newest.path.removeprefix(prefix).lstrip("/")
        return {"version": version, "updated_at": newest.modified, "watermark": newest.watermark}


@dataclass(frozen=True, slots=True)
class _Object:
    path: str
    modified: float | None  # seconds since the epoch
    watermark: datetime | None = None  # without zone, as it stands in the name


class _DateInName:
    """Finds a date in a path, e.g. ``%Y-%m-%d`` in ``dt=2026-11-22/part-0.parquet``."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        literal = re.split(r"(%.)", pattern)
        expression = "".join(DATE_PARTS.get(part, re.escape(part)) for part in literal)
        # digits on either side would be of another number
        self._expression = re.compile(rf"(?<!\d){expression}(?!\d)")

    def __call__(self, path: str) -> datetime | None:
        """Return the last date in *path* that is one; None if there is none."""
        for found in reversed(self._expression.findall(path)):
            try:
                return datetime.strptime(found, self.pattern)  # noqa: DTZ007 - has no zone yet
            except ValueError:
                continue
        return None


def _newest(
    found: Iterable[tuple[str, float | None]], date: _DateInName | None, *, where: str
) -> _Object:
    """Return the object with the newest date in its name, or else the one changed last."""
    best: _Object | None = None
    seen = None
    for path, modified in found:
        seen = path
        watermark = date(path) if date is not None else None
        if date is not None and watermark is None:
            continue
        candidate = _Object(path, modified, watermark)
        if best is None or _age(candidate) > _age(best):
            best = candidate
    if seen is None:
        raise ReadError(Reason.NO_DATA, f"{where}: nothing matches")
    if best is None:
        pattern = date.pattern if date is not None else ""
        raise ReadError(Reason.BAD_TIME, f"{where}: no date like {pattern} in {shown(seen, 120)}")
    if date is None and best.modified is None:
        raise ReadError(
            Reason.BAD_TIME,
            f"{where}: this store does not say when objects changed; give watermark_in_name",
        )
    return best


def _age(found: _Object) -> tuple[datetime, float, str]:
    # the path last, so that the choice does not depend on the order of the listing
    return (found.watermark or datetime.min, found.modified or 0.0, found.path)  # noqa: DTZ901


def _contract(section: FileSource) -> Contract:
    zone = section.zone
    if section.read == "newest":  # times are ours here, and a date in a name is UTC by default
        return contract("auto", zone or "UTC")
    return contract(section.time, zone, section.healthy, section.fields)


def _options(section: FileSource) -> dict[str, Any]:
    return {
        key: value.get_secret_value() if isinstance(value, SecretStr) else value
        for key, value in section.options.items()
    }
