"""From a configuration to the pipelines under watch: readers, golden sets, clients, memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from seamwatch import models, sources
from seamwatch.config import Config, load
from seamwatch.config.schema import PipelineSection
from seamwatch.errors import GoldenError, SeamwatchError
from seamwatch.fetch import Fetcher
from seamwatch.freshness import Publication
from seamwatch.golden import GoldenSet
from seamwatch.golden.terms import score_of
from seamwatch.models import AdaptiveLimit
from seamwatch.pipeline import Answer, Judged
from seamwatch.quality import QualityRules
from seamwatch.sources import Reach
from seamwatch.store import Asked, Finding
from seamwatch.watch.answers import Answers
from seamwatch.watch.attributing import Attributing
from seamwatch.watch.casework import Casework
from seamwatch.watch.judging import Judging, judging_of
from seamwatch.watch.ledger import Kept, restore
from seamwatch.watch.one import PipelineWatch
from seamwatch.watch.probing import Answered, Passes, Probing
from seamwatch.watch.signals import Signals
from seamwatch.watch.worker import Worker


@dataclass(slots=True)
class Tools:
    """What all pipelines share: the network, the worker process, the clock and the dice."""

    fetcher: Fetcher
    reach: Reach
    worker: Worker
    clock: Callable[[], float]  # wall clock, seconds since the epoch
    rng: random.Random = field(default_factory=random.Random)
    limits: dict[str, AdaptiveLimit] = field(default_factory=dict)  # by model host and limit


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the store kept of one pipeline."""

    history: Mapping[str, tuple[Publication, ...]] = field(default_factory=dict)
    seed: int | None = None  # of the pass over the golden set that was interrupted
    position: int = 0
    window: tuple[Asked, ...] = ()  # oldest first
    asked_at: tuple[float, ...] = ()  # wall clock of the last day's probes
    case: Kept | None = None  # None: the store could not be read
    finding: Finding | None = None  # of the last attribution


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration and the golden sets that it names; plain values that cross processes."""

    config: Config
    judging: Mapping[str, Judging]  # of the pipelines that have a golden set and a model to ask


def plan(paths: Sequence[str]) -> Plan:
    """Read the configuration in *paths* and every golden set that it names.

    Raises:
        SeamwatchError: with everything that is wrong with the configuration, or else with the
            first golden set that cannot be used.
    """
    config = load(paths)
    judging = {}
    for name, section in config.settings.pipelines.items():
        if section.golden is not None and section.model is not None:
            try:
                judging[name] = judging_of(section, base_dir=config.base_dir(name))
            except GoldenError:
                raise
            except SeamwatchError as error:
                raise SeamwatchError(f"pipelines.{name}: {error}") from error
    return Plan(config, judging)


def watched(
    plan: Plan,
    name: str,
    tools: Tools,
    remembered: Remembered,
    *,
    changed: Callable[[], None],
    answered: Answered,
    found: Callable[[str], None],
) -> PipelineWatch:
    """Return pipeline *name* ready to be watched; nothing is read or asked yet.

    Raises:
        SeamwatchError: a stage or the model could never be reached as configured.
    """
    section = plan.config.settings.pipelines[name]
    base_dir = plan.config.base_dir(name)
    readers = {}
    for stage, one in section.stages.items():
        if one.source is not None:
            try:
                readers[stage] = sources.build(
                    one.source, tools.reach, timeout=one.timeout, base_dir=base_dir
                )
            except SeamwatchError as error:
                raise SeamwatchError(f"pipelines.{name}.stages.{stage}: {error}") from error
    probing = None
    if name in plan.judging:
        probing = _probing(name, section, plan.judging[name], tools, remembered)
    attributing = None
    if probing is not None and probing.casework is not None and _repairs(section):
        attributing = _attributing(
            name, section, plan.judging[name], tools, probing, remembered.finding, found
        )
    return PipelineWatch(
        plan.config.pipelines[name],
        section,
        base_dir=base_dir,
        readers=readers,
        judging=plan.judging.get(name),
        probing=probing,
        attributing=attributing,
        signals=Signals(
            section.quality.signals, tools.reach, changed=changed, where={"pipeline": name}
        ),
        history=remembered.history,
        worker=tools.worker,
        clock=tools.clock,
        changed=changed,
        answered=answered,
    )


def _repairs(section: PipelineSection) -> bool:
    return section.model is not None and bool(section.model.repairs)


def is_same(watching: PipelineWatch, wanted: Plan, name: str) -> bool:
    """Say whether *wanted* asks for just what is *watching* already."""
    return (
        watching.section == wanted.config.settings.pipelines[name]
        and watching.base_dir == wanted.config.base_dir(name)
        and watching.judging == wanted.judging.get(name)
    )


def _probing(
    name: str, section: PipelineSection, judging: Judging, tools: Tools, remembered: Remembered
) -> Probing:
    assert section.model is not None
    assert section.golden is not None
    items = judging.golden
    client = models.build(section.model, tools.fetcher)
    most = section.model.concurrency
    budget = models.budget_of(section.model)
    for at in remembered.asked_at:
        budget.take(at)
    probing = Probing(
        golden=items,
        rules=judging.rules,
        client=client,
        passes=Passes(items, rng=tools.rng, seed=remembered.seed, position=remembered.position),
        limit=tools.limits.setdefault(f"{client.host} {most}", AdaptiveLimit(most)),
        budget=budget,
        answers=Answers(
            section.golden.window or len(items.items),
            judging.rules,
            quality=_quality_rules(section),
            threshold=section.threshold,
        ),
        timeout=section.model.timeout,
        clock=tools.clock,
        casework=_casework(name, section, judging, tools, remembered),
    )
    probing.answers.restore(_judged(items, remembered.window))
    return probing


def _quality_rules(section: PipelineSection) -> QualityRules:
    quality, target = section.quality, section.slos.quality
    return QualityRules(
        not_empty=bool(quality.not_empty),
        json_schema=quality.json_schema is not None,
        refusal_at_most=quality.refusal.at_most if quality.refusal else None,
        max_length=quality.max_length,
        forbids=tuple(quality.forbids),
        at_least=target.at_least if target else None,
    )


def _attributing(
    name: str,
    section: PipelineSection,
    judging: Judging,
    tools: Tools,
    probing: Probing,
    finding: Finding | None,
    found: Callable[[str], None],
) -> Attributing:
    assert section.model is not None

    def keep(_: object) -> None:
        found(orjson.dumps(attributing.saved()).decode())

    attributing = Attributing(
        pipeline=name,
        section=section.model,
        golden=judging.golden,
        rules=judging.rules,
        blessing=judging.blessing,
        threshold=section.threshold,
        fetcher=tools.fetcher,
        limits=tools.limits,
        spend=probing.spend,
        worker=tools.worker,
        clock=tools.clock,
        found=keep,
        rng=tools.rng,
    )
    if finding is not None:
        attributing.restore(_saved(finding))
    return attributing


def _saved(finding: Finding) -> Any:
    """Return what *finding* holds; what is no JSON is nothing that anybody could go on with."""
    try:
        return orjson.loads(finding.text)
    except orjson.JSONDecodeError:
        return None


def _casework(
    name: str, section: PipelineSection, judging: Judging, tools: Tools, remembered: Remembered
) -> Casework | None:
    if judging.terms is None or section.gate is None or section.golden is None:
        return None
    casework = Casework(
        terms=judging.terms,
        gate=section.gate,
        every=section.golden.every,
        score=score_of(section.golden, section.gate.score),
        rules=judging.rules,
        digest=judging.golden.digest,
        items=judging.golden.items,
        clock=tools.clock,
        where={"pipeline": name},
        blessing=judging.blessing,
        known=judging.known,
    )
    casework.is_recalled = remembered.case is not None
    if remembered.case is not None:
        restore(casework, remembered.case)
    counted = (row.at for row in remembered.window if row.ordinal is not None and row.x is not None)
    # An exporter that was away for long knows nothing of now, until the next valid answer.
    casework.last_valid = max(counted, default=casework.last_valid)
    return casework


def _judged(items: GoldenSet, window: tuple[Asked, ...]) -> list[Judged]:
    by_id = {item.id: item for item in items.items} if window else {}
    return [
        Judged(item, Answer(answered_by=row.answered_by), row.verdict, row.credit, row.at)
        for row in window
        if (item := by_id.get(row.item_id)) is not None
    ]
