"""Latency figure: which share of the requests has at most this TTFT, and this TPOT."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.units import PS_PER_MS, ps_to_ms
from rack_sim.metrics.latency import metric_chunks
from rack_sim.metrics.log import RequestLog
from rack_sim.metrics.words import METRICS
from rack_sim.pipeline import Result
from rack_sim.report.colours import BLUE, INK, VERMILION
from rack_sim.report.figures.canvas import new_sheet, say_instead
from rack_sim.report.numbers import number_text, percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = {metric: METRICS[metric].title for metric in ("ttft", "tpot")}
# Up to here all values are sorted; beyond, they are counted between edges, in bounded memory.
_SORTED_COUNT_MAX = 20_000
_POINT_COUNT_MAX = 1_000
# A tail this many times the median hides the body on a linear axis.
_LOG_TAIL_RATIO = 20
# The p99 stands no further right than this share of the panel: its words go beside it.
_TAIL_PLACE_MAX = 0.68
# An objective this far beyond every value would squeeze the curve into a corner.
_SLO_REACH_RATIO = 4


@dataclass(frozen=True)
class Distribution:
    """The distribution of one latency metric: at most `values_ms[i]` in `shares[i]` of `count`.

    `met_share` is the share at or below the objective `slo_ms`, where there is one.
    """

    count: int
    values_ms: NDArray[np.float64]
    shares: NDArray[np.float64]
    slo_ms: float | None
    met_share: float


def draw_latency(result: Result) -> "Figure":
    """TTFT and TPOT as cumulative shares, with p50, p99 and the objectives."""
    figure = new_sheet(_title(result), _subtitle(result), width_inches=10, height_inches=4.0)
    left, right = figure.subplots(1, 2)
    bounds_ps = result.explanation.scenario.slo.bounds_ps
    for axes, (metric, name) in zip((left, right), _PANELS.items(), strict=True):
        axes.set_title(name)
        found = distribution_of(result.collector.requests, metric, bounds_ps.get(metric))
        if found is None:
            one_token = result.summary["finished_count"]
            say_instead(axes, "Every output is one token." if one_token else "No request finished.")
            continue
        median_ms, tail_ms = (result.summary[f"{metric}_ms_p{part}"] for part in (50, 99))
        assert isinstance(median_ms, float)
        assert isinstance(tail_ms, float)
        _draw_panel(axes, metric, found, median_ms, tail_ms)
    return figure


def distribution_of(
    log: RequestLog, metric: str, bound_ps: int | None = None
) -> Distribution | None:
    """The distribution of a metric over finished requests; None where no request has it."""
    count, met, low, high = 0, 0, 0, 0
    for values in metric_chunks(log, metric):
        if len(values):
            smallest, largest = int(values.min()), int(values.max())
            low, high = (min(low, smallest), max(high, largest)) if count else (smallest, largest)
            count += len(values)
            met += int((values <= bound_ps).sum()) if bound_ps is not None else 0
    if not count:
        return None
    if count <= _SORTED_COUNT_MAX:
        points_ps, ranks = _sorted_points(log, metric, count)
    else:
        points_ps, ranks = _counted_points(log, metric, low, high)
    slo_ms = None if bound_ps is None else ps_to_ms(bound_ps)
    return Distribution(count, points_ps / PS_PER_MS, ranks / count, slo_ms, met / count)


def _sorted_points(
    log: RequestLog, metric: str, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Values and how many are at or below them, at evenly spread ranks."""
    ordered = np.sort(np.concatenate(list(metric_chunks(log, metric))))
    ranks = np.unique(np.linspace(0, count - 1, min(count, _POINT_COUNT_MAX)).astype(np.int64))
    return ordered[ranks], ranks + 1


def _counted_points(
    log: RequestLog, metric: str, low: int, high: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges from `low` to `high` and how many values are at or below each, exactly.

    Half of the edges are evenly spread, half by ratio, so that body and tail are both resolved.
    """
    half = _POINT_COUNT_MAX // 2
    edges = np.unique(
        np.concatenate(
            [np.linspace(low, high, half), np.geomspace(max(low, 1), max(high, 1), half)]
        ).astype(np.int64)
    )
    edges = np.unique(np.concatenate([[low], edges[(edges > low) & (edges < high)], [high]]))
    counts = np.zeros(len(edges), dtype=np.int64)
    for values in metric_chunks(log, metric):
        counts += np.bincount(np.searchsorted(edges, values), minlength=len(edges))
    return edges, np.cumsum(counts)


def _draw_panel(
    axes: "Axes", metric: str, found: Distribution, median_ms: float, tail_ms: float
) -> None:
    low_ms, high_ms = float(found.values_ms[0]), float(found.values_ms[-1])
    one_value = low_ms == high_ms
    # A single value stands in the middle, with room for words on both sides.
    reach_ms = high_ms * (1.7 if one_value else 1)
    if found.slo_ms is not None and found.slo_ms <= _SLO_REACH_RATIO * high_ms:
        reach_ms = max(high_ms, found.slo_ms)
    if low_ms > 0 and high_ms > _LOG_TAIL_RATIO * median_ms:
        axes.set_xscale("log")
        start_ms = low_ms / 1.3
        room_ms = start_ms * (tail_ms / start_ms) ** (1 / _TAIL_PLACE_MAX)
        axes.set_xlim(start_ms, max(reach_ms * 1.3, room_ms))
    else:
        room_ms = 0 if one_value else tail_ms / _TAIL_PLACE_MAX
        axes.set_xlim(0, max(reach_ms * 1.18, room_ms) or 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_ylim(0, 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_xlabel(f"{metric.upper()} (ms)")
    axes.set_ylabel("finished requests at or below (%)")

    axes.plot(
        [low_ms, *found.values_ms.tolist(), axes.get_xlim()[1]],
        [0.0, *found.shares.tolist(), 1.0],
        drawstyle="steps-post" if found.count <= _SORTED_COUNT_MAX else "default",
        color=BLUE,
        linewidth=2,
    )
    if one_value:
        who = "the one request" if found.count == 1 else "every request"
        _label(axes, low_ms, 0.5, f"{who}: {number_text(low_ms, 4)} ms")
    else:
        _label(axes, median_ms, 0.5, f"p50  {number_text(median_ms)} ms")
        _label(axes, tail_ms, 0.99, f"p99  {number_text(tail_ms)} ms")
    _draw_objective(axes, found)


def _label(axes: "Axes", value_ms: float, share: float, text: str) -> None:
    """A dot on the curve and its words below it, on the side that has room."""
    axes.plot([value_ms], [share], "o", color=BLUE, markersize=6, zorder=4)
    place = axes.transAxes.inverted().transform(axes.transData.transform((value_ms, share)))[0]
    leftwards = place > 0.72
    axes.annotate(
        text,
        (value_ms, share),
        xytext=(-8 if leftwards else 8, -5),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        va="top",
        color=INK,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5},
        zorder=5,
    )


def _draw_objective(axes: "Axes", found: Distribution) -> None:
    if found.slo_ms is None:
        return
    text = f"SLO {found.slo_ms:,.10g} ms:\nmet by {percent_text(found.met_share)}"
    low_ms, high_ms = axes.get_xlim()
    style: dict[str, Any] = {
        "color": VERMILION,
        "va": "bottom",
        "zorder": 5,
        "linespacing": 1.25,
    }
    style["bbox"] = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
    if not low_ms < found.slo_ms < high_ms:
        side = "right" if found.slo_ms >= high_ms else "left"
        arrow = f"{text} →" if side == "right" else f"← {text}"
        axes.text(
            0.98 if side == "right" else 0.02,
            0.06,
            arrow,
            transform=axes.transAxes,
            ha=side,
            **style,
        )
        return
    axes.axvline(found.slo_ms, color=VERMILION, linestyle=(0, (5, 3)), linewidth=1.5)
    place = axes.transAxes.inverted().transform(axes.transData.transform((found.slo_ms, 0)))[0]
    leftwards = place > 0.5
    axes.annotate(
        text,
        (found.slo_ms, 0.06),
        xytext=(-6 if leftwards else 6, 0),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        **style,
    )


def _title(result: Result) -> str:
    summary = result.summary
    ttft_ms, tpot_ms = summary["ttft_ms_p99"], summary["tpot_ms_p99"]
    if not isinstance(ttft_ms, float):
        return f"None of {result.totals.request_count:,} requests finished: no latency to show"
    text = f"p99 of the time to first token is {number_text(ttft_ms)} ms"
    if isinstance(tpot_ms, float):
        text += f", of the time per output token {number_text(tpot_ms, 4)} ms"
    return text


def _subtitle(result: Result) -> str:
    summary, scenario = result.summary, result.explanation.scenario
    text = (
        f"{scenario.name}: {summary['finished_count']:,} of {summary['request_count']:,} "
        f"requests finished, {summary['rejected_count']:,} rejected"
    )
    attainment = summary["slo_attainment"]
    if scenario.slo.bounds_ps and isinstance(attainment, float | int):
        text += f"; {percent_text(attainment)} of all requests finished and met every SLO"
    return text
