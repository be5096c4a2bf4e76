"""What the project outside publishes, on the demo's own clock.

The clock is set once, when the demo starts: then the newest release is the newest that exists. A
mirror that is up to date has, at every moment, all that was published until that moment. A mirror
that stands still at an older release lacks the real time between the two releases: those days are
read inside the releases (``facts/README.md``), not invented.
"""

from __future__ import annotations

from dataclasses import dataclass

from seamwatch.demo.facts import Document, Facts

PAGES = 8


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a release, as it came: each document with the event time it is complete until."""

    number: int
    documents: tuple[Document, ...]
    complete_until: float


class Feed:
    """The mirror that the ingest job reads; *mirror* and *empty_pages* are what can go wrong."""

    def __init__(self, facts: Facts, *, started: float) -> None:
        self.facts = facts
        self.started = started  # wall clock at which the newest release is the newest
        self.mirror = facts.newest  # the release that the mirror holds
        self.empty_pages: frozenset[int] = frozenset()  # answered with 200 and an empty list

    def complete_until(self, release: str, *, now: float) -> float:
        """Return the event time until which *release* tells all, on the demo's clock."""
        behind = self.facts.behind(release)
        return self.started - behind if behind else now

    def read(self, *, now: float) -> tuple[str, tuple[Page, ...]]:
        """Return the release that the mirror holds, and its pages."""
        documents = self.facts.documents(self.mirror)
        until = self.complete_until(self.mirror, now=now)
        size = -(-len(documents) // PAGES)
        pages = tuple(
            Page(
                number,
                ()
                if number in self.empty_pages
                else documents[(number - 1) * size : number * size],
                until,
            )
            for number in range(1, PAGES + 1)
        )
        return self.mirror, pages
