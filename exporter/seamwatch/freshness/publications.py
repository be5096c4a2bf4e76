"""What a stage has published: which version had which effective watermark, and since when.

Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, nextafter

from seamwatch.pipeline import Observation

KEEP = 512
"""Publications remembered for one stage."""

KEEP_OF_VERSION = 64
"""Publications remembered for one version whose watermark moves: spaced by age, at most a fifth of
the age apart over a month of half-minute readings."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One thing that a stage published: its version and the effective watermark that it had."""

    version: str | None
    watermark: float | None  # effective watermark, seconds since the epoch
    since: float  # when it was published: the stage's updated_at, else when it was first seen


History = Mapping[str, tuple[Publication, ...]]
"""For each stage what it published, oldest first; the newest is what it serves now."""


def remember(
    publications: tuple[Publication, ...],
    observation: Observation,
    effective: float | None,
    *,
    now: float,
    keep: int = KEEP,
) -> tuple[Publication, ...]:
    """Return *publications* with what the stage serves now; the same object when that is known.

    A new version is a publication, and so is a watermark that moves under the same version: it
    answers what the stage had at some time. An effective watermark that is unknown for a while
    publishes nothing; one that becomes known completes the publication it was missing from.

    ``since`` is the stage's ``updated_at``, unless that lies in the future, or before what was
    published last (a rollback serves an old version again, but only from now on): then *now*.

    Args:
        publications: oldest first.
        observation: what the stage says now.
        effective: its effective watermark now, None if unknown.
        now: wall clock, seconds since the epoch.
        keep: the most to remember, 2 or more. Publications of the same version go first, so that
            no version is forgotten because another one's watermark moved; then the oldest.
    """
    news = news_of(publications, observation, effective, now)
    if news is None:
        return publications
    if publications and publications[-1].since == news.since:
        if publications[-1].version == news.version:
            return (*publications[:-1], news)
        news = Publication(news.version, news.watermark, nextafter(news.since, inf))
    return _thinned([*publications, news], keep, now)


def news_of(
    past: tuple[Publication, ...], seen: Observation, effective: float | None, now: float
) -> Publication | None:
    """Return what a stage serves now as a publication, None if *past* ends with it already."""
    last = past[-1] if past else None
    if last is not None and last.version == seen.version:
        if effective is None or effective == last.watermark:
            return None
        if last.watermark is None:
            return Publication(last.version, effective, last.since)
        since, version = seen.updated_at, last.version  # one string for all that share it
    else:
        since, version = seen.updated_at, seen.version
    if since is None or since > now or (last is not None and since <= last.since):
        since = now
    return Publication(version, effective, since)


def _thinned(publications: list[Publication], keep: int, now: float) -> tuple[Publication, ...]:
    """Return at most *keep* publications; of the newest version KEEP_OF_VERSION if that is safe."""
    newest = publications[-1].version
    places = [place for place, one in enumerate(publications) if one.version == newest]
    if len(places) > KEEP_OF_VERSION:
        fresher, _, place = _least(publications, places, now)
        if not fresher:
            del publications[place]
    while len(publications) > keep:
        of_version: dict[str | None, list[int]] = {}
        for place, one in enumerate(publications):
            of_version.setdefault(one.version, []).append(place)
        choices: list[tuple[bool, int, int]] = []
        for version, places in of_version.items():
            # What is served now stays, and so does the moment when its version came.
            spare = len(places) - (2 if version == newest else 1)
            if spare > 0:
                fresher, _, place = _least(publications, places, now)
                choices.append((fresher, -spare, place))
        del publications[min(choices)[2] if choices else 0]
    return tuple(publications)


def _least(
    publications: list[Publication], places: list[int], now: float
) -> tuple[bool, float, int]:
    """Return which of *places* (two or more, all of one version) is missed least.

    The first stays, and of three or more the last. Of the others it is the one closest, for its
    age, to its neighbours; but if possible none whose loss would make its time look fresher.

    Returns whether it would, how close it is (a ratio), and the place.
    """
    missed: list[tuple[bool, float, int]] = []
    ends = places[2:] or [len(publications) - 1]
    for before, place, after in zip(places, places[1:], ends, strict=False):
        start = publications[before].since
        gap = (publications[after].since - start) / max(now - start, 1e-9)
        earlier, this = publications[place - 1].watermark, publications[place].watermark
        fresher = earlier is not None and (this is None or earlier > this)
        missed.append((fresher, gap, place))
    return min(missed)
