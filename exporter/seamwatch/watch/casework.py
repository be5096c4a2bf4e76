"""One pipeline's case: turns judged answers into evidence, and says how fast to go on asking."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from seamwatch.config.gate import GateSection
from seamwatch.evidence import Blessing, Case, Event, Probe, Standing, Terms, outcome
from seamwatch.golden import blessed
from seamwatch.pipeline import GoldenItem, Judged
from seamwatch.scoring import Known, Rules, misjudged
from seamwatch.snapshot import EvidenceState

log = logging.getLogger(__name__)

_SAID = {
    Event.SUSPECT: "answers are suspicious: asking faster",
    Event.CALM: "answers are no longer suspicious",
    Event.HALT: "proven: accuracy has fallen under the floor",
    Event.TICKET: "proven: accuracy has fallen under the baseline",
    Event.RECOVERING: "answers are getting better",
    Event.RELAPSE: "answers have got worse again before the recovery was proven",
    Event.RECOVERED: "proven: accuracy is above the floor again",
    Event.RESUME: "watching again after a halt",
}

STALE_PROBES = 10.0  # intervals without a valid answer after which the evidence is stale, ...
SHORTEST_STALE = 30.0  # ... but never fewer seconds: a question may take longer than an interval

_SUSPECT = Standing.SUSPECT

STANDS_ANEW = frozenset((Event.SUSPECT, Event.CALM, Event.HALT, Event.RESUME))
"""After these the case stands otherwise than before; the time since then is shown."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A judged answer as the log keeps it: enough to take it again, bit for bit."""

    judged: Judged
    seed: int  # of the pass that asked
    position: int
    focused: bool
    ordinal: int | None = None  # among all that the case took; None: no case, or canary dead
    probe: Probe | None = None
    events: tuple[Event, ...] = ()


@dataclass
class Casework:
    """The evidence of one pipeline and what is done about it; pure but for the log.

    It says what is proven; when a halt ends is for the gate to decide, which calls `resume`.
    """

    terms: Terms
    gate: GateSection
    every: float  # seconds between two probes while all is calm
    score: str  # what x of a probe is: "verdict" (1 for correct, else 0) or "credit"
    rules: Rules
    digest: str  # of the golden set
    items: Sequence[GoldenItem]
    clock: Callable[[], float]
    where: Mapping[str, str]  # for the log
    blessing: Blessing | None = None
    known: tuple[Known, ...] = ()  # answers whose verdict is known
    case: Case = field(init=False)
    offset: int = 0  # ordinals of the terms before these
    since: float = field(init=False)
    last_valid: float = field(init=False)  # wall clock of the last probe that counted
    counts: Counter[Event] = field(default_factory=Counter)
    judges_right: bool = True
    is_recalled: bool = True  # what the store kept has been read; until then nothing is written
    untold: float | None = None  # wall clock of a halt that could not be written down yet
    _turn: int = 0  # every other probe may be focused

    def __post_init__(self) -> None:
        self.case = Case(self.terms)
        self.since = self.last_valid = self.clock()

    @cached_property
    def terms_text(self) -> str:
        """The terms as the log keeps them."""
        return json.dumps(self.terms.to_json(), sort_keys=True)

    @cached_property
    def key(self) -> str:
        """The sha256 of all that it is weighed by: a case with another key begins anew."""
        everything = (self.terms_text, self.digest, blessed.rules_digest(self.rules), self.score)
        return hashlib.sha256(repr(everything).encode()).hexdigest()

    @property
    def ordinal(self) -> int:
        """Return how many probes the log counts for this pipeline."""
        return self.offset + self.case.ordinal

    @property
    def pace(self) -> float:
        """Return the seconds between two probes now."""
        calm = self.case.standing is Standing.RUNNING
        return self.every if calm else self.every / self.gate.burst.factor

    def focus(self) -> str | None:
        """Return the slice that the next probe should come from; None: whose turn it is."""
        self._turn += 1
        return self.case.focus_slice if self._turn % 2 else None

    def check_judge(self, seed: int) -> None:
        """Judge answers of known worth; while one is judged wrong nothing counts as evidence."""
        wrong = misjudged(self.items, self.rules, known=self.known, seed=seed)
        if wrong is not None and self.judges_right:
            log.error("the judge is wrong, no answer counts: %s", wrong, extra=dict(self.where))
        elif wrong is None and not self.judges_right:
            log.warning("the judge is right again", extra=dict(self.where))
        self.judges_right = wrong is None

    def take(self, taken: Taken) -> Taken:
        """Take an answer into the case; answers must come in the order in which they were asked."""
        if not self.judges_right:
            return taken
        probe = self.probe(taken.judged, focused=taken.focused)
        events = self.case.take(probe)
        now = self.clock()
        if probe.x is not None:
            self.last_valid = now
        if events:
            self._note(events, now)
        ordinal = self.ordinal if self.is_recalled else None
        return replace(taken, ordinal=ordinal, probe=probe, events=events)

    def probe(self, judged: Judged, *, focused: bool) -> Probe:
        """Return what the case sees of *judged*: no text, only how good it was."""
        x, item = outcome(judged, self.score), judged.item
        kind = self.blessing.item_class(item.id) if self.blessing and self.terms.class_means else ""
        return Probe(x, item.slice, kind, focused, judged.at)

    def state(self, *, now: float) -> EvidenceState:
        """Return what is known now."""
        case = self.case
        ratios = {
            "floor": case.ratio,
            "baseline": case.baseline_ratio,
            "recovery": case.recovery_ratio,
        }
        return EvidenceState(
            standing=case.standing,
            since=self.since,
            floor=self.terms.floor,
            baseline=self.terms.baseline,
            ratios=MappingProxyType({k: v for k, v in ratios.items() if v is not None}),
            slices=MappingProxyType(dict(case.slice_ratios)),
            halts=self.counts[Event.HALT],
            tickets=self.counts[Event.TICKET],
            is_stale=self.is_stale(now=now),
            judges_right=self.judges_right,
        )

    def is_stale(self, *, now: float) -> bool:
        """Say whether the evidence tells nothing of *now*."""
        longest = self.gate.stale_after or max(STALE_PROBES * self.every, SHORTEST_STALE)
        # either way: after a jump of the clock nobody knows how long ago the last answer came
        return not self.judges_right or abs(now - self.last_valid) > longest

    def restore(self, case: Case, *, offset: int, since: float | None) -> None:
        """Go on with *case*, which has stood as it does since *since*."""
        self.case, self.offset = case, offset
        self.since = self.since if since is None else since

    def begin_anew(self, before: Case | None, *, ordinal: int) -> None:
        """Weigh by these terms from *ordinal* on; a halt by the terms *before* stands.

        Nothing but proof of recovery, or a person, lifts a halt: other words in a file do not.
        """
        self.offset = ordinal
        log.warning(
            "the evidence starts anew: it is weighed by other terms", extra=dict(self.where)
        )
        if not self._keep_halted(before) and before is not None and before.standing is _SUSPECT:
            self.since = self.clock()  # suspect no more

    def catch_up(self, before: Case | None, *, ordinal: int, since: float | None) -> None:
        """Take what the store says only now: a halt stands, all else is older than what we know."""
        self.offset, self.is_recalled = ordinal, True
        if not self.case.halted and self._keep_halted(before) and since is not None:
            self.since = since

    def stay_halted(self, *, ordinal: int, since: float) -> None:
        """Stand halted from *ordinal* on: that much is known of a case whose state is not."""
        self.offset, self.since = ordinal, since
        self._halt(None)

    def _keep_halted(self, before: Case | None) -> bool:
        if before is None or not before.halted:
            return False
        self._halt(before.state()["halt"])
        return True

    def _halt(self, said: object) -> None:
        halt = {"standing": Standing.HALTED.value, "halt": said}
        self.case = Case.restored(self.terms, Case(self.terms).state() | halt)

    def take_over(self, before: Casework) -> None:
        """Keep the case of *before* if it is weighed alike, else begin anew where it ended."""
        self.since, self.is_recalled = before.since, before.is_recalled
        self.untold = before.untold
        if before.key == self.key:
            self.restore(before.case, offset=before.offset, since=before.since)
            self.last_valid, self.counts = before.last_valid, before.counts
        else:
            self.begin_anew(before.case, ordinal=before.ordinal)

    def resume(self) -> tuple[Event, ...]:
        """End a halt, or begin anew where there is none; return what is to be written down."""
        events = self.case.resume()
        if events:
            self._note(events, self.clock())
        else:
            self.offset, self.case = self.ordinal, Case(self.terms)
            self.since = self.clock()
            log.info("the evidence starts anew: somebody says so", extra=dict(self.where))
        return events

    def _note(self, events: tuple[Event, ...], now: float) -> None:
        for event in events:
            self.counts[event] += 1
            if event in (Event.HALT, Event.RESUME) and not self.is_recalled:
                self.untold = now if event is Event.HALT else None
            level = logging.INFO if event in (Event.CALM, Event.RESUME) else logging.WARNING
            log.log(level, _SAID[event], extra=dict(self.where) | {"change": event.value})
        if not STANDS_ANEW.isdisjoint(events):
            self.since = now
