"""Validation figure: predicted against measured, every point of the table."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from rack_sim.report.draw.matplotlib import legend_words
from rack_sim.report.figures.canvas import drawing_style, new_sheet, write_figure
from rack_sim.study.predictions import by_chip
from rack_sim.study.validation import fitted_rows, predictions_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BROWN = "#8B5A2B"
_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, _BROWN, INK, GREY)
_MARKERS = "os^Dvp<>hX"
_BAND = 1.2


def write_validation_figure(record: Mapping[str, Any], folder: Path) -> Path:
    """Writes the figure into `folder`, and returns the PNG, which the page shows."""
    with drawing_style():
        return write_figure(validation_figure(record), folder / "validation")[0]


def validation_figure(record: Mapping[str, Any]) -> "Figure":
    """The figure of a record: chips by colour and shape, fitted filled, held out hollow."""
    from matplotlib.lines import Line2D

    points = [one for one in predictions_of(record) if one.error is not None]
    fitted = fitted_rows()
    inside = sum(abs(one.error or 0) <= _BAND - 1 for one in points)
    figure = new_sheet(
        f"{inside} of {len(points)} measurements are predicted within 20 %",
        "output tokens per second, of one user where one request is in flight, else of all; "
        "filled: a constant of the chip was fitted on it; hollow: held out",
        width_inches=8.5,
        height_inches=6.2,
    )
    axes = figure.subplots()
    values = [value for one in points for value in (one.measured, one.predicted[one.metric])]
    low, high = min(values) / 1.5, max(values) * 1.5
    axes.fill_between(
        [low, high], [low / _BAND, high / _BAND], [low * _BAND, high * _BAND], color=PALE, zorder=0
    )
    axes.plot([low, high], [low, high], color=FAINT_INK, linewidth=1, zorder=1)
    handles = []
    for number, (chip, own) in enumerate(by_chip(points).items()):
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        for one in own:
            axes.plot(
                one.measured,
                one.predicted[one.metric],
                marker,
                color=colour,
                markersize=7,
                markeredgewidth=1.4,
                markerfacecolor=colour if one.measurement.number in fitted else "white",
                zorder=3,
            )
        handles.append(
            Line2D(
                [],
                [],
                linestyle="",
                marker=marker,
                color=colour,
                markersize=7,
                label=legend_words(chip),
            )
        )
    for one in points:
        error = one.error or 0.0
        if abs(error) > 0.3:
            axes.annotate(
                f"{one.measurement.number} {error:+.0%}",
                (one.measured, one.predicted[one.metric]),
                textcoords="offset points",
                xytext=(-7, 5) if error > 0 else (7, -10),
                ha="right" if error > 0 else "left",
                fontsize=8,
                color=FAINT_INK,
            )
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.set_xlabel("measured, tokens/s")
    axes.set_ylabel("predicted, tokens/s")
    axes.legend(handles=handles, loc="lower right", fontsize=9)
    return figure
