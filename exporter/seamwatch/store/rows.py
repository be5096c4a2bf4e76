"""What is written down, as frozen values; a later row with the same key replaces an earlier one.

Ordinals number the probes of one pipeline that went to its evidence, errors too. They only grow,
also over a change of terms: `TermsRow.since_ordinal` says where the terms came into force. Whoever
cannot read the last one, because the store is out of reach, gives no ordinals until it can.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seamwatch.freshness import Publication
from seamwatch.gate import (
    Alerted,
    ClearOverride,
    Halt,
    Happening,
    Rebaseline,
    Resume,
    Rules,
    SetOverride,
)
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
    ordinal: int | None = None  # None: no evidence took it
    slice: str = ""
    item_class: str = ""  # solid, flaky; empty where the evidence does not tell items apart
    focused: bool = False
    x: float | None = None  # what the evidence took, in [0, 1]; None for an error or a timeout
    purpose: str = "pass"  # or focus: why it was asked

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


@dataclass(frozen=True, slots=True)
class TermsRow:
    """From *since_ordinal* on, the evidence of a pipeline is judged by these terms."""

    pipeline: str
    terms: str  # digest of the terms, sha256 in hex
    text: str  # JSON
    since_ordinal: int  # of the last probe before them; 0 where there was none
    at: float  # wall clock, seconds since the epoch

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about: terms that no probe was judged by are replaced."""
        return ("terms", self.pipeline, self.since_ordinal)


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """The evidence of a pipeline after the probe *ordinal*; the newest replaces the others."""

    pipeline: str
    digest: str  # of the golden set, sha256 in hex
    terms: str  # digest of the terms
    ordinal: int
    state: str  # JSON
    at: float  # wall clock, seconds since the epoch

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about."""
        return ("evidence", self.pipeline)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The evidence of a pipeline as it once was, for a replay of the log to begin with."""

    pipeline: str
    terms: str  # digest of the terms
    ordinal: int
    state: str  # JSON

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about."""
        return ("checkpoint", self.pipeline, self.ordinal)


@dataclass(frozen=True, slots=True)
class EventRow:
    """What the evidence of a pipeline led to; never replaced, never deleted."""

    pipeline: str
    ordinal: int  # of the probe after which it happened
    at: float  # wall clock, seconds since the epoch
    event: str
    value: float | None  # the ratio that it happened at
    terms: str  # digest of the terms
    detail: str = "{}"  # JSON

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about."""
        return ("event", self.pipeline, self.ordinal, self.event, self.at)


@dataclass(frozen=True, slots=True)
class Finding:
    """Whom the last attribution named; the newest replaces the others."""

    pipeline: str
    at: float  # wall clock, seconds since the epoch
    text: str  # JSON

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about."""
        return ("finding", self.pipeline)


WORDS = (Halt, Resume, SetOverride, ClearOverride, Rebaseline, Alerted)
"""What others say to any replica; all else is found by the one that leads."""


_PROCESS, _numbers = secrets.token_hex(8), itertools.count()


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened to the gate of a pipeline; what comes of it is decided when written."""

    pipeline: str
    happening: Happening
    rules: Rules
    at: float  # wall clock, seconds since the epoch
    actor: str
    targets: tuple[str, ...] = ()  # of its actions, by name
    detail: Mapping[str, Any] = field(default_factory=dict)  # for the audit, plain JSON values
    id: str = field(default_factory=lambda: f"{_PROCESS}-{next(_numbers)}", compare=False)

    @property
    def key(self) -> tuple[object, ...]:
        """What this row is about: each is one of its own."""
        return ("happened", self.id)


def is_word(row: object) -> bool:
    """Say whether *row* is what somebody said of a gate."""
    return isinstance(row, Happened) and isinstance(row.happening, WORDS)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Tells a request that came twice; *request* is the SHA-256 of what it asks for, hex."""

    actor: str
    key: str
    request: str


class Evidence(NamedTuple):
    """All that is known of one pipeline's evidence: *state* and then *tail* is how it stands.

    `restored_case` makes a case of it.
    """

    terms: TermsRow | None  # in force; None: there was never any evidence
    state: EvidenceRow | None  # None: begin anew with the terms, at their ordinal
    tail: list[Asked]  # what came after the state, oldest first
    events: list[EventRow]  # from the state's ordinal on, oldest first: somebody may have resumed
    last: int = 0  # the last ordinal of the log, where no terms are known

    @property
    def ordinal(self) -> int:
        """The last ordinal that is known, to go on from."""
        return max(self._begin, self.last, *(one.ordinal or 0 for one in self.tail[-1:]))

    @property
    def missing(self) -> int:
        """How many probes of the tail are not there, given up while the store was away."""
        return self.ordinal - self._begin - len(self.tail) if self.terms is not None else 0

    @property
    def _begin(self) -> int:
        if self.state is not None:
            return self.state.ordinal
        return self.terms.since_ordinal if self.terms is not None else 0


Row = (
    Published
    | Forgotten
    | Asked
    | Pass
    | TermsRow
    | EvidenceRow
    | Checkpoint
    | EventRow
    | Finding
    | Happened
)
