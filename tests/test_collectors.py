"""What a snapshot says on the page: facts only, and nothing that is no longer known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from seamwatch.attribution import Attribution, Cause, Circumstance, Outcome, Phase, Share
from seamwatch.catalogue import OWN, PIPELINES
from seamwatch.collectors import samples
from seamwatch.collectors.own import GateFacts, OwnMetrics, StoreHealth
from seamwatch.collectors.sample import Distribution
from seamwatch.errors import Reason
from seamwatch.evidence import Standing
from seamwatch.exposition.text import Renderer
from seamwatch.freshness import Freshness
from seamwatch.gate import (
    Answer,
    Base,
    CauseKind,
    GateState,
    Kind,
    Mode,
    Override,
    Rules,
)
from seamwatch.gate import (
    Cause as GateCause,
)
from seamwatch.pipeline import (
    Estimate,
    Failure,
    Observation,
    Pipeline,
    Reading,
    Stage,
    StageKind,
    Targets,
    Task,
    Verdict,
)
from seamwatch.quality import Banded, Check
from seamwatch.skew import Skew
from seamwatch.slo import Promise, begin
from seamwatch.snapshot import (
    ActionReport,
    AttributionState,
    EndToEnd,
    EvidenceState,
    GateReport,
    GoldenState,
    ProbeState,
    SloState,
    Snapshot,
    StageState,
    ThresholdState,
)
from seamwatch.threshold import Regret

EMBED = Stage("embed", "ml", StageKind.EMBEDDING, data_age=900.0)
INDEX = Stage("index", "data", StageKind.INDEX, after=("embed",), tuned_on=("embed",))
PIPELINE = Pipeline("rag", "platform", (EMBED, INDEX))
SEAM = PIPELINE.seams[0]
UNKNOWN = Freshness({"embed": None, "index": None}, None, {SEAM: None}, None)
STAGE = 'pipeline="rag",pipeline_stage="embed"'
EDGE = 'downstream="index",pipeline="rag",upstream="embed"'


def world(
    *,
    pipeline: Pipeline = PIPELINE,
    stages: dict[str, StageState] | None = None,
    freshness: Freshness = UNKNOWN,
    skews: tuple[Skew, ...] = (),
    end_to_end: EndToEnd = EndToEnd(),  # noqa: B008 a frozen value
    silent: bool | None = None,
    golden: GoldenState | None = None,
    probes: ProbeState | None = None,
) -> Snapshot:
    return Snapshot(
        pipeline, 2000.0, stages or {}, freshness, skews, end_to_end, silent, golden, probes
    )


def lines(snapshot: Snapshot, part: str = "") -> list[str]:
    """Return the page's lines for one snapshot whose names begin with seamwatch_ and *part*."""
    rendered = Renderer(PIPELINES).render(samples(snapshot), limit=1000)
    text = b"".join(rendered.chunks).decode()
    return [
        line.removeprefix("seamwatch_")
        for line in text.splitlines()
        if line.startswith("seamwatch_" + part)
    ]


def read(observation: Observation | None, failure: Reason | None = None) -> Reading:
    return Reading(1500.0, 0.25, observation, Failure(failure, "no") if failure else None)


def test_a_pipeline_of_which_nothing_is_known_yet_shows_only_what_the_configuration_says() -> None:
    assert lines(world()) == [
        'pipeline_info{pipeline="rag",team="platform"} 1.0',
        f'stage_info{{kind="embedding",{STAGE},team="ml"}} 1.0',
        'stage_info{kind="index",pipeline="rag",pipeline_stage="index",team="data"} 1.0',
        f"stage_data_age_limit_seconds{{{STAGE}}} 900.0",
        f"stage_reads_total{{{STAGE}}} 0.0",
        'stage_reads_total{pipeline="rag",pipeline_stage="index"} 0.0',
        'seam_info{downstream="index",downstream_team="data",pipeline="rag",upstream="embed",'
        'upstream_team="ml"} 1.0',
    ]


def test_a_reading_shows_all_that_the_stage_said_and_both_of_its_times() -> None:
    said = Observation(True, "minilm-2", watermark=900.5, updated_at=1400.0, rows=12034.0)
    fresh = replace(UNKNOWN, effective={"embed": 800.25, "index": None})
    snapshot = world(stages={"embed": StageState(read(said), 1500.0, 3)}, freshness=fresh)
    assert [line for line in lines(snapshot, "stage") if '"embed"' in line] == [
        f'stage_info{{kind="embedding",{STAGE},team="ml"}} 1.0',
        f"stage_data_age_limit_seconds{{{STAGE}}} 900.0",
        f"stage_read_success{{{STAGE}}} 1.0",
        f"stage_last_read_timestamp_seconds{{{STAGE}}} 1500.0",
        f"stage_read_duration_seconds{{{STAGE}}} 0.25",
        f"stage_reads_total{{{STAGE}}} 3.0",
        f"stage_healthy{{{STAGE}}} 1.0",
        f'stage_version_info{{{STAGE},version="minilm-2"}} 1.0',
        f"stage_watermark_timestamp_seconds{{{STAGE}}} 900.5",
        f"stage_effective_watermark_timestamp_seconds{{{STAGE}}} 800.25",
        f"stage_updated_timestamp_seconds{{{STAGE}}} 1400.0",
        f"stage_rows{{{STAGE}}} 12034.0",
    ]


def test_a_stage_whose_last_reading_failed_withdraws_all_that_it_said() -> None:
    failed = StageState(read(None, Reason.TIMEOUT), 1200.0, 4, {Reason.TIMEOUT: 1})
    still_derived = replace(UNKNOWN, effective={"embed": 800.0, "index": None})
    snapshot = world(stages={"embed": failed}, freshness=still_derived)
    assert [line for line in lines(snapshot, "stage") if '"embed"' in line] == [
        f'stage_info{{kind="embedding",{STAGE},team="ml"}} 1.0',
        f"stage_data_age_limit_seconds{{{STAGE}}} 900.0",
        f"stage_read_success{{{STAGE}}} 0.0",
        f"stage_last_read_timestamp_seconds{{{STAGE}}} 1200.0",
        f"stage_read_duration_seconds{{{STAGE}}} 0.25",
        f"stage_reads_total{{{STAGE}}} 4.0",
        f'stage_read_failures_total{{{STAGE},reason="timeout"}} 1.0',
    ]


@pytest.mark.parametrize(
    ("healthy", "expected"), [(True, ["1.0"]), (False, ["0.0"]), (None, [])], ids=str
)
def test_a_stage_that_makes_no_claim_about_its_health_is_not_called_healthy(
    healthy: bool | None, expected: list[str]
) -> None:
    said = Observation(healthy, "v1")
    found = lines(world(stages={"embed": StageState(read(said), 1500.0, 1)}), "stage_healthy")
    assert [line.rpartition(" ")[2] for line in found] == expected


def test_seams_show_lag_bottleneck_and_skew_where_they_are_known() -> None:
    fresh = replace(UNKNOWN, lags={SEAM: 43200.0}, bottleneck=SEAM)
    skew = Skew("embed", "index", version=False, tuning=True, since=700.0, versions_behind=2)
    assert lines(world(freshness=fresh, skews=(skew,)), "seam")[1:] == [
        f"seam_lag_seconds{{{EDGE}}} 43200.0",
        f"seam_bottleneck{{{EDGE}}} 1.0",
        f"seam_version_skew{{{EDGE}}} 0.0",
        f"seam_tuning_skew{{{EDGE}}} 1.0",
        f"seam_skew_since_timestamp_seconds{{{EDGE}}} 700.0",
        f"seam_versions_behind{{{EDGE}}} 2.0",
    ]


def test_unknown_skew_is_absent() -> None:
    assert lines(world(skews=(Skew("embed", "index", None, None),)), "seam")[1:] == []


def test_silent_failure_and_targets_stand_beside_their_limits() -> None:
    pipeline = replace(PIPELINE, targets=Targets(3600.0, 0.92, objectives={"accuracy": 0.99}))
    snapshot = world(
        pipeline=pipeline, end_to_end=EndToEnd(accuracy=False, freshness=True), silent=True
    )
    assert lines(snapshot, "pipeline") + lines(snapshot, "slo") + lines(snapshot, "golden") == [
        'pipeline_info{pipeline="rag",team="platform"} 1.0',
        'pipeline_data_age_limit_seconds{pipeline="rag"} 3600.0',
        'pipeline_silent_failure{pipeline="rag"} 1.0',
        'pipeline_target_met{pipeline="rag",slo="freshness"} 1.0',
        'pipeline_target_met{pipeline="rag",slo="accuracy"} 0.0',
        'slo_objective_ratio{pipeline="rag",slo="accuracy"} 0.99',
        'golden_accuracy_target_ratio{pipeline="rag"} 0.92',
    ]


def test_a_golden_set_that_nobody_answered_yet_has_every_verdict_at_zero_and_no_ratio() -> None:
    golden = GoldenState("ab12", Task.TEXT, {"asked": 9, "expired": 1}, {}, window_size=9)
    assert lines(world(golden=golden), "golden") == [
        'golden_info{digest="ab12",pipeline="rag",task="text"} 1.0',
        'golden_items{pipeline="rag",state="asked"} 9.0',
        'golden_items{pipeline="rag",state="expired"} 1.0',
        *(f'golden_answers_total{{pipeline="rag",verdict="{verdict}"}} 0.0' for verdict in Verdict),
        'golden_window_answers{pipeline="rag"} 0.0',
        'golden_window_limit_answers{pipeline="rag"} 9.0',
    ]


def test_every_ratio_comes_with_its_interval_and_number_and_nan_is_absent() -> None:
    golden = GoldenState(
        "ab12",
        Task.MULTICLASS,
        {},
        {Verdict.STALE: 3},
        accuracy=Estimate(0.7, 0.6, 0.8, 100),
        slices={"bill": Estimate(0.5, 0.1, 0.9, 4)},
        availability=Estimate(1.0, 0.9, 1.0, 103),
        measures={"f1_macro": 0.66, "recall": float("nan")},
        measured=91,
        window=100,
        window_size=100,
        last_answer=1900.0,
    )
    found = lines(world(golden=golden), "golden")
    assert 'golden_answers_total{pipeline="rag",verdict="stale"} 3.0' in found
    assert found[1] == 'golden_last_answer_timestamp_seconds{pipeline="rag"} 1900.0'
    assert found[9:] == [
        'golden_window_answers{pipeline="rag"} 100.0',
        'golden_window_limit_answers{pipeline="rag"} 100.0',
        'golden_accuracy_ratio{bound="estimate",pipeline="rag"} 0.7',
        'golden_accuracy_ratio{bound="lower",pipeline="rag"} 0.6',
        'golden_accuracy_ratio{bound="upper",pipeline="rag"} 0.8',
        'golden_availability_ratio{bound="estimate",pipeline="rag"} 1.0',
        'golden_availability_ratio{bound="lower",pipeline="rag"} 0.9',
        'golden_availability_ratio{bound="upper",pipeline="rag"} 1.0',
        'golden_availability_items{pipeline="rag"} 103.0',
        'golden_measure_answers{pipeline="rag"} 91.0',
        'golden_measure{measure="f1_macro",pipeline="rag"} 0.66',
        'golden_slice_answers{pipeline="rag",slice="bill"} 4.0',
        'golden_slice_accuracy_ratio{bound="estimate",pipeline="rag",slice="bill"} 0.5',
        'golden_slice_accuracy_ratio{bound="lower",pipeline="rag",slice="bill"} 0.1',
        'golden_slice_accuracy_ratio{bound="upper",pipeline="rag",slice="bill"} 0.9',
    ]


def test_probes_show_cost_budget_and_who_answered() -> None:
    counts = (1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4)
    found = lines(world(probes=ProbeState(counts, 31.5, 2, {"hour": 7}, ("a", "b"), 5)), "probe")
    assert found == [
        'probe_duration_seconds_bucket{le="0.01",pipeline="rag"} 1.0',
        *(
            f'probe_duration_seconds_bucket{{le="{bound}",pipeline="rag"}} 3.0'
            for bound in (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
        ),
        'probe_duration_seconds_bucket{le="+Inf",pipeline="rag"} 7.0',
        'probe_duration_seconds_count{pipeline="rag"} 7.0',
        'probe_duration_seconds_sum{pipeline="rag"} 31.5',
        'probe_budget_remaining{pipeline="rag",window="hour"} 7.0',
        'probe_over_budget_total{pipeline="rag"} 2.0',
        'probe_answered_by_info{pipeline="rag",version="a"} 1.0',
        'probe_answered_by_info{pipeline="rag",version="b"} 1.0',
        'probe_fallback_answers_total{pipeline="rag"} 5.0',
    ]


def test_slices_come_last_so_that_they_are_what_a_series_limit_cuts() -> None:
    golden = GoldenState("d", Task.TEXT, {}, {}, slices={"s": Estimate(1.0, 0.9, 1.0, 3)})
    names = [name for name, _, _ in samples(world(golden=golden, probes=ProbeState()))]
    assert [name for name in names if "slice" in name] == names[-4:]


def test_every_family_of_the_table_is_filled_and_every_sample_fits_its_family() -> None:
    everything = full()
    table = {family.name: family for family in PIPELINES}
    seen = set()
    for name, labels, value in samples(everything):
        assert len(labels) == len(table[name].labels), name
        assert isinstance(value, Distribution) == (table[name].kind == "histogram")
        seen.add(name)
    assert set(table) - seen == {"seamwatch_pipeline_dropped_series"}  # the store's own


def full() -> Snapshot:
    """Return a snapshot that knows something for every family."""
    said = Observation(True, "v1", 900.0, 1000.0, rows=1.0)
    ratio = Estimate(0.9, 0.8, 1.0, 10)
    share = Share(0.1, 0.05, 0.15)
    found = Attribution(
        Phase.DONE,
        Outcome.DECIDED,
        top="other-encoder",
        shares={"other-encoder": share},
        unexplained=share,
        interactions={("other-encoder", "no-index"): share},
    )
    known = world(
        pipeline=replace(PIPELINE, targets=Targets(60.0, 0.9, 0.99, 0.97, {"accuracy": 0.99})),
        stages={"embed": StageState(read(said), 1.0, 2, {Reason.DNS: 1})},
        freshness=Freshness({"embed": 5.0, "index": 4.0}, 4.0, {SEAM: 1.0}, SEAM),
        skews=(Skew("embed", "index", True, False, 1.0, 1),),
        end_to_end=EndToEnd(True, False, None, True),
        silent=False,
        golden=GoldenState(
            "d", Task.TEXT, {"asked": 1}, {}, ratio, {"s": ratio}, ratio, {"exact": 1.0}, 1, 1, 1.0
        ),
        probes=ProbeState(budget_remaining={"hour": 1}, answered_by=("v1",)),
    )
    return replace(
        known,
        slos=SloState({"accuracy": Promise(0.99)}, begin(["accuracy"])),
        evidence=EvidenceState(
            Standing.SUSPECT, 1.0, 0.9, 0.94, {"floor": 0.5}, {"s": 0.1}, 1, 2, False, True
        ),
        gate=GateReport(
            GateState(
                Mode.ENFORCE,
                1.0,
                Base.HALTED,
                4,
                {"evidence": GateCause(CauseKind.EVIDENCE, 1.0, "seamwatch", "under the floor")},
                override=Override(Kind.FORCE_OPEN, "ana", "why", 1.0, 2.0),
            ),
            Rules(Mode.ENFORCE),
            Answer("deny", "halted", "why", "evidence", 4, True, Kind.FORCE_OPEN),
            {("halted", "evidence"): 1},
            {"deny": 17},
            (ActionReport("dag", True, "effective", True, 1.0, 2.0, {}, 0, (0,) * 12, 0.0),),
        ),
        attribution=AttributionState(
            found,
            Standing.SUSPECT,
            1.0,
            2.0,
            {"other-encoder": "embed", "no-index": "index"},
            {"no-index": Reason.DNS},
            100,
        ),
        circumstances=(Circumstance("index", "data", Cause.VERSION_SKEW),),
        thresholds=(ThresholdState("index", 0.6, Regret(0.1, 0.05, 0.12, 0.3, 669, 0.6)),),
        quality=(
            Check("refusal", 0.1, 40, 0.05, 0.2, None, 0.02, False),
            Check("clicks", 0.5, at_least=0.4, holds=True),
        ),
        drift={"psi": Banded(0.3, 0.02, 0.05, 300)},
    )


def test_evidence_and_blame_are_shown_with_their_limits_and_intervals() -> None:
    p = 'pipeline="rag"'
    who = f'{p},suspect="embed",team="ml"'
    assert lines(full(), "evidence") + lines(full(), "suspect") + lines(full(), "attribution") == [
        f'evidence_ratio{{detector="floor",{p}}} 0.5',
        f'evidence_standing{{{p},standing="running"}} 0.0',
        f'evidence_standing{{{p},standing="suspect"}} 1.0',
        f'evidence_standing{{{p},standing="halted"}} 0.0',
        f'evidence_standing{{{p},standing="recovering"}} 0.0',
        f"evidence_since_timestamp_seconds{{{p}}} 1.0",
        f"evidence_stale{{{p}}} 0.0",
        f"evidence_halts_total{{{p}}} 1.0",
        f"evidence_tickets_total{{{p}}} 2.0",
        f'evidence_slice_ratio{{{p},slice="s"}} 0.1',
        f'suspect_loss_ratio{{bound="estimate",{who}}} 0.1',
        f'suspect_loss_ratio{{bound="lower",{who}}} 0.05',
        f'suspect_loss_ratio{{bound="upper",{who}}} 0.15',
        f"suspect_top{{{who}}} 1.0",
        f'suspect_interaction_ratio{{other="index",{p},suspect="embed"}} 0.1',
        f'suspect_circumstantial{{{p},reason="version_skew",suspect="index",team="data"}} 1.0',
        f'attribution_outcome{{outcome="open",{p}}} 0.0',
        f'attribution_outcome{{outcome="decided",{p}}} 1.0',
        f'attribution_outcome{{outcome="undecided",{p}}} 0.0',
        f'attribution_outcome{{outcome="unexplained",{p}}} 0.0',
        f'attribution_unexplained_ratio{{bound="estimate",{p}}} 0.1',
        f'attribution_unexplained_ratio{{bound="lower",{p}}} 0.05',
        f'attribution_unexplained_ratio{{bound="upper",{p}}} 0.15',
        f"attribution_began_timestamp_seconds{{{p}}} 1.0",
        f"attribution_ended_timestamp_seconds{{{p}}} 2.0",
        f"attribution_questions{{{p}}} 100.0",
        f'attribution_unavailable{{{p},reason="dns",suspect="index",team="data"}} 1.0',
    ]


def test_quality_and_thresholds_stand_beside_what_they_must_keep_to() -> None:
    p, s = 'pipeline="rag"', 'pipeline="rag",pipeline_stage="index"'
    found = lines(full(), "quality") + lines(full(), "threshold") + lines(full(), "score_drift")
    assert found == [
        f'quality_ratio{{bound="estimate",check="refusal",{p}}} 0.1',
        f'quality_ratio{{bound="lower",check="refusal",{p}}} 0.05',
        f'quality_ratio{{bound="upper",check="refusal",{p}}} 0.2',
        f'quality_ratio{{bound="estimate",check="clicks",{p}}} 0.5',
        f'quality_target_ratio{{check="refusal",limit="at_most",{p}}} 0.02',
        f'quality_target_ratio{{check="clicks",limit="at_least",{p}}} 0.4',
        f'quality_answers{{check="refusal",{p}}} 40.0',
        f'quality_met{{check="refusal",{p}}} 0.0',
        f'quality_met{{check="clicks",{p}}} 1.0',
        f"threshold_value{{{s}}} 0.6",
        f"threshold_best_value{{{s}}} 0.3",
        f'threshold_regret_ratio{{bound="estimate",{s}}} 0.1',
        f'threshold_regret_ratio{{bound="lower",{s}}} 0.05',
        f"threshold_regret_items{{{s}}} 669.0",
        f'score_drift{{bound="estimate",measure="psi",{p}}} 0.3',
        f'score_drift{{bound="limit",measure="psi",{p}}} 0.05',
        f'score_drift_answers{{measure="psi",{p}}} 300.0',
    ]


def own_lines(own: OwnMetrics) -> list[str]:
    text = generate_latest(own.registry).decode()
    return [line for line in text.splitlines() if line.startswith("seamwatch_")]


def test_the_exporter_says_of_itself_only_what_it_knows() -> None:
    names = [line.partition(" ")[0].partition("{")[0] for line in own_lines(OwnMetrics())]
    assert names == [
        "seamwatch_build_info",
        "seamwatch_pipelines",
        "seamwatch_exposition_series",
        "seamwatch_exposition_bytes",
        "seamwatch_exposition_failures_total",
    ]


def test_a_failed_reload_leaves_the_time_of_the_configuration_in_use() -> None:
    own = OwnMetrics()
    own.reloaded(succeeded=True, at=100.0)
    own.reloaded(succeeded=False, at=200.0)
    assert "seamwatch_config_last_reload_successful 0.0" in own_lines(own)
    assert "seamwatch_config_last_reload_success_timestamp_seconds 100.0" in own_lines(own)


def test_every_own_family_is_filled_and_none_doubles_by_a_created_series() -> None:
    own = OwnMetrics(
        store=lambda: StoreHealth(3, {"locked": 2, "full": 1}, 50.0, 7),
        gates=lambda: GateFacts(leads=False, common_cause=True, sequence=9, digest="ab12"),
    )
    own.reloaded(succeeded=True, at=100.0)
    own.scraped(0.01)
    own.lagged(0.5)
    metrics = {metric.name: metric for metric in own.collect()}
    assert set(metrics) == {family.base for family in OWN}
    text = generate_latest(own.registry).decode()
    assert 'seamwatch_store_failures_total{reason="full"} 1.0' in text
    assert "seamwatch_gates_common_cause 1.0" in text
    assert 'seamwatch_audit_head_info{digest="ab12",sequence="9"} 1.0' in text
    assert "seamwatch_store_pending_writes 3.0" in text
    assert "seamwatch_store_dropped_writes_total 7.0" in text
    assert "seamwatch_loop_lag_seconds 0.5" in text
    assert "_created" not in text
    assert "process_cpu_seconds_total" in text
