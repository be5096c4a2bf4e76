"""Which format and encoding a client accepts: RFC 9110, 12.5, read strictly.

What a client asks for is never echoed: the answer names the format that was really written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

_ELEMENT = re.compile(r'[^,"]*(?:"(?:[^"\\]|\\.)*"[^,"]*)*')
_PARAMETER = re.compile(r'[^;"]*(?:"(?:[^"\\]|\\.)*"[^;"]*)*')
_Q = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")


class Format(Enum):
    """A text format that we write; the value is its media type and version."""

    TEXT = ("text/plain", "0.0.4")
    OPENMETRICS = ("application/openmetrics-text", "1.0.0")

    @property
    def content_type(self) -> str:
        """The value of the Content-Type header, without which Prometheus 3 refuses the page."""
        media, version = self.value
        return f"{media}; version={version}; charset=utf-8"


def accepted_format(accept: str | None) -> Format:
    """Return the format that *accept* (an Accept header) prefers.

    OpenMetrics must be asked for by name, or by a wildcard that leaves no other choice; between
    equals the range that says more wins, then the text format. A client that accepts neither gets
    the text format, as from other exporters: a page in a wrong format can still be read by people.
    """
    ranges = list(_elements(accept or "*/*"))
    best, rank = Format.TEXT, (0.0, 0)
    for candidate in Format:
        found = max(
            (
                (said, q)
                for media, parameters, q in ranges
                if (said := _says(candidate, media, parameters))
            ),
            default=(0, 0.0),
        )
        if (found[1], found[0]) > rank:
            best, rank = candidate, (found[1], found[0])
    return best


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Say whether *accept_encoding* (an Accept-Encoding header) allows gzip."""
    qualities = {coding: q for coding, _, q in _elements(accept_encoding or "")}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _says(candidate: Format, media: str, parameters: dict[str, str]) -> int:
    """Return how closely a media range names *candidate*; 0 when it does not match."""
    name, version = candidate.value
    if media == name:
        asked = parameters.get("version")
        return 4 if asked == version else 3 if asked is None else 0
    if media == name.partition("/")[0] + "/*":
        return 2
    return 1 if media == "*/*" else 0


def _elements(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield name, parameters and quality of each element; one that is malformed is left out."""
    for element in _ELEMENT.findall(header):
        name, *rest = [part.strip() for part in _PARAMETER.findall(element)]
        parameters: dict[str, str] = {}
        for part in rest:
            key, equals, value = part.partition("=")
            if equals:
                parameters.setdefault(key.strip().lower(), value.strip().strip('"'))
        quality = parameters.pop("q", "1")
        if name and _Q.fullmatch(quality):
            yield name.lower(), parameters, float(quality)
