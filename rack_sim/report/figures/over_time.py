"""Over time: the timeline of a run gathered into steps, and the panels that show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.units import PS_PER_S
from rack_sim.metrics.column_log import ColumnLog
from rack_sim.pipeline import Result
from rack_sim.report.colours import FAINT_INK
from rack_sim.report.numbers import count_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOKEN_COLUMNS = ("prompt_tokens", "cached_tokens", "recomputed_tokens", "output_tokens")
LEVEL_COLUMNS = ("running_ps", "waiting_ps", "kv_token_ps")
# More steps than this on one sheet show the noise of arrivals, and little else.
_STEP_COUNT_MAX = 160
# A limit higher than this many times the largest value would flatten what is drawn.
_LIMIT_REACH_RATIO = 1.7


@dataclass(frozen=True)
class Series:
    """Timeline columns per second (tokens) or as means (levels), between `edges_s`."""

    edges_s: NDArray[np.float64]
    rates: dict[str, NDArray[np.float64]]

    def highest(self, *names: str) -> float:
        """The largest value of some columns."""
        return max(float(self.rates[name].max(initial=0)) for name in names)

    def mean(self, name: str) -> float:
        """The mean of a column over the whole run."""
        widths_s = np.diff(self.edges_s)
        return float((self.rates[name] * widths_s).sum() / widths_s.sum())


@dataclass(frozen=True)
class Line:
    """One column of a panel; `words` go into its legend. Values are multiplied by `factor`."""

    column: str
    words: str
    colour: str
    factor: float = 1.0


@dataclass(frozen=True)
class Panel:
    """Lines on one pair of axes; `limit` is the highest that they can reach, in `limit_words`."""

    words: str
    lines: Sequence[Line]
    limit: float | None = None
    limit_words: str = ""


def series_of(result: Result) -> Series | None:
    """The timeline of a run; None where there is none."""
    scenario = result.explanation.scenario
    return resample(result.collector.bins, scenario.bin_ps, result.totals.end_ps)


def resample(
    bins: ColumnLog, bin_ps: int, end_ps: int, *, step_count_max: int = _STEP_COUNT_MAX
) -> Series | None:
    """Timeline bins gathered into at most `step_count_max` steps; None where there are none.

    The last step ends with the run. A short rest is added to the step before it, because a few
    tokens over a sliver of time would look like a burst.
    """
    if not bins.row_count or not end_ps:
        return None
    bins_per_step = -(-bins.row_count // step_count_max)
    step_ps = bins_per_step * bin_ps
    step_count = max(1, (2 * end_ps + step_ps) // (2 * step_ps))
    columns = (*TOKEN_COLUMNS, *LEVEL_COLUMNS)
    sums = {name: np.zeros(step_count, dtype=np.float64) for name in columns}
    number = 0
    for chunk in bins.chunks():
        size = len(chunk["arrived"])
        steps = np.minimum(np.arange(number, number + size) // bins_per_step, step_count - 1)
        for name in columns:
            sums[name] += np.bincount(steps, chunk[name].astype(np.float64), step_count)
        number += size
    edges_ps = np.arange(step_count + 1, dtype=np.float64) * step_ps
    edges_ps[-1] = end_ps
    widths_ps = np.diff(edges_ps)
    rates = {
        name: values / widths_ps * (PS_PER_S if name in TOKEN_COLUMNS else 1)
        for name, values in sums.items()
    }
    return Series(edges_ps / PS_PER_S, rates)


def draw_panels(
    figure: "Figure", result: Result, series: Series, panels: Sequence[Panel]
) -> list["Axes"]:
    """Draws panels below each other over one axis of simulated time."""
    drawn = list(figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0])
    for axes, panel in zip(drawn, panels, strict=True):
        _draw_steps(axes, series, panel)
        axes.set_ylabel(panel.words)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    lowest = drawn[-1]
    lowest.set_xlabel(f"simulated time (s), in steps of {float(series.edges_s[1]):,.4g} s")
    lowest.set_xlim(0, float(series.edges_s[-1]))
    lowest.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    return drawn


def _draw_steps(axes: "Axes", series: Series, panel: Panel) -> None:
    highest = 0.0
    for line in panel.lines:
        values = series.rates[line.column] * line.factor
        highest = max(highest, float(values.max(initial=0)))
        axes.stairs(
            values,
            series.edges_s,
            baseline=None,
            color=line.colour,
            linewidth=1.5,
            label=line.words,
        )
    top = highest * 1.12 or 1
    if panel.limit is not None and panel.limit <= _LIMIT_REACH_RATIO * highest:
        axes.axhline(panel.limit, color=FAINT_INK, linestyle=(0, (5, 3)), linewidth=1.2)
        axes.annotate(
            panel.limit_words,
            (1, panel.limit),
            xycoords=axes.get_yaxis_transform(),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=FAINT_INK,
            fontsize=9,
        )
        top = max(top, panel.limit * 1.22)
    axes.set_ylim(0, top)
    if len(panel.lines) > 1:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=len(panel.lines),
            borderaxespad=0.2,
        )


def shade_window(result: Result, panels: "Sequence[Axes]") -> None:
    """Shades the window that the headline counts, where it is not the whole run."""
    start_s, window_s = result.summary["window_start_s"], result.summary["window_s"]
    if result.summary["window_kind"] != "steady":
        return
    assert isinstance(start_s, float)
    assert isinstance(window_s, float)
    for axes in panels:
        axes.axvspan(start_s, start_s + window_s, color="#F2F2F2", linewidth=0, zorder=0)
    panels[0].text(
        0,
        1.02,
        f"shaded: steady window, {start_s:,.10g} to {start_s + window_s:,.10g} s",
        transform=panels[0].transAxes,
        ha="left",
        va="bottom",
        color=FAINT_INK,
        fontsize=9,
    )


def fleet_words(result: Result) -> str:
    """Whose numbers these are: ``name: 16 chips in 4 replicas``."""
    explanation = result.explanation
    replicas = explanation.fleet.replica_count
    text = (
        f"{explanation.scenario.name}: {count_text(explanation.plan.chip_count * replicas, 'chip')}"
    )
    return f"{text} in {replicas:,} replicas" if replicas > 1 else text
