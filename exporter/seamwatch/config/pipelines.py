"""Settings as the frozen values that the floors above work with."""

from __future__ import annotations

from sys import intern

from seamwatch.config.graph import topological
from seamwatch.config.schema import PipelineSection, Settings, StageSection
from seamwatch.pipeline import Pipeline, Stage, StageKind, Targets

_KINDS = {kind.value: kind for kind in StageKind}


def pipelines(settings: Settings) -> dict[str, Pipeline]:
    """Return each pipeline with its stages in topological order, otherwise as written."""
    return {intern(name): _pipeline(name, section) for name, section in settings.pipelines.items()}


def _pipeline(name: str, section: PipelineSection) -> Pipeline:
    order = topological({name: stage.after for name, stage in section.stages.items()})
    stages = tuple(_stage(stage, section.stages[stage]) for stage in order)
    return Pipeline(intern(name), intern(section.owner), stages, _targets(section))


def _stage(name: str, section: StageSection) -> Stage:
    return Stage(
        name=intern(name),
        team=intern(section.team),
        kind=_KINDS[section.kind],
        after=tuple(map(intern, section.after)),
        tuned_on=tuple(map(intern, section.tuned_on)),
        data_age=section.data_age,
    )


def _targets(section: PipelineSection) -> Targets:
    slos = section.slos
    given = {**slos.components, "end_to_end": slos.end_to_end}
    return Targets(
        data_age=slos.freshness.data_age if slos.freshness else None,
        accuracy=slos.accuracy.at_least if slos.accuracy else None,
        availability=slos.availability.at_least if slos.availability else None,
        quality=slos.quality.at_least if slos.quality else None,
        objectives={
            name: slo.objective
            for name, slo in given.items()
            if slo is not None and slo.objective is not None
        },
    )
