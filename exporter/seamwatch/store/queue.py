"""Rows that wait for the store, in an order in which no row is ahead of what it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from seamwatch.store.rows import (
    EventRow,
    EvidenceRow,
    Finding,
    Forgotten,
    Happened,
    Published,
    Row,
    TermsRow,
)

_IN_PLACE = (Published, Forgotten)  # their order is the order of publication
_KEPT = (
    TermsRow,
    EvidenceRow,
    EventRow,
    Finding,
    Happened,
)  # few, and nobody could make them again


_HEAVY = 20  # rows that take as long to write as one happening: about 4 ms over a network


class Waiting(NamedTuple):
    """A row, and the number of the group that it was put with."""

    row: Row
    group: int


class Queue:
    """Rows by key. What is put together is a group: it is written in one transaction.

    A row with the key of one that waits replaces it, and waits where the new one was put: a state
    that counts probes stands behind all of them. Only publications keep their place.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], Waiting] = {}
        self._group = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, rows: Iterable[Row]) -> None:
        """Add *rows* as one group."""
        self._group += 1
        for row in rows:
            key, group = row.key, self._group
            before = self._waiting.get(key)
            if before is not None and isinstance(row, _IN_PLACE):
                group = before.group
            elif before is not None:
                del self._waiting[key]
            self._waiting[key] = Waiting(row, group)

    def batch(self, size: int) -> list[Waiting]:
        """Return the oldest groups, whole, that are at most *size* rows together.

        A happening is decided by the database and counts for many.

        A group that is larger by itself is cut: in the order in which its rows were put.
        """
        some: list[Waiting] = []
        weight = 0
        for one in self._waiting.values():
            some.append(one)
            weight += _HEAVY if isinstance(one.row, Happened) else 1
            if weight > size:
                break
        else:
            return some
        end = len(some) - 1
        while end > 0 and some[end - 1].group == some[end].group:
            end -= 1
        return some[: end or max(len(some) - 1, 1)]

    def remove(self, written: Iterable[Waiting]) -> None:
        """Take *written* out, but for those that were replaced meanwhile."""
        for one in written:
            key = one.row.key
            now = self._waiting.get(key)
            if now is not None and now.row is one.row:
                del self._waiting[key]

    def give_up(self, limit: int) -> int:
        """Drop the oldest rows above *limit*; return how many went.

        Terms, evidence, events and findings go only when nothing else waits, happenings never.
        """
        too_many = len(self._waiting) - limit
        if too_many <= 0:
            return 0
        others = (key for key, one in self._waiting.items() if not isinstance(one.row, _KEPT))
        kept = (key for key, one in self._waiting.items() if not isinstance(one.row, Happened))
        given_up = list(islice(others, too_many)) or list(islice(kept, too_many))
        for key in given_up:
            del self._waiting[key]
        return len(given_up)

    def keep_only(self, kept: Callable[[Row], bool]) -> int:
        """Drop the rows that are not *kept*; return how many went."""
        gone = [key for key, one in self._waiting.items() if not kept(one.row)]
        for key in gone:
            del self._waiting[key]
        return len(gone)


def halves(batch: list[Waiting]) -> Iterator[list[Waiting]]:
    """Yield *batch* in two parts, between two groups if it has several."""
    middle = len(batch) // 2
    between = [n for n in range(1, len(batch)) if batch[n - 1].group != batch[n].group]
    if between:
        middle = min(between, key=lambda n: abs(n - middle))
    yield batch[:middle]
    yield batch[middle:]
