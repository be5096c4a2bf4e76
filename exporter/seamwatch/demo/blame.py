"""What /metrics says of evidence and blame: how near a halt is, and who is suspected of what."""

from __future__ import annotations

from dataclasses import dataclass

from seamwatch.demo.exposed import Page

UNEXPLAINED = "unexplained"  # in place of a name: what no repair wins back


@dataclass(frozen=True, slots=True)
class Evidence:
    """How far the evidence has come; None is unknown."""

    standing: str | None = None  # running, suspect, halted, recovering
    to_halt: float | None = None  # the way to a halt, in [0, 1]
    to_ticket: float | None = None
    to_recovery: float | None = None  # while halted
    floor: float | None = None  # accuracy under which it halts
    baseline: float | None = None  # accuracy when the golden set was blessed
    stale: bool = False  # it says nothing of now
    denies: bool = False  # whoever asks the gate is told to stop


@dataclass(frozen=True, slots=True)
class Suspect:
    """One suspect and its share of the loss, in ratios of the golden set."""

    name: str
    team: str
    share: float
    lower: float | None
    upper: float | None
    top: bool  # the suspect, or one of those that are as bad


@dataclass(frozen=True, slots=True)
class Blame:
    """What attribution found so far."""

    outcome: str | None = None  # open, decided, undecided, unexplained
    questions: float | None = None  # asked for it, beside the probes
    is_past: bool = False  # nothing is suspicious any more
    suspects: tuple[Suspect, ...] = ()  # the largest share first, what nobody explains last
    circumstantial: tuple[tuple[str, str, str], ...] = ()  # suspect, team, reason; no shares


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold beside the best one for today's scores."""

    value: float
    best: float
    regret: float  # what the best one would win, as a ratio of the golden set
    lower: float  # it would win this at the least; 0 or less: nothing is proven


def evidence(page: Page) -> Evidence:
    """Return what *page* says of the evidence."""
    standings = page.named("evidence_standing", "standing")
    return Evidence(
        standing=standings[0] if standings else None,
        to_halt=page.one("evidence_ratio", detector="floor"),
        to_ticket=page.one("evidence_ratio", detector="baseline"),
        to_recovery=page.one("evidence_ratio", detector="recovery"),
        floor=page.one("golden_accuracy_floor_ratio"),
        baseline=page.one("golden_accuracy_baseline_ratio"),
        stale=page.one("evidence_stale") == 1,
        denies=page.one("gate_denies") == 1,
    )


def blame(page: Page) -> Blame:
    """Return what *page* says of the suspects."""
    tops = set(page.named("suspect_top", "suspect"))
    suspects = [
        Suspect(
            name := labels["suspect"],
            labels.get("team", ""),
            share,
            page.one("suspect_loss_ratio", suspect=name, bound="lower"),
            page.one("suspect_loss_ratio", suspect=name, bound="upper"),
            name in tops,
        )
        for labels, share in page.all("suspect_loss_ratio", bound="estimate")
    ]
    suspects.sort(key=lambda one: -one.share)
    nobody = page.one("attribution_unexplained_ratio", bound="estimate")
    if nobody is not None:
        bounds = [
            page.one("attribution_unexplained_ratio", bound=bound) for bound in ("lower", "upper")
        ]
        suspects.append(Suspect(UNEXPLAINED, "", nobody, bounds[0], bounds[1], top=False))
    outcomes = page.named("attribution_outcome", "outcome")
    return Blame(
        outcome=outcomes[0] if outcomes else None,
        questions=page.one("attribution_questions"),
        is_past=page.one("attribution_ended_timestamp_seconds") is not None,
        suspects=tuple(suspects),
        circumstantial=tuple(
            (labels["suspect"], labels["team"], labels["reason"])
            for labels, value in page.all("suspect_circumstantial")
            if value == 1
        ),
    )


def threshold(page: Page, stage: str) -> Threshold | None:
    """Return the threshold of *stage*, None where it has none or it cannot be judged yet."""
    found = [
        page.one(name, pipeline_stage=stage, **labels)
        for name, labels in (
            ("threshold_value", {}),
            ("threshold_best_value", {}),
            ("threshold_regret_ratio", {"bound": "estimate"}),
            ("threshold_regret_ratio", {"bound": "lower"}),
        )
    ]
    known = [one for one in found if one is not None]
    return Threshold(*known) if len(known) == len(found) else None
