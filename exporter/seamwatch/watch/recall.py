"""What the store kept of pipelines, for when they are watched again: after a start or a reload."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from seamwatch.errors import StoreError
from seamwatch.store import Asked, Store
from seamwatch.watch.ledger import kept
from seamwatch.watch.plan import Plan, Remembered

log = logging.getLogger(__name__)

DAY = 86400.0  # seconds: the longest window of a budget


async def recall(
    store: Store, plan: Plan, names: Collection[str], *, now: float
) -> dict[str, Remembered]:
    """Return what the *store* kept of the pipelines *names* of *plan*.

    Where it fails after a while, what was read until then is returned: of the other pipelines
    neither the last answers nor the case are known.

    Raises:
        StoreError: nothing can be read.
    """
    histories = await store.load_histories(names)
    found = {name: Remembered(histories.get(name, {})) for name in names}
    asking = [name for name in names if name in plan.judging]
    if not asking:
        return found
    limited = _limited(plan, asking)
    asked_at = await store.load_asked_at(now - DAY, limited) if limited else {}
    passes = await store.load_passes()
    findings = await store.load_findings()
    for name in asking:
        one = passes.get((name, plan.judging[name].golden.digest))
        found[name] = replace(
            found[name],
            seed=one.seed if one else None,
            position=one.position if one else 0,
            asked_at=asked_at.get(name, ()),
            finding=findings.get(name),
        )
    for n, name in enumerate(asking):
        try:
            found[name] = await _with_answers(store, plan, name, found[name])
        except StoreError as error:
            log.error("%d pipelines do not remember their answers: %s", len(asking) - n, error)
            break
    return found


async def _with_answers(store: Store, plan: Plan, name: str, known: Remembered) -> Remembered:
    """Return *known* with the last answers of pipeline *name*, and its case."""
    section, judging = plan.config.settings.pipelines[name].golden, plan.judging[name]
    assert section is not None
    items = judging.golden
    window: list[Asked] = []
    if known.seed is not None:
        window = await store.load_window(name, items.digest, section.window or len(items.items))
    case = await kept(store, name) if judging.terms is not None else None
    return replace(known, window=tuple(window), case=case)


def _limited(plan: Plan, names: Collection[str]) -> frozenset[str]:
    """Return the pipelines with a budget: of the others nobody needs to know what they spent."""
    models = {name: plan.config.settings.pipelines[name].model for name in names}
    return frozenset(
        name
        for name, model in models.items()
        if model is not None and (model.budget.per_hour or model.budget.per_day)
    )
