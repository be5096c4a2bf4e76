"""Lint a golden set that can be loaded: what would make its figures say less than they seem to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from seamwatch.golden.faults import shown
from seamwatch.golden.loading import REST, GoldenSet
from seamwatch.pipeline import GoldenItem, Task
from seamwatch.scoring import Rules, label_of, wilson
from seamwatch.scoring.rules import SHAPES, positive_among
from seamwatch.scoring.textmatch import stands_in, tokens

SMALL = 30
"""Items of a slice under which its interval is too wide to act on."""
SOON = 14 * 86400.0
"""Seconds before its end at which an item is worth renewing."""
LEAKY = 0.9
"""Share of the items in which a field of the input is the expected answer itself."""

_SUPPOSED = 0.9  # the accuracy for which a width is told
_LABELLED = (Task.BINARY, Task.MULTICLASS, Task.MULTILABEL)


class Check(StrEnum):
    """What a finding is about; the name to ignore it by."""

    CONFLICT = "conflict"  # the same question with different answers
    REPEATED = "repeated"  # the same question with the same answer
    EXPIRED = "expired"
    EXPIRING = "expiring"
    NONE_VALID = "none-valid"
    SMALL_SET = "small-set"
    SMALL_SLICE = "small-slice"
    NO_SLICE = "no-slice"
    LEAK = "leak"
    RARE_LABEL = "rare-label"
    ONE_LABEL = "one-label"
    ALIKE_LABELS = "alike-labels"
    SUPERSEDED = "superseded"
    POSITIVE = "positive"
    RANKING_DEPTH = "ranking-depth"
    SCHEMA = "schema"  # an expected answer that quality.json_schema calls invalid


@dataclass(frozen=True, slots=True)
class Finding:
    """One weakness of a golden set, in a sentence; *ids* are the items that it is about."""

    check: Check
    text: str
    ids: tuple[str, ...] = ()


def lint(golden: GoldenSet, now: float, *, rules: Rules | None = None) -> list[Finding]:
    """Return what is weak in *golden* at *now*, worst first; *rules* adds what the settings ask."""
    rules = rules or Rules(golden.task)
    return [
        *_validity(golden, now),
        *_repetitions(golden),
        *_leaks(golden),
        *_labels(golden, rules),
        *_sizes(golden, now),
        *_updates(golden),
        *_depth(golden, rules),
        *_unfit(golden, rules),
    ]


def _validity(golden: GoldenSet, now: float) -> Iterator[Finding]:
    if not any(item.is_valid(now=now) for item in golden.items):
        yield Finding(Check.NONE_VALID, "no item is valid now, so none would be asked; renew them")
    ends = [(item, item.valid_until) for item in golden.items if item.valid_until is not None]
    expired = [item for item, end in ends if end <= now]
    if expired:
        yield _about(Check.EXPIRED, expired, "expired and not asked any more; renew or remove")
    soon = [(item, end) for item, end in ends if now < end <= now + SOON]
    if soon:
        first = datetime.fromtimestamp(min(end for _, end in soon), UTC)
        items = [item for item, _ in soon]
        yield _about(Check.EXPIRING, items, f"will expire within 14 days, the first {first:%F}")


def _repetitions(golden: GoldenSet) -> Iterator[Finding]:
    by_input: dict[bytes, list[GoldenItem]] = {}
    for item in golden.items:
        by_input.setdefault(_key(item.input), []).append(item)
    shape = SHAPES[golden.task]
    for items in by_input.values():
        for at, item in enumerate(items):
            others = [one for one in items[:at] if _overlap(one, item)]
            if any(shape(one.expected) != shape(item.expected) for one in others):
                ids = (*(one.id for one in others), item.id)
                text = f"{_listed(ids)} ask the same and expect different answers; correct one"
                yield Finding(Check.CONFLICT, text, ids)
                break
    repeated = [
        items[-1]
        for items in by_input.values()
        if len(items) > 1 and len({repr(shape(item.expected)) for item in items}) == 1
    ]
    if repeated:
        yield _about(Check.REPEATED, repeated, "asked twice with the same answer; remove or weigh")


def _overlap(one: GoldenItem, other: GoldenItem) -> bool:
    """Say whether there is a time at which both items are valid."""
    starts = [start for start in (one.valid_from, other.valid_from) if start is not None]
    ends = [end for end in (one.valid_until, other.valid_until) if end is not None]
    return not starts or not ends or max(starts) < min(ends)


def _leaks(golden: GoldenSet) -> Iterator[Finding]:
    asked = [item for item in golden.items if item.expected is not None]
    if golden.task is Task.TEXT:
        leaks = [item for item in asked if _gives_away(item)]
        if leaks:
            text = "holds the expected answer in its input; fine for extraction, else a leak"
            yield _about(Check.LEAK, leaks, text)
        return
    same: dict[str, int] = {}
    for item in asked:
        if isinstance(item.input, dict):
            for name, value in item.input.items():
                if label_of(value) is not None and value == item.expected:
                    same[name] = same.get(name, 0) + 1
    for name, times in same.items():
        if times >= max(5, LEAKY * len(asked)):
            text = f"input.{name} is the expected answer in {times:,} of {len(asked):,} items"
            yield Finding(Check.LEAK, f"{text}; take it out of the input")


def _gives_away(item: GoldenItem) -> bool:
    part = tokens(item.expected)
    # one short word stands in many questions by chance
    return sum(map(len, part)) >= 4 and any(stands_in(part, tokens(t)) for t in _texts(item.input))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _labels(golden: GoldenSet, rules: Rules) -> Iterator[Finding]:
    if golden.task not in _LABELLED:
        return
    ids = _by_label(golden)
    if len(ids) == 1 and len(golden.items) > 1:
        text = f"every item expects {shown(next(iter(ids)))}; a model that always says it is right"
        yield Finding(Check.ONE_LABEL, text)
    rare = {label: found[0] for label, found in ids.items() if len(found) == 1}
    if rare and len(golden.items) > 2:
        text = f"{_listed(tuple(rare))} {_has(len(rare))} a single example; add some"
        yield Finding(Check.RARE_LABEL, text, tuple(rare.values()))
    for alike in _alike(ids):
        text = f"labels {_listed(alike)} differ only in case or spaces; write one form"
        yield Finding(Check.ALIKE_LABELS, text)
    if golden.task is Task.BINARY and rules.positive is None and positive_among(set(ids)) is None:
        text = "no label is known to be the positive one; write golden.positive for precision,"
        yield Finding(Check.POSITIVE, f"{text} recall, F1 and ROC AUC")


def _by_label(golden: GoldenSet) -> dict[str, list[str]]:
    """Return the ids of the items that expect each label."""
    ids: dict[str, list[str]] = {}
    for item in golden.items:
        if item.expected is not None:
            for one in item.expected if golden.task is Task.MULTILABEL else (item.expected,):
                ids.setdefault(str(label_of(one)), []).append(item.id)
    return ids


def _alike(labels: Iterable[str]) -> list[tuple[str, ...]]:
    forms: dict[str, list[str]] = {}
    for label in labels:
        forms.setdefault(" ".join(label.split()).casefold(), []).append(label)
    return [tuple(found) for found in forms.values() if len(found) > 1]


def _sizes(golden: GoldenSet, now: float) -> Iterator[Finding]:
    valid = Counter(item.slice for item in golden.items if item.is_valid(now=now))
    if 0 < valid.total() < SMALL:
        yield Finding(Check.SMALL_SET, f"the set has {_width(valid.total())}; add items")
    small = {name: valid[name] for name in golden.slices if valid[name] < SMALL}
    for name, size in sorted(small.items(), key=lambda found: (found[1], found[0])):
        if name != REST:
            text = "no valid item" if size == 0 else _width(size)
            yield Finding(Check.SMALL_SLICE, f"slice {shown(name)} has {text}")
    if REST in golden.slices:
        loose = [item for item in golden.items if item.slice == REST]
        yield _about(Check.NO_SLICE, loose, f'without a slice, counted as "{REST}"; name theirs')


def _width(size: int) -> str:
    lower, upper = wilson(round(_SUPPOSED * size) / size, size)
    return (
        f"{size} valid {'item' if size == 1 else 'items'}: with about {_SUPPOSED:.0%} right "
        f"the 95 % interval is {lower:.0%} to {upper:.0%}"
    )


def _updates(golden: GoldenSet) -> Iterator[Finding]:
    changed = [item for item in golden.items if item.valid_from is not None and not item.superseded]
    if changed:
        text = "with valid_from but without superseded; write what was right before, if anything"
        yield _about(Check.SUPERSEDED, changed, f"{text}, so that a stale answer is seen as stale")


def _depth(golden: GoldenSet, rules: Rules) -> Iterator[Finding]:
    if golden.task is not Task.RANKING or rules.ranking_measure != "recall_at_k":
        return
    enough = 1.0 if rules.at_least is None else rules.at_least
    deep = [
        item
        for item in golden.items
        if item.expected is not None and rules.k < math.ceil(enough * len(item.expected) - 1e-9)
    ]
    if deep:
        text = f"with more relevant ids than the first {rules.k} can hold, so never correct"
        yield _about(Check.RANKING_DEPTH, deep, f"{text}; write a larger k or a smaller at_least")


def _unfit(golden: GoldenSet, rules: Rules) -> Iterator[Finding]:
    if rules.validator is None:
        return
    unfit = [
        item
        for item in golden.items
        if item.expected is not None
        and not rules.validator.is_valid(
            list(item.expected) if isinstance(item.expected, tuple) else item.expected
        )
    ]
    if unfit:
        text = "whose expected answer fails quality.json_schema, so never correct; change one"
        yield _about(Check.SCHEMA, unfit, text)


def _about(check: Check, items: list[GoldenItem], text: str) -> Finding:
    ids = tuple(item.id for item in items)
    return Finding(check, f"{len(ids):,} {'item' if len(ids) == 1 else 'items'} {text}", ids)


def _listed(names: tuple[str, ...]) -> str:
    some = ", ".join(shown(name) for name in names[:5])
    return some + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _key(value: Any) -> bytes:
    """Return the same bytes for equal inputs; of a text, whatever its case and spacing."""
    if isinstance(value, str):
        value = " ".join(value.split()).casefold()
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
