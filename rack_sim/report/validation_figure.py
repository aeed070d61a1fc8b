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
from rack_sim.study.validation import error_of, fitted_rows

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

    rows = [row for row in record["predictions"] if error_of(row) is not None]
    fitted = fitted_rows()
    inside = sum(abs(error_of(row) or 0) <= _BAND - 1 for row in rows)
    figure = new_sheet(
        f"{inside} of {len(rows)} measurements are predicted within 20 %",
        "output tokens per second, of one user where one request is in flight, else of all; "
        "filled: a constant of the chip was fitted on it; hollow: held out",
        width_inches=8.5,
        height_inches=6.2,
    )
    axes = figure.subplots()
    values = [row["measured"][row["metric"]] for row in rows]
    values += [row["predicted"][row["metric"]] for row in rows]
    low, high = min(values) / 1.5, max(values) * 1.5
    axes.fill_between(
        [low, high], [low / _BAND, high / _BAND], [low * _BAND, high * _BAND], color=PALE, zorder=0
    )
    axes.plot([low, high], [low, high], color=FAINT_INK, linewidth=1, zorder=1)
    chips = sorted({row["chip"] for row in rows})
    handles = []
    for number, chip in enumerate(chips):
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        for row in rows:
            if row["chip"] == chip:
                axes.plot(
                    row["measured"][row["metric"]],
                    row["predicted"][row["metric"]],
                    marker,
                    color=colour,
                    markersize=7,
                    markeredgewidth=1.4,
                    markerfacecolor=colour if row["id"] in fitted else "white",
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
    for row in rows:
        if abs(error_of(row) or 0) > 0.3:
            axes.annotate(
                f"{row['id']} {error_of(row):+.0%}",
                (row["measured"][row["metric"]], row["predicted"][row["metric"]]),
                textcoords="offset points",
                xytext=(-7, 5) if (error_of(row) or 0) > 0 else (7, -10),
                ha="right" if (error_of(row) or 0) > 0 else "left",
                fontsize=8,
                color=FAINT_INK,
            )
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.set_xlabel("measured, tokens/s")
    axes.set_ylabel("predicted, tokens/s")
    axes.legend(handles=handles, loc="lower right", fontsize=9)
    return figure
