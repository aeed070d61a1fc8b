"""Jitter figure: what is left of a machine whose operators do not take the compiled time."""

from typing import TYPE_CHECKING

import numpy as np

from rack_sim.foundation.units import PS_PER_MS, PS_PER_NS, PS_PER_US, format_time
from rack_sim.report.colours import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION
from rack_sim.report.figures.canvas import count_text, new_sheet, number_text, percent_text
from rack_sim.report.figures.labels import legend_words
from rack_sim.study.jitter import JitterPoint, JitterResult, JitterRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (SKY, GREEN, ORANGE, BLUE, PURPLE, VERMILION)
_MARKS = "osD^vP"
# More lines than this would have their labels on top of one another.
_SLIP_LINE_COUNT_MAX = 6
# A loss that nobody would build another machine for, and one that everybody would.
_NOTICED_SHARE = 0.95
# Closer than this, lines lie on one another, and a sentence says so.
_ALIKE_SHARE = 0.05


def draw_jitter(result: JitterResult) -> "Figure":
    """Tokens per second, tail of a token's time, and slip along the line, against the jitter."""
    figure = new_sheet(_title(result), _subtitle(result), width_inches=13, height_inches=4.6)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.15, 1.15, 1.1))
    _draw_tokens(left, result)
    _draw_tail(middle, result)
    _draw_slip(right, result.points[-1])
    return figure


def _draw_tokens(axes: "Axes", result: JitterResult) -> None:
    """What is left of the tokens per second of a user; the legend gives the numbers themselves."""
    for number, point in enumerate(result.points):
        kept = [100 * point.kept_share(row) for row in point.rows]
        first, last = (point.user_tokens_per_s(row) for row in (point.rows[0], point.rows[-1]))
        name = legend_words(point.name)
        # Machines often lose alike: marks shrink from line to line, so that none hides another.
        axes.plot(
            range(len(kept)),
            kept,
            marker=_MARKS[number % len(_MARKS)],
            markersize=max(11 - 2 * number, 4),
            color=_COLOURS[number % len(_COLOURS)],
            linewidth=max(3.5 - 0.7 * number, 1.2),
            label=f"{name}: {number_text(first)} → {number_text(last)} tokens/s",
        )
    _mark_jitters(axes, result.points[-1].rows)
    axes.set_ylim(0, 105)
    axes.set_title("Tokens per second of a user")
    apart = max(
        max(shares) - min(shares)
        for shares in zip(
            *([point.kept_share(row) for row in point.rows] for point in result.points), strict=True
        )
    )
    if len(result.points) > 1 and apart < _ALIKE_SHARE:
        text = f"machines of every size lose alike,\nwithin {number_text(100 * apart, 2)} points"
        axes.text(0.04, 0.5, text, transform=axes.transAxes, fontsize=9.5, color=INK)
    axes.set_ylabel("% of the compiled pace")
    ends = [_jitter_words(result.points[-1].rows[place].operator_jitter_ps) for place in (0, -1)]
    axes.legend(
        loc="lower left",
        fontsize=9,
        borderpad=0.2,
        title=f"extra time {ends[0]} → {ends[1]}",
        title_fontsize=9,
        alignment="left",
    )


def _draw_tail(axes: "Axes", result: JitterResult) -> None:
    """p99 of the time between two tokens, with the compiled time as a dashed line."""
    for number, point in enumerate(result.points):
        colour = _COLOURS[number % len(_COLOURS)]
        tail_ms = [row.gap.p99_ps / PS_PER_MS for row in point.rows]
        compiled_ms = point.step.revolution_ps / PS_PER_MS
        axes.plot(
            range(len(tail_ms)),
            tail_ms,
            marker=_MARKS[number % len(_MARKS)],
            markersize=5,
            color=colour,
            linewidth=1.8,
        )
        axes.axhline(compiled_ms, color=colour, linestyle=(0, (4, 3)), linewidth=1)
        axes.annotate(
            f"{point.name}: {number_text(compiled_ms)} → {number_text(tail_ms[-1])} ms",
            (0, compiled_ms),
            xytext=(0, -5),
            textcoords="offset points",
            ha="left",
            va="top",
            fontsize=8.5,
            color=INK,
        )
    _mark_jitters(axes, result.points[-1].rows)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    low_ms = min(point.step.revolution_ps for point in result.points) / PS_PER_MS
    axes.set_ylim(bottom=low_ms * 0.65)  # room for the lowest label
    axes.set_title("Time between two tokens, p99")
    axes.set_ylabel("ms; dashed: as compiled")


def _draw_slip(axes: "Axes", point: JitterPoint) -> None:
    """How much later than compiled each stage of the largest machine begins."""
    count = len(point.rows)
    shown = sorted({round(place) for place in np.linspace(0, count - 1, _SLIP_LINE_COUNT_MAX)})
    highest_ps = max(float(point.rows[number].slip_ps.max()) for number in shown)
    unit, factor = ("ms", PS_PER_MS) if highest_ps >= PS_PER_MS else ("µs", PS_PER_US)
    stages = np.arange(point.step.plan.stage_count)
    taken = -1.0
    for order, number in enumerate(shown):
        row = point.rows[number]
        slips = row.slip_ps / factor
        # Darker with more jitter, as one colour: these are not the machines of the other panels.
        shade = 0.25 + 0.75 * (order + 1) / len(shown)
        marker = "o" if len(stages) == 1 else None
        axes.plot(stages, slips, color=VERMILION, alpha=shade, linewidth=2, marker=marker)
        place = float(slips[-1]) / (highest_ps / factor) if highest_ps > 0 else 0.0
        if place - taken < 0.05 and order:
            continue  # its label would stand on the one below
        taken = place
        axes.annotate(
            _jitter_words(row.operator_jitter_ps),
            (float(stages[-1]), float(slips[-1])),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
            annotation_clip=False,
        )
    last = len(stages) - 1
    axes.set_xlim(0, max(last, 1) * 1.2)
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= last and tick == int(tick)])
    axes.set_title(f"How late each stage begins, {point.name}")
    axes.set_ylabel(f"{unit} later than compiled")
    axes.set_xlabel("stage, first to last (from when the step began)")


def _mark_jitters(axes: "Axes", rows: tuple[JitterRow, ...]) -> None:
    """Jitters at even distances, whatever they are: zero would have no place on a log axis."""
    names = [_jitter_words(row.operator_jitter_ps) for row in rows]
    every = -(-len(names) // 8)
    axes.set_xticks(range(0, len(names), every), names[::every])
    axes.set_xlabel("mean extra time of every operator")
    axes.grid(visible=False, axis="x")


def _jitter_words(jitter_ps: int) -> str:
    if not jitter_ps:
        return "none"
    for suffix, size in (("µs", PS_PER_US), ("ns", PS_PER_NS)):
        if jitter_ps >= size:
            return f"{jitter_ps / size:.4g} {suffix}"
    return f"{jitter_ps} ps"


def _title(result: JitterResult) -> str:
    """The largest jitter's cost, after that of the first which anybody would notice."""
    point = result.points[-1]
    lost = {row.operator_jitter_ps: 1 - point.kept_share(row) for row in point.rows}
    jitters = [row.operator_jitter_ps for row in point.rows if row.operator_jitter_ps]
    if not jitters:
        return f"{point.name} without jitter: every step takes the compiled time"
    noticed = next((ps for ps in jitters if 1 - lost[ps] < _NOTICED_SHARE), jitters[-1])
    text = (
        f"If an operator took {_jitter_words(noticed)} longer on average, {point.name} would lose "
        f"{percent_text(lost[noticed])} of their tokens"
    )
    if noticed != jitters[-1]:
        text += f"; with {_jitter_words(jitters[-1])}, {percent_text(lost[jitters[-1]])}"
    return text


def _subtitle(result: JitterResult) -> str:
    study, point = result.study, result.points[-1]
    sequences = count_text(point.sequence_count, "sequence")
    return (
        f"{study.name}: extra times are random (exponential, mean as shown), whatever waits for an "
        f"operator begins later. Compiled starts leave nothing to wait for: a token passes "
        f"{count_text(point.path_operator_count, 'operator')} of {point.name} in "
        f"{format_time(point.step.latency_ps)}, {sequences} at a time"
    )
