"""Plotly: charts of a page, as plain data that plotly.js draws; colours are names of its style."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import log10
from textwrap import wrap
from typing import Any

from markupsafe import Markup

from rack_sim.foundation.visible import shortened, visible
from rack_sim.report.chart import Axis, Cells, Chart, Limit, Panels, Series
from rack_sim.report.colours import FAINT_INK, INK, PALE, Look, Marker
from rack_sim.report.html import page
from rack_sim.report.html.page import lines_of
from rack_sim.report.numbers import amount_text

Trace = dict[str, Any]
Layout = dict[str, Any]
_Cells = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]  # headings and rows of a table

_MARKERS: Mapping[Marker, str] = {
    "circle": "circle",
    "square": "square",
    "diamond": "diamond",
    "triangle": "triangle-up",
    "triangle down": "triangle-down",
    "plus": "cross",
    "cross": "x-thin-open",
    "ring": "circle-open",
    "": "circle",
}
_MARK_PX, _POINT_PX, _RING_PX = 7.0, 9.0, 17.0
_HEIGHT_PX = 400
_LEGEND_LINE_PX = 18
_ROWS_SHOWN = 500
_LABEL_CHARACTERS, _LABEL_LINES = 26, 4
# The scale of the page's style sheet, from pale to dark.
_SHADES = [[step / 9, f"--m{step}"] for step in range(10)]
# plotly reads the text of a point as it was made harmless, and nothing else.
_HOVER = Markup("%{text}<extra></extra>")
_UNSEEN = {"opacity": 0, "hoverinfo": "skip", "textposition": "none", "showlegend": False}


def draw_all(groups: Iterable[Panels]) -> tuple[page.PlotlyChart, ...]:
    """Every chart of every group, one below the other."""
    return tuple(
        draw(chart)
        for panels in groups
        for chart in panels.charts
        if chart.cells is not None or chart.values_of
    )


def draw(chart: Chart) -> page.PlotlyChart:
    """A chart with its numbers as a table."""
    series, traces = [], []
    for number, one in enumerate(one for one in chart.series if one.values):
        parts = list(_alike(one))
        series += parts
        # The parts of one series share the place of its bars.
        place = {} if chart.is_stacked else {"offsetgroup": str(number)}
        traces += [_trace(chart, part) | place for part in parts]
    if chart.cells is not None:
        traces.append(_heat(chart, chart.cells))
    x, y = (chart.y, chart.x) if chart.is_sideways else (chart.x, chart.y)
    layout: Layout = {
        "xaxis": _axis(x, most=5 if chart.is_sideways else 6),
        "yaxis": _axis(y, most=8),
        "showlegend": sum(1 for one in series if one.name) > 1,
        "shapes": [_shape(chart, limit) for limit in chart.near],
        "annotations": list(_annotations(chart)),
        "hovermode": "closest",
    }
    if chart.is_sideways:
        layout["yaxis"]["range"] = layout["yaxis"]["range"][::-1]
    if any(one.kind == "bars" for one in series):
        layout["barmode"] = "stack" if chart.is_stacked else "group"
    if chart.cells is not None:
        layout["shapes"] += _best_frame(chart.cells)
    notes = " ".join(chart.notes)
    is_log = "log" in (chart.x.scale, chart.y.scale) and chart.cells is None
    return page.PlotlyChart(
        chart.name,
        chart.title,
        f"{chart.says}{' The scale is logarithmic.' if is_log else ''}".strip(),
        tuple(traces),
        layout,
        _table(chart),
        height_px=_height_px(chart),
        note=notes,
    )


def _height_px(chart: Chart) -> int:
    if chart.cells is not None:
        return 170 + 48 * len(chart.y.labels)
    if chart.is_sideways:
        per_label = 18 + 20 * max(1, sum(1 for one in chart.series if one.kind == "bars"))
        return 110 + (34 if chart.is_stacked else per_label) * len(chart.x.labels)
    # Names too long to stand beside each other have a line each, of which the plot must not pay.
    lines = sum(1 for one in chart.series if one.name)
    return _HEIGHT_PX + _LEGEND_LINE_PX * max(0, lines - 2)


def _trace(chart: Chart, one: Series) -> Trace:
    horizontal = chart.is_sideways
    x, y = list(one.x), list(one.y)
    trace: Trace = {
        "name": one.name,
        "x": y if horizontal else x,
        "y": x if horizontal else y,
        "text": [_said(chart, one, place) for place in range(len(x))],
        "hovertemplate": _HOVER,
        "showlegend": bool(one.name) and not (one.kind == "points" and one.labels),
    }
    if one.kind == "gap":
        return trace | {"type": "bar", "orientation": "h" if horizontal else "v"} | _UNSEEN
    if one.kind == "bars":
        return trace | _bars(chart, one)
    return trace | _line(chart, one)


def _alike(one: Series) -> Iterator[Series]:
    """A series as such whose points look alike: plotly has a hatch for a whole trace."""
    if not one.looks:
        yield one
    for number, look in enumerate(dict.fromkeys(one.looks)):
        y = tuple(
            value if own == look else None for value, own in zip(one.y, one.looks, strict=True)
        )
        yield replace(one, name="" if number else one.name, y=y, look=look, looks=())


def _said(chart: Chart, one: Series, place: int) -> Markup:
    """What stands at the pointer."""
    value = one.y[place]
    lines = [one.name] if one.name else []
    if value is not None:
        lines.append(chart.y.text(value))
    lines.append(chart.x.text(one.x[place]))
    if one.hover:
        lines.append(one.hover[place])
    return lines_of(*(line for line in lines if line))


def _line(chart: Chart, one: Series) -> Trace:
    look = one.look
    is_line = one.kind != "points"
    marked = not is_line or (bool(look.marker) and one.kind != "area" and not chart.always)
    mode = "+".join(words for words, is_so in (("lines", is_line), ("markers", marked)) if is_so)
    ring = look.marker == "ring"
    edge = 2 if look.marker in ("ring", "cross") else 0
    found: Trace = {
        "type": "scatter",
        "mode": mode,
        "line": {"color": look.colour.css, "width": 2, "dash": look.dash},
        "marker": {
            "color": look.colour.css,
            "symbol": f"{_MARKERS[look.marker]}{'-open' if one.is_hollow else ''}",
            "size": (_RING_PX if ring else _POINT_PX if not is_line else _MARK_PX) * one.mark_size,
            "line": {"color": look.colour.css, "width": edge},
        },
    }
    if one.kind == "points":
        found["cliponaxis"] = False
    if one.kind == "area":
        found["stackgroup"] = "all" if chart.is_stacked else one.name
        found["line"]["width"] = 0
        found["fillcolor"] = look.colour.css
    if one.labels and one.kind == "points":
        found["mode"] = "markers+text"
        found["texttemplate"] = [lines_of(label) for label in one.labels]
        found["textposition"] = "top center"
    return found


def _bars(chart: Chart, one: Series) -> Trace:
    found: Trace = {
        "type": "bar",
        "orientation": "h" if chart.is_sideways else "v",
        "marker": {
            "color": one.look.colour.css,
            "pattern": {
                "shape": one.look.hatch,
                "size": 6,
                "solidity": 0.25,
                "fillmode": "overlay",
            },
        },
        "textposition": "none",
    }
    if one.labels:
        found["texttemplate"] = [lines_of(label) for label in one.labels]
        found |= {"textposition": "outside", "cliponaxis": False, "constraintext": "none"}
    return found


def _axis(axis: Axis, *, most: int) -> dict[str, Any]:
    """One axis, with ticks that can be read and a title with its unit."""
    found: dict[str, Any] = {
        "title": {"text": axis.words},
        "type": axis.scale,
        "range": _range(axis),
        "automargin": True,
        "zeroline": axis.low < 0 and not axis.labels,
    }
    if axis.scale == "log" or axis.labels or axis.marks:
        ticks = axis.ticks(most)
        found["tickvals"] = [place for place, _ in ticks]
        found["ticktext"] = [_broken(text) if axis.labels else text for _, text in ticks]
    else:
        found["nticks"] = most
    if axis.labels:
        found |= {"showgrid": False}
    return found


def _broken(words: str) -> Markup:
    """Words beside a bar, broken into short lines, so that they leave room for the bar."""
    short = shortened(visible(words), _LABEL_CHARACTERS * _LABEL_LINES)
    return lines_of(*wrap(short, _LABEL_CHARACTERS))


def _range(axis: Axis) -> list[float]:
    return [log10(axis.low), log10(axis.high)] if axis.scale == "log" else [axis.low, axis.high]


def _at(axis: Axis, value: float) -> float:
    """A value as annotations have it, which count powers on a logarithmic axis."""
    return log10(value) if axis.scale == "log" else value


def _shape(chart: Chart, limit: Limit) -> Layout:
    upright = (limit.axis == "x") != chart.is_sideways
    along, across = ("x", "y") if upright else ("y", "x")
    end = limit.value if limit.end is None else limit.end
    return {
        "type": "line" if limit.end is None else "rect",
        "layer": "below",
        f"{along}ref": along,
        f"{across}ref": "paper",
        f"{along}0": limit.value,
        f"{along}1": end,
        f"{across}0": 0,
        f"{across}1": 1,
        "line": {
            "color": limit.look.colour.css,
            "width": 2 if limit.end is None else 0,
            "dash": limit.look.dash,
        },
        **({} if limit.end is None else {"fillcolor": PALE.css}),
    }


def _annotations(chart: Chart) -> Iterable[Layout]:
    """Words of limits, of those beyond the edge, and of a value that never changes."""
    for limit in chart.near:
        if limit.words:
            yield _limit_words(chart, limit)
    for row, limit in enumerate(chart.far):
        yield _words(chart.far_words(limit), limit.look) | {
            "xref": "paper", "yref": "paper", "x": 0.01, "y": 1 - 0.08 * row, "xanchor": "left",
            "yanchor": "top",
        }  # fmt: skip
    if chart.always:
        at = _at(chart.y, chart.values_of[0])
        yield _words(chart.always, Look(INK)) | {
            "xref": "paper", "yref": "y", "x": 0.02, "y": at, "xanchor": "left",
            "yanchor": "bottom",
        }  # fmt: skip
    if chart.cells is not None:
        yield from _cell_words(chart.cells)


def _limit_words(chart: Chart, limit: Limit) -> Layout:
    upright = (limit.axis == "x") != chart.is_sideways
    axis = chart.x if limit.axis == "x" else chart.y
    at = _at(axis, limit.value)
    low, high = _range(axis)
    side = "right" if at > low + 0.6 * (high - low) else "left"
    if limit.end is not None:
        return _words(limit.words, Look(FAINT_INK), narrow=True) | {
            "xref": "x", "yref": "paper", "x": at, "y": 0.6, "xanchor": "left", "align": "left",
        }  # fmt: skip
    if upright:
        return _words(limit.words, limit.look) | {
            "xref": "x", "yref": "paper", "x": at, "y": 0.02, "xanchor": side,
            "yanchor": "bottom",
        }  # fmt: skip
    return _words(limit.words, limit.look) | {
        "xref": "paper", "yref": "y", "x": 0.01, "y": at, "xanchor": "left", "yanchor": "bottom",
    }  # fmt: skip


def _words(words: str, look: Look, *, narrow: bool = False) -> Layout:
    return {
        "text": lines_of(*words.split()) if narrow else words,
        "showarrow": False,
        "font": {"color": look.colour.css},
        "bgcolor": "--panel" if not narrow else None,
    }


def _heat(chart: Chart, cells: Cells) -> Trace:
    """A heat map: pale is low, dark is high; what has no value is left open."""
    shown = [
        [None if v is None else log10(v) if cells.by_powers else v for v in row]
        for row in cells.values
    ]
    return {
        "type": "heatmap",
        "x": list(range(len(chart.x.labels))),
        "y": list(range(len(chart.y.labels))),
        "z": shown,
        "text": [[lines_of(*text.split("\n")) for text in row] for row in cells.hover],
        "hovertemplate": _HOVER,
        "hoverongaps": True,
        "colorscale": _SHADES,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }


def _cell_words(cells: Cells) -> Iterable[Layout]:
    for row, line in enumerate(cells.values):
        for place, value in enumerate(line):
            text = "×" if value is None else amount_text(value, 3)
            best = ("best",) if (row, place) == cells.best else ()
            yield {
                "x": place, "y": row, "text": lines_of(text, *best), "showarrow": False,
                "bgcolor": "--panel", "font": {"color": INK.css},
            }  # fmt: skip


def _best_frame(cells: Cells) -> list[Layout]:
    if cells.best is None:
        return []
    row, place = cells.best
    edge = {"x0": place - 0.5, "x1": place + 0.5, "y0": row - 0.5, "y1": row + 0.5}
    return [{"type": "rect", **edge, "line": {"color": INK.css, "width": 3}}]


def _table(chart: Chart) -> page.HtmlTable:
    headings, rows = _side_by_side(chart) or _one_below_the_other(chart)
    left_out = len(rows) - _ROWS_SHOWN
    return page.HtmlTable(
        chart.title,
        headings,
        rows[:_ROWS_SHOWN],
        note=f"{left_out:,} more rows are in the files." if left_out > 0 else "",
    )


def _side_by_side(chart: Chart) -> _Cells | None:
    """A column for each series, where all are at the same places and nothing is said of a point."""
    series = [one for one in chart.series if one.kind != "gap"]
    if len(series) < 2 or any(not s.name or s.hover or s.x != series[0].x for s in series):
        return None
    x = chart.x.words or "What"
    headings = [x if chart.x.labels else f"#{x}", *(f"#{s.name} ({chart.y.unit})" for s in series)]
    rows = []
    for place, at in enumerate(series[0].x):
        found = [one.y[place] for one in series]
        whole = [sum(value or 0.0 for value in found)] if chart.is_stacked else []
        where = chart.x.labels[round(at)] if chart.x.labels else amount_text(at, 6)
        numbers = ["" if v is None else amount_text(v, 5) for v in (*found, *whole)]
        rows.append((where, *numbers))
    return (*headings, *(["#in all"] if chart.is_stacked else [])), tuple(rows)


def _one_below_the_other(chart: Chart) -> _Cells:
    rows = list(chart.rows())
    things = chart.cells is not None
    x = chart.x.words or "What"
    headings = (
        chart.y.name if things else "Series",
        x if chart.x.labels else f"#{x}",
        f"#{chart.title if things else chart.y.words}",
        "Remark",
    )
    # A column in which nothing stands, or everywhere the same, says nothing.
    kept = [place for place in range(4) if things * (place < 3) or _tells(rows, place)]
    return (
        tuple(headings[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in rows),
    )


def _tells(rows: Sequence[tuple[str, ...]], place: int) -> bool:
    found = {row[place] for row in rows}
    return place in (1, 2) or len(found) > 1 or (place == 3 and found != {""})
