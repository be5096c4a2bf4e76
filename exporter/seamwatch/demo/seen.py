"""What the demo's screen shows: the teams' own pages, and seamwatch's /metrics.

Nothing here is computed from the inside of the pipeline: a stranger with curl sees the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seamwatch.demo.example import STAGES
from seamwatch.demo.launch import Running, fetch

Labels = Mapping[str, str]


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
    answered_by: tuple[str, ...]
    declared: str | None  # the version that the model stage says it serves
    met: Mapping[str, bool]  # objective -> whether its target holds; missing where undecided
    silent_failure: bool | None


class Page:
    """A parsed exposition; samples by name and labels."""

    def __init__(self, text: str) -> None:
        from prometheus_client.parser import text_string_to_metric_families

        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def all(self, name: str, **labels: str) -> list[tuple[Labels, float]]:
        """Return the samples of ``seamwatch_<name>`` that have *labels*."""
        found = self._samples.get(f"seamwatch_{name}", [])
        return [one for one in found if labels.items() <= one[0].items()]

    def one(self, name: str, **labels: str) -> float | None:
        """Return the value of the first such sample, None if there is none."""
        found = self.all(name, **labels)
        return found[0][1] if found else None


def look(running: Running) -> Seen:
    """Read every page once."""
    pages = tuple(_team_page(name, running.addresses[name]) for name in STAGES)
    status = _json(f"{running.addresses['control']}/status")
    body = fetch(f"{running.exporter}/metrics")
    now = time.time()
    page = Page(body.decode("utf-8", "replace") if body else "")
    return Seen(
        at=now,
        broken=tuple(status.get("broken", ())),
        pages=pages,
        stages={one.stage: _stage(page, one.stage, now) for one in pages},
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
        answered_by=tuple(
            sorted(labels["version"] for labels, _ in page.all("probe_answered_by_info"))
        ),
        declared=next(
            (
                labels["version"]
                for labels, _ in page.all("stage_version_info", pipeline_stage="answer")
            ),
            None,
        ),
        met={labels["slo"]: value == 1 for labels, value in page.all("pipeline_target_met")},
        silent_failure=_claim(page.one("pipeline_silent_failure")),
    )


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


def _stage(page: Page, stage: str, now: float) -> StageSeen:
    skewed = [
        f"{words} another {labels['upstream']}"
        for name, words in (("version", "built from"), ("tuning", "tuned on"))
        for labels, value in page.all(f"seam_{name}_skew", downstream=stage)
        if value == 1
    ]
    worst = [
        labels["upstream"]
        for labels, value in page.all("seam_bottleneck", downstream=stage)
        if value == 1
    ]
    effective = page.one("stage_effective_watermark_timestamp_seconds", pipeline_stage=stage)
    updated = page.one("stage_updated_timestamp_seconds", pipeline_stage=stage)
    return StageSeen(
        data_age=_age(effective, now),
        limit=page.one("stage_data_age_limit_seconds", pipeline_stage=stage),
        job_age=_age(updated, now),
        skewed=tuple(skewed),
        bottleneck=worst[0] if worst else None,
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
