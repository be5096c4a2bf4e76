"""What types cannot say of ``gate``, ``threshold``, ``quality`` and the files beside the set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seamwatch.config.fields import format_duration, parse_period, parse_ratio, shown
from seamwatch.config.plain import mapping, names
from seamwatch.config.problems import Finding, KeyPath
from seamwatch.config.readable import check_file
from seamwatch.config.sentences import listed, one_of

_OF_ANSWERS = ("not_empty", "refusal", "max_length", "forbids", "score_drift", "calibration")
_OF_SCORES = ("score_drift", "calibration")
_SETTLED = 15.0  # golden.every by default
_PUBLISHERS = ("http", "sql", "file")  # the kinds of source that can say what settings a stage has
_NO_GOLDEN = "nothing is asked without a golden set; add golden: to the pipeline"


def check_gate(at: KeyPath, pipeline: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the gate of *pipeline*, which stands *at*."""
    if not isinstance(pipeline.get("gate"), dict):
        return
    gate = mapping(pipeline, "gate")
    if pipeline.get("golden") is None:
        message = "there is no golden set to take evidence from; add golden: to the pipeline"
        yield Finding((*at, "gate"), message, at_key=True)
    if gate.get("mode") == "enforce" and gate.get("on_unknown") is None:
        message = (
            "nobody has said what callers are told while nothing is known; add on_unknown: allow,"
            " or deny where a wrong answer is worse than none"
        )
        yield Finding((*at, "gate", "mode"), message)
    floor = _read(gate.get("floor"), parse_ratio)
    above = _read(mapping(gate, "resume").get("above"), parse_ratio)
    if floor is not None and above is not None and above < floor:
        found = shown(mapping(gate, "resume")["above"])
        message = f"{found} is under the floor of {floor:.4g}: it would resume what it must halt"
        yield Finding((*at, "gate", "resume", "above"), f"{message}; write {floor:.4g} or more")
    stale = _read(gate.get("stale_after"), parse_period)
    every = _read(mapping(pipeline, "golden").get("every"), parse_period) or _SETTLED
    if stale is not None and stale <= every:
        message = f"{shown(gate['stale_after'])} is no longer than the {format_duration(every)}"
        instead = f"write {format_duration(10 * every)}, or a smaller golden.every"
        path = (*at, "gate", "stale_after")
        yield Finding(path, f"{message} between two probes, so it would always be stale; {instead}")


def check_threshold(
    at: KeyPath, pipeline: Mapping[str, Any], stages: Mapping[str, Any]
) -> Iterator[Finding]:
    """Yield what is wrong with the threshold of *pipeline*, whose sections of *stages* are raw."""
    if not isinstance(pipeline.get("threshold"), dict):
        return
    threshold, golden = mapping(pipeline, "threshold"), mapping(pipeline, "golden")
    at = (*at, "threshold")
    if pipeline.get("golden") is None:
        yield Finding(at, _NO_GOLDEN, at_key=True)
    yield from _check_publisher((*at, "stage"), threshold.get("stage"), stages)
    is_binary = golden.get("task") == "binary"
    yield from _check_told(at, mapping(pipeline, "model"), is_binary=is_binary)
    objective = threshold.get("objective", "accuracy")
    for key in ("wrong", "declined"):
        if key in threshold and objective in ("accuracy", "f1"):
            message = f"means nothing for objective {objective}; write objective: cost, or remove"
            yield Finding((*at, key), f"{message} it", at_key=True)
    if objective == "cost" and not is_binary:
        wrong, declined = threshold.get("wrong", 1.0), threshold.get("declined", 0.2)
        if _is_number(wrong) and _is_number(declined) and declined >= wrong:
            message = f"declining costs {declined:g} and a wrong answer {wrong:g}, so declining"
            path = (*at, "declined" if "declined" in threshold else "wrong")
            yield Finding(path, f"{message} never pays; write a declined smaller than wrong")
    if "positive" in threshold and isinstance(golden.get("task"), str):
        yield from _check_positive((*at, "positive"), threshold["positive"], golden)


def _check_publisher(path: KeyPath, stage: Any, stages: Mapping[str, Any]) -> Iterator[Finding]:
    if not isinstance(stage, str):
        return
    if stage not in stages:
        yield Finding(path, f"there is no stage {shown(stage)} here; {one_of(stage, stages)}")
        return
    section = stages[stage]
    source = section.get("source") if isinstance(section, dict) else None
    if source is None:
        message = f"stage {shown(stage)} has no source, so its threshold is not known"
        yield Finding(path, f"{message}; add source: to the stage")
    elif isinstance(source, dict) and len(source) == 1:
        kind = next(iter(source))
        newest = kind == "file" and mapping(source, kind).get("read") == "newest"
        if newest or (kind in ("prometheus", "static")):
            what = "newest object of a pattern" if newest else f"{kind} source"
            message = f"the {what} of stage {shown(stage)} cannot say what settings it has"
            yield Finding(path, f"{message}; write a source of kind {' or '.join(_PUBLISHERS)}")


def _check_told(at: KeyPath, model: Mapping[str, Any], *, is_binary: bool) -> Iterator[Finding]:
    """Yield what the model does not tell that thresholds are compared by."""
    kind = _protocol(model)
    if kind is None:
        return
    told = mapping(model, kind)
    if told.get("score") is None and not (is_binary and told.get("scores") is not None):
        message = f"the score of an answer is not known; add score: to model.{kind}"
        yield Finding(at, message, at_key=True)
    if told.get("candidate") is None and not is_binary:
        message = (
            "what the model would answer where it declines is not known; add candidate: to"
            f" model.{kind}"
        )
        yield Finding(at, message, at_key=True)


def _check_positive(path: KeyPath, positive: Any, golden: Mapping[str, Any]) -> Iterator[Finding]:
    if golden["task"] != "binary":
        message = f"means nothing for task {golden['task']}; remove it (it is for binary)"
        yield Finding(path, message, at_key=True)
    labels = names(golden, "labels")
    if isinstance(positive, str) and labels and positive not in labels:
        message = f"{shown(positive)} is not among golden.labels; write one of {listed(labels)}"
        yield Finding(path, message)


def check_quality(at: KeyPath, pipeline: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the quality checks of *pipeline* and their target."""
    quality = mapping(pipeline, "quality")
    if pipeline.get("golden") is None:
        for key in _OF_ANSWERS:
            if quality.get(key) not in (None, False):
                yield Finding((*at, "quality", key), _NO_GOLDEN, at_key=True)
    kind = _protocol(mapping(pipeline, "model"))
    if kind is not None:
        told = mapping(mapping(pipeline, "model"), kind)
        for key in _OF_SCORES:
            known = told.get("score") is not None or told.get("scores") is not None
            if quality.get(key) is not None and not known:
                message = f"the score of an answer is not known; add score: to model.{kind}"
                yield Finding((*at, "quality", key), message, at_key=True)
    given = [key for key, value in quality.items() if value not in (None, False, {}, [])]
    if mapping(pipeline, "slos").get("quality") is not None and not given:
        message = "nothing measures it without a check; add quality: {not_empty: true}, say,"
        yield Finding((*at, "slos", "quality"), f"{message} to the pipeline", at_key=True)


def check_beside(at: KeyPath, golden: Mapping[str, Any], base_dir: Path) -> Iterator[Finding]:
    """Yield why the files beside a golden set cannot be read; a blessing may be written later."""
    if isinstance(canary := golden.get("canary"), str):
        yield from check_file((*at, "canary"), base_dir / canary)
    if isinstance(blessing := golden.get("blessing"), str):
        path, file = (*at, "blessing"), base_dir / blessing
        if not blessing.strip() or "\0" in blessing or file.is_dir():
            yield Finding(path, f"{shown(blessing)} names no file; write e.g. golden.blessing.json")
        elif not file.parent.is_dir():
            message = f"there is no directory {file.parent}; make it, or write another path"
            yield Finding(path, message)


def check_blessings(
    pipelines: Mapping[str, Any], base_dirs: Mapping[str, Path]
) -> Iterator[Finding]:
    """Yield each pipeline with a gate that would share its blessing with another one."""
    first: dict[Path, str] = {}
    for name in pipelines:
        pipeline = mapping(pipelines, name)
        golden = mapping(pipeline, "golden")
        file, blessing = golden.get("file"), golden.get("blessing")
        if not isinstance(pipeline.get("gate"), dict) or not isinstance(file, str):
            continue
        stands = base_dirs[name] / (
            blessing if isinstance(blessing, str) else f"{file}.blessing.json"
        )
        other = first.setdefault(stands, name)
        if other != name:
            message = f"{stands.name} would be the blessing of pipelines.{other} as well, though"
            path = ("pipelines", name, "golden", "file" if blessing is None else "blessing")
            yield Finding(
                path, f"{message} another model answers; write golden.blessing: <a file of its own>"
            )


def _protocol(model: Mapping[str, Any]) -> str | None:
    """Return the one protocol that is given."""
    given = [kind for kind in ("http", "open_inference") if isinstance(model.get(kind), dict)]
    return given[0] if len(given) == 1 else None


def _read(value: Any, reader: Any) -> float | None:
    """Return what *reader* makes of *value*; None where the types will say what is wrong."""
    try:
        found: float = reader(value)
    except ValueError:
        return None
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
