"""What the store kept of pipelines, for when they are watched again: after a start or a reload."""

from __future__ import annotations

from collections.abc import Collection

from seamwatch.store import Store
from seamwatch.watch.ledger import kept
from seamwatch.watch.plan import Plan, Remembered

DAY = 86400.0  # seconds: the longest window of a budget


async def recall(
    store: Store, plan: Plan, names: Collection[str], *, now: float
) -> dict[str, Remembered]:
    """Return what the *store* kept of the pipelines *names* of *plan*.

    Raises:
        StoreError: it cannot be read.
    """
    histories = await store.load_histories(names)
    passes = await store.load_passes()
    asked_at = await store.load_asked_at(now - DAY)
    findings = await store.load_findings()
    found = {}
    for name in names:
        judging = plan.judging.get(name)
        section = plan.config.settings.pipelines[name].golden
        if judging is None or section is None:
            found[name] = Remembered(histories.get(name, {}))
            continue
        items = judging.golden
        interrupted = passes.get((name, items.digest))
        size = section.window or len(items.items)
        found[name] = Remembered(
            histories.get(name, {}),
            interrupted.seed if interrupted else None,
            interrupted.position if interrupted else 0,
            tuple(await store.load_window(name, items.digest, size)) if interrupted else (),
            asked_at.get(name, ()),
            await kept(store, name) if judging.terms is not None else None,
            findings.get(name),
        )
    return found
