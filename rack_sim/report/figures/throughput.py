"""Throughput figure: tokens per second and requests in the system over simulated time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.units import PS_PER_S
from rack_sim.metrics.column_log import ColumnLog
from rack_sim.pipeline import Result
from rack_sim.report.figures.canvas import (
    BLUE,
    FAINT_INK,
    ORANGE,
    PURPLE,
    VERMILION,
    count_text,
    new_sheet,
    number_text,
    say_instead,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = ("prompt_tokens", "output_tokens", "running_ps", "waiting_ps")
# words of the axis, then column, label and colour of each line
_TOKENS = (
    "tokens per second",
    (("prompt_tokens", "prompt", BLUE), ("output_tokens", "output", VERMILION)),
)
_RUNNING = ("requests running", (("running_ps", "running", PURPLE),))
_WAITING = ("requests waiting\nfor admission", (("waiting_ps", "waiting", ORANGE),))
# More steps than this on one sheet show the noise of arrivals, and little else.
_STEP_COUNT_MAX = 160


@dataclass(frozen=True)
class Series:
    """Timeline columns per second (tokens) or as means (requests), between `edges_s`."""

    edges_s: NDArray[np.float64]
    rates: dict[str, NDArray[np.float64]]

    def highest(self, *names: str) -> float:
        """The largest value of some columns."""
        return max(float(self.rates[name].max(initial=0)) for name in names)


def draw_throughput(result: Result) -> "Figure":
    """Prompt and output tokens per second above, requests running and waiting below."""
    series = resample(
        result.collector.bins, result.explanation.scenario.bin_ps, result.totals.end_ps
    )
    # Waiting has a panel of its own, where anything waited: it can dwarf what runs.
    waited = series is not None and series.highest("waiting_ps") > 0
    shown = [_TOKENS, _RUNNING, *([_WAITING] if waited else [])]
    figure = new_sheet(
        _title(result),
        _subtitle(result, series),
        width_inches=10,
        height_inches=2.0 + 1.6 * len(shown),
    )
    if series is None or not series.highest("prompt_tokens", "output_tokens"):
        say_instead(figure.subplots(), "Nothing was served.")
        return figure
    panels = list(
        figure.subplots(len(shown), 1, sharex=True, height_ratios=(1.5, 1, 1)[: len(shown)])
    )
    upper, lower = panels[0], panels[-1]
    for axes, (words, lines) in zip(panels, shown, strict=True):
        _draw_steps(axes, series, lines)
        axes.set_ylabel(words)
    upper.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    step_s = float(series.edges_s[1])
    lower.set_xlabel(f"simulated time (s), in steps of {step_s:,.4g} s")
    lower.set_xlim(0, float(series.edges_s[-1]))
    lower.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    _shade_window(result, panels)
    for axes in panels:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    return figure


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
    sums = {name: np.zeros(step_count, dtype=np.float64) for name in _COLUMNS}
    number = 0
    for chunk in bins.chunks():
        size = len(chunk["arrived"])
        steps = np.minimum(np.arange(number, number + size) // bins_per_step, step_count - 1)
        for name in _COLUMNS:
            sums[name] += np.bincount(steps, weights=chunk[name], minlength=step_count)
        number += size
    edges_ps = np.arange(step_count + 1, dtype=np.float64) * step_ps
    edges_ps[-1] = end_ps
    widths_ps = np.diff(edges_ps)
    rates = {
        name: values / widths_ps * (PS_PER_S if name.endswith("_tokens") else 1)
        for name, values in sums.items()
    }
    return Series(edges_ps / PS_PER_S, rates)


def _draw_steps(axes: "Axes", series: Series, columns: Sequence[tuple[str, str, str]]) -> None:
    for name, label, colour in columns:
        axes.stairs(
            series.rates[name],
            series.edges_s,
            baseline=None,
            color=colour,
            linewidth=1.5,
            label=label,
        )
    axes.set_ylim(0, series.highest(*(name for name, _, _ in columns)) * 1.12 or 1)


def _shade_window(result: Result, panels: "Sequence[Axes]") -> None:
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


def _title(result: Result) -> str:
    output, prompt = (
        result.summary["output_throughput_tok_s"],
        result.summary["input_throughput_tok_s"],
    )
    if not output or not isinstance(output, float) or not isinstance(prompt, float):
        return f"None of {result.totals.request_count:,} requests produced a token"
    return (
        f"{number_text(output, 4)} output and {number_text(prompt, 4)} prompt tokens/s"
        f"{' in the steady window' if result.summary['window_kind'] == 'steady' else ''}"
    )


def _subtitle(result: Result, series: Series | None) -> str:
    chips = result.explanation.plan.chip_count
    text = f"{result.explanation.scenario.name}: {count_text(chips, 'chip')}"
    if series is None:
        return text
    widths_s = np.diff(series.edges_s)
    running, waiting = (
        float((series.rates[name] * widths_s).sum() / widths_s.sum())
        for name in ("running_ps", "waiting_ps")
    )
    return (
        f"{text}; over the whole run {number_text(running)} requests running and "
        f"{number_text(waiting)} waiting on average"
    )
