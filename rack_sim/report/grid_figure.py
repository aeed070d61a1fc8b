"""Grid figure: the collected columns of a grid study against its first key, in lines or bars."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

from rack_sim.report.colours import (
    BLUE,
    FAINT_INK,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from rack_sim.report.figures.canvas import new_sheet, say_instead
from rack_sim.report.figures.labels import legend_words
from rack_sim.report.numbers import count_text, number_text
from rack_sim.scenario import GridStudy
from rack_sim.study.grid import GridResult, GridRow
from rack_sim.study.grid_point import BAD_INPUT, FAILED, INFEASIBLE, OK
from rack_sim.study.grid_titles import axis_title, axis_unit, column_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# More lines than this cannot be told apart, nor more panels be read.
_LINE_COUNT_MAX = 14
_PANEL_COUNT_MAX = 6
# From here on a linear axis would squeeze what lies low.
_LOG_RATIO = 20
_LOG_RATIO_BELOW = 10  # of the values of a key, which are often doubled
_TICK_COUNT_MAX = 9
_REASON_CHARACTERS = 200
# Share of a panel's height that a row of crosses takes.
_CROSS_HEIGHT = 0.045
# As many fit over a panel of five inches, in bold.
_TITLE_CHARACTERS = 50
_STATUS_WORDS = {INFEASIBLE: "infeasible", BAD_INPUT: "bad input", FAILED: "failed"}


@dataclass(frozen=True)
class _Line:
    """The rows that differ in the first key only, by the number of its value."""

    label: str
    rows: Mapping[int, GridRow]


def draw_grid(result: GridResult) -> "Figure":
    """A panel for each collected column of numbers; points without numbers are crosses."""
    study = result.study
    names = [name for name in study.collect if _is_number(result, name)][:_PANEL_COUNT_MAX]
    lines = list(_lines(result))[:_LINE_COUNT_MAX]
    columns = min(2, len(names)) or 1
    rows = -(-len(names) // columns) or 1
    wide = 11 if columns == 2 else 8
    figure = new_sheet(
        study.description or study.name,
        _subtitle(result, len(lines)),
        width_inches=wide,
        height_inches=3.4 * rows + (0.25 + 0.25 * -(-len(lines) // 3) if len(lines) > 1 else 0),
    )
    if not names:
        say_instead(figure.subplots(), "No point has a number in any of the collected columns.")
        return figure
    panels: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for number, axes in enumerate(panels):
        if number >= len(names):
            axes.set_axis_off()
            continue
        _draw(axes, study, lines, names[number])
    if len(lines) > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=min(3, len(labels)),
            title=_legend_title(study),
            fontsize=9,
        )
    return figure


def _draw(axes: "Axes", study: GridStudy, lines: Sequence[_Line], name: str) -> None:
    axis = study.axes[0] if study.axes else None
    numeric = axis is not None and axis.is_numeric
    places: list[float] = (
        [float(value) for value in axis.choices]
        if axis is not None and numeric
        else [float(number) for number in range(len(axis.choices if axis else study.bases))]
    )
    shown = [
        value
        for line in lines
        for row in line.rows.values()
        if (value := _value(row, name)) is not None
    ]
    bar, cross_rows = 0.8 / len(lines), 0
    for number, line in enumerate(lines):
        style: dict[str, Any] = {
            "color": _COLOURS[number % len(_COLOURS)],
            "label": legend_words(line.label),
        }
        pairs = [
            (places[chosen], nan if (value := _value(row, name)) is None else value)
            for chosen, row in sorted(line.rows.items(), key=lambda item: places[item[0]])
        ]  # a line is broken where there is no number
        shift = 0.0 if numeric else (number - (len(lines) - 1) / 2) * bar
        xs, ys = [x + shift for x, _ in pairs], [y for _, y in pairs]
        if numeric:
            # Where lines lie on each other, the larger mark shows around the smaller.
            size = 9 - 4 * number / max(len(lines) - 1, 1) if len(lines) > 1 else 6
            marker = _MARKERS[number % len(_MARKERS)]
            dashes: Any = "-" if number < len(_COLOURS) else (0, (4, 2))
            axes.plot(
                xs, ys, linewidth=2, marker=marker, markersize=size, linestyle=dashes, **style
            )
        else:
            axes.bar(xs, ys, width=bar * 0.92, **style)
        failed = [places[chosen] + shift for chosen, row in line.rows.items() if row.status != OK]
        if failed:
            _mark_failed(axes, failed, style["color"], cross_rows if numeric else 0)
            cross_rows += 1
    _scale(axes, places, shown, numeric=numeric, foot=_CROSS_HEIGHT * cross_rows)
    if axis is not None:
        axes.set_xlabel(axis_title(axis))
    if not numeric:
        labels = axis.labels if axis else [base.name for base in study.bases]
        _name_bars(axes, labels)
    axes.set_title("\n".join(textwrap.wrap(column_title(name), _TITLE_CHARACTERS)), fontsize=10)
    axes.set_ylabel(name, fontsize=9)


def _mark_failed(axes: "Axes", places: Sequence[float], colour: str, row: int) -> None:
    """Crosses at the foot of the panel, one row of them for each line."""
    axes.plot(
        places,
        [(row + 0.6) * _CROSS_HEIGHT] * len(places),
        transform=axes.get_xaxis_transform(),
        linestyle="none",
        marker="x",
        markersize=7,
        markeredgewidth=2,
        color=colour,
        clip_on=False,
    )


def _scale(
    axes: "Axes", places: Sequence[float], shown: Sequence[float], *, numeric: bool, foot: float
) -> None:
    """Logarithmic where a linear scale would squeeze the small; ticks where the values are.

    `foot` is the share of the height that crosses take below the values.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = min(shown, default=0), max(shown, default=1)
    below = 1.1 * foot / (1 - foot)
    plain = FuncFormatter(lambda value, _: _tick_text(value))
    if numeric:
        if min(places) > 0 and max(places) / min(places) >= _LOG_RATIO_BELOW:
            axes.set_xscale("log")
        if len(places) <= _TICK_COUNT_MAX:
            axes.set_xticks(sorted(places))
            axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(plain)
    if numeric and low > 0 and high / low >= _LOG_RATIO:
        axes.set_yscale("log")
        ratio = high / low
        axes.set_ylim(low / ratio ** (0.06 + below), high * ratio**0.06)
        if high / low < 1000:
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif low >= 0:
        top = 1.08 * high or 1
        axes.set_ylim(0, top)
        axes.set_yticks([tick for tick in axes.get_yticks() if tick <= top])
        axes.set_ylim(-below * top if numeric else 0, top)
    axes.yaxis.set_major_formatter(plain)
    axes.margins(x=0.06)


def _name_bars(axes: "Axes", labels: Sequence[str]) -> None:
    axes.grid(visible=False, axis="x")
    axes.set_xticks(range(len(labels)))
    longest = max(map(len, labels))
    crowded = longest * len(labels) > 60  # more characters than a panel is wide
    axes.set_xticklabels(
        [label if len(label) <= 28 else f"{label[:27]}…" for label in labels],
        rotation=30 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
    )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.tick_params(axis="x", length=0, labelcolor=FAINT_INK)


def _lines(result: GridResult) -> Iterator[_Line]:
    """Rows that differ in the first key only; without keys, all machines are one line."""
    study = result.study
    found: dict[tuple[int | str, ...], dict[int, GridRow]] = {}
    labels: dict[tuple[int | str, ...], str] = {}
    machines = [base.name for base in study.bases]
    for row in result.rows:
        if not study.axes:
            found.setdefault((), {})[machines.index(row.point.base.name)] = row
            labels[()] = ""
            continue
        first, *rest = row.point.chosen
        key: tuple[int | str, ...] = (row.point.base.name, *rest)
        found.setdefault(key, {})[first] = row
        parts = [row.point.base.name] if len(machines) > 1 else []
        for axis, chosen in zip(study.axes[1:], rest, strict=True):
            lone = len(study.axes) == 2 and len(machines) == 1
            shown = f"{axis.labels[chosen]} {axis_unit(axis)}".strip()
            parts.append(shown if lone else f"{axis.title} {shown}")
        labels[key] = ", ".join(parts)
    return (_Line(labels[key], rows) for key, rows in found.items())


def _legend_title(study: GridStudy) -> str | None:
    return study.axes[1].title if len(study.axes) == 2 and len(study.bases) == 1 else None


def _subtitle(result: GridResult, line_count: int) -> str:
    study = result.study
    parts = [f"{study.name}: {count_text(len(result.rows), 'point')}"]
    all_lines = len({(row.point.base.name, *row.point.chosen[1:]) for row in result.rows})
    if study.axes and all_lines > line_count:
        parts.append(f"the first {line_count} of {all_lines} lines are drawn")
    without = [row for row in result.rows if row.status != OK]
    if without:
        counts = ", ".join(
            f"{count} {_STATUS_WORDS[status]}"
            for status, count in result.counts.items()
            if status != OK
        )
        reason = without[0].reason
        if len(reason) > _REASON_CHARACTERS:
            reason = f"{reason[:_REASON_CHARACTERS]}…"
        parts.append(f"× without numbers: {counts}. {without[0].point.name}: {reason}")
    return "; ".join(parts)


def _is_number(result: GridResult, name: str) -> bool:
    return any(isinstance(row.summary.get(name), int | float) for row in result.rows)


def _value(row: GridRow, name: str) -> float | None:
    value = row.summary.get(name)
    return float(value) if isinstance(value, int | float) else None


def _tick_text(value: float) -> str:
    return f"{value:,.10g}" if abs(value) >= 0.001 or not value else number_text(value, 2)
