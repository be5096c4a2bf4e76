"""Skew: a stage was built from, or tuned on, another version than its upstream serves now.

Pure: no clock, no I/O. Unknown is None, never False.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seamwatch.freshness import History, Publication
from seamwatch.pipeline import Observation, Pipeline


@dataclass(frozen=True, slots=True)
class Skew:
    """What is known of the versions over one edge (an ``after`` seam or a ``tuned_on`` pair)."""

    upstream: str
    downstream: str
    version: bool | None  # built_from differs from what upstream serves now; None: unknown
    tuning: (
        bool | None
    )  # tuned_on differs from what upstream serves now; None: unknown or not tuned
    since: float | None = None  # when upstream left the version that downstream stands on
    versions_behind: int | None = None  # versions that upstream has published since then


def skews(
    pipeline: Pipeline, observations: Mapping[str, Observation], history: History
) -> tuple[Skew, ...]:
    """Return the skew over each ``after`` seam, then over each further ``tuned_on`` pair.

    Pairs come from the configuration and from what a stage says it was tuned on. What upstream
    serves now is what it says now: while it cannot be read, skew is unknown. An upstream that
    serves an older version again (a rollback) is another version too.

    ``versions_behind`` counts different versions, 0 where every known claim holds; it and
    ``since`` are None when the version that downstream stands on is not remembered. Where
    built_from and tuned_on differ, they tell of the older one: the earlier ``since``, the larger
    count; unknown if either is.

    Args:
        pipeline: stages in topological order.
        observations: what each stage says now; a stage that could not be read is missing.
        history: what each stage published; ``since`` is exact if it holds what is served now,
            else it is None for what changed since.
    """
    return tuple(
        _skew(up, down, observations, history) for up, down in _pairs(pipeline, observations)
    )


def _pairs(
    pipeline: Pipeline, observations: Mapping[str, Observation]
) -> Iterator[tuple[str, str]]:
    """Yield each edge once: the seams, then the pairs that only tuning connects."""
    for seam in pipeline.seams:
        yield seam.upstream, seam.downstream
    for stage in pipeline.stages:
        seen = observations.get(stage.name)
        stated = seen.tuned_on if seen is not None else ()
        for up in dict.fromkeys((*stage.tuned_on, *stated)):
            if up in pipeline.by_name and up != stage.name and up not in stage.after:
                yield up, stage.name


def _skew(up: str, down: str, observations: Mapping[str, Observation], history: History) -> Skew:
    """Return what is known over one edge."""
    above, below = observations.get(up), observations.get(down)
    serves = above.version if above is not None else None
    built = below.built_from.get(up) if below is not None else None
    tuned = below.tuned_on.get(up) if below is not None else None
    version = None if serves is None or built is None else built != serves
    tuning = None if serves is None or tuned is None else tuned != serves
    if above is None or serves is None or not (version or tuning):
        return Skew(up, down, version, tuning, None, None if version is tuning is None else 0)
    stood = {one for one in (built, tuned) if one is not None and one != serves}
    left = [_left(one, serves, above.updated_at, history.get(up, ())) for one in stood]
    moments = [since for since, _ in left if since is not None]
    counts = [behind for _, behind in left if behind is not None]
    since = min(moments) if len(moments) == len(left) else None
    behind = max(counts) if len(counts) == len(left) else None
    return Skew(up, down, version, tuning, since, behind)


def _left(
    stood: str, serves: str, updated_at: float | None, past: tuple[Publication, ...]
) -> tuple[float | None, int | None]:
    """Return when upstream left version *stood*, and how many others it has published since."""
    later = {serves}
    left = None
    if not past or past[-1].version != serves:
        news = updated_at is not None and (not past or updated_at > past[-1].since)
        left = updated_at if news else None
    for one in reversed(past):
        if one.version == stood:
            return left, len(later)
        if one.version is not None:
            later.add(one.version)
            left = one.since
    return None, None
