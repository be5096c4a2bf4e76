"""The terms on which evidence is judged: limits, floors and nulls, resolved once and kept.

All that decides a halt is in here, so that a replay of the probe log under the same terms halts
at the same probe. Evidence is reset when the terms' digest changes, never on a new model version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from seamwatch.evidence.blessing import FLAKY, SOLID


class Items(StrEnum):
    """What a probe is compared with."""

    PLAIN = "plain"  # the floor, whichever item was asked
    ITEM_AWARE = "item_aware"  # what items of its class achieved when blessed, less the tolerance
    SENTINELS = "sentinels"  # the same, and only solid items count


@dataclass(frozen=True)
class Terms:
    """Everything that a Case needs to know; ratios in [0, 1], limits at least 100.

    *limit* is A: at most N / A false halts are expected in N probes.
    """

    limit: float
    floor: float
    baseline: float | None = None
    items: Items = Items.PLAIN
    class_means: Mapping[str, float] = field(default_factory=dict)  # {} in plain mode
    slice_floors: Mapping[str, float] = field(default_factory=dict)
    slice_baselines: Mapping[str, float] = field(default_factory=dict)
    slice_class_means: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    slice_weight: float = 0.5  # share of the slices in S; 0: pooled only
    focus: bool = False
    suspect_from: float = 0.4  # share of the way to the limit, on a log scale
    calm_at: float = 0.3
    focus_at: float = 0.35
    ticket_limit: float | None = None
    ticket_floor: float | None = None  # the baseline less what its own uncertainty allows
    resume_above: float = 0.0  # 0: the floor
    resume_limit: float = 20_000.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``from_json`` reads back bit for bit."""
        plain = asdict(self)
        plain["items"] = self.items.value
        return {name: _plain(value) for name, value in plain.items()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return the terms that ``to_json`` wrote; unknown keys are a TypeError."""
        return cls(**{**plain, "items": Items(plain.get("items", Items.PLAIN))})

    @cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the canonical JSON."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def null(self, item_class: str) -> float | None:
        """Return the mean that the pooled null allows; None: such a probe is no evidence."""
        return self._of_class(self.floor, self.baseline, self.class_means, item_class)

    def ticket_null(self, item_class: str) -> float | None:
        """Return the mean that the ticket's null allows; None: such a probe is no evidence."""
        if self.ticket_floor is None:
            return None
        return self._of_class(self.ticket_floor, self.baseline, self.class_means, item_class)

    def slice_null(self, name: str, item_class: str) -> float | None:
        """Return the mean that the null of slice *name* allows; None where it has no detector."""
        floor = self.slice_floors.get(name)
        if floor is None or self.slice_weight == 0.0:
            return None
        means = self.slice_class_means.get(name, {})
        if self.items is not Items.PLAIN and not means:
            return None if self.items is Items.SENTINELS else floor
        return self._of_class(floor, self.slice_baselines.get(name), means, item_class)

    def recovery_bound(self, item_class: str) -> float | None:
        """Return the mean above which an item of this class speaks for recovery.

        Item-aware this is ``r + b_class - baseline``: the difference estimator, so that the bound
        concerns the mean of all items as in plain mode, and the noise of knowing that some items
        always fail is gone. A bound that is scaled by class, as the halting null is, would let a
        few flaky items that newly pass outweigh solid ones that newly fail.
        """
        above = self.resume_above or self.floor
        if self.items is Items.PLAIN or self.baseline is None:
            return above
        if self.items is Items.SENTINELS:
            return self._of_class(above, self.baseline, self.class_means, item_class)
        mean = self.class_means.get(item_class)
        return None if mean is None else above + mean - self.baseline

    @cached_property
    def recovery_worst(self) -> float:
        """The most that a probe can lie below its recovery bound."""
        bounds = [self.recovery_bound(kind) for kind in (SOLID, FLAKY)]
        return max(bound for bound in bounds if bound is not None)

    def _of_class(
        self, floor: float, baseline: float | None, means: Mapping[str, float], item_class: str
    ) -> float | None:
        """Return b (1 - delta) with delta = 1 - floor / baseline, or the floor itself if plain."""
        if self.items is Items.PLAIN or not baseline:
            return floor
        if self.items is Items.SENTINELS and item_class != SOLID:
            return None
        mean = means.get(item_class)
        return None if mean is None else min(mean * floor / baseline, 1.0)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return value
