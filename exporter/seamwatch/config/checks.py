"""What types cannot say: names that point at nothing, cycles, targets that nothing can measure.

The checks read the plain values, not the validated ones, so that they also run on a pipeline that
has other problems: all problems are shown at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seamwatch.config.fields import shown
from seamwatch.config.gate_checks import (
    check_beside,
    check_blessings,
    check_gate,
    check_quality,
    check_threshold,
)
from seamwatch.config.graph import components, cycles, reachable
from seamwatch.config.plain import mapping, names
from seamwatch.config.problems import Finding, KeyPath
from seamwatch.config.readable import check_file, wrong_with_schema
from seamwatch.config.repair_checks import check_repairs
from seamwatch.config.secrets import literal_secrets
from seamwatch.config.sentences import listed, one_of

_TASKS_OF = {
    "positive": ("binary",),
    "tolerance": ("regression",),
    "relative_tolerance": ("regression",),
    "k": ("ranking",),
    "text_measure": ("text",),
    "ranking_measure": ("ranking",),
    "at_least": ("ranking", "text"),
    "score_of": ("binary",),
    "labels": ("binary", "multiclass", "multilabel"),
}


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the checks need of a stage; names that are no text are left to the types."""

    kind: str
    after: tuple[str, ...]
    tuned_on: tuple[str, ...]


def check(
    data: Mapping[str, Any],
    *,
    base_dirs: Mapping[str, Path],
    without_graph: Collection[str | int] = (),
    without_teams: bool = False,
) -> Iterator[Finding]:
    """Yield what is wrong between the parts of *data*.

    Files are looked for in *base_dirs* (by pipeline). The pipelines in *without_graph* have
    stages that could not be read: what is missing there says nothing about their graph. The same
    goes for *without_teams*.
    """
    teams = mapping(data, "teams")
    known_teams = None if without_teams or not isinstance(data.get("teams"), dict) else teams
    pipelines = mapping(data, "pipelines")
    yield from _same_but_for_case(("teams",), teams)
    yield from _same_but_for_case(("pipelines",), pipelines)
    yield from literal_secrets(data)
    yield from check_blessings(pipelines, base_dirs)
    for name, pipeline in pipelines.items():
        if isinstance(pipeline, dict):
            at = ("pipelines", name)
            yield from _check_pipeline(at, pipeline, known_teams, base_dirs[name])
            if name not in without_graph:
                yield from _check_graph(at, pipeline, _stages(pipeline))


def _check_pipeline(
    at: KeyPath, pipeline: Mapping[str, Any], teams: Collection[str] | None, base_dir: Path
) -> Iterator[Finding]:
    yield from _check_team((*at, "owner"), pipeline.get("owner"), teams)
    raw = mapping(pipeline, "stages")
    for name, section in raw.items():
        if isinstance(section, dict):
            yield from _check_team((*at, "stages", name, "team"), section.get("team"), teams)
    stages = _stages(pipeline)
    yield from _same_but_for_case((*at, "stages"), stages)
    yield from _check_edges((*at, "stages"), stages)
    yield from _check_model(at, pipeline, stages)
    yield from check_repairs(at, pipeline, stages)
    yield from _check_golden(at, pipeline, base_dir)
    yield from check_gate(at, pipeline)
    yield from check_threshold(at, pipeline, raw)
    yield from check_quality(at, pipeline)
    yield from _check_targets(at, pipeline, raw)
    yield from _check_json_schema(at, pipeline, base_dir)


def _check_team(path: KeyPath, team: Any, teams: Collection[str] | None) -> Iterator[Finding]:
    if teams is not None and isinstance(team, str) and team not in teams:
        yield Finding(path, f"there is no team {shown(team)}; {one_of(team, teams, 'teams')}")


def _check_edges(at: KeyPath, stages: Mapping[str, _Stage]) -> Iterator[Finding]:
    for name, stage in stages.items():
        for key, ups in (("after", stage.after), ("tuned_on", stage.tuned_on)):
            path = (*at, name, key)
            for up in dict.fromkeys(ups):
                if up == name:
                    word = "comes after" if key == "after" else "is tuned on"
                    message = f"{shown(up)} {word} itself; name the stages that it depends on"
                    yield Finding(path, message)
                elif up not in stages:
                    others = [other for other in stages if other != name]
                    message = f"there is no stage {shown(up)} here; {one_of(up, others, 'stages')}"
                    yield Finding(path, message)
                if ups.count(up) > 1:
                    yield Finding(path, f"{shown(up)} stands here twice; keep one of them")


def _check_graph(
    at: KeyPath, pipeline: Mapping[str, Any], stages: Mapping[str, _Stage]
) -> Iterator[Finding]:
    if not stages:
        return
    edges = {
        name: tuple(up for up in stage.after if up in stages and up != name)
        for name, stage in stages.items()
    }
    found = cycles(edges)
    for cycle in found:
        path = (*at, "stages", cycle[0], "after")
        circle = " -> ".join((*cycle, cycle[0]))
        yield Finding(path, f"{circle} is a cycle; remove one of these steps")
    if not any(stage.kind == "source" for stage in stages.values()):
        message = "no stage has kind: source; give it to the stage where data comes in"
        yield Finding((*at, "stages"), message, at_key=True)
    if found or any(up not in stages for stage in stages.values() for up in stage.after):
        return  # what follows would only repeat what a missing edge has done
    lost = _without_output(pipeline, stages, edges)
    for name in lost:
        message = "reaches no output; name it in the after of the stage that reads it, or remove it"
        yield Finding((*at, "stages", name), message, at_key=True)
    parts = components(edges)
    if not lost and len(parts) > 1:
        shapes = " | ".join(listed(part) for part in parts)
        message = (
            f"falls into {len(parts)} parts that share nothing: {shapes};"
            " connect them with after, or write them as separate pipelines"
        )
        yield Finding((*at, "stages"), message, at_key=True)


def _without_output(
    pipeline: Mapping[str, Any], stages: Mapping[str, _Stage], edges: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Return the stages on no path to or from the model or an output stage.

    A pipeline without either has its last stages as outputs, which every stage reaches.
    """
    outputs = {name for name, stage in stages.items() if stage.kind in ("model", "output")}
    named = mapping(pipeline, "model").get("stage")
    if isinstance(named, str) and named in stages:
        outputs.add(named)
    if not outputs:
        return []
    downstream: dict[str, list[str]] = {name: [] for name in edges}
    for name, ups in edges.items():
        for up in ups:
            downstream[up].append(name)
    served = reachable(outputs, edges) | reachable(outputs, downstream)
    return [name for name in stages if name not in served]


def _check_model(
    at: KeyPath, pipeline: Mapping[str, Any], stages: Mapping[str, _Stage]
) -> Iterator[Finding]:
    model = pipeline.get("model")
    if not isinstance(model, dict):
        return
    stage = model.get("stage")
    models = [name for name, section in stages.items() if section.kind == "model"]
    if isinstance(stage, str):
        if stage not in stages:
            message = f"there is no stage {shown(stage)} here; {one_of(stage, stages, 'stages')}"
            yield Finding((*at, "model", "stage"), message)
    elif len(models) > 1:
        message = (
            f"the stages {listed(models)} are all of kind model; add stage: <the one that answers>"
        )
        yield Finding((*at, "model"), message, at_key=True)
    elif not models:
        message = "no stage is of kind model; add stage: <the stage that answers>"
        yield Finding((*at, "model"), message, at_key=True)


def _check_golden(at: KeyPath, pipeline: Mapping[str, Any], base_dir: Path) -> Iterator[Finding]:
    golden = pipeline.get("golden")
    if not isinstance(golden, dict):
        return
    if pipeline.get("model") is None:
        message = "there is no model to ask; add model: beside it"
        yield Finding((*at, "golden"), message, at_key=True)
    if isinstance(file := golden.get("file"), str):
        yield from check_file((*at, "golden", "file"), base_dir / file)
    yield from check_beside((*at, "golden"), golden, base_dir)
    task = golden.get("task")
    for key, tasks in _TASKS_OF.items():
        if key in golden and isinstance(task, str) and task not in tasks:
            message = f"means nothing for task {task}; remove it (it is for {', '.join(tasks)})"
            yield Finding((*at, "golden", key), message, at_key=True)
    labels, positive = golden.get("labels"), golden.get("positive")
    if isinstance(labels, list) and isinstance(positive, str) and positive not in labels:
        texts = [label for label in labels if isinstance(label, str)]
        message = f"{shown(positive)} is not among labels; write one of {listed(texts)}"
        yield Finding((*at, "golden", "positive"), message)


def _check_targets(
    at: KeyPath, pipeline: Mapping[str, Any], stages: Mapping[str, Any]
) -> Iterator[Finding]:
    slos = mapping(pipeline, "slos")
    for slo in ("accuracy", "availability"):
        if slos.get(slo) is not None and pipeline.get("golden") is None:
            message = "nothing measures it without a golden set; add golden: to the pipeline"
            yield Finding((*at, "slos", slo), message, at_key=True)
    sourced = any(isinstance(s, dict) and s.get("source") is not None for s in stages.values())
    if slos.get("freshness") is not None and stages and not sourced:
        message = "nothing measures it while no stage has a source; add source: to the stages"
        yield Finding((*at, "slos", "freshness"), message, at_key=True)


def _check_json_schema(
    at: KeyPath, pipeline: Mapping[str, Any], base_dir: Path
) -> Iterator[Finding]:
    file = mapping(pipeline, "quality").get("json_schema")
    if not isinstance(file, str):
        return
    path = (*at, "quality", "json_schema")
    problems = list(check_file(path, base_dir / file))
    yield from problems
    if not problems and (wrong := wrong_with_schema(base_dir / file)):
        yield Finding(path, f"{wrong}; write a JSON Schema into {shown(file)}")


def _same_but_for_case(at: KeyPath, names: Collection[str]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            message = f"differs from {shown(first)} only in capitals; give it another name"
            yield Finding((*at, name), message, at_key=True)


def _stages(pipeline: Mapping[str, Any]) -> dict[str, _Stage]:
    return {name: _stage(section) for name, section in mapping(pipeline, "stages").items()}


def _stage(section: Any) -> _Stage:
    section = section if isinstance(section, dict) else {}
    kind = section.get("kind")
    return _Stage(
        kind if isinstance(kind, str) else "", names(section, "after"), names(section, "tuned_on")
    )
