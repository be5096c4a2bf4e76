"""The one table of metrics: every family that a scrape can show, in the order of the page.

A name here is public: rules, panels and runbooks are written against it. Facts are exported, PromQL
does the sums: timestamps and not ages, limits beside the values they limit, and what is unknown
is absent. The module is one long table; that is why it is longer than others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "seamwatch_"

_UNITS = ("seconds", "ratio", "bytes")

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family: a name, what it means, and how many series it may have."""

    name: str  # as in the text format, so a counter's ends in _total
    kind: Kind
    labels: tuple[str, ...]
    help: str  # one sentence without quotes, backslashes or line breaks
    cardinality: str  # how many series there are at most

    @property
    def base(self) -> str:
        """The family's name in OpenMetrics, where only the samples of a counter say _total."""
        return self.name.removesuffix("_total")

    @property
    def unit(self) -> str:
        """The base unit that the name ends in; empty for counts and states."""
        last = self.base.rpartition("_")[2]
        return last if last in _UNITS else ""


_P = ("pipeline",)
_S = ("pipeline", "pipeline_stage")
_E = ("pipeline", "upstream", "downstream")
_A = ("pipeline", "action")

_EACH_PIPELINE = "one for each pipeline"
_EACH_SLO = "one for each objective of each pipeline"
_EACH_STAGE = "one for each stage"
_EACH_SEAM = "one for each pair of stages that after or tuned_on connects"
_EACH_BOUND = "three for each pipeline with a golden set"
_EACH_GOLDEN = "one for each pipeline with a golden set"
_EACH_MODEL = "one for each pipeline with a model"
_EACH_GATE = "one for each pipeline with a gate"
_EACH_ACTION = "one for each action of each gate"
_EACH_REPAIRED = "one for each pipeline with repairs, from the first suspicion on"
_EACH_THRESHOLD = "one for each pipeline with a threshold"
_EACH_CHECK = "one for each quality check of each pipeline"


def _gauge(name: str, labels: tuple[str, ...], text: str, cardinality: str) -> Family:
    return Family(PREFIX + name, "gauge", labels, text, cardinality)


def _counter(name: str, labels: tuple[str, ...], text: str, cardinality: str) -> Family:
    return Family(f"{PREFIX}{name}_total", "counter", labels, text, cardinality)


def _histogram(name: str, labels: tuple[str, ...], text: str, cardinality: str) -> Family:
    return Family(PREFIX + name, "histogram", labels, text, cardinality)


PIPELINES: tuple[Family, ...] = (
    _gauge(
        "pipeline_info",
        (*_P, "team"),
        "A pipeline that is watched and the team that owns it; always 1",
        _EACH_PIPELINE,
    ),
    _gauge(
        "pipeline_watermark_timestamp_seconds",
        _P,
        "Event time up to which the data behind the outputs is complete, by lineage",
        _EACH_PIPELINE,
    ),
    _gauge(
        "pipeline_data_age_limit_seconds",
        _P,
        "How far the watermark of the pipeline may be behind now",
        _EACH_PIPELINE,
    ),
    _gauge(
        "pipeline_silent_failure",
        _P,
        "1 while end to end is bad although every stage calls itself healthy, else 0;"
        " absent while nothing is known of end to end",
        _EACH_PIPELINE,
    ),
    _gauge(
        "pipeline_target_met",
        (*_P, "slo"),
        "1 while the target of the SLO holds, 0 while it does not; absent while unknown",
        "at most four for each pipeline: freshness, accuracy, availability, quality",
    ),
    _gauge(
        "slo_objective_ratio",
        (*_P, "slo"),
        "Share of time that the target of the SLO is promised to hold",
        "one for each objective of each pipeline, at most five",
    ),
    _gauge(
        "slo_info",
        (*_P, "slo", "team", "page"),
        "An SLO with an objective, who answers for it, and whether its fast burn wakes somebody"
        " (page true or false); always 1",
        _EACH_SLO,
    ),
    _gauge(
        "slo_min_bad_events",
        (*_P, "slo"),
        "Bad events in the window of an alert under which nobody is woken",
        _EACH_SLO,
    ),
    _counter(
        "slo_events",
        (*_P, "slo"),
        "Slices of 30 s that were good or bad for the SLO; created at 0",
        _EACH_SLO,
    ),
    _counter(
        "slo_bad_events",
        (*_P, "slo"),
        "Slices of 30 s that were bad for the SLO; created at 0",
        _EACH_SLO,
    ),
    _counter(
        "slo_unknown_events",
        (*_P, "slo", "reason"),
        "Slices of 30 s in which it was not known whether the SLO holds, whatever they counted as:"
        " starting, stale or undecided; created at 0",
        "three for each objective of each pipeline",
    ),
    _counter(
        "slo_maintenance_events",
        (*_P, "slo"),
        "Slices of 30 s that fell into maintenance, so neither good nor bad; created at 0",
        _EACH_SLO,
    ),
    _gauge(
        "pipeline_maintenance",
        _P,
        "1 while the pipeline is in maintenance and no slice is counted as good or bad, else 0",
        _EACH_PIPELINE,
    ),
    _counter(
        "pipeline_silent_failure_seconds",
        _P,
        "Time in silent failure, in steps of 30 s; created at 0",
        _EACH_PIPELINE,
    ),
    _gauge(
        "stage_info",
        (*_S, "kind", "team"),
        "A stage, what it does and the team that runs it; always 1",
        _EACH_STAGE,
    ),
    _gauge(
        "stage_data_age_limit_seconds",
        _S,
        "How far the effective watermark of the stage may be behind now",
        _EACH_STAGE,
    ),
    _gauge(
        "stage_read_success",
        _S,
        "1 if the last reading of the stage gave an observation, else 0;"
        " absent before the first and for stages without a source",
        _EACH_STAGE,
    ),
    _gauge(
        "stage_last_read_timestamp_seconds",
        _S,
        "When the stage was last read with success; it stays while readings fail",
        _EACH_STAGE,
    ),
    _gauge(
        "stage_read_duration_seconds",
        _S,
        "How long the last reading of the stage took, whether it succeeded or not",
        _EACH_STAGE,
    ),
    _counter(
        "stage_reads",
        _S,
        "Attempts to read the stage; created at 0",
        _EACH_STAGE,
    ),
    _counter(
        "stage_read_failures",
        (*_S, "reason"),
        "Attempts to read the stage that gave nothing, by reason;"
        " a reason appears once it has happened, stage_reads_total is there from the start",
        "one for each stage and reason that it has failed for; the reasons are a fixed list",
    ),
    _gauge(
        "stage_healthy",
        _S,
        "What the stage says of itself: 1 healthy, 0 not; absent if it makes no claim",
        _EACH_STAGE,
    ),
    _gauge(
        "stage_version_info",
        (*_S, "version"),
        "The version that the stage serves now; always 1",
        "one for each stage: the old version goes when the new one comes",
    ),
    _gauge(
        "stage_watermark_timestamp_seconds",
        _S,
        "Event time up to which the output of the stage is complete, as the stage reports it",
        _EACH_STAGE,
    ),
    _gauge(
        "stage_effective_watermark_timestamp_seconds",
        _S,
        "Event time up to which the data behind the output of the stage is complete, by lineage:"
        " no newer than what it was built from",
        _EACH_STAGE,
    ),
    _gauge(
        "stage_updated_timestamp_seconds",
        _S,
        "When the job of the stage last ran; says nothing of the age of its data",
        _EACH_STAGE,
    ),
    _gauge("stage_rows", _S, "Rows, documents or keys that the stage holds", _EACH_STAGE),
    _gauge(
        "seam_info",
        (*_E, "upstream_team", "downstream_team"),
        "An edge between two stages and the teams on its sides; always 1",
        "one for each after edge",
    ),
    _gauge(
        "seam_lag_seconds",
        _E,
        "Freshness lost over the seam: effective watermark upstream minus downstream, 0 or more",
        "one for each after edge",
    ),
    _gauge(
        "seam_bottleneck",
        _E,
        "1 for the seam that costs the pipeline most freshness, 0 for others whose lag is known",
        "one for each after edge",
    ),
    _gauge(
        "seam_version_skew",
        _E,
        "1 while downstream was built from another version than upstream serves now, else 0",
        _EACH_SEAM,
    ),
    _gauge(
        "seam_tuning_skew",
        _E,
        "1 while downstream was tuned on another version than upstream serves now, else 0",
        _EACH_SEAM,
    ),
    _gauge(
        "seam_skew_since_timestamp_seconds",
        _E,
        "When upstream left the version that downstream stands on; absent without skew",
        _EACH_SEAM,
    ),
    _gauge(
        "seam_versions_behind",
        _E,
        "Versions that upstream has published since the one that downstream stands on",
        _EACH_SEAM,
    ),
    _gauge(
        "golden_info",
        (*_P, "digest", "task"),
        "The golden set in use, by the sha256 of its file; always 1",
        _EACH_GOLDEN,
    ),
    _gauge(
        "golden_items",
        (*_P, "state"),
        "Items of the golden set: asked, expired or not_yet_valid",
        _EACH_BOUND,
    ),
    _gauge(
        "golden_last_answer_timestamp_seconds",
        _P,
        "When the live model last answered an item; errors and timeouts are no answers",
        _EACH_GOLDEN,
    ),
    _counter(
        "golden_answers",
        (*_P, "verdict"),
        "Items asked, by the verdict on the answer; all verdicts are created at 0",
        "seven for each pipeline with a golden set",
    ),
    _gauge(
        "golden_window_answers",
        _P,
        "Answers in the window that the accuracy is taken over; errors and timeouts are none",
        _EACH_GOLDEN,
    ),
    _gauge(
        "golden_window_limit_answers",
        _P,
        "Answers that a full window has",
        _EACH_GOLDEN,
    ),
    _gauge(
        "golden_accuracy_ratio",
        (*_P, "bound"),
        "Share of answers in the window that are correct: estimate and 95 % interval",
        _EACH_BOUND,
    ),
    _gauge(
        "golden_accuracy_target_ratio",
        _P,
        "Accuracy that the pipeline must reach",
        "one for each pipeline with an accuracy target",
    ),
    _gauge(
        "golden_availability_ratio",
        (*_P, "bound"),
        "Share of items asked that the model answered at all: estimate and 95 % interval",
        _EACH_BOUND,
    ),
    _gauge(
        "golden_availability_target_ratio",
        _P,
        "Availability that the pipeline must reach",
        "one for each pipeline with an availability target",
    ),
    _gauge(
        "golden_availability_items",
        _P,
        "Items asked that the availability is taken over",
        _EACH_GOLDEN,
    ),
    _gauge(
        "golden_measure_answers",
        _P,
        "Answers that the measures are taken over: those of the window that came since the start",
        _EACH_GOLDEN,
    ),
    _gauge(
        "golden_measure",
        (*_P, "measure"),
        "A measure of the task over the window, in the unit of the measure;"
        " absent where the answers do not decide it",
        "one for each measure of the task, about ten for each pipeline with a golden set",
    ),
    _histogram(
        "probe_duration_seconds",
        _P,
        "Time from request to parsed answer of the live model",
        "thirteen for each pipeline with a model: ten buckets, +Inf, count and sum",
    ),
    _gauge(
        "probe_budget_remaining",
        (*_P, "window"),
        "Probes that may still be sent in this window: hour or day",
        "at most two for each pipeline with a model",
    ),
    _counter(
        "probe_over_budget",
        _P,
        "Probes not sent because the budget was spent; created at 0",
        _EACH_MODEL,
    ),
    _gauge(
        "probe_answered_by_info",
        (*_P, "version"),
        "A version that really answered in the window; always 1",
        "one for each version that answered in the window, usually one for each pipeline",
    ),
    _counter(
        "probe_fallback_answers",
        _P,
        "Answers by another version than the model stage says it serves; created at 0",
        _EACH_MODEL,
    ),
    _gauge(
        "golden_accuracy_floor_ratio",
        _P,
        "Accuracy under which the evidence is for a halt, as configured or 4 points under the"
        " baseline",
        _EACH_GATE,
    ),
    _gauge(
        "golden_accuracy_baseline_ratio",
        _P,
        "Accuracy when the golden set was blessed; absent without a blessing of this very set",
        "one for each pipeline with a gate and a blessing",
    ),
    _gauge(
        "evidence_ratio",
        (*_P, "detector"),
        "How far the evidence is on the way to proof, log S / log A: of a fall under the floor"
        " (halt), under the baseline (ticket), or of a recovery while halted",
        "at most three for each pipeline with a gate",
    ),
    _gauge(
        "evidence_standing",
        (*_P, "standing"),
        "1 for how the evidence stands, 0 for the others: running, suspect, halted, recovering",
        "four for each pipeline with a gate",
    ),
    _gauge(
        "evidence_since_timestamp_seconds",
        _P,
        "When the evidence came to stand as it does, or when the exporter began to look",
        _EACH_GATE,
    ),
    _gauge(
        "evidence_stale",
        _P,
        "1 while valid probes do not come any more or the judge itself is wrong, else 0:"
        " then the evidence says nothing of now",
        _EACH_GATE,
    ),
    _counter(
        "evidence_halts",
        _P,
        "Proofs of a fall under the floor; created at 0",
        _EACH_GATE,
    ),
    _counter(
        "evidence_tickets",
        _P,
        "Proofs of a fall under the baseline, however small; created at 0",
        _EACH_GATE,
    ),
    _gauge(
        "scorer_canary_success",
        _P,
        "1 if answers of known worth got the right verdict in this pass, else 0",
        _EACH_GATE,
    ),
    _gauge(
        "gate_state",
        (*_P, "state"),
        "1 for the state of the gate, 0 for the others: starting, running, suspect, halted,"
        " recovering",
        "five for each pipeline with a gate",
    ),
    _gauge(
        "gate_mode",
        (*_P, "mode"),
        "1 for the mode of the gate, 0 for the others: off, shadow, enforce",
        "three for each pipeline with a gate",
    ),
    _gauge(
        "gate_denies",
        _P,
        "1 while callers are told to stop, else 0",
        _EACH_GATE,
    ),
    _gauge(
        "gate_would_deny",
        _P,
        "1 while callers are told to stop, or would be in mode enforce, else 0",
        _EACH_GATE,
    ),
    _gauge(
        "gate_stale",
        _P,
        "1 while the gate knows nothing of now, else 0: then on_unknown says what callers are told",
        _EACH_GATE,
    ),
    _gauge(
        "gate_generation",
        _P,
        "How often the state or the override of the gate has changed",
        _EACH_GATE,
    ),
    _gauge(
        "gate_since_timestamp_seconds",
        _P,
        "When the gate came to its state",
        _EACH_GATE,
    ),
    _gauge(
        "gate_cause",
        (*_P, "cause"),
        "1 for each kind of cause that halts the gate: evidence, data_age, person, alert",
        "at most four for each pipeline with a gate",
    ),
    _gauge(
        "gate_override_expires_timestamp_seconds",
        (*_P, "kind"),
        "When the override of the gate expires: force_halt or force_open; absent without one",
        "at most one for each pipeline with a gate",
    ),
    _counter(
        "gate_transitions",
        (*_P, "to", "cause"),
        "Changes of the gate that this process has seen, by the state it came to and the cause",
        "at most a few dozen for each pipeline with a gate",
    ),
    _counter(
        "gate_checks",
        (*_P, "decision"),
        "How often callers asked the gate and were told to go on (allow) or to stop (deny)",
        "two for each pipeline with a gate",
    ),
    _gauge(
        "gate_effective_timestamp_seconds",
        _P,
        "When the gate's denial was in force: confirmed by all required actions; absent until then",
        _EACH_GATE,
    ),
    _gauge(
        "action_required",
        _A,
        "1 where a halt is effective only once this action confirms it, else 0",
        _EACH_ACTION,
    ),
    _gauge(
        "action_halted",
        _A,
        "1 while the action is ordered to halt its target, else 0",
        _EACH_ACTION,
    ),
    _gauge(
        "action_state",
        (*_A, "state"),
        "1 for how the last order of the action stands, 0 for the others: pending, effective,"
        " refused (tried on slowly), yielded (somebody lets it run), dry_run; absent without one",
        "five for each action of each gate",
    ),
    _gauge(
        "action_decided_timestamp_seconds",
        _A,
        "When the last order of the action was decided",
        _EACH_ACTION,
    ),
    _gauge(
        "action_effective_timestamp_seconds",
        _A,
        "When the target confirmed the last order of the action; absent until it does",
        _EACH_ACTION,
    ),
    _counter(
        "action_attempts",
        (*_A, "result"),
        "Attempts of the action by result: delivered, failed, refused",
        "three for each action of each gate",
    ),
    _counter(
        "action_drifts",
        _A,
        "How often somebody let run what the action had halted",
        _EACH_ACTION,
    ),
    _histogram(
        "action_effective_seconds",
        _A,
        "Time from a decision until the target of the action confirmed it",
        "one for each action of each gate, of 12 buckets",
    ),
    _gauge(
        "suspect_loss_ratio",
        (*_P, "suspect", "team", "bound"),
        "Accuracy that repairing the suspect wins back (Shapley share), in points as a ratio:"
        " estimate and 95 % interval",
        "three for each repair of each pipeline, from the first suspicion on",
    ),
    _gauge(
        "suspect_top",
        (*_P, "suspect", "team"),
        "1 for the suspect with the largest share; for several where the questions do not decide"
        " between them",
        "at most one for each repair",
    ),
    _gauge(
        "suspect_interaction_ratio",
        (*_P, "suspect", "other"),
        "Accuracy that two repairs win back together beyond what each wins back alone",
        "one for each pair of repairs",
    ),
    _gauge(
        "attribution_outcome",
        (*_P, "outcome"),
        "1 for how far the attribution is, 0 for the others: open, decided, undecided, unexplained",
        "four for each pipeline with repairs, from the first suspicion on",
    ),
    _gauge(
        "attribution_unexplained_ratio",
        (*_P, "bound"),
        "Accuracy lost that no repair wins back: estimate and 95 % interval",
        "three for each pipeline with repairs, from the first suspicion on",
    ),
    _gauge(
        "attribution_began_timestamp_seconds",
        _P,
        "When asking with repairs began",
        _EACH_REPAIRED,
    ),
    _gauge(
        "attribution_ended_timestamp_seconds",
        _P,
        "When it ended; absent while it goes on",
        _EACH_REPAIRED,
    ),
    _gauge(
        "attribution_questions",
        _P,
        "Questions that the attribution has asked, beside the probes",
        _EACH_REPAIRED,
    ),
    _gauge(
        "attribution_unavailable",
        (*_P, "suspect", "team", "reason"),
        "1 for a suspect whose repair cannot be asked: nothing clears it",
        "at most one for each repair",
    ),
    _gauge(
        "suspect_circumstantial",
        (*_P, "suspect", "team", "reason"),
        "1 for what the metadata hold against a stage while end to end is bad: no proof",
        "a few for each pipeline while it is bad, at most one for each stage and reason",
    ),
    _gauge(
        "threshold_value",
        _S,
        "The threshold in service, as its stage publishes it",
        _EACH_THRESHOLD,
    ),
    _gauge(
        "threshold_best_value",
        _S,
        "The threshold that would be best for the answers of the window",
        _EACH_THRESHOLD,
    ),
    _gauge(
        "threshold_regret_ratio",
        (*_S, "bound"),
        "What the best threshold would gain over the one in service: estimate corrected for"
        " optimism, and a cross-fitted lower 95 % bound; act on the bound",
        "two for each pipeline with a threshold",
    ),
    _gauge(
        "threshold_regret_items",
        _S,
        "Items that the regret is taken over",
        _EACH_THRESHOLD,
    ),
    _gauge(
        "quality_ratio",
        (*_P, "check", "bound"),
        "Share of golden answers that pass the check, or what its query gives: estimate and, for"
        " answers, 95 % interval",
        "at most three for each quality check of each pipeline",
    ),
    _gauge(
        "quality_target_ratio",
        (*_P, "check", "limit"),
        "What the check must reach (at_least) or keep under (at_most)",
        _EACH_CHECK,
    ),
    _gauge("quality_answers", (*_P, "check"), "Answers that the check is over", _EACH_CHECK),
    _gauge(
        "quality_met",
        (*_P, "check"),
        "1 while the target of the check holds, 0 while it does not; absent while undecided",
        _EACH_CHECK,
    ),
    _gauge(
        "score_drift",
        (*_P, "measure", "bound"),
        "How far the scores of the model are from those when it was blessed (psi, ks) and from"
        " how often it is right (calibration), beside what chance alone reaches in 1 of 100",
        "at most six for each pipeline; absent where there are too few answers",
    ),
    _gauge(
        "score_drift_answers",
        (*_P, "measure"),
        "Answers that the drift is taken over",
        "at most three for each pipeline",
    ),
    _gauge(
        "golden_slice_answers",
        (*_P, "slice"),
        "Answers of the slice in the window",
        "one for each slice of the golden set",
    ),
    _gauge(
        "golden_slice_accuracy_ratio",
        (*_P, "slice", "bound"),
        "Share of answers of the slice in the window that are correct: estimate and 95 % interval",
        "three for each slice of the golden set",
    ),
    _gauge(
        "evidence_slice_ratio",
        (*_P, "slice"),
        "How far the evidence of the slice alone is on the way to proof",
        "one for each slice of the golden set, for pipelines with a gate",
    ),
    _gauge(
        "pipeline_dropped_series",
        _P,
        "Series of the pipeline left out because it has more than one pipeline may have",
        _EACH_PIPELINE,
    ),
)
"""What the snapshots fill; the order is that of the page, and what is dropped first comes last."""

OWN: tuple[Family, ...] = (
    _gauge("build_info", ("version", "python"), "The running exporter; always 1", "one"),
    _gauge("pipelines", (), "Pipelines that the exporter watches", "one"),
    _gauge(
        "config_last_reload_successful",
        (),
        "1 if the last reading of the configuration succeeded; 0: the one before is still in use",
        "one",
    ),
    _gauge(
        "config_last_reload_success_timestamp_seconds",
        (),
        "When the configuration in use was read",
        "one",
    ),
    _gauge(
        "loop_lag_seconds",
        (),
        "Longest that the event loop of the exporter came late in the last minute",
        "one",
    ),
    _gauge(
        "scrape_duration_seconds",
        (),
        "How long the scrape before this one took, until its last byte was handed to the network",
        "one",
    ),
    _gauge("exposition_series", (), "Series of all pipelines on the page", "one"),
    _gauge("exposition_bytes", (), "Size of all pipelines on the page, uncompressed", "one"),
    _counter(
        "exposition_failures",
        (),
        "Snapshots that could not be rendered: a defect of the exporter; created at 0",
        "one",
    ),
    _gauge(
        "leads",
        (),
        "1 while this process watches, 0 while another one on the same store does",
        "one",
    ),
    _gauge(
        "gates_common_cause",
        (),
        "1 when more than gates.max_halted_at_once halted in a minute: one thing is behind them",
        "one",
    ),
    _gauge(
        "audit_head_info",
        ("sequence", "digest"),
        "1; number and SHA-256 of the last row of the audit, an anchor of its chain",
        "one",
    ),
    _gauge("store_pending_writes", (), "Writes that wait for the store", "one"),
    _counter(
        "store_failures",
        ("reason",),
        "Writes that the store refused, by reason; they are tried again",
        "one for each reason that has happened; the reasons are a fixed list",
    ),
    _counter(
        "store_dropped_writes",
        (),
        "Writes given up because too many waited for the store; created at 0",
        "one",
    ),
    _gauge(
        "store_last_success_timestamp_seconds",
        (),
        "When something was last written to the store",
        "one",
    ),
)
"""What the exporter says of itself; ``process_*`` of prometheus-client comes after it."""

FAMILIES: tuple[Family, ...] = PIPELINES + OWN
