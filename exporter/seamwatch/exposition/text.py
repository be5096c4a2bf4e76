"""Samples as lines of text; text 0.0.4 and OpenMetrics 1.0 differ only in their headers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from prometheus_client.utils import floatToGoString

from seamwatch.catalogue import Family
from seamwatch.collectors.sample import Distribution, Sample
from seamwatch.exposition.negotiation import Format

_go: Callable[[float], str] = floatToGoString

LONGEST_VALUE = 200
"""Bytes of a label value; it is the limit that the scrape configuration we ship sets."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """All lines of one pipeline."""

    chunks: tuple[bytes, ...]  # one for each family, in their order; empty without samples
    series: int
    dropped: int  # series over the limit

    @property
    def size(self) -> int:
        """Bytes of all lines."""
        return sum(map(len, self.chunks))


def number(value: float) -> str:
    """Return *value* as prometheus-client writes it: like Go, with an exponent from 1e6 on."""
    if -1e6 < value < 1e6:
        return repr(float(value))
    if 1e6 <= value < 1e16:  # every timestamp; a third of the time that the library takes
        whole, _, fraction = repr(float(value)).partition(".")
        return f"{whole[0]}.{whole[1:]}{fraction}".rstrip("0.") + f"e+{len(whole) - 1:02d}"
    return _go(value)


@lru_cache(maxsize=8192)  # names of pipelines, stages and teams come again in every render
def escaped(value: str) -> str:
    """Return *value* as it stands between the quotes of a label."""
    if len(value) > LONGEST_VALUE or "\0" in value or not value.isascii():
        value = _readable(value)
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if '"' in value:
        value = value.replace('"', '\\"')
    if "\n" in value:
        value = value.replace("\n", "\\n")
    return value


def _readable(value: str) -> str:
    """Return *value* within the length limit and without NUL and halves of surrogate pairs.

    Versions and slices come from outside. None may cost the page, nor may two become one series:
    a value that had to be changed ends in a digest of what it was.
    """
    text = value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    encoded = text.encode()
    if text == value and len(encoded) <= LONGEST_VALUE:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{encoded[: LONGEST_VALUE - 1 - len(digest)].decode(errors='ignore')}~{digest}"


def header(family: Family, form: Format) -> bytes:
    """Return the lines that introduce *family*."""
    name = family.base if form is Format.OPENMETRICS else family.name
    lines = f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"
    if form is Format.OPENMETRICS and family.unit:
        lines += f"# UNIT {name} {family.unit}\n"
    return lines.encode()


class Renderer:
    """Turns samples into lines, for the *families* given and in their order."""

    def __init__(self, families: Sequence[Family]) -> None:
        shared = {family.labels: _Labels.of(family.labels) for family in families}
        self._styles = {
            family.name: (index, shared[family.labels]) for index, family in enumerate(families)
        }
        self._buckets = {
            family.name: _Labels.of((*family.labels, "le"))
            for family in families
            if family.kind == "histogram"
        }

    def render(self, samples: Iterable[Sample], *, limit: int) -> Rendered:
        """Return the lines of *samples*, of which no more than *limit* series are kept.

        Raises KeyError for a family that is not in the catalogue.
        """
        lines: list[list[str]] = [[] for _ in self._styles]
        texts: dict[_Labels, dict[tuple[str, ...], str]] = {
            labels: {} for _, labels in self._styles.values()
        }  # half of the label sets stand in several families
        series = dropped = 0
        for name, values, value in samples:
            index, labels = self._styles[name]
            text = texts[labels].get(values)
            if text is None:
                text = texts[labels][values] = labels.text(values)
            if isinstance(value, Distribution):
                new = self._histogram(name, text, values, value)
                size = len(new)
            else:
                new = [f"{name}{text} {number(value)}\n"]
                size = 1
            if series + size > limit:
                dropped += size
                continue
            series += size
            lines[index] += new
        chunks = tuple("".join(family).encode() for family in lines)
        return Rendered(chunks, series, dropped)

    def _histogram(
        self, name: str, text: str, values: tuple[str, ...], value: Distribution
    ) -> list[str]:
        labels = self._buckets[name]
        below = list(accumulate(value.counts))
        bounds = (*map(number, value.bounds), "+Inf")
        lines = [
            f"{name}_bucket{labels.text((*values, bound))} {number(count)}\n"
            for bound, count in zip(bounds, below, strict=True)
        ]
        lines.append(f"{name}_count{text} {number(below[-1])}\n")
        lines.append(f"{name}_sum{text} {number(value.total)}\n")
        return lines


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """How a family writes its labels: sorted by name, as prometheus-client does."""

    template: str
    order: tuple[int, ...]

    @classmethod
    def of(cls, names: tuple[str, ...]) -> _Labels:
        order = tuple(sorted(range(len(names)), key=names.__getitem__))
        inner = ",".join(f'{names[index]}="%s"' for index in order)
        return cls(f"{{{inner}}}" if names else "", order)

    def text(self, values: tuple[str, ...]) -> str:
        return self.template % tuple([escaped(values[index]) for index in self.order])
