"""A plan as a picture: time to halt against the size of the drop; matplotlib is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from seamwatch.errors import SeamwatchError
from seamwatch.planning import DAY, HOUR, Drop, curve
from seamwatch.planning.words import a_year, duration, percent, points

if TYPE_CHECKING:
    from pathlib import Path

    from seamwatch.planning import Fall, Plan

# Mid tones on nothing: text and lines keep a contrast of 4 to 1 and more on white and on black.
_INK, _FAINT = "#7a7a7a", "#9a9a9a"
_WHOLE, _SLICE = "#2f86d0", "#d9730d"  # told apart with every kind of colour blindness
_LEAST, _LARGEST = 0.3, 0.6  # where the drops of a picture end
_POINTS = 9
_ROOM = 3.0
_APART = 0.15  # between two names, as a share of the width
_TICKS = {
    1.0: "1 s",
    10.0: "10 s",
    60.0: "1 min",
    600.0: "10 min",
    HOUR: "1 h",
    6 * HOUR: "6 h",
    DAY: "1 day",
    7 * DAY: "1 week",
    30 * DAY: "30 days",
}


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

    style: Any = {"font.size": 10, "svg.fonttype": "path", "svg.hashsalt": "seamwatch"}
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
    setting, largest = plan.setting, _end(plan)
    gap = max(0.0, setting.baseline - setting.terms.floor)
    asked = [fall.loss for fall in plan.falls if gap < fall.loss <= largest]
    grid = np.geomspace(max(1.6 * gap, 0.01), largest, _POINTS)
    drops = [Drop(loss) for loss in sorted({*grid.tolist(), *asked})]
    chosen = _slice(plan)
    if chosen is not None:
        at, most = chosen
        drops += [Drop(loss, at) for loss in np.geomspace(most / 5, most, _POINTS)]
    falls = curve(setting, drops, seed=plan.seed)
    whole = [fall for fall in falls if fall.slice is None]
    _line(axes, whole, "anywhere in the set", colour=_WHOLE, marked=asked)
    if chosen is not None:
        _line(
            axes,
            [fall for fall in falls if fall.slice is not None],
            f"all in one slice ({setting.law.slices[at]}, {setting.law.sizes[at]:,} items)",
            colour=_SLICE,
            marker="s",
            dashes=(0, (4, 1.5)),
            marked=[falls[-1].loss],
        )
    _name(axes, [fall for fall in plan.falls if fall.loss <= largest], largest)


def _name(axes: Any, falls: Sequence[Fall], largest: float) -> None:
    """Write the time beside each of *falls*, as many as have room, the largest drop first."""
    free = largest
    for fall in reversed(falls):
        seconds = fall.halt.seconds
        if seconds.mean is not None and seconds.p95 is not None and fall.loss <= free:
            free = fall.loss - _APART * largest
            axes.annotate(
                f"{points(fall.loss)}: {duration(seconds.mean)}",
                (100 * fall.loss, seconds.p95),
                xytext=(2, 5),
                textcoords="offset points",
                color=_WHOLE,
                fontsize=9,
            )


def _end(plan: Plan) -> float:
    """Return the largest drop of the picture."""
    asked = max((fall.loss for fall in plan.falls), default=0.0)
    return min(max(_LEAST, 1.15 * asked), _LARGEST, plan.setting.law.baseline)


def _slice(plan: Plan) -> tuple[int, float] | None:
    """Return the place of the slice that the plan lets fail alone, and all that it can lose."""
    if not plan.local:
        return None
    law = plan.setting.law
    at = law.slices.index(plan.local[0].slice or "")
    return at, float(law.rates[law.slice_of == at].sum()) / law.items


def _line(
    axes: Any,
    falls: Sequence[Fall],
    label: str,
    *,
    colour: str,
    marker: str = "o",
    dashes: Any = "-",
    marked: Sequence[float] = (),
) -> None:
    known = [fall for fall in falls if fall.halt.seconds.median is not None]
    x = [100 * fall.loss for fall in known]
    waits = [fall.halt.seconds for fall in known]
    y = [one.median if one.mean is None else one.mean for one in waits]
    axes.plot(
        x,
        y,
        color=colour,
        marker=marker,
        markersize=4.5,
        markevery=[at for at, fall in enumerate(known) if fall.loss in marked],
        linewidth=1.8,
        linestyle=dashes,
        label=label,
    )
    lower = [one.p05 or np.nan for one in waits]
    upper = [one.p95 or np.nan for one in waits]
    axes.fill_between(x, lower, upper, color=colour, alpha=0.2, linewidth=0)


def _frame(axes: Any, plan: Plan) -> None:
    setting = plan.setting
    gap = 100 * (setting.baseline - setting.terms.floor)
    axes.set_yscale("log")
    axes.set_xlim(0, 102 * _end(plan))
    low, high = axes.get_ylim()
    # room at the top for the floor's name
    low, high = max(low, setting.pace.burst / 2), high * _ROOM
    axes.set_ylim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_yticks(ticks, [_TICKS[tick] for tick in ticks])
    axes.yaxis.set_minor_locator(_nothing())
    if gap > 0:
        axes.axvspan(0, gap, color=_FAINT, alpha=0.18, linewidth=0)
        axes.axvline(gap, color=_INK, linewidth=1.2, linestyle=(0, (5, 3)))
        axes.text(
            gap + 0.01 * axes.get_xlim()[1],
            high / _ROOM**0.5,
            f"floor {percent(setting.terms.floor)}",
            va="center",
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
        f" {duration(setting.pace.drip)}, {setting.pace.factor:g} times as fast when suspicious\n"
        f"false halts: at most {setting.false_halts:g} a year exactly at the floor"
    )
    if plan.false_halts.value < inf:
        promise += f", {a_year(plan.false_halts.value)} while healthy"
    title = f"{name}: how long a drop goes on until it halts"
    figure.suptitle(title, color=_INK, fontsize=12, x=0.01, ha="left")
    axes.set_title(promise, color=_INK, fontsize=9, loc="left", linespacing=1.5, pad=10)
    legend = figure.legend(
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        alignment="left",
        title="line: mean; band: 90 % of the runs",
        title_fontsize=9,
    )
    legend.get_title().set_color(_INK)
