"""What is seen, in words: figures, what is wrong with a stage, the verdict, all of it as text."""

from __future__ import annotations

from seamwatch.demo.blame import UNEXPLAINED, Suspect
from seamwatch.demo.front import RECENT
from seamwatch.demo.seen import Seen, StageSeen

SMALLEST = 0.005  # of the answers: a smaller share of a loss is not worth a line
PARTED = 86400.0  # seconds of data age that make a row stand out
LATELY = 300.0  # seconds for which the end of a halt is news
WRONG = 0.1  # of the answers that users got: more than this is not well
STALE_JOB = 15.0  # a job age under this is "just now" beside a data age of days

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_MISSED = {
    "accuracy": "answers wrong",
    "quality": "checks fail",
    "availability": "no answers",
    "freshness": "data too old",
}


def span(seconds: float | None) -> str:
    """Return a duration for people: ``7 s``, ``3 min``, ``315 d``; ``unknown`` for None."""
    if seconds is None:
        return "unknown"
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{seconds / size:.0f} {unit}"


def percent(ratio: float | None) -> str:
    """Return a ratio for people; ``unknown`` for None."""
    return "unknown" if ratio is None else f"{100 * ratio:.1f} %"


def points(ratio: float | None) -> str:
    """Return a share of the answers as points of accuracy; ``?`` for None."""
    return "?" if ratio is None else f"{100 * ratio:.1f}"


def note(seen: StageSeen) -> str:
    """Say what is wrong with a stage's seams, empty where nothing is known to be."""
    parts = [f"{', '.join(seen.answered_by)} answers in its name"] if seen.answered_by else []
    if seen.threshold is not None and seen.threshold.lower > 0:
        parts.append(f"{seen.threshold.value:.2f} costs {points(seen.threshold.regret)} points")
    parts += seen.skewed
    age, job = seen.data_age, seen.job_age
    if age is not None and age > PARTED:
        old = f"older than {seen.bottleneck}" if seen.bottleneck else "old data"
        if seen.bottleneck or job is not None:
            fresh = job is not None and job < STALE_JOB
            parts.append(f"{old}, fresh job" if fresh else old)
    elif age is not None and seen.limit is not None and age > seen.limit:
        parts.append(f"over its limit of {span(seen.limit)}")
    if seen.rows is not None and seen.rows_before is not None and seen.rows < seen.rows_before:
        parts.append(f"{seen.rows_before - seen.rows:.0f} rows gone")
    return "; ".join(parts)


def verdict(seen: Seen) -> str:
    """Say in one sentence how the whole is doing."""
    if not seen.exporter_answers:
        return "seamwatch does not answer on /metrics"
    if seen.silent_failure:
        return f"SILENT FAILURE: every stage says ok; {missed(seen)}"
    if any(page.status != "ok" for page in seen.pages):
        return "a stage says itself that it is not well"
    if seen.silent_failure is None or seen.accuracy is None:
        return "watching; too few answers to say more"
    if seen.accuracy_target is not None and seen.accuracy[0] < seen.accuracy_target:
        return "accuracy is under its target, by no more than chance allows so far"
    return "end to end is well"


def missed(seen: Seen) -> str:
    """Say which targets are missed, the one that hurts most first."""
    found = [words for name, words in _MISSED.items() if seen.met.get(name) is False]
    return ", ".join(found) or "a target is missed"


def accuracy(seen: Seen, *, brief: bool = False) -> str:
    """Say how many answers are right, over what, and what they should be."""
    if seen.accuracy is None:
        return "unknown, no answers yet"
    value, lower, upper = seen.accuracy
    over = "" if brief else f", last {seen.window or 0:.0f} answers"
    figure = f"{percent(value)}  ({100 * lower:.0f} to {100 * upper:.0f} %{over})"
    limits = {"target": seen.accuracy_target, "floor": seen.evidence.floor}
    known = [f"{name} {percent(limit)}" for name, limit in limits.items() if limit is not None]
    return "  ".join([figure, *known])


def evidence(seen: Seen) -> str | None:
    """Say how far the evidence has come; None where no gate is configured."""
    found = seen.evidence
    if found.standing is None and found.to_halt is None:
        return None
    words = {"halted": "HALTED", "suspect": "SUSPECT"}.get(
        found.standing or "", found.standing or "?"
    )
    if found.stale:
        words += ", STALE: no valid answers lately"
    if found.standing in ("halted", "recovering"):
        way = f"  {_whole(found.to_recovery)} of the way back" if found.to_recovery else ""
        return f"{words}{way}{'' if found.denies else '  (stops nobody)'}"
    ticket = f", {_whole(found.to_ticket)} to a ticket" if found.to_ticket is not None else ""
    return f"{words}  {_whole(found.to_halt)} of the way to a halt{ticket}"


def users(seen: Seen, *, brief: bool = False) -> str | None:
    """Say what users get; None where nobody knows."""
    found = seen.users
    if found is None:
        return None
    counts = ", ".join(f"{count} {kind}" for kind, count in found.recent.items() if count)
    recent = f"last {RECENT:.0f} s: {counts or 'nobody asked'}"
    if not found.allowed:
        return f"NO ANSWERS for {span(found.since)}: 503 and why, not a wrong answer   {recent}"
    if found.held_for is not None and not brief and found.since < LATELY:
        ended = f"answered again for {span(found.since)}, after {span(found.held_for)} without"
        return f"{recent}   ({ended})"
    return recent


def outcome(seen: Seen) -> str | None:
    """Say what attribution has come to, None before it began or where there is no loss."""
    found = seen.blame
    tops = [one.name for one in found.suspects if one.top]
    if found.outcome == "undecided":
        between = f" between {' and '.join(tops)}" if len(tops) > 1 else ""
        return f"undecided{between}"
    if found.outcome == "unexplained":
        return "unexplained: no repair wins back what is lost"
    if found.outcome == "open":
        return f"still asking, {found.questions or 0:.0f} questions so far"
    return None


def suspect(one: Suspect) -> str:
    """Return one suspect's share with its interval."""
    if one.lower is None or one.upper is None:
        return f"{points(one.share)} points"
    return f"{points(one.share)} points  ({points(one.lower)} to {points(one.upper)})"


def suspects(seen: Seen, most: int) -> list[tuple[str, str, bool]]:
    """Return rows of (who, what, is it the top suspect), at most *most*; outcome first."""
    rows: list[tuple[str, str, bool]] = []
    if words := outcome(seen):
        rows.append(("", words, False))
    for one in seen.blame.suspects:
        if one.top or one.share >= SMALLEST:
            who = one.name if one.name == UNEXPLAINED else f"{one.name} ({one.team})"
            rows.append((who, suspect(one), one.top))
    if not rows:
        rows = [
            (f"{name} ({team})", f"circumstantial: {reason.replace('_', ' ')}", False)
            for name, team, reason in seen.blame.circumstantial
        ]
    return rows[:most]


def end_to_end(seen: Seen, *, brief: bool = False) -> list[tuple[str, str, bool | None]]:
    """Return rows of (what, figure, holds); None where it cannot be told. *brief*: what counts."""
    rows: list[tuple[str, str, bool | None]] = [
        ("accuracy", accuracy(seen, brief=brief), seen.met.get("accuracy"))
    ]
    if words := users(seen, brief=brief):
        rows.append(("users get", words, _is_well(seen)))
    if seen.slices and not brief:
        figure = "   ".join(f"{name} {percent(seen.slices[name])}" for name in sorted(seen.slices))
        rows.append(("by slice", figure, None))
    if words := evidence(seen):
        calm = {"running": True, "halted": False}.get(seen.evidence.standing or "")
        rows.append(("evidence", words, calm))
    for at, (who, what, top) in enumerate(suspects(seen, 5 if brief else 7)):
        figure = f"{who:<27}{what}" if who else what
        named = "past case" if seen.blame.is_past else "suspects"
        rows.append(("" if at else named, figure, False if top and named == "suspects" else None))
    figure = f"{span(seen.data_age)}  limit {span(seen.data_age_limit)}"
    rows.append(("data age", figure, seen.met.get("freshness")))
    if brief:
        return rows
    if seen.quality:
        figure = "   ".join(f"{name} {percent(ratio)}" for name, ratio in seen.quality.items())
        rows.append(("quality", figure, seen.met.get("quality")))
    counts = "   ".join(f"{name} {count:.0f}" for name, count in seen.verdicts.items() if count)
    rows.append(("answers", f"{counts}   since the start" if counts else "none yet", None))
    return rows


def _is_well(seen: Seen) -> bool | None:
    """Say whether users get what they should; None while they get nothing."""
    if seen.users is None or not seen.users.allowed:
        return None
    got = {kind: count for kind, count in seen.users.recent.items() if kind != "held back"}
    total = sum(got.values())
    return got.get("wrong", 0) + got.get("failed", 0) <= WRONG * total if total else None


def block(seen: Seen) -> str:
    """Return the screen as plain text, one line a stage."""
    lines = [f"broken: {', '.join(seen.broken) or 'nothing'}", f"  {verdict(seen)}"]
    lines += [f"  {what:<12}{figure}" for what, figure, _ in end_to_end(seen)]
    for page in seen.pages:
        stage = seen.stages[page.stage]
        lines.append(
            f"  {page.stage:<10}{page.team:<10}says {page.status:<4} | seamwatch:"
            f" data age {span(stage.data_age)}{', ' + note(stage) if note(stage) else ''}"
        )
    return "\n".join(lines)


def _whole(ratio: float | None) -> str:
    return "unknown" if ratio is None else f"{100 * ratio:.0f} %"
