"""Load figures: latency against load, and what of the offered load is served, with the knee."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rack_sim.foundation.units import PS_PER_MS
from rack_sim.report.colours import (
    BLUE,
    FAINT_INK,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
)
from rack_sim.report.figures.canvas import new_sheet, number_text, percent_text, say_instead
from rack_sim.report.figures.labels import legend_words
from rack_sim.study.load import SATURATION, LoadPoint, LoadResult
from rack_sim.study.load_row import LoadRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION)
_PANELS = {"ttft": "Time to first token (TTFT)", "tpot": "Time per output token (TPOT)"}
# Far beyond saturation a latency says how long the run was, and nothing of the machine.
_BEYOND_SATURATION = 1.3
# From here on a linear axis would squeeze what lies low.
_LOG_RATIO = 20
# An objective this far above every value would flatten the curves.
_SLO_REACH_RATIO = 4
_WHITE = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}


def draw_load_latency(result: LoadResult) -> "Figure":
    """p50 and p99 of TTFT and TPOT against the offered rate, with objectives and knee."""
    figure = new_sheet(_title(result), _subtitle(result), width_inches=11, height_inches=4.4)
    panels: Sequence[Axes] = figure.subplots(1, 2)
    for axes, (metric, name) in zip(panels, _PANELS.items(), strict=True):
        axes.set_title(name)
        if not any(_values(point, metric, 99) for point in result.points):
            one_token = any(row.finished_count for point in result.points for row in point.rows)
            say_instead(axes, "Every output is one token." if one_token else "No request finished.")
            continue
        _draw_latency(axes, result, metric)
    if len(result.points) > 1 and panels[0].lines:
        _name_machines(figure, panels[0])
    return figure


def draw_load_goodput(result: LoadResult) -> "Figure":
    """Requests finished, and those that met every objective, against what was offered."""
    figure = new_sheet(_served_title(result), _subtitle(result), width_inches=9, height_inches=4.8)
    axes = figure.subplots()
    lone = len(result.points) == 1
    end_rps = _end_rps(result)
    for number, point in enumerate(result.points):
        rows = _drawn(point)
        colour = _COLOURS[number % len(_COLOURS)]
        offered = [row.offered_rps for row in rows]
        label = "finished" if lone else _knee_label(point)
        axes.plot(
            offered,
            [row.request_throughput_rps or 0.0 for row in rows],
            color=colour,
            linewidth=2,
            marker="o",
            markersize=5,
            label=label,
        )
        if point.slo.bounds_ps:
            axes.plot(
                offered,
                [row.request_goodput_rps or 0.0 for row in rows],
                color=VERMILION if lone else colour,
                linewidth=2,
                linestyle="-" if lone else (0, (4, 2)),
                marker="s",
                markersize=5,
                label="goodput: finished and met every objective" if lone else None,
            )
    _mark_offered(axes, result, end_rps)
    _label_axis(axes, result, end_rps)
    top_rps = max(
        (row.request_throughput_rps or 0.0 for point in result.points for row in point.rows),
        default=0.0,
    )
    axes.set_ylim(0, 1.5 * top_rps or 1)  # room for the legend
    axes.set_ylabel("requests per second, over the steady window")
    solid = "" if lone else " (solid: finished; dashed: finished and met every objective)"
    axes.set_title(f"Requests served{solid}")
    _mark_knees(axes, result, place=0.4)
    if lone:
        axes.legend(loc="upper left", fontsize=9, borderpad=0.2)
    else:
        _name_machines(figure, axes)
    return figure


def _draw_latency(axes: "Axes", result: LoadResult, metric: str) -> None:
    lone = len(result.points) == 1
    end_rps = _end_rps(result)
    shown: list[float] = []
    for number, point in enumerate(result.points):
        colour = _COLOURS[number % len(_COLOURS)]
        for percent, line, marker in ((99, "-", "o"), (50, (0, (4, 2)), "s")):
            pairs = [
                (row.offered_rps, value)
                for row in _drawn(point)
                if (value := row.latencies_ms[f"{metric}_ms_p{percent}"]) is not None
            ]
            shown += [value for _, value in pairs]
            axes.plot(
                [rate for rate, _ in pairs],
                [value for _, value in pairs],
                color=colour if percent == 99 or not lone else SKY,
                linestyle=line,
                linewidth=2,
                marker=marker,
                # Where both percentiles are one value, the larger mark shows around the smaller.
                markersize=7 if percent == 99 else 3.5,
                label=f"p{percent}" if lone else _knee_label(point) if percent == 99 else None,
            )
    _label_axis(axes, result, end_rps)
    bounds_ms = sorted(
        {
            point.slo.bounds_ps[metric] / PS_PER_MS
            for point in result.points
            if metric in point.slo.bounds_ps
        }
    )
    low_ms, high_ms = min(shown), max(shown)
    near_ms = [bound for bound in bounds_ms if bound <= _SLO_REACH_RATIO * high_ms]
    top_ms = max([high_ms, *near_ms])
    if low_ms > 0 and high_ms > _LOG_RATIO * low_ms:
        axes.set_yscale("log")
        axes.set_ylim(low_ms / 2, top_ms * 2)
    else:
        axes.set_ylim(0, top_ms * 1.25 or 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_ylabel(f"{metric.upper()} (ms)")
    for bound_ms in near_ms:
        _mark_objective(axes, bound_ms)
    if far := [bound for bound in bounds_ms if bound not in near_ms]:
        text = f"↑ SLO {far[0]:,.10g} ms"
        axes.text(0.02, 0.97, text, transform=axes.transAxes, va="top", color=VERMILION)
    _mark_knees(axes, result, place=0.1)
    if lone:
        axes.legend(loc="center left", fontsize=9, borderpad=0.2)
    else:
        axes.set_title(f"{_PANELS[metric]}; solid: p99, dashed: p50")


def _name_machines(figure: "Figure", axes: "Axes") -> None:
    """One legend below everything: lines of several machines leave no room among them."""
    handles, labels = axes.get_legend_handles_labels()
    widest = max(map(len, labels), default=1)
    columns = max(1, min(len(labels), 130 // (widest + 8)))
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, fontsize=9)


def _knee_label(point: LoadPoint) -> str:
    met = point.knee.met
    name = legend_words(point.name)
    return f"{name}: knee at {number_text(met.offered_rps)}/s" if met else name


def _mark_objective(axes: "Axes", bound_ms: float) -> None:
    axes.axhline(bound_ms, color=VERMILION, linestyle=(0, (5, 3)), linewidth=1.3)
    axes.annotate(
        f"SLO {bound_ms:,.10g} ms",
        (0, bound_ms),
        xycoords=("axes fraction", "data"),
        xytext=(6, 3),
        textcoords="offset points",
        va="bottom",
        color=VERMILION,
    )


def _mark_knees(axes: "Axes", result: LoadResult, *, place: float) -> None:
    """The knee of each machine; of a lone one, also from where on it does not keep up.

    `place` is how high that is written, where no curve runs.
    """
    lone = len(result.points) == 1
    for number, point in enumerate(result.points):
        met = point.knee.met
        if met is None:
            continue
        colour = INK if lone else _COLOURS[number % len(_COLOURS)]
        axes.axvline(met.offered_rps, color=colour, linewidth=1.3)
        if lone:
            axes.annotate(
                f"knee: {number_text(met.offered_rps)}/s",
                (met.offered_rps, 0.02),
                xycoords=("data", "axes fraction"),
                xytext=(5, 0),
                textcoords="offset points",
                color=colour,
                fontweight="bold",
                bbox=_WHITE,
                zorder=5,
            )
    failed = result.points[0].saturation.failed if lone else None
    if failed is None:
        return
    axes.axvspan(failed.offered_rps, axes.get_xlim()[1], color=PALE, linewidth=0, zorder=0)
    axes.annotate(
        "does not\nkeep up",
        (failed.offered_rps, place),
        xycoords=("data", "axes fraction"),
        xytext=(5, 0),
        textcoords="offset points",
        color=FAINT_INK,
        fontsize=9,
    )


def _mark_offered(axes: "Axes", result: LoadResult, end_rps: float) -> None:
    """The diagonal on which everything is served, and the most that rows allow."""
    lone = len(result.points) == 1
    rejected = max(point.rows[0].rejected_share for point in result.points)
    axes.plot([0, end_rps], [0, end_rps], color=GREY, linewidth=1.5, label="all that was offered")
    if lone and rejected:
        kept = 1 - rejected
        axes.plot(
            [0, end_rps],
            [0, end_rps * kept],
            color=GREY,
            linestyle=(0, (2, 2)),
            linewidth=1.5,
            label=f"all that fits the machine ({percent_text(kept)})",
        )
    capacity_rps = result.points[0].capacity_rps if lone else None
    if capacity_rps:
        axes.axhline(
            capacity_rps * (1 - rejected),
            color=FAINT_INK,
            linestyle=(0, (1, 2)),
            linewidth=1.5,
            label=f"every row carries a token: {number_text(capacity_rps * (1 - rejected))}/s",
        )


def _label_axis(axes: "Axes", result: LoadResult, end_rps: float) -> None:
    low_rps = min(point.rows[0].offered_rps for point in result.points)
    if end_rps > 100 * low_rps:
        axes.set_xscale("log")
        axes.set_xlim(low_rps / 1.2, end_rps * 1.1)
    else:
        axes.set_xlim(0, end_rps * 1.04)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_xlabel("offered load (requests per second)")


def _end_rps(result: LoadResult) -> float:
    """The highest rate that is drawn."""
    return max(_drawn(point)[-1].offered_rps for point in result.points)


def _drawn(point: LoadPoint) -> list[LoadRow]:
    failed = point.saturation.failed
    if failed is None:
        return list(point.rows)
    last_rps = _BEYOND_SATURATION * failed.offered_rps
    return [row for row in point.rows if row.offered_rps <= last_rps]


def _values(point: LoadPoint, metric: str, percent: int) -> list[float]:
    found = (row.latencies_ms[f"{metric}_ms_p{percent}"] for row in point.rows)
    return [value for value in found if value is not None]


def _title(result: LoadResult) -> str:
    """Where the knee of the machine with the highest one lies, and why."""
    best = _best(result)
    machines = len(result.points)
    name = best.name if machines == 1 else f"{best.name}, the best of {machines} machines,"
    if best.knee.met is None:
        return f"{name} meets its objectives at no rate that was tried"
    rate = f"{number_text(best.knee.met.offered_rps)} requests/s"
    if best.knee.failed is None:
        return f"{name} is not saturated by {rate}, the highest rate that was tried"
    if not best.slo.bounds_ps:
        return f"{name} keeps up with {rate}; at {_failed_text(best)} its queue grows"
    reason = (
        "its queue grows"
        if best.limited_by == SATURATION
        else f"too many miss the objective on {best.limited_by.upper()}"
    )
    share = f"{100 * result.study.attainment:g} %"
    met = f"{name} meets its SLO for {share} of the requests up to {rate}"
    return f"{met}; at {_failed_text(best)} {reason}"


def _best(result: LoadResult) -> LoadPoint:
    return max(result.points, key=lambda point: point.knee.met.offered_rps if point.knee.met else 0)


def _failed_text(point: LoadPoint) -> str:
    return f"{number_text(point.knee.failed.offered_rps)}/s" if point.knee.failed else ""


def _served_title(result: LoadResult) -> str:
    best = _best(result)
    kept, capacity_rps = best.saturation.met, best.capacity_rps
    if kept is None:
        return f"{best.name} keeps up with no rate that was tried"
    text = f"{best.name} keeps up with {number_text(kept.offered_rps)} requests/s"
    if best.saturation.failed is None:
        return f"{text}, the highest rate that was tried"
    if capacity_rps:
        text += f", {percent_text(kept.offered_rps / capacity_rps)} of what its rows could carry"
    met = best.knee.met
    if best.slo.bounds_ps and met and met is not kept:
        text += f", and {percent_text(met.offered_rps / kept.offered_rps)} of that within its SLO"
    return text


def _subtitle(result: LoadResult) -> str:
    study = result.study
    counts = sorted({row.request_count for point in result.points for row in point.rows})
    count = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    text = (
        f"{study.name}: the same {count} requests at every rate, closer and closer together; the "
        "knee is the highest rate that keeps up and meets the SLO"
    )
    rejected = max(point.rows[0].rejected_share for point in result.points)
    if rejected:
        text += (
            f". {percent_text(rejected)} of the requests are too long for the machine at any rate, "
            "and do not count for it"
        )
    return text
