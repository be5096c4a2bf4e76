"""Where a halt is pushed to: one file for each kind, one line for each in the table below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seamwatch.actions.airflow import AirflowTarget
from seamwatch.actions.argo_workflows import ArgoWorkflowsTarget
from seamwatch.actions.exec import ExecTarget
from seamwatch.actions.kubernetes import KubernetesTarget
from seamwatch.actions.open_inference import OpenInferenceTarget
from seamwatch.actions.redis import RedisTarget
from seamwatch.actions.target import Memory, Order, Target
from seamwatch.actions.webhook import WebhookTarget
from seamwatch.config.actions import ActionSection
from seamwatch.fetch import Fetcher

__all__ = ["KINDS", "Memory", "Order", "Target", "build"]

KINDS: Mapping[str, Callable[[Any, Fetcher, float], Target]] = {
    "webhook": WebhookTarget,
    "redis": RedisTarget,
    "exec": ExecTarget,
    "airflow": AirflowTarget,
    "argo_workflows": ArgoWorkflowsTarget,
    "kubernetes": KubernetesTarget,
    "open_inference": OpenInferenceTarget,
}
"""Key under ``gate.actions`` in seamwatch.yaml -> target, of its section and timeout in seconds."""


def build(section: ActionSection, fetcher: Fetcher) -> Target:
    """Return the target for *section*.

    Raises:
        SeamwatchError: a header or the address could never be sent, or an extra is missing.
    """
    return KINDS[section.kind](section.section, fetcher, section.timeout)
