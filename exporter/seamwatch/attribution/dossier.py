"""What is known of one item under the repairs: what to ask next, and what each contributed.

Pure. Variants are bit masks, as in `shapley`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from seamwatch.attribution.shapley import along, exact

SAME = 0.1
"""Results of one item that differ by at most this (points of credit) are taken for the same."""


@dataclass(frozen=True)
class Suspects:
    """The repairs of an inquiry as bits, and which of them cost no call."""

    names: tuple[str, ...]
    free: tuple[int, ...]
    paid: tuple[int, ...]

    @cached_property
    def all(self) -> int:
        """Every repair applied."""
        return (1 << len(self.names)) - 1

    @cached_property
    def paid_mask(self) -> int:
        """Every repair that needs a call of its own."""
        return sum(1 << one for one in self.paid)

    @cached_property
    def free_masks(self) -> tuple[int, ...]:
        """Every set of free repairs, the largest first."""
        rest = self.all & ~self.paid_mask
        return tuple(mask for mask in range(rest, -1, -1) if mask & ~rest == 0)

    def applied(self, mask: int) -> frozenset[str]:
        """Return the repairs of *mask* by name."""
        return frozenset(name for bit, name in enumerate(self.names) if mask >> bit & 1)


@dataclass(frozen=True, slots=True)
class Variant:
    """One result that is wanted of an item."""

    mask: int
    again: bool = False  # a fresh answer to a variant whose result is known
    sends: bool = True  # False: recomputed from an answer that was sent for


class Dossier:
    """One item: its results, by variant, and the random order in which repairs are added.

    Of a discordant item it wants the result with all repairs; if that is won back, sometimes a
    fresh result without any (an item may be wrong by chance); then enough of one random
    permutation to say who won it back. Where two results along it are the same, those between are
    taken for the same too: halving finds the one step with few calls. ``whole`` asks for all.
    """

    def __init__(
        self, item_id: str, suspects: Suspects, *, now: float, blessed: float, seed: int
    ) -> None:
        self.item_id = item_id
        self.now = now  # result as it is, without repairs
        self.blessed = blessed
        self.dropped = False  # two errors in a row: it is asked no more
        self.errors = 0  # in a row
        self.suspects = suspects
        self.results: dict[int, float] = {0: now}
        self.fresh: dict[int, float] = {}  # results asked for once more, by variant
        order = list(suspects.paid)
        random.Random(f"{seed}:{item_id}").shuffle(order)
        self.order = tuple(order)
        self._contributions: tuple[float, ...] | None = None  # as long as no result comes in
        self._prefixes = [0]
        for one in order:
            self._prefixes.append(self._prefixes[-1] | 1 << one)

    @property
    def is_begun(self) -> bool:
        """Say whether anything was found out about it."""
        return len(self.results) > 1 or bool(self.fresh)

    @property
    def gain(self) -> float | None:
        """What all repairs together win back of this item, None before they were tried."""
        final = self.results.get(self.suspects.all)
        return None if final is None else final - self.results[0]

    @property
    def is_won_back(self) -> bool:
        """Say whether all repairs together make this item (nearly) right again."""
        gain = self.gain
        return gain is not None and gain > SAME

    @property
    def is_complete(self) -> bool:
        """Say whether the result of every variant is known."""
        return len(self.results) == 1 << len(self.suspects.names)

    @property
    def was_chance(self) -> bool | None:
        """Say whether it is right now without any repair; None if it was not asked again."""
        return self.fresh[0] - self.now > SAME if 0 in self.fresh else None

    @property
    def contradicts_itself(self) -> bool:
        """Say whether chance may have had a hand: it changed unrepaired, or a repair broke it."""
        if abs(self.fresh.get(0, self.now) - self.now) > SAME:
            return True
        bits = [1 << one for one in range(len(self.suspects.names))]
        return any(
            self.results.get(mask | bit, 1.0) < result - SAME
            for mask, result in self.results.items()
            for bit in bits
        )

    def take(self, variant: Variant, result: float) -> None:
        """Note the *result* of a variant, a ratio in [0, 1]."""
        self.errors = 0
        self._contributions = None
        if variant.again:
            self.fresh[variant.mask] = result
        self.results[variant.mask] = result

    def wanted(
        self, *, doubts: Collection[int], whole: bool, weights: Sequence[float]
    ) -> Variant | None:
        """Return the next variant on the way to a permutation estimate, None when it is there.

        Args:
            doubts: what to ask once more of an item that was won back: without repairs (0), with
                all of them; as long as it still looks won back.
            whole: ask each step of the permutation, also between results that are the same.
            weights: how much each repair is suspected, by bit; it only chooses the order.
        """
        everything = self.suspects.all
        if everything not in self.results:
            return self._variant(everything)
        if not self.is_won_back:
            return None
        for mask in (0, everything):
            if mask in doubts and mask not in self.fresh:
                return Variant(mask, again=True)
        return self._step(whole, weights)

    def audited(self, weights: Sequence[float]) -> Variant | None:
        """Return the next variant on the way to who breaks this item, None when that is known.

        An item that all repairs break is asked once more with all of them before anybody is blamed.
        """
        everything = self.suspects.all
        if everything not in self.results:
            return self._variant(everything)
        if not self.is_broken:
            return None
        if everything not in self.fresh:
            return Variant(everything, again=True)
        return self._step(False, weights)

    @property
    def is_broken(self) -> bool:
        """Say whether all repairs together make this item wrong."""
        gain = self.gain
        return gain is not None and gain < -SAME

    def missing(self, under_way: Collection[int] = ()) -> Variant | None:
        """Return the next variant on the way to exact values, None when all are known.

        Args:
            under_way: the paid repairs (masks) of what was asked already; None is also returned
                while what is missing must wait for that.
        """
        if 0 not in self.fresh:
            return None if 0 in under_way else Variant(0, again=True)
        for mask in range(1 << len(self.suspects.names)):
            if mask not in self.results and mask & self.suspects.paid_mask not in under_way:
                return self._variant(mask)
        return None

    def calls_missing(self) -> int:
        """Return how many calls `missing` will cost in all."""
        paid = {mask & self.suspects.paid_mask for mask in self.results}
        return (1 << len(self.suspects.paid)) - len(paid) + (0 not in self.fresh)

    def contributions(self) -> tuple[float, ...] | None:
        """Return what each repair won back, None before that can be said at all.

        Exact where every variant is known, else along the permutation. They add up to `gain`; all
        are 0 where the repairs together change nothing, or not enough to go after.
        """
        if self._contributions is None and self.gain is not None:
            self._contributions = self._shared_out(self.gain)
        return self._contributions

    def state(self) -> dict[str, Any]:
        """Return all that was noted as plain values."""
        return {
            "item": self.item_id,
            "now": self.now,
            "blessed": self.blessed,
            "results": {str(mask): result for mask, result in self.results.items()},
            "fresh": {str(mask): result for mask, result in self.fresh.items()},
            "dropped": self.dropped,
            "errors": self.errors,
        }

    @classmethod
    def restored(cls, state: dict[str, Any], suspects: Suspects, *, seed: int) -> Dossier:
        """Return the dossier that `state` was taken from."""
        dossier = cls(
            state["item"], suspects, now=state["now"], blessed=state["blessed"], seed=seed
        )
        dossier.results = {int(mask): result for mask, result in state["results"].items()}
        dossier.fresh = {int(mask): result for mask, result in state["fresh"].items()}
        dossier.dropped = state["dropped"]
        dossier.errors = state["errors"]
        return dossier

    def _shared_out(self, gain: float) -> tuple[float, ...] | None:
        if self.is_complete:
            return exact(self.results, len(self.suspects.names))
        if abs(gain) <= SAME:
            return (0.0,) * len(self.suspects.names)
        steps = self._filled()
        return None if steps is None else along(steps, self.order, self.suspects.free)

    def _variant(self, mask: int) -> Variant:
        """Return *mask* as something to ask; free where its paid repairs were sent before."""
        paid = mask & self.suspects.paid_mask
        return Variant(
            mask, sends=not any(paid == one & self.suspects.paid_mask for one in self.results)
        )

    def _step(self, whole: bool, weights: Sequence[float]) -> Variant | None:
        """Return the next variant of the permutation, or None."""
        for step in self._known_steps():
            for mask in self.suspects.free_masks:
                if self._prefixes[step] | mask not in self.results:
                    return self._variant(self._prefixes[step] | mask)
        known = list(self._known_steps())
        for low, high in pairwise(known):
            if high - low > 1 and (whole or not self._same(low, high)):
                step = self._half(low, high, weights)
                return self._variant(self._prefixes[step] | self.suspects.free_masks[0])
        return None

    def _half(self, low: int, high: int, weights: Sequence[float]) -> int:
        """Return the step between *low* and *high* that best halves the suspicion."""
        suspicion = [weights[self.order[step]] for step in range(low, high)]
        total, reached, best = sum(suspicion), 0.0, low + 1
        closest = float("inf")
        for step in range(low + 1, high):
            reached += suspicion[step - low - 1]
            if abs(2 * reached - total) < closest - 1e-9:
                best, closest = step, abs(2 * reached - total)
        return best

    def _known_steps(self) -> Iterator[int]:
        """Yield each step of the permutation of which some result is known."""
        for step, prefix in enumerate(self._prefixes):
            if any(prefix | mask in self.results for mask in self.suspects.free_masks):
                yield step

    def _same(self, low: int, high: int) -> bool:
        """Say whether nothing changes between two known steps, whatever free repairs do."""
        first, last = self._prefixes[low], self._prefixes[high]
        return all(
            abs(self.results[first | mask] - self.results[last | mask]) <= SAME
            for mask in self.suspects.free_masks
        )

    def _filled(self) -> list[dict[int, float]] | None:
        """Return the results along the permutation, those between known steps on a straight line.

        None while one of its ends is unknown.
        """
        masks = self.suspects.free_masks
        known = [
            step
            for step, prefix in enumerate(self._prefixes)
            if all(prefix | mask in self.results for mask in masks)
        ]
        if not known or known[0] != 0 or known[-1] != len(self.order):
            return None
        rows: list[dict[int, float]] = []
        for low, high in pairwise(known):
            for step in range(low, high):
                share = (step - low) / (high - low)
                rows.append({mask: self._between(low, high, mask, share) for mask in masks})
        last = self._prefixes[-1]
        return [*rows, {mask: self.results[last | mask] for mask in masks}]

    def _between(self, low: int, high: int, mask: int, share: float) -> float:
        """Return the result at *share* of the way from one known step to another."""
        first = self.results[self._prefixes[low] | mask]
        last = self.results[self._prefixes[high] | mask]
        return first + share * (last - first)
