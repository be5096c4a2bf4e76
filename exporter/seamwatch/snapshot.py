"""All that is known of a pipeline now: immutable, replaced whole, read by everyone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seamwatch.attribution import Attribution, Circumstance
from seamwatch.errors import Reason
from seamwatch.evidence import Standing
from seamwatch.freshness import Freshness
from seamwatch.gate import Answer, GateState, Rules
from seamwatch.pipeline import Estimate, Pipeline, Reading, Task, Verdict
from seamwatch.quality import Banded, Check
from seamwatch.skew import Skew
from seamwatch.slo import Ledger, Promise
from seamwatch.threshold import Regret

PROBE_BUCKETS: tuple[float, ...] = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the probe duration histogram, seconds; one histogram a pipeline."""


@dataclass(frozen=True, slots=True)
class StageState:
    """Our reading of one stage. *reading* is None before the first attempt."""

    reading: Reading | None = None
    last_success: float | None = None  # wall clock of the last reading that gave an observation
    reads: int = 0  # attempts since the exporter started
    failures: Mapping[Reason, int] = field(default_factory=dict)  # attempts that gave nothing


@dataclass(frozen=True, slots=True)
class GoldenState:
    """The golden set and what the live model made of it. Ratios are None until an answer came."""

    digest: str  # sha256 of the file, hex
    task: Task
    items: Mapping[str, int]  # state (asked, expired, not_yet_valid) -> number of items
    verdicts: Mapping[Verdict, int]  # answers since the exporter started
    accuracy: Estimate | None = None  # over the window
    slices: Mapping[str, Estimate] = field(default_factory=dict)
    availability: Estimate | None = None
    measures: Mapping[str, float] = field(default_factory=dict)  # name -> value, over the window
    window: int = 0  # answers in the window now; errors and timeouts are none
    window_size: int = 0  # answers that a full window has
    last_answer: float | None = None  # wall clock of the last answer (not error, not timeout)
    measured: int = 0  # answers that the measures are over


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What asking costs, and who really answers."""

    duration_counts: tuple[int, ...] = (0,) * (len(PROBE_BUCKETS) + 1)  # per bucket, +Inf last
    duration_sum: float = 0.0
    over_budget: int = 0  # probes not sent because the budget was spent
    budget_remaining: Mapping[str, int] = field(default_factory=dict)  # window (hour, day) -> left
    answered_by: tuple[str, ...] = ()  # versions seen in the window, sorted
    fallbacks: int = 0  # answers by another version than the model stage declares, since the start


@dataclass(frozen=True, slots=True)
class AttributionState:
    """What asking with repairs applied tells of who is to blame; times are wall clock."""

    attribution: Attribution
    standing: Standing  # why it is looked for; RUNNING: the case is calm again
    began: float  # when the inquiry behind it began
    ended: float | None  # when the case was calm again; None while it is not
    blamed: Mapping[str, str]  # repair -> stage that it blames
    unavailable: Mapping[str, Reason]  # repairs without an answer: their stages are not cleared
    asked: int = 0  # questions of this inquiry that were sent, whatever came
    failed: int = 0  # those of them that gave no answer
    over_budget: bool = False  # whether it waits for a budget


@dataclass(frozen=True, slots=True)
class EvidenceState:
    """How far the case against the pipeline is. A ratio is log S / log A: 1 is proof."""

    standing: Standing
    since: float  # wall clock at which it came to stand there, or at which we began to look
    floor: float  # accuracy under which the pipeline may not fall
    baseline: float | None = None  # accuracy when it was blessed
    ratios: Mapping[str, float] = field(default_factory=dict)  # floor, baseline, recovery -> [0, 1]
    slices: Mapping[str, float] = field(default_factory=dict)  # slice -> [0, 1]
    halts: int = 0  # proofs of a fall under the floor since the exporter started
    tickets: int = 0  # proofs of a fall under the baseline since then
    is_stale: bool = False  # valid probes have stopped coming, or the judge itself is wrong
    judges_right: bool = True  # the judge gives answers of known worth the right verdict


ACTION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram of times from a decision to its effect, seconds."""


@dataclass(frozen=True, slots=True)
class ActionReport:
    """How it goes on with one action; times are wall clock, None without an order."""

    name: str
    is_required: bool
    status: str | None
    halted: bool  # what is ordered
    decided_at: float | None
    effective_at: float | None  # None until its target has confirmed
    attempts: Mapping[str, int]  # result -> times
    drifts: int
    durations: tuple[int, ...]  # for each of ACTION_BUCKETS, +Inf last
    duration_sum: float  # seconds


@dataclass(frozen=True, slots=True)
class GateReport:
    """How the gate stands and what callers are told."""

    state: GateState
    rules: Rules
    answer: Answer
    transitions: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (to, cause) -> times
    checks: Mapping[str, int] = field(default_factory=dict)  # decision -> times it was told
    actions: tuple[ActionReport, ...] = ()

    @property
    def effective_at(self) -> float | None:
        """When the denial was in force wherever it must be; None: it is not, or nothing denies."""
        if self.answer.decision != "deny":
            return None
        times = [self.state.halted_at or self.state.since]
        for action in self.actions:
            if action.is_required:
                if not action.halted or action.effective_at is None:
                    return None
                times.append(action.effective_at)
        return max(times)


@dataclass(frozen=True, slots=True)
class ThresholdState:
    """A threshold in service and what another one would gain."""

    stage: str
    value: float | None = None  # as its stage publishes it
    regret: Regret | None = None  # None: too few answers, or not measured yet


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """Whether each target holds: True, False, or None where it is unknown or none is set."""

    freshness: bool | None = None
    accuracy: bool | None = None
    availability: bool | None = None
    quality: bool | None = None

    @property
    def is_bad(self) -> bool:
        """Say whether a target is known not to hold."""
        return False in (self.freshness, self.accuracy, self.availability, self.quality)


@dataclass(frozen=True, slots=True)
class SloState:
    """What is promised, by SLO, and what was counted."""

    promises: Mapping[str, Promise]
    ledger: Ledger


@dataclass(frozen=True)
class Snapshot:
    """All that is known of one pipeline at *at*."""

    pipeline: Pipeline
    at: float
    stages: Mapping[str, StageState]
    freshness: Freshness
    skews: tuple[Skew, ...]
    end_to_end: EndToEnd
    silent_failure: bool | None  # end to end is bad while every stage calls itself healthy
    golden: GoldenState | None = None
    probes: ProbeState | None = None
    evidence: EvidenceState | None = None
    attribution: AttributionState | None = None
    circumstances: tuple[Circumstance, ...] = ()  # what speaks against a stage without proof
    thresholds: tuple[ThresholdState, ...] = ()
    quality: tuple[Check, ...] = ()
    gate: GateReport | None = None
    drift: Mapping[str, Banded] = field(default_factory=dict)  # psi, ks, calibration
    slos: SloState | None = None
