"""From a configuration to the pipelines under watch: readers, golden sets, clients, memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from seamwatch import golden, models, sources
from seamwatch.config import Config, load
from seamwatch.config.schema import PipelineSection
from seamwatch.errors import SeamwatchError
from seamwatch.fetch import Fetcher
from seamwatch.freshness import Publication
from seamwatch.golden import GoldenSet
from seamwatch.models import AdaptiveLimit
from seamwatch.pipeline import Answer, Judged
from seamwatch.scoring import Rules
from seamwatch.sources import Reach
from seamwatch.store import Asked
from seamwatch.watch.one import PipelineWatch
from seamwatch.watch.probing import Answered, Passes, Probing
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


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration and the golden sets that it names; plain values that cross processes."""

    config: Config
    goldens: Mapping[str, GoldenSet]  # of the pipelines that have one and a model to ask
    rules: Mapping[str, Rules]  # of the same pipelines: how their answers are judged


def plan(paths: Sequence[str]) -> Plan:
    """Read the configuration in *paths* and every golden set that it names.

    Raises:
        SeamwatchError: with everything that is wrong with the configuration, or else with the
            first golden set that cannot be used.
    """
    config = load(paths)
    goldens, rules = {}, {}
    for name, section in config.settings.pipelines.items():
        if section.golden is not None and section.model is not None:
            base_dir = config.base_dir(name)
            goldens[name] = golden.load(base_dir / section.golden.file, section.golden)
            rules[name] = golden.rules(section.golden, section.quality, base_dir=base_dir)
    return Plan(config, goldens, rules)


def watched(
    plan: Plan,
    name: str,
    tools: Tools,
    remembered: Remembered,
    *,
    changed: Callable[[], None],
    answered: Answered,
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
    if name in plan.goldens:
        items, rules = plan.goldens[name], plan.rules[name]
        probing = _probing(section, items, rules, tools, remembered, answered)
    return PipelineWatch(
        plan.config.pipelines[name],
        section,
        base_dir=base_dir,
        readers=readers,
        probing=probing,
        history=remembered.history,
        worker=tools.worker,
        clock=tools.clock,
        changed=changed,
    )


def is_same(watching: PipelineWatch, wanted: Plan, name: str) -> bool:
    """Say whether *wanted* asks for just what is *watching* already."""
    probing = watching.probing
    items = wanted.goldens.get(name)
    return (
        watching.section == wanted.config.settings.pipelines[name]
        and watching.base_dir == wanted.config.base_dir(name)
        and (probing.golden.digest if probing else None) == (items.digest if items else None)
        and (probing.rules if probing else None) == wanted.rules.get(name)
    )


def _probing(
    section: PipelineSection,
    items: GoldenSet,
    rules: Rules,
    tools: Tools,
    remembered: Remembered,
    answered: Answered,
) -> Probing:
    assert section.model is not None
    assert section.golden is not None
    client = models.build(section.model, tools.fetcher)
    most = section.model.concurrency
    budget = models.budget_of(section.model)
    for at in remembered.asked_at:
        budget.take(at)
    probing = Probing(
        golden=items,
        rules=rules,
        client=client,
        passes=Passes(items, rng=tools.rng, seed=remembered.seed, position=remembered.position),
        limit=tools.limits.setdefault(f"{client.host} {most}", AdaptiveLimit(most)),
        budget=budget,
        window=section.golden.window or len(items.items),
        timeout=section.model.timeout,
        clock=tools.clock,
        answered=answered,
    )
    probing.restore(_judged(items, remembered.window))
    return probing


def _judged(items: GoldenSet, window: tuple[Asked, ...]) -> list[Judged]:
    by_id = {item.id: item for item in items.items} if window else {}
    return [
        Judged(item, Answer(answered_by=row.answered_by), row.verdict, row.credit, row.at)
        for row in window
        if (item := by_id.get(row.item_id)) is not None
    ]
