"""How to ask around each fault; what ``repairs`` in the demo's seamwatch.yaml says over HTTP.

A repair asks the broken pipeline in a way that its teams could really offer: no component is healed
for it, and whatever else is broken answers as it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from seamwatch.demo.answer import PLAIN, Route


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair asks for, and the stage that is to blame for what it wins back."""

    blames: str
    route: Route = PLAIN
    best_threshold: bool = False  # decide again, from candidate and score; costs no call


REPAIRS: Mapping[str, Repair] = {
    "late-data": Repair("ingest", Route(shadow=True)),
    "stale-cache": Repair("cache", Route(bypass_cache=True)),
    "wrong-threshold": Repair("decision", best_threshold=True),
    "embedding-skew": Repair("embedding", Route(index_encoder=True)),
    "fallback-model": Repair("answer", Route(priority=True)),
}
REPAIRED_BY = {name: name for name in REPAIRS} | {"empty-success": "late-data"}
"""Fault to repair: the shadow deployment lacks neither the newest release nor a page of it."""


def together(names: Iterable[str]) -> Repair:
    """Return the repairs *names* as one; it blames nobody in particular."""
    asked = [REPAIRS[name] for name in names]
    route = {one.name: any(getattr(ask.route, one.name) for ask in asked) for one in fields(Route)}
    return Repair("", Route(**route), any(ask.best_threshold for ask in asked))
