"""What ``golden bless`` found, how it compares with the earlier blessing, and how it is shown."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamwatch.cli.scorecard import laid_out, printable
from seamwatch.errors import SeamwatchError
from seamwatch.evidence import Blessing
from seamwatch.scoring import wilson

if TYPE_CHECKING:
    from seamwatch.cli.asking import Subject
    from seamwatch.pipeline import Judged

Z95 = 1.959964
SUGGESTED = 0.04
"""How far under the baseline a floor is suggested where there is no gate."""
OFTEN = 0.05
"""Share of the questions asked again from which the model is not well."""


@dataclass(frozen=True)
class Kinds:
    """How many items of a set or a slice did how well."""

    solid: int
    flaky: int
    hopeless: int  # never earned anything
    unclassed: int  # answered less than twice

    @property
    def items(self) -> int:
        """All of them."""
        return self.solid + self.flaky + self.hopeless + self.unclassed


@dataclass(frozen=True)
class BlessCard:
    """One blessing as it is shown."""

    pipeline: str
    path: Path
    golden_file: str
    task: str
    blessing: Blessing
    baseline: float
    interval: tuple[float, float]  # of another blessing of these items
    sample: tuple[float, float]  # of all questions that the set stands for
    kinds: Kinds
    slices: Mapping[str, tuple[float, Kinds]]
    answered_by: Mapping[str, int]  # version -> answers
    floor: float | None
    floor_is: str
    asked: int
    again: int
    earlier: Blessing | None
    is_worse: bool  # than the earlier blessing of the same set, by more than the interval
    warnings: tuple[str, ...]
    is_written: bool = True

    def refused(self) -> BlessCard:
        """Return the card of a blessing that was not written."""
        text = f"not written: {self.path} stays as it is; with --force it is overwritten"
        return replace(self, is_written=False, warnings=(*self.warnings, text))


def card_of(
    subject: Subject,
    path: Path,
    blessing: Blessing,
    answers: Sequence[Sequence[Judged]],
    earlier: Blessing | None,
    *,
    asked: int,
    again: int,
) -> BlessCard:
    """Return what is to be said of *blessing*; raise SeamwatchError where nothing was answered."""
    baseline = blessing.baseline
    if baseline is None:
        raise SeamwatchError(f"pipelines.{subject.name}: nothing was answered")
    floor, floor_is, doubts = _floor(subject, blessing, baseline)
    worse, about_earlier = compare(earlier, blessing)
    versions = Counter(
        one.answer.answered_by
        for answered in answers
        for one in answered
        if one.answer.answered_by is not None
    )
    doubts += about_earlier
    if len(versions) > 1:
        named = ", ".join(printable(name) for name, _ in versions.most_common(5))
        doubts.append(f"{len(versions)} versions answered ({named}): one baseline stands for all")
    if again > OFTEN * asked:
        doubts.append(f"{again:,} of {asked:,} questions were asked again: the model is not well")
    if blessing.passes == 1:
        doubts.append("one pass cannot tell solid items from flaky ones; write --passes 5")
    return BlessCard(
        pipeline=subject.name,
        path=path,
        golden_file=subject.asked.file,
        task=subject.golden.task,
        blessing=blessing,
        baseline=baseline,
        interval=_interval(blessing, baseline),
        sample=wilson(baseline, len(blessing.means)),
        kinds=_kinds(blessing, blessing.credit),
        slices=_slices(blessing),
        answered_by=dict(versions.most_common()),
        floor=floor,
        floor_is=floor_is,
        asked=asked,
        again=again,
        earlier=earlier,
        is_worse=worse,
        warnings=tuple(doubts),
    )


def _floor(
    subject: Subject, blessing: Blessing, baseline: float
) -> tuple[float | None, str, list[str]]:
    """Return the floor that follows, where it comes from, and what is wrong with it."""
    from seamwatch.golden.terms import terms_for

    gate = subject.section.gate
    if gate is None:
        floor = max(0.0, baseline - SUGGESTED)
        return floor, f"baseline less {SUGGESTED:.0%}, a good beginning: there is no gate yet", []
    where = "gate.floor"
    if gate.floor is None:
        where = f"baseline less gate.floor_below_baseline, {gate.floor_below_baseline:.3g}"
    try:
        return terms_for(subject.section, subject.golden, blessing).floor, where, []
    except SeamwatchError as error:
        return None, where, [f"the gate cannot use it: {error}"]


def compare(earlier: Blessing | None, new: Blessing) -> tuple[bool, list[str]]:
    """Return whether *new* is worse than *earlier* beyond doubt, and what is to be said of it.

    Two blessings of one set under the same rules ask the same items, so that only the flicker
    between passes blurs their difference; it must also be more than one item. For another set
    nothing is worse beyond doubt: it may simply be harder.
    """
    if earlier is None or earlier.baseline is None or new.baseline is None:
        return False, []
    drop = earlier.baseline - new.baseline
    told = f"the baseline is {new.baseline:.1%}, and was {earlier.baseline:.1%} {_whose(earlier)}"
    if (earlier.digest, earlier.rules, earlier.score) != (new.digest, new.rules, new.score):
        half = math.hypot(
            earlier.baseline - wilson(earlier.baseline, len(earlier.means))[0],
            wilson(new.baseline, len(new.means))[1] - new.baseline,
        )
        if drop <= half:
            return False, []
        return False, [f"{told}, for another set or other rules: is it harder, or the model worse?"]
    if drop > _doubt(earlier, new):
        return True, [f"{told}: the model looks broken"]
    fallen = [
        f"{printable(name)} ({new.slice_baselines[name]:.0%}, was {before:.0%})"
        for name, before in earlier.slice_baselines.items()
        if name in new.slice_baselines
        and before - new.slice_baselines[name] > _doubt(_part(earlier, name), _part(new, name))
    ]
    if fallen:
        return False, [f"slices did better {_whose(earlier)}: {', '.join(fallen[:5])}"]
    return False, []


def _whose(earlier: Blessing) -> str:
    versions = ", ".join(printable(name) for name in earlier.answered_by[:3])
    return f"when it was blessed before{f' ({versions})' if versions else ''}"


def _doubt(one: Blessing, other: Blessing) -> float:
    """Return the difference of baselines that chance explains."""
    flicker = math.hypot(one.baseline_error or 0.0, other.baseline_error or 0.0)
    return max(Z95 * flicker, 1.0 / max(1, len(other.means))) + 1e-9


def _part(blessing: Blessing, name: str) -> Blessing:
    ids = {item for item, its in blessing.slices.items() if its == name}
    return replace(blessing, credit={i: row for i, row in blessing.credit.items() if i in ids})


def _interval(blessing: Blessing, baseline: float) -> tuple[float, float]:
    half = Z95 * (blessing.baseline_error or 0.0)
    return max(0.0, baseline - half), min(1.0, baseline + half)


def _kinds(blessing: Blessing, ids: Sequence[str] | Mapping[str, Any]) -> Kinds:
    solid = flaky = hopeless = unclassed = 0
    for item in ids:
        kind = blessing.item_class(item)
        if not kind:
            unclassed += 1
        elif not blessing.means[item]:
            hopeless += 1
        elif item in blessing.solid:
            solid += 1
        else:
            flaky += 1
    return Kinds(solid, flaky, hopeless, unclassed)


def _slices(blessing: Blessing) -> dict[str, tuple[float, Kinds]]:
    ids: dict[str, list[str]] = {}
    for item, name in blessing.slices.items():
        ids.setdefault(name, []).append(item)
    return {
        name: (value, _kinds(blessing, ids[name]))
        for name, value in blessing.slice_baselines.items()
    }


def as_text(cards: Sequence[BlessCard]) -> str:
    """Return the cards as aligned plain text; the warnings are not in it."""
    return "\n\n".join("\n".join(_text(card)) for card in cards)


def _text(card: BlessCard) -> list[str]:
    blessing, (lower, upper) = card.blessing, card.interval
    done = "blessed" if card.is_written else "not blessed"
    passes = f"{blessing.passes} pass{'es' if blessing.passes != 1 else ''}"
    lines = [
        f"{card.pipeline}: {done}, baseline {card.baseline:.1%} ({lower:.1%} to {upper:.1%}) over "
        f"{passes} of {len(blessing.credit):,} items",
        f"  {card.golden_file} ({card.task}, sha256 {blessing.digest[:12]}); as a sample of all "
        f"questions {card.sample[0]:.1%} to {card.sample[1]:.1%}",
        f"  asked {card.asked:,}" + (f", {card.again:,} of them again" if card.again else ""),
        f"  floor {'unknown' if card.floor is None else f'{card.floor:.1%}'}: {card.floor_is}",
    ]
    if card.is_written:
        lines.append(f"  written to {card.path}")
    kinds = card.kinds
    rows = [
        ["solid", f"{kinds.solid:,}", "at or above the mean of the set in every pass"],
        ["flaky", f"{kinds.flaky:,}", "now and then"],
        ["hopeless", f"{kinds.hopeless:,}", "never; say nothing about a drop"],
    ]
    if kinds.unclassed:
        rows.append(["unknown", f"{kinds.unclassed:,}", "answered less than twice"])
    lines += laid_out("Items", ["kind", "items", "did well"], rows)
    if card.slices:
        worst_first = sorted(card.slices.items(), key=lambda found: found[1][0])
        rows = [
            [printable(name), f"{value:.1%}"]
            + [f"{count:,}" for count in (one.items, one.solid, one.flaky, one.hopeless)]
            for name, (value, one) in worst_first
        ]
        headings = ["slice", "baseline", "items", "solid", "flaky", "hopeless"]
        lines += laid_out("Slices, worst first", headings, rows)
    if card.answered_by:
        rows = [[printable(name), f"{count:,}"] for name, count in card.answered_by.items()]
        lines += laid_out("Answered by", ["version", "answers"], rows)
    return lines


def as_json(cards: Sequence[BlessCard]) -> str:
    """Return the cards as one JSON document; what is unknown is null."""
    return json.dumps({card.pipeline: _plain(card) for card in cards}, indent=2, ensure_ascii=False)


def _plain(card: BlessCard) -> dict[str, Any]:
    blessing = card.blessing
    return {
        "file": str(card.path),
        "written": card.is_written,
        "golden": blessing.digest,
        "rules": blessing.rules,
        "score": blessing.score,
        "passes": blessing.passes,
        "asked": card.asked,
        "asked_again": card.again,
        "baseline": {
            "value": card.baseline,
            "lower": card.interval[0],
            "upper": card.interval[1],
            "n": len(blessing.means),
        },
        "sample": {"lower": card.sample[0], "upper": card.sample[1]},
        "floor": card.floor,
        "items": _counts(card.kinds),
        "slices": {
            name: {"baseline": value, **_counts(kinds)}
            for name, (value, kinds) in card.slices.items()
        },
        "answered_by": dict(card.answered_by),
        "earlier": None if card.earlier is None else {"baseline": card.earlier.baseline},
        "warnings": list(card.warnings),
    }


def _counts(kinds: Kinds) -> dict[str, int]:
    return {
        "all": kinds.items,
        "solid": kinds.solid,
        "flaky": kinds.flaky,
        "hopeless": kinds.hopeless,
        "unknown": kinds.unclassed,
    }
