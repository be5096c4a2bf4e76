"""What is written down, as frozen values; a later row with the same key replaces an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

from seamwatch.freshness import Publication
from seamwatch.pipeline import Verdict


@dataclass(frozen=True, slots=True)
class Published:
    """A stage published something; written again with the same ``since`` it is completed."""

    pipeline: str
    stage: str
    publication: Publication

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about."""
        return ("publication", self.pipeline, self.stage, self.publication.since)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A publication that is not remembered any more."""

    pipeline: str
    stage: str
    since: float

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about: the same as of the publication that goes."""
        return ("publication", self.pipeline, self.stage, self.since)


@dataclass(frozen=True, slots=True)
class Asked:
    """A golden item was asked and judged; its text and the answer's are not written down."""

    pipeline: str
    digest: str  # of the golden set, sha256 in hex
    item_id: str
    verdict: Verdict
    credit: float | None  # in [0, 1]; None for no answer
    answered_by: str | None
    at: float  # wall clock, seconds since the epoch
    seed: int  # of the pass, -2**63 to 2**63 - 1
    position: int  # in the pass, from 0

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about."""
        return ("probe", self.pipeline, self.digest, self.item_id, self.at)


@dataclass(frozen=True, slots=True)
class Pass:
    """How far the present pass over a golden set has come; the newest replaces the others."""

    pipeline: str
    digest: str
    seed: int
    position: int  # items asked so far

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about."""
        return ("pass", self.pipeline, self.digest)


Row = Published | Forgotten | Asked | Pass
