"""A fleet of pipelines as snapshots: seeded, of any size, for the benchmarks of the page."""

from __future__ import annotations

import random
from dataclasses import replace

from seamwatch.errors import Reason
from seamwatch.freshness import Freshness
from seamwatch.pipeline import (
    Estimate,
    Observation,
    Pipeline,
    Reading,
    Stage,
    StageKind,
    Targets,
    Task,
    Verdict,
)
from seamwatch.skew import Skew
from seamwatch.snapshot import EndToEnd, GoldenState, ProbeState, Snapshot, StageState

NOW = 1_763_900_000.0
KINDS = tuple(StageKind)


def pipeline(index: int, *, stages: int = 8) -> Pipeline:
    """Return a chain of *stages* with teams that change half-way."""
    names = [f"stage-{step}" for step in range(stages)]
    return Pipeline(
        f"pipeline-{index:05d}",
        f"team-{index % 40}",
        tuple(
            Stage(
                name,
                f"team-{(index + step // 2) % 40}",
                KINDS[step % len(KINDS)],
                after=(names[step - 1],) if step else (),
                data_age=3600.0,
            )
            for step, name in enumerate(names)
        ),
        Targets(3600.0, 0.92, 0.99, {"freshness": 0.99, "accuracy": 0.99, "availability": 0.995}),
    )


def snapshot(watched: Pipeline, rng: random.Random, *, slices: int = 4) -> Snapshot:
    """Return a snapshot of *watched* with numbers that differ in each call."""
    now = NOW + rng.random() * 1e4
    states = {stage.name: _state(stage, now, rng) for stage in watched.stages}
    effective = {name: now - rng.random() * 9e3 for name in states}
    seams = watched.seams
    return Snapshot(
        pipeline=watched,
        at=now,
        stages=states,
        freshness=Freshness(
            effective,
            min(effective.values()),
            {seam: rng.random() * 900 for seam in seams},
            seams[0] if seams else None,
        ),
        skews=tuple(Skew(seam.upstream, seam.downstream, False, None) for seam in seams),
        end_to_end=EndToEnd(True, True, True),
        silent_failure=False,
        golden=_golden(now, rng, slices),
        probes=ProbeState(
            tuple(rng.randrange(900) for _ in range(11)),
            99 * rng.random(),
            0,
            {"hour": 900},
            ("a",),
        ),
    )


def touched(old: Snapshot, rng: random.Random) -> Snapshot:
    """Return *old* after one more reading of one of its stages."""
    stage = rng.choice(old.pipeline.stages)
    state = _state(stage, old.at + 30, rng)
    return replace(old, at=old.at + 30, stages={**old.stages, stage.name: state})


def _state(stage: Stage, now: float, rng: random.Random) -> StageState:
    observation = Observation(
        healthy=True,
        version=f"build-{rng.randrange(10**6)}",
        watermark=now - rng.random() * 1e3,
        updated_at=now - rng.random() * 1e2,
        rows=float(rng.randrange(10**6)),
    )
    reading = Reading(now, rng.random(), observation)
    return StageState(reading, now, rng.randrange(10**4), {Reason.TIMEOUT: 1})


def _golden(now: float, rng: random.Random, slices: int) -> GoldenState:
    def estimate() -> Estimate:
        value = 0.9 + rng.random() / 20
        return Estimate(value, value - 0.03, value + 0.02, 400)

    return GoldenState(
        digest="ab" * 32,
        task=Task.MULTICLASS,
        items={"asked": 400, "expired": 3, "not_yet_valid": 0},
        verdicts={verdict: rng.randrange(1000) for verdict in Verdict},
        accuracy=estimate(),
        slices={f"topic-{index}": estimate() for index in range(slices)},
        availability=estimate(),
        measures={name: rng.random() for name in ("balanced_accuracy", "f1_macro", "log_loss")},
        measured=400,
        window=400,
        window_size=400,
        last_answer=now,
    )
