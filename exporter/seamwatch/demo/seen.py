"""What the demo's screen shows: the teams' own pages, and seamwatch's /metrics.

Nothing here is computed from the inside of the pipeline: a stranger with curl sees the same. Only
how many rows there used to be is remembered, from the /metrics of when all was well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seamwatch.demo.blame import Blame, Evidence, Threshold, blame, evidence, threshold
from seamwatch.demo.example import STAGES
from seamwatch.demo.exposed import Page
from seamwatch.demo.launch import Running, fetch


@dataclass(frozen=True, slots=True)
class TeamPage:
    """What a team sees of its own stage."""

    stage: str
    team: str
    status: str  # the page's own word; "no answer" where it does not answer
    summary: str


@dataclass(frozen=True, slots=True)
class StageSeen:
    """What seamwatch sees of a stage; None is unknown."""

    data_age: float | None  # seconds, by lineage
    limit: float | None  # of the data age, seconds; None for a stage without one
    job_age: float | None  # seconds since its job ran; None for a stage without a job
    skewed: tuple[str, ...]  # "index: built from another embedding" without the stage's name
    bottleneck: str | None  # the upstream of the worst seam, where this stage is downstream of it
    rows: float | None = None
    rows_before: float | None = None  # when all was well
    answered_by: tuple[str, ...] = ()  # other versions that answer in this stage's name
    threshold: Threshold | None = None


@dataclass(frozen=True, slots=True)
class Users:
    """What users get."""

    allowed: bool  # the gate lets them be answered
    since: float  # seconds that this has been so
    held_for: float | None  # seconds that the last halt lasted; None without one
    recent: Mapping[str, int]  # right, wrong, declined, held back, failed -> questions lately


@dataclass(frozen=True, slots=True)
class Seen:
    """Both sides at one moment."""

    at: float
    broken: tuple[str, ...]
    pages: tuple[TeamPage, ...]
    stages: Mapping[str, StageSeen]
    exporter_answers: bool
    accuracy: tuple[float, float, float] | None  # estimate, lower, upper
    accuracy_target: float | None
    slices: Mapping[str, float]
    window: float | None  # answers that the accuracy is over
    data_age: float | None
    data_age_limit: float | None
    verdicts: Mapping[str, float]  # since the start
    declared: str | None  # the version that the model stage says it serves
    met: Mapping[str, bool]  # objective -> whether its target holds; missing where undecided
    silent_failure: bool | None
    quality: Mapping[str, float] = field(default_factory=dict)  # check -> share of the answers
    evidence: Evidence = field(default_factory=Evidence)
    blame: Blame = field(default_factory=Blame)
    users: Users | None = None


def look(running: Running) -> Seen:
    """Read every page once."""
    pages = tuple(_team_page(name, running.addresses[name]) for name in STAGES)
    status = _json(f"{running.addresses['control']}/status")
    body = fetch(f"{running.exporter}/metrics")
    now = time.time()
    page = Page(body.decode("utf-8", "replace") if body else "")
    declared = page.named("stage_version_info", "version", pipeline_stage=STAGES[-1])
    return Seen(
        at=now,
        broken=tuple(status.get("broken", ())),
        pages=pages,
        stages={name: _stage(page, name, running.rows.get(name), now) for name in STAGES},
        exporter_answers=body is not None,
        accuracy=_accuracy(page),
        accuracy_target=page.one("golden_accuracy_target_ratio"),
        slices={
            labels["slice"]: value
            for labels, value in page.all("golden_slice_accuracy_ratio", bound="estimate")
        },
        window=page.one("golden_window_answers"),
        data_age=_age(page.one("pipeline_watermark_timestamp_seconds"), now),
        data_age_limit=page.one("pipeline_data_age_limit_seconds"),
        verdicts={labels["verdict"]: value for labels, value in page.all("golden_answers_total")},
        declared=declared[0] if declared else None,
        met={labels["slo"]: value == 1 for labels, value in page.all("pipeline_target_met")},
        silent_failure=_claim(page.one("pipeline_silent_failure")),
        quality={
            labels["check"]: value
            for labels, value in page.all("quality_ratio", bound="estimate")
            if page.all("quality_ratio", check=labels["check"], bound="upper")
        },
        evidence=evidence(page),
        blame=blame(page),
        users=_users(_json(f"{running.addresses['front']}/status"), now),
    )


def _users(status: Mapping[str, Any], now: float) -> Users | None:
    if not isinstance(status.get("allowed"), bool):
        return None
    since = max(0.0, now - status["since"])
    return Users(status["allowed"], since, status["held_for"], status["recent"])


def _team_page(stage: str, address: str) -> TeamPage:
    page = _json(f"{address}/health")
    return TeamPage(
        stage,
        str(page.get("team", "?")),
        str(page.get("status", "no answer")),
        str(page.get("summary", "")),
    )


def _json(url: str) -> dict[str, Any]:
    body = fetch(url)
    try:
        found = json.loads(body) if body else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _stage(page: Page, stage: str, rows_before: float | None, now: float) -> StageSeen:
    skewed = [
        f"{words} another {upstream}"
        for name, words in (("version", "built from"), ("tuning", "tuned on"))
        for upstream in page.named(f"seam_{name}_skew", "upstream", downstream=stage)
    ]
    worst = page.named("seam_bottleneck", "upstream", downstream=stage)
    effective = page.one("stage_effective_watermark_timestamp_seconds", pipeline_stage=stage)
    updated = page.one("stage_updated_timestamp_seconds", pipeline_stage=stage)
    declared = page.named("stage_version_info", "version", pipeline_stage=stage)
    answering = set(page.named("probe_answered_by_info", "version")) - set(declared)
    return StageSeen(
        data_age=_age(effective, now),
        limit=page.one("stage_data_age_limit_seconds", pipeline_stage=stage),
        job_age=_age(updated, now),
        skewed=tuple(skewed),
        bottleneck=worst[0] if worst else None,
        rows=page.one("stage_rows", pipeline_stage=stage),
        rows_before=rows_before,
        answered_by=tuple(sorted(answering)) if stage == STAGES[-1] and declared else (),
        threshold=threshold(page, stage),
    )


def _accuracy(page: Page) -> tuple[float, float, float] | None:
    bounds = [
        page.one("golden_accuracy_ratio", bound=bound) for bound in ("estimate", "lower", "upper")
    ]
    known = [value for value in bounds if value is not None]
    return (known[0], known[1], known[2]) if len(known) == 3 else None


def _age(timestamp: float | None, now: float) -> float | None:
    return None if timestamp is None else max(0.0, now - timestamp)


def _claim(value: float | None) -> bool | None:
    return None if value is None else value == 1
