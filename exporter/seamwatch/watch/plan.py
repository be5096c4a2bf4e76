"""From a pipeline's configuration to what watching it needs: readers, golden set, client, jobs."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from seamwatch import golden, sources
from seamwatch.config import Config
from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Judged
from seamwatch.sources import Reach, Source


@dataclass(frozen=True, slots=True)
class Tools:
    """What all pipelines share: the network, the clocks and the dice."""

    fetcher: Fetcher
    reach: Reach
    clock: Callable[[], float]  # wall clock, seconds since the epoch
    rng: random.Random


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the store kept of one pipeline's golden set."""

    seed: int | None = None
    position: int = 0
    window: tuple[Judged, ...] = ()  # oldest first
    asked_at: tuple[float, ...] = ()  # wall clock of the probes of the last day


def readers(config: Config, name: str, tools: Tools) -> dict[str, Source]:
    """Return a reader for each stage of pipeline *name* that has a source."""
    section = config.settings.pipelines[name]
    return {
        stage_name: sources.build(
            stage.source,
            tools.reach,
            timeout=stage.timeout,
            base_dir=config.base_dir(name),
        )
        for stage_name, stage in section.stages.items()
        if stage.source is not None
    }


def load_golden(config: Config, name: str) -> golden.GoldenSet | None:
    """Read the golden set of pipeline *name*; None when it has none.

    Raises GoldenError with everything that is wrong with the file.
    """
    section = config.settings.pipelines[name]
    if section.golden is None or section.model is None:
        return None
    return golden.load(config.base_dir(name) / section.golden.file, section.golden)
