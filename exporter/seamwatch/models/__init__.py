"""Clients of live models: one file for each protocol, one line for each in the table below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seamwatch.config.models import ModelSection
from seamwatch.fetch import Fetcher
from seamwatch.models.asking import Asking, ModelClient, ask_all
from seamwatch.models.budget import Budget
from seamwatch.models.concurrency import AdaptiveLimit
from seamwatch.models.http import HttpClient
from seamwatch.models.open_inference import OpenInferenceClient
from seamwatch.models.variants import variant

__all__ = [
    "PROTOCOLS",
    "AdaptiveLimit",
    "Asking",
    "Budget",
    "ModelClient",
    "ask_all",
    "budget_of",
    "build",
    "variant",
]

PROTOCOLS: Mapping[str, Callable[[Any, Fetcher], ModelClient]] = {
    "http": HttpClient,
    "open_inference": OpenInferenceClient,
}
"""Key under ``model`` in seamwatch.yaml -> client."""


def build(section: ModelSection, fetcher: Fetcher) -> ModelClient:
    """Return the client for *section*.

    Raises:
        SeamwatchError: a header or the address could never be sent.
    """
    return PROTOCOLS[section.kind](section.section, fetcher)


def budget_of(section: ModelSection) -> Budget:
    """Return the probe budget that *section* allows."""
    return Budget(per_hour=section.budget.per_hour, per_day=section.budget.per_day)
