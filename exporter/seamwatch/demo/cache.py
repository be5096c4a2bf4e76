"""Team platform's first stage: what was found before for a question, in front of the search.

Two parts. The *hot set* holds what people ask most; a job warms it whenever the index or the
encoder is another one. All that is found counts only for the versions that it was found with, so
that it is forgotten with them. Restoring the hot set from a dump pins it: it is served until
somebody removes it, whatever index and encoder are asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from seamwatch.demo.index import Hit
from seamwatch.demo.vitals import Vitals

KEPT = 2000  # questions remembered beside the hot set
LATE = 30.0  # seconds without a run of the warming job

Key = tuple[str, str]  # index version, encoder version


class Cache:
    """Question to hit, with the counters that its team watches."""

    team, name = "platform", "cache"

    def __init__(self) -> None:
        self.vitals = Vitals()
        self.hits = self.misses = self.bypassed = 0
        self.warmed_from: Key | None = None  # None: never warmed, or restored from a dump
        self.pinned = False
        self._hot: Mapping[str, Hit] = {}
        self._complete_until = 0.0  # event time until which the data behind the hot set is complete
        self._checked_at = 0.0
        self._found: OrderedDict[tuple[str, Key], Hit] = OrderedDict()

    def get(self, question: str, key: Key) -> Hit | None:
        """Return what was found for *question*, None if nothing was."""
        hot = self._hot if self.pinned or self.warmed_from == key else {}
        hit = hot.get(question) or self._found.get((question, key))
        if hit is None:
            self.misses += 1
        else:
            self.hits += 1
        return hit

    def put(self, question: str, key: Key, hit: Hit) -> None:
        """Remember *hit*; the oldest is forgotten where there are too many."""
        self._found[question, key] = hit
        if len(self._found) > KEPT:
            self._found.popitem(last=False)

    def needs_warming(self, key: Key) -> bool:
        """Say whether the hot set was found with other versions than *key*."""
        return not self.pinned and self.warmed_from != key

    def warm(self, hot: Mapping[str, Hit], key: Key) -> None:
        """Replace the hot set by what *key* finds."""
        self._hot, self.warmed_from, self.pinned = hot, key, False

    def restore(self, dump: Mapping[str, Hit], *, complete_until: float) -> None:
        """Replace the hot set by a dump of old, without an expiry."""
        self._hot, self.warmed_from, self.pinned = dump, None, True
        self._complete_until = complete_until

    def unpin(self) -> None:
        """Let the warming job replace what was restored."""
        self.pinned = False

    def check(self, *, now: float, complete_until: float) -> None:
        """Note a run of the warming job; *complete_until* is that of the index in service."""
        self._checked_at = now
        if not self.pinned:
            self._complete_until = complete_until

    def meta(self) -> dict[str, Any]:
        """Return the stage contract.

        Entries come from several versions of the index, so that no single ``built_from`` would be
        true; the watermark is that of the oldest entries.
        """
        content = repr(sorted(self._hot.items())).encode()
        return {
            "status": "ok" if self.vitals.well else "failing",
            "version": f"hot-{sha256(content).hexdigest()[:8]}",
            "watermark": self._complete_until,
            "updated_at": self._checked_at,
            "rows": len(self._hot) + len(self._found),
        }

    def health(self, *, now: float) -> dict[str, Any]:
        """Return the team's page: does it answer, does it hit, does its job run."""
        asked = self.hits + self.misses
        ratio = self.hits / asked if asked else None
        age = now - self._checked_at
        hitting = "nothing asked" if ratio is None else f"hit ratio {ratio:.0%}"
        return {
            "status": "ok" if age < LATE and self.vitals.well else "failing",
            "summary": hitting,
            "hit_ratio": ratio,
            "hits": self.hits,
            "misses": self.misses,
            "bypassed": self.bypassed,
            "entries": len(self._hot) + len(self._found),
            **self.vitals.page(),
        }
