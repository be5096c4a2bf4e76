"""Which items an inquiry knows: discordant ones, waiting or settled, and right ones to audit.

Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from seamwatch.attribution.dossier import Dossier, Suspects

CANDIDATES = 64
"""Right items remembered for the audit, a random sample of those offered."""


class Docket:
    """The items of one inquiry, in the order in which they were offered."""

    def __init__(self, suspects: Suspects, *, seed: int) -> None:
        self.suspects = suspects
        self.seed = seed
        self.waiting: dict[str, Dossier] = {}  # discordant, in the order offered
        self.opened: list[str] = []  # of those that wait, whom it was begun to ask about, in order
        self.settled: dict[str, Dossier] = {}  # discordant; what they say is known
        self.lost: set[str] = set()  # discordant; given up after errors
        self.audits: dict[str, Dossier] = {}  # right now
        self._candidates: dict[str, str] = {}  # right now: id -> random rank

    @property
    def offered(self) -> int:
        """How many discordant items are known."""
        return len(self.waiting) + len(self.settled) + len(self.lost)

    @property
    def newest(self) -> Dossier | None:
        """The waiting item that was offered last of those that are not begun.

        Faults may come one after another: what was wrong last is what is wrong now.
        """
        unopened = (
            one for one in reversed(self.waiting.values()) if one.item_id not in self.opened
        )
        return next(unopened, None)

    @property
    def won_back(self) -> list[Dossier]:
        """The settled items that all repairs together win back."""
        return [one for one in self.settled.values() if one.is_won_back]

    @property
    def is_complete(self) -> bool:
        """Say whether every variant that can matter is known of every item that was offered."""
        left_out = self.waiting or self.lost or not self.settled
        return not left_out and all(one.is_complete for one in self.won_back)

    @property
    def candidate(self) -> str | None:
        """The right item that is audited next."""
        return min(self._candidates, key=self._candidates.__getitem__, default=None)

    def offer(self, item_id: str, *, now: float, blessed: float) -> None:
        """Add a discordant item, unless it is known."""
        if any(item_id in one for one in (self.waiting, self.settled, self.lost)):
            return
        self._candidates.pop(item_id, None)
        dossier = Dossier(item_id, self.suspects, now=now, blessed=blessed, seed=self.seed)
        self.waiting[item_id] = dossier

    def concordant(self, item_id: str) -> None:
        """Add a right item to the sample for the audit, unless it is known."""
        known = (self.waiting, self.settled, self.lost, self.audits, self._candidates)
        if any(item_id in one for one in known):
            return
        rank = hashlib.sha256(f"{self.seed}:audit:{item_id}".encode()).hexdigest()[:16]
        self._candidates[item_id] = rank
        if len(self._candidates) > CANDIDATES:
            del self._candidates[max(self._candidates, key=self._candidates.__getitem__)]

    def audit(self, item_id: str) -> Dossier:
        """Return the dossier of a right item; a new one, kept by `begin`, if it has none."""
        if item_id in self.audits:
            return self.audits[item_id]
        return Dossier(item_id, self.suspects, now=1.0, blessed=1.0, seed=self.seed)

    def open(self, item_id: str) -> None:
        """Note that a waiting item is being asked about."""
        if item_id in self.waiting and item_id not in self.opened:
            self.opened.append(item_id)

    def begin(self, item_id: str) -> None:
        """Note that a right item is being audited."""
        self.audits[item_id] = self.audit(item_id)
        self._candidates.pop(item_id, None)

    def find(self, item_id: str, *, audit: bool) -> Dossier:
        """Return a dossier that is being asked about."""
        if audit:
            return self.audits[item_id]
        return self.waiting[item_id] if item_id in self.waiting else self.settled[item_id]

    def settle(self, dossier: Dossier) -> None:
        """Note that a waiting item is known well enough, or was given up."""
        del self.waiting[dossier.item_id]
        self.opened.remove(dossier.item_id)
        if dossier.dropped:
            self.lost.add(dossier.item_id)
        else:
            self.settled[dossier.item_id] = dossier

    def state(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "waiting": [one.state() for one in self.waiting.values()],
            "opened": list(self.opened),
            "settled": [one.state() for one in self.settled.values()],
            "lost": sorted(self.lost),
            "audits": [one.state() for one in self.audits.values()],
            "candidates": sorted(self._candidates),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned."""
        for name, kept in (
            ("waiting", self.waiting),
            ("settled", self.settled),
            ("audits", self.audits),
        ):
            for one in state[name]:
                dossier = Dossier.restored(one, self.suspects, seed=self.seed)
                kept[dossier.item_id] = dossier
        self.opened = list(state["opened"])
        self.lost = set(state["lost"])
        for item_id in state["candidates"]:
            self.concordant(item_id)
