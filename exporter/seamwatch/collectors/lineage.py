"""Pipelines, stages and seams: who owns what, how fresh it is, what disagrees."""

from __future__ import annotations

from collections.abc import Iterator

from seamwatch.collectors.sample import Sample
from seamwatch.pipeline import Observation
from seamwatch.snapshot import Snapshot, StageState

_NEVER_READ = StageState()


def pipeline_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield what is known of the pipeline as a whole.

    seamwatch_pipeline_info{pipeline="support",team="platform"} 1.0
    seamwatch_pipeline_watermark_timestamp_seconds{pipeline="support"} 1.7639e+09
    seamwatch_pipeline_data_age_limit_seconds{pipeline="support"} 3600.0
    seamwatch_pipeline_silent_failure{pipeline="support"} 0.0
    seamwatch_pipeline_target_met{pipeline="support",slo="freshness"} 1.0
    seamwatch_slo_objective_ratio{pipeline="support",slo="freshness"} 0.99
    """
    pipeline = snapshot.pipeline
    name = pipeline.name
    one = (name,)
    yield "seamwatch_pipeline_info", (name, pipeline.owner), 1.0
    if snapshot.freshness.watermark is not None:
        yield "seamwatch_pipeline_watermark_timestamp_seconds", one, snapshot.freshness.watermark
    if pipeline.targets.data_age is not None:
        yield "seamwatch_pipeline_data_age_limit_seconds", one, pipeline.targets.data_age
    if snapshot.silent_failure is not None:
        yield "seamwatch_pipeline_silent_failure", one, float(snapshot.silent_failure)
    met = snapshot.end_to_end
    for slo, holds in (
        ("freshness", met.freshness),
        ("accuracy", met.accuracy),
        ("availability", met.availability),
        ("quality", met.quality),
    ):
        if holds is not None:
            yield "seamwatch_pipeline_target_met", (name, slo), float(holds)
    for slo, objective in pipeline.targets.objectives.items():
        yield "seamwatch_slo_objective_ratio", (name, slo), objective


def stage_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield each stage's place, our reading of it, and what it said in that reading.

    A stage whose last reading failed says nothing: only its info, limit and our reading remain.

    seamwatch_stage_info{kind="index",pipeline="support",pipeline_stage="index",team="data"} 1.0
    seamwatch_stage_data_age_limit_seconds{pipeline="support",pipeline_stage="index"} 900.0
    seamwatch_stage_read_success{pipeline="support",pipeline_stage="index"} 1.0
    seamwatch_stage_last_read_timestamp_seconds{pipeline="support",pipeline_stage="index"} 1.76e+09
    seamwatch_stage_read_duration_seconds{pipeline="support",pipeline_stage="index"} 0.012
    seamwatch_stage_reads_total{pipeline="support",pipeline_stage="index"} 7.0
    seamwatch_stage_read_failures_total{pipeline="support",pipeline_stage="index",reason="dns"} 1.0
    seamwatch_stage_healthy{pipeline="support",pipeline_stage="index"} 1.0
    seamwatch_stage_version_info{pipeline="support",pipeline_stage="index",version="idx-7"} 1.0
    seamwatch_stage_watermark_timestamp_seconds{pipeline="support",pipeline_stage="index"} 1.76e+09
    (effective_watermark and updated alike)
    seamwatch_stage_rows{pipeline="support",pipeline_stage="index"} 12034.0
    """
    pipeline = snapshot.pipeline
    effective = snapshot.freshness.effective
    for stage in pipeline.stages:
        labels = (pipeline.name, stage.name)
        yield "seamwatch_stage_info", (*labels, stage.kind.value, stage.team), 1.0
        if stage.data_age is not None:
            yield "seamwatch_stage_data_age_limit_seconds", labels, stage.data_age
        state = snapshot.stages.get(stage.name, _NEVER_READ)
        yield from _reading(labels, state)
        if state.reading is not None:
            if state.reading.observation is None:
                continue
            yield from _observation(labels, state.reading.observation)
        watermark = effective.get(stage.name)
        if watermark is not None:
            yield "seamwatch_stage_effective_watermark_timestamp_seconds", labels, watermark


def _reading(labels: tuple[str, str], state: StageState) -> Iterator[Sample]:
    yield "seamwatch_stage_reads_total", labels, state.reads
    for reason, count in state.failures.items():
        yield "seamwatch_stage_read_failures_total", (*labels, reason.value), count
    if state.last_success is not None:
        yield "seamwatch_stage_last_read_timestamp_seconds", labels, state.last_success
    if state.reading is not None:
        succeeded = state.reading.observation is not None
        yield "seamwatch_stage_read_success", labels, float(succeeded)
        yield "seamwatch_stage_read_duration_seconds", labels, state.reading.duration


def _observation(labels: tuple[str, str], seen: Observation) -> Iterator[Sample]:
    if seen.healthy is not None:
        yield "seamwatch_stage_healthy", labels, float(seen.healthy)
    if seen.version is not None:
        yield "seamwatch_stage_version_info", (*labels, seen.version), 1.0
    if seen.watermark is not None:
        yield "seamwatch_stage_watermark_timestamp_seconds", labels, seen.watermark
    if seen.updated_at is not None:
        yield "seamwatch_stage_updated_timestamp_seconds", labels, seen.updated_at
    if seen.rows is not None:
        yield "seamwatch_stage_rows", labels, seen.rows


def seam_samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield each seam's teams and lag, and the skew over each pair of connected stages.

    seamwatch_seam_info{downstream="index",downstream_team="data",pipeline="support",
        upstream="embedding",upstream_team="ml"} 1.0
    seamwatch_seam_lag_seconds{downstream="index",pipeline="support",upstream="embedding"} 43200.0
    seamwatch_seam_bottleneck{downstream="index",pipeline="support",upstream="embedding"} 1.0
    (version_skew, tuning_skew, skew_since_timestamp_seconds and versions_behind alike)
    """
    name = snapshot.pipeline.name
    fresh = snapshot.freshness
    for seam in snapshot.pipeline.seams:
        labels = (name, seam.upstream, seam.downstream)
        yield "seamwatch_seam_info", (*labels, seam.upstream_team, seam.downstream_team), 1.0
        lag = fresh.lags.get(seam)
        if lag is not None:
            yield "seamwatch_seam_lag_seconds", labels, lag
            yield "seamwatch_seam_bottleneck", labels, float(seam == fresh.bottleneck)
    for skew in snapshot.skews:
        labels = (name, skew.upstream, skew.downstream)
        if skew.version is not None:
            yield "seamwatch_seam_version_skew", labels, float(skew.version)
        if skew.tuning is not None:
            yield "seamwatch_seam_tuning_skew", labels, float(skew.tuning)
        if skew.since is not None:
            yield "seamwatch_seam_skew_since_timestamp_seconds", labels, skew.since
        if skew.versions_behind is not None:
            yield "seamwatch_seam_versions_behind", labels, skew.versions_behind
