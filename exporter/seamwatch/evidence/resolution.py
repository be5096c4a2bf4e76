"""From what people write to the terms of evidence; every refusal says what to write instead."""

from __future__ import annotations

from collections.abc import Mapping

from seamwatch.evidence.blessing import Blessing
from seamwatch.evidence.terms import Items, Terms

FLOOR_BELOW_BASELINE = 0.04
LEAST_LIMIT = 100.0
SMALLEST_SLICE_FLOOR = 0.05
_ONE_SIDED_95 = 1.645


def terms(
    *,
    probes_per_year: float,
    max_false_halts_per_year: float = 0.5,
    floor: float | None = None,
    floor_below_baseline: float = FLOOR_BELOW_BASELINE,
    blessing: Blessing | None = None,
    items: str | None = None,
    slices: Mapping[str, int] | None = None,
    slice_weight: float = 0.5,
    slice_floors: Mapping[str, float] | None = None,
    focus: bool = False,
    max_false_tickets_per_year: float | None = 2.0,
    burst_from: float = 0.4,
    resume_above: float | None = None,
    max_false_resumes_per_halt: float = 0.05,
    max_halted_probes: int = 1000,
) -> Terms:
    """Return the terms that a configuration, a golden set and its blessing amount to.

    Args:
        probes_per_year: the most that can be asked in a year, bursts included: exactly on the
            floor evidence hovers so high that bursts run most of the time.
        floor: the least acceptable mean in (0, 1); None: baseline - floor_below_baseline.
        items: "plain", "item_aware", "sentinels"; None: item_aware when blessed.
        slices: how many items each slice has; only these can have detectors of their own.
        slice_floors: set by people; other slices are held to their blessed baseline less twice the
            tolerance, and never so close that one item alone could halt a pipeline. A slice that
            has neither has no detector of its own: the global floor would be wrong for it.

    Raises:
        ValueError: a sentence for the person who wrote the configuration.
    """
    baseline = None if blessing is None else blessing.baseline
    mode = _mode(items, blessing)
    resolved = _floor(floor, floor_below_baseline, baseline)
    limit = _limit(probes_per_year, max_false_halts_per_year)
    floors = _slice_floors(
        slices or {},
        slice_floors or {},
        blessing,
        None if baseline is None else baseline - resolved,
    )
    aware = blessing if mode is not Items.PLAIN else None
    known = {} if blessing is None else blessing.slice_baselines
    return Terms(
        limit=limit,
        floor=resolved,
        baseline=baseline,
        items=mode,
        class_means=dict(aware.class_means) if aware else {},
        slice_floors=floors if slice_weight else {},
        slice_baselines={name: known[name] for name in floors if name in known},
        slice_class_means={
            name: dict(means)
            for name, means in (aware.slice_class_means if aware else {}).items()
            if name in floors
        },
        slice_weight=slice_weight if floors else 0.0,
        focus=focus and bool(floors),
        suspect_from=burst_from,
        calm_at=0.75 * burst_from,
        ticket_limit=_ticket_limit(probes_per_year, max_false_tickets_per_year, blessing),
        ticket_floor=_ticket_floor(blessing, resolved),
        resume_above=_resume_above(resume_above, resolved, baseline),
        resume_limit=_resume_limit(max_halted_probes, max_false_resumes_per_halt),
    )


def _mode(items: str | None, blessing: Blessing | None) -> Items:
    classes = blessing is not None and bool(blessing.class_means)
    if items is None:
        return Items.ITEM_AWARE if classes else Items.PLAIN
    mode = Items(items)
    if mode is not Items.PLAIN and blessing is None:
        raise ValueError(
            f"gate.items: {mode} compares with what the golden set scored when it was blessed, and"
            " it is not; run `seamwatch golden bless`, or write items: plain"
        )
    if mode is not Items.PLAIN and not classes:
        raise ValueError(
            f"gate.items: {mode} needs at least two passes of blessing, five are better; run"
            " `seamwatch golden bless --passes 5`, or write items: plain"
        )
    return mode


def _floor(floor: float | None, below: float, baseline: float | None) -> float:
    if floor is None:
        if baseline is None:
            raise ValueError(
                "gate.floor is not set, and the golden set is not blessed, so there is no baseline"
                " to stay near; write floor: 90%, or run `seamwatch golden bless`"
            )
        floor = baseline - below
        if floor <= 0.0:
            raise ValueError(
                f"gate.floor_below_baseline of {below:.1%} leaves no floor: the blessed baseline is"
                f" {baseline:.1%}; write a smaller one, or a floor"
            )
    if not 0.0 < floor < 1.0:
        raise ValueError(f"gate.floor of {floor} must lie between 0 and 1, e.g. 90%")
    if baseline is not None and floor >= baseline:
        raise ValueError(
            f"gate.floor of {floor:.1%} is not below the blessed baseline of {baseline:.1%}: a"
            f" healthy pipeline would halt; write at most {max(baseline - 0.01, 0.0):.0%}"
        )
    return floor


def _limit(probes_per_year: float, per_year: float) -> float:
    if not (probes_per_year > 0.0 and per_year > 0.0):
        raise ValueError("probes_per_year and max_false_halts_per_year must be above 0")
    limit = probes_per_year / per_year
    if limit < LEAST_LIMIT:
        raise ValueError(
            f"{probes_per_year:.0f} probes a year cannot tell {per_year:g} false halts a year from"
            f" chance; probe more often, or write max_false_halts_per_year:"
            f" {probes_per_year / LEAST_LIMIT:.2g}"
        )
    return limit


def _slice_floors(
    sizes: Mapping[str, int],
    written: Mapping[str, float],
    blessing: Blessing | None,
    tolerance: float | None,
) -> dict[str, float]:
    unknown = sorted(set(written) - set(sizes))
    if unknown:
        raise ValueError(
            f"gate.slices.floors names {unknown[0]!r}, which no golden item has as its slice; the"
            f" slices are: {', '.join(sorted(sizes)) or 'none'}"
        )
    floors = dict(written)
    baselines = {} if blessing is None else blessing.slice_baselines
    for name, size in sizes.items():
        if name in floors or name not in baselines or tolerance is None or size < 1:
            continue
        floor = baselines[name] - max(2.0 * tolerance, 1.0 / size)
        if floor >= SMALLEST_SLICE_FLOOR:
            floors[name] = floor
    return dict(sorted(floors.items()))


def _ticket_limit(
    probes_per_year: float, per_year: float | None, blessing: Blessing | None
) -> float | None:
    if per_year is None or blessing is None or blessing.baseline is None:
        return None
    return max(probes_per_year / per_year, LEAST_LIMIT)


def _ticket_floor(blessing: Blessing | None, floor: float) -> float | None:
    """Return the baseline less its own error, one item at least, half the tolerance at most."""
    if blessing is None or blessing.baseline is None or not blessing.means:
        return None
    uncertain = _ONE_SIDED_95 * (blessing.baseline_error or 0.0)
    margin = max(uncertain, 1.0 / len(blessing.means))
    return blessing.baseline - min(margin, (blessing.baseline - floor) / 2.0)


def _resume_above(above: float | None, floor: float, baseline: float | None) -> float:
    if above is None:
        return floor
    if not 0.0 < above < 1.0 or (baseline is not None and above >= baseline):
        top = "1" if baseline is None else f"the blessed baseline of {baseline:.1%}"
        raise ValueError(
            f"gate.resume.above of {above:.1%} must lie between 0 and {top}, or a pipeline that is"
            " well again could never show it"
        )
    return above


def _resume_limit(probes: int, resumes: float) -> float:
    if not (probes > 0 and resumes > 0.0):
        raise ValueError(
            "gate.resume.max_halted_probes and max_false_resumes_per_halt must be above 0"
        )
    return max(probes / resumes, LEAST_LIMIT)
