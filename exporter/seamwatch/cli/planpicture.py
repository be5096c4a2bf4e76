"""A plan as a picture: time to halt against the size of the drop; matplotlib is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from seamwatch.errors import SeamwatchError
from seamwatch.planning import DAY, HOUR, curve
from seamwatch.planning.words import a_year, duration, percent, points

if TYPE_CHECKING:
    from pathlib import Path

    from seamwatch.planning import Fall, Plan

# Mid tones on nothing: text and lines keep a contrast of 4 to 1 and more on white and on black.
_INK, _FAINT = "#7a7a7a", "#9a9a9a"
_WHOLE, _SLICE = "#2f86d0", "#d9730d"  # told apart with every kind of colour blindness
_LARGEST = 0.5
_POINTS = 10
_TICKS = (1.0, 10.0, 60.0, 600.0, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY)


def require() -> None:
    """Raise SeamwatchError where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise SeamwatchError(
            "--picture needs matplotlib, which is not installed; install it with"
            " pip install 'seamwatch[plot]', or leave --picture out"
        )


def draw(plan: Plan, name: str, path: Path) -> None:
    """Write the picture of pipeline *name* to *path*, SVG or PNG by its ending.

    Raises SeamwatchError where the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = {"font.size": 10, "svg.fonttype": "path", "svg.hashsalt": "seamwatch"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(8.4, 5.2), layout="constrained")
        axes = figure.add_subplot()
        _curves(axes, plan)
        _frame(axes, plan)
        _titles(figure, axes, plan, name)
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        try:
            figure.savefig(path, transparent=True, dpi=144, metadata=metadata)
        except OSError as error:
            raise SeamwatchError(f"{path}: cannot be written: {error.strerror}") from error


def _curves(axes: Any, plan: Plan) -> None:
    setting = plan.setting
    gap = max(0.0, setting.baseline - setting.terms.floor)
    largest = min(_LARGEST, setting.law.baseline)
    asked = [fall.loss for fall in plan.falls if gap < fall.loss <= largest]
    grid = np.geomspace(max(1.25 * gap, 0.01), largest, _POINTS)
    whole = curve(setting, sorted({*grid.tolist(), *asked}), among=None, seed=plan.seed)
    _line(axes, whole, _WHOLE, "o", "anywhere in the set")
    chosen = _slice(plan)
    if chosen is not None:
        at, most = chosen
        losses = np.geomspace(min(0.01, most / 2), most, _POINTS).tolist()
        _line(
            axes,
            curve(setting, losses, among=at, seed=plan.seed),
            _SLICE,
            "s",
            f"all in one slice ({setting.law.slices[at]}, {setting.law.sizes[at]:,} items)",
        )
    for fall in plan.falls:
        seconds = fall.halt.seconds.mean
        if seconds is not None and fall.loss <= largest:
            axes.annotate(
                f"{points(fall.loss)}: {duration(seconds)}",
                (100 * fall.loss, seconds),
                xytext=(7, 9),
                textcoords="offset points",
                color=_WHOLE,
                fontsize=9,
            )


def _slice(plan: Plan) -> tuple[int, float] | None:
    """Return the place of the slice that the plan lets fail alone, and all that it can lose."""
    if not plan.local:
        return None
    law = plan.setting.law
    at = law.slices.index(plan.local[0].slice or "")
    return at, float(law.rates[law.slice_of == at].sum()) / law.items


def _line(axes: Any, falls: Sequence[Fall], colour: str, marker: str, label: str) -> None:
    known = [fall for fall in falls if fall.halt.seconds.median is not None]
    x = [100 * fall.loss for fall in known]
    waits = [fall.halt.seconds for fall in known]
    y = [one.median if one.mean is None else one.mean for one in waits]
    axes.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.8, label=label)
    lower = [one.p05 or np.nan for one in waits]
    upper = [one.p95 or np.nan for one in waits]
    axes.fill_between(x, lower, upper, color=colour, alpha=0.2, linewidth=0)


def _frame(axes: Any, plan: Plan) -> None:
    setting = plan.setting
    gap = 100 * (setting.baseline - setting.terms.floor)
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    low, high = axes.get_ylim()
    low, high = max(low, setting.pace.burst / 2), high * 1.3
    axes.set_ylim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_yticks(ticks, [duration(tick) for tick in ticks])
    axes.yaxis.set_minor_locator(_nothing())
    if gap > 0:
        axes.axvspan(0, gap, color=_FAINT, alpha=0.18, linewidth=0)
        axes.axvline(gap, color=_INK, linewidth=1.2, linestyle=(0, (5, 3)))
        axes.text(
            gap - 0.15 if gap > 2 else gap + 0.25,
            low * 1.25,
            f"floor {percent(setting.terms.floor)}",
            rotation=90,
            ha="right" if gap > 2 else "left",
            va="bottom",
            color=_INK,
            fontsize=9,
        )
    axes.set_xlabel("drop of the accuracy, points")
    axes.set_ylabel("time until it halts")
    axes.grid(axis="y", color=_FAINT, alpha=0.35, linewidth=0.7)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_FAINT)
    axes.tick_params(colors=_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)


def _nothing() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _titles(figure: Any, axes: Any, plan: Plan, name: str) -> None:
    setting = plan.setting
    seen = "blessed" if setting.blessed else "assumed"
    promise = (
        f"healthy at {percent(setting.baseline)} ({seen}), a probe every"
        f" {duration(setting.pace.drip)}; at most {setting.false_halts:g} false halts a year at the"
        " floor"
    )
    if plan.false_halts.value < inf:
        promise += f", {a_year(plan.false_halts.value)} while healthy"
    figure.suptitle(
        f"{name}: how long a drop goes on until it halts\n",
        color=_INK,
        fontsize=12,
        x=0.02,
        ha="left",
    )
    axes.set_title(promise, color=_INK, fontsize=9, loc="left")
    legend = figure.legend(
        loc="outside lower left", ncols=2, frameon=False, fontsize=9, labelcolor=_INK
    )
    legend.set_title("mean, and 90 % of the runs", prop={"size": 9})
    legend.get_title().set_color(_INK)
