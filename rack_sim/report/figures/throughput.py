"""Throughput figure: tokens per second over simulated time, by kind."""

from typing import TYPE_CHECKING

from rack_sim.pipeline import Result
from rack_sim.report.colours import BLUE, GREEN, PURPLE, VERMILION
from rack_sim.report.figures.canvas import new_sheet, say_instead
from rack_sim.report.figures.over_time import (
    Line,
    Panel,
    Series,
    draw_panels,
    fleet_words,
    series_of,
    shade_window,
)
from rack_sim.report.numbers import number_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROMPT = (
    Line("prompt_tokens", "prefilled", BLUE),
    Line("cached_tokens", "found in the prefix cache", GREEN),
    Line("recomputed_tokens", "prefilled again after a preemption", PURPLE),
)
_OUTPUT = Line("output_tokens", "output", VERMILION)
_OUTPUT_PANEL = Panel("output tokens\nper second", (_OUTPUT,))


def draw_throughput(result: Result) -> "Figure":
    """Output tokens per second above; below, those of prompts by where they came from."""
    series = series_of(result)
    figure = new_sheet(
        _title(result), _subtitle(result, series), width_inches=10, height_inches=4.8
    )
    if series is None or not series.highest("prompt_tokens", "output_tokens"):
        say_instead(figure.subplots(), "Nothing was served.")
        return figure
    kinds = tuple(line for line in _PROMPT if series.highest(line.column))
    panels = [_OUTPUT_PANEL]
    if kinds:
        panels.append(Panel("prompt tokens\nper second", kinds))
    shade_window(result, draw_panels(figure, result, series, panels))
    return figure


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
    text = fleet_words(result)
    if series is None:
        return text
    return (
        f"{text}; over the whole run {number_text(series.mean('output_tokens'))} output and "
        f"{number_text(series.mean('prompt_tokens'))} prompt tokens/s"
    )
