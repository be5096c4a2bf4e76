"""The effective watermark of each stage by lineage, the lag over each seam, the bottleneck.

Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from seamwatch.freshness.publications import History, Publication, news_of
from seamwatch.pipeline import Observation, Pipeline, Seam, Stage


@dataclass(frozen=True, slots=True)
class Freshness:
    """Effective watermarks of a pipeline and the seams that cost freshness."""

    effective: Mapping[str, float | None]  # stage -> effective watermark
    watermark: float | None  # of the pipeline: the smallest at its outputs, None if one is unknown
    lags: Mapping[Seam, float | None]  # seconds lost over a seam, 0 or more; None if unknown
    bottleneck: Seam | None  # the seam that costs most; None when no seam is known to cost any
    at_most: float | None = None  # the watermark is no later than this, also where it is unknown


def freshness(
    pipeline: Pipeline, observations: Mapping[str, Observation], history: History
) -> Freshness:
    """Return the effective watermark of each stage, the lag over each seam and the bottleneck.

    The effective watermark is the smaller of what a stage reports and what its inputs allow, and
    unknown when an input is: a claim that nobody can check must not look better because a stage
    upstream stopped answering. Inputs are the stages it comes after, and any other stage upstream
    that it names in ``built_from``. What an input allows:

    - a version is named: the watermark that this version had, whether or not upstream answers now.
      Where it moved under one version, the newest that was published when the stage was updated,
      else the oldest. A version that was never seen is unknown.
    - no version is named: the watermark that upstream had at the stage's ``updated_at``. Unknown
      when nothing that old is remembered, or when upstream does not answer and may have published
      more since.
    - neither a version nor ``updated_at``: the watermark of now. Such a stage (a model, a
      threshold) states no copy of its input, so it can be no fresher than what it reads.

    A stage that names versions, but says neither ``updated_at`` nor a watermark, read them no
    later than it was first seen to serve its own version.

    What was found for a publication stands as long as the stage serves that same publication
    (version and ``updated_at``), even when upstream's history has been thinned since.

    Where the effective watermark is unknown, what is known still bounds it: ``at_most`` is the
    smallest of what outputs report and what their known inputs allow. Known to be old is old.

    The bottleneck is the seam with the largest lag among those that set their downstream's
    watermark: where a fresh input meets an old one, the fresh one is not to blame. Of equal lags
    the first by name. O(stages + edges); a lookup reads at most KEEP publications.

    Args:
        pipeline: stages in topological order.
        observations: what each stage says now; a stage that could not be read is missing.
        history: what each stage published, with or without what it serves now.
    """
    served: dict[str, _Served] = {}
    lags: dict[Seam, float | None] = {}
    costly: list[tuple[float, str, str, Seam]] = []
    seams = iter(pipeline.seams)
    for stage in pipeline.stages:
        bounds = _serve(stage, pipeline, observations, history, served)
        reached = served[stage.name].effective
        tightest = _smallest(bounds[: len(stage.after)])
        for place, up in enumerate(stage.after):
            seam, start = next(seams), served[up].effective
            lag = None if start is None or reached is None else max(0.0, start - reached)
            lags[seam] = lag
            if lag and bounds[place] == tightest:
                costly.append((-lag, up, stage.name, seam))
    effective = {name: one.effective for name, one in served.items()}
    outputs = [effective[name] for name in pipeline.outputs]
    known = [one for name in pipeline.outputs if (one := served[name].at_most) is not None]
    return Freshness(
        effective,
        _smallest(outputs),
        lags,
        min(costly)[3] if costly else None,
        min(known, default=None),
    )


def keeps_data_age(watermark: float | None, limit: float | None, *, now: float) -> bool | None:
    """Say whether *watermark* is at most *limit* seconds before *now*; None if either is None.

    For a stage's effective watermark and its ``data_age``, and for a pipeline's alike.
    """
    return None if watermark is None or limit is None else now - watermark <= limit


class _Served(NamedTuple):
    """What one stage serves now and served before."""

    effective: float | None
    at_most: float | None  # the effective watermark is no later; the same where it is known
    past: tuple[Publication, ...]
    news: Publication | None  # what it serves now, where that is not the newest of the past


def _serve(
    stage: Stage,
    pipeline: Pipeline,
    observations: Mapping[str, Observation],
    history: History,
    served: dict[str, _Served],
) -> Sequence[float | None]:
    """Add what *stage* serves to *served*; return what each input allows, ``after`` first.

    Empty when the effective watermark of the stage is unknown; otherwise all are known.
    """
    past = history.get(stage.name, ())
    seen = observations.get(stage.name)
    if seen is None:
        served[stage.name] = _Served(None, None, past, None)
        return []
    read_at, standing = _read_at(seen, past), _standing(seen, past)
    named = seen.built_from
    inputs = stage.after
    if named:
        upstream = pipeline.ancestors[stage.name]
        inputs += tuple(up for up in named if up not in inputs and up in upstream)
    bounds = [_bound(served[up], named.get(up), read_at, standing) for up in inputs]
    terms = [*bounds] if seen.watermark is None else [*bounds, seen.watermark]
    effective = _smallest(terms)
    at_most = effective
    if effective is None:
        # An input that is read all along bounds the stage by what bounds the input itself.
        if read_at == inf:
            terms += [served[up].at_most for up in inputs if up not in named]
        at_most = min((one for one in terms if one is not None), default=None)
    served[stage.name] = _Served(effective, at_most, past, news_of(past, seen, effective, inf))
    return bounds if effective is not None else []


def _read_at(seen: Observation, past: tuple[Publication, ...]) -> float:
    """Return the time by which a stage had read its inputs, infinity if it reads them all along."""
    if seen.updated_at is not None:
        return seen.updated_at
    if seen.built_from and seen.watermark is None and seen.version is not None:
        return next((one.since for one in past if one.version == seen.version), inf)
    return inf


def _standing(seen: Observation, past: tuple[Publication, ...]) -> float | None:
    """Return what was found for this very publication before, None if it is another or unknown."""
    if seen.updated_at is None or not past:
        return None
    last = past[-1]
    same = last.since == seen.updated_at and last.version == seen.version
    return last.watermark if same else None


def _bound(
    up: _Served, version: str | None, read_at: float, standing: float | None
) -> float | None:
    """Return the watermark that one input allows."""
    if version is not None:
        found = _of_version(up, version, read_at)
        return standing if found is None else found
    if read_at == inf:
        return up.effective
    found = _as_of(up, read_at)
    if found is None or standing is None:
        return standing if found is None else found
    return max(found, standing)


def _of_version(up: _Served, version: str, read_at: float) -> float | None:
    """Return the watermark of *version* as *read_at* found it, None if it was never seen."""
    found = None
    news = up.news
    if news is not None and news.version == version and news.watermark is not None:
        if news.since <= read_at:
            return news.watermark
        found = news.watermark
    for one in reversed(up.past):
        if one.version == version and one.watermark is not None:
            if one.since <= read_at:
                return one.watermark
            found = one.watermark
    return found


def _as_of(up: _Served, read_at: float) -> float | None:
    """Return the watermark that upstream served at *read_at*, None if that is not certain."""
    if up.news is not None and up.news.since <= read_at:
        return up.news.watermark
    for one in reversed(up.past):
        if one.since <= read_at:
            # Only something newer settles it: upstream may have published unseen since.
            unsettled = one is up.past[-1] and up.news is None and up.effective is None
            return None if unsettled else one.watermark
    return None


def _smallest(watermarks: Sequence[float | None]) -> float | None:
    """Return the smallest, None if one is unknown or there is none."""
    smallest = inf
    for one in watermarks:
        if one is None:
            return None
        if one < smallest:
            smallest = one
    return smallest if watermarks else None
