"""Every pen draws any chart: alike, without losing a number, whatever the names in it are."""

import json
import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from openpyxl import load_workbook
from xlsxwriter import Workbook

from rack_sim.report.chart import Axis, Cells, Chart, Limit, Panels, Series, axis_of, things_axis
from rack_sim.report.colours import BLUE, GREEN, KNEE, TERM_LOOKS, Look
from rack_sim.report.draw.excel import write_charts
from rack_sim.report.draw.matplotlib import draw as draw_figure
from rack_sim.report.draw.plotly import draw as draw_on_page
from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.report.html.page import inert, plain
from rack_sim.report.sheets.sheet import Book

EVIL = "<b>$x$</b> %{x} =1+1 _"
LINE = Chart(
    "line",
    f"Waits of {EVIL}",
    axis_of("rate", "1/s", [1, 100]),
    axis_of("wait", "ms", [3, 5], bounds=[6, 900]),
    (
        Series(EVIL, (1.0, 10.0, 100.0), (3.0, None, 5.0), Look(BLUE)),
        Series("marks", (2.0,), (4.0,), Look(GREEN, marker="ring"), "points", labels=(EVIL,)),
    ),
    limits=(
        Limit(6, f"SLO {EVIL}"),
        Limit(900, "far SLO"),
        Limit(50, "knee", KNEE, axis="x"),
        Limit(80, "lost", KNEE, axis="x", end=120),
    ),
    notes=("A note.",),
)
_PARTS = tuple(
    Series(name, (0.0, 1.0), (1.0, 2.0), look, "bars") for name, look in TERM_LOOKS.items()
)
BARS = Chart(
    "bars", "Parts", things_axis("", ["a", EVIL]), Axis("time", "ms", high=20), _PARTS,
    is_stacked=True, is_sideways=True,
)  # fmt: skip
STAIRS = Chart(
    "stairs", "One after the other", things_axis("", ["a", EVIL]), Axis("time", "ms", high=9),
    (Series("", (0.0, 1.0), (0.5, 1.5), Look(BLUE), "gap"), *_PARTS),
    limits=(Limit(0.5, "", axis="x"),),
    is_stacked=True, is_sideways=True,
)  # fmt: skip
RATES = Chart(
    "rates", "Points beside names", things_axis("", ["a", EVIL]), axis_of("rate", "1/s", [1, 900]),
    (Series("", (0.0, 1.0), (1.0, 900.0), Look(BLUE), "points", labels=("1", EVIL)),),
    is_sideways=True,
)  # fmt: skip
SIDES = Chart(
    "sides",
    "Down and up",
    things_axis("input", ["power", "price"]),
    axis_of("change", "%", [-5, 8]),
    (Series("less", (0.0, 1.0), (-5.0, 8.0), Look(GREEN), "bars", labels=("-5 %", "+8 %")),),
)
AREA = Chart(
    "area", "Areas", Axis("t", "s", high=3), Axis("n", high=9),
    tuple(Series(str(c), (0.0, 3.0), (2.0, 4.0), Look(c), "area") for c in (BLUE, GREEN)),
    is_stacked=True,
)  # fmt: skip
MAP = Chart(
    "map", "Best of all", things_axis("links", ["1", "2"]), things_axis("hops", ["10", EVIL]),
    cells=Cells(((3.0, None), (1.0, 2.0)), (("a", EVIL), ("c", "d")), (1, 0)),
)  # fmt: skip
STILL = Chart(
    "still", "Never changes", Axis("x", high=9), axis_of("y", "ms", [3.3]),
    (Series("", (1.0, 9.0), (3.3, 3.3), Look(BLUE)),),
)  # fmt: skip
EMPTY = Chart("empty", "Nothing", Axis("x"), Axis("y"))
CHARTS = [LINE, BARS, STAIRS, RATES, SIDES, AREA, MAP, STILL, EMPTY]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_a_figure_is_drawn_twice_the_same(chart: Chart, tmp_path: Path) -> None:
    with drawing_style():
        for name in "ab":
            panels = Panels(name, EVIL, EVIL, (chart, LINE))
            write_figure(draw_figure(panels), tmp_path / name)
    for ending in ("png", "svg"):
        one, other = (tmp_path / f"{name}.{ending}" for name in "ab")
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_a_page_knows_every_attribute_and_takes_no_text_for_more(chart: Chart) -> None:
    drawn = draw_on_page(chart)
    content = inert(plain({"data": list(drawn.traces), "layout": dict(drawn.layout)}))
    go.Figure(json.loads(re.sub(r'"--[a-z0-9]+"', '"#123456"', json.dumps(content))))
    texts = json.dumps(content)
    assert "<b>" not in texts
    for trace in drawn.traces:
        assert str(trace["hovertemplate"]) == "%{text}<extra></extra>"
    assert drawn.table.rows == () or len(drawn.table.headings) == len(drawn.table.rows[0])


def _numbers(sheet: Any) -> list[float]:
    return [
        cell.value
        for line in sheet.iter_rows(min_row=4)
        for cell in line
        if isinstance(cell.value, int | float)
    ]


@pytest.mark.parametrize("chart", CHARTS[:-1], ids=lambda chart: chart.name)
def test_a_sheet_has_every_number_and_no_formula(chart: Chart, tmp_path: Path) -> None:
    path = tmp_path / "charts.xlsx"
    with Workbook(path, {"strings_to_formulas": False}) as file:
        book = Book(file)
        write_charts(book, [Panels("all", "All", "", (chart,))])
        book.finish()
    sheet = load_workbook(path)["Charts"]
    drawn = [value for one in chart.series for value in one.values]
    if chart.cells is not None:
        drawn += [v for row in chart.cells.values for v in row if v is not None]
    found = _numbers(sheet)
    assert all(found.count(value) >= drawn.count(value) for value in drawn)
    assert not any(cell.data_type == "f" for line in sheet.iter_rows() for cell in line)
    assert len(sheet._charts) == (0 if chart.cells else 1)


def test_lines_of_figure_and_page_are_the_same() -> None:
    with drawing_style():
        (axes,) = draw_figure(Panels("one", "One", "Alone", (LINE,))).axes
    trace = draw_on_page(LINE).traces[0]
    line = axes.lines[0]
    assert list(line.get_xdata()) == trace["x"] == [1, 10, 100]
    assert [None if y != y else y for y in line.get_ydata()] == trace["y"] == [3, None, 5]
    assert line.get_color() == BLUE
    assert trace["line"]["color"] == BLUE.css


def test_what_bars_stand_on_is_nowhere_seen() -> None:
    with drawing_style():
        (axes,) = draw_figure(Panels("one", "One", "Alone", (STAIRS,))).axes
    assert [bar.get_x() for bar in axes.patches[:2]] == [0.5, 1.5]
    assert len(axes.patches) == 2 * len(_PARTS)
    page = draw_on_page(STAIRS)
    assert page.traces[0]["opacity"] == 0
    assert [row[1:3] for row in page.table.rows] == [("1", "1"), ("2", "2")]
    assert page.table.rows[0][-1] == str(len(_PARTS)), "in all"


@pytest.mark.parametrize(("value", "words"), [(1, "← SLO"), (9, "SLO"), (90, "→ SLO")])
def test_a_limit_beyond_an_axis_is_named_at_its_edge(value: float, words: str) -> None:
    chart = Chart(
        "one", "One", Axis("t", "ms", low=5, high=10), Axis("n"),
        (Series("", (6.0, 9.0), (0.0, 1.0), Look(BLUE)),), limits=(Limit(value, "SLO", axis="x"),),
    )  # fmt: skip
    with drawing_style():
        (axes,) = draw_figure(Panels("one", "One", "Alone", (chart,))).axes
    assert [text.get_text() for text in axes.texts] == [words]
    assert [str(note["text"]) for note in draw_on_page(chart).layout["annotations"]] == [words]


def test_bars_of_one_series_stand_at_their_names_however_they_look() -> None:
    """Plotly puts traces beside each other: the parts of one series must share a place."""
    looks = (Look(BLUE), Look(GREEN))
    names = things_axis("", ["first", "second"])
    bars = Series("", (0, 1), (3, 4), looks[0], "bars", looks=looks)
    traces = draw_on_page(Chart("c", "t", names, Axis("ms", high=5), (bars,))).traces
    assert len(traces) == 2
    assert len({trace["offsetgroup"] for trace in traces}) == 1
    sides = (bars, Series("b", (0, 1), (1, 2), looks[1], "bars"))
    traces = draw_on_page(Chart("c", "t", names, Axis("ms", high=5), sides)).traces
    assert len({trace["offsetgroup"] for trace in traces}) == 2, "two series stand side by side"


def test_points_close_together_are_seen_apart() -> None:
    axis = axis_of("time", "ms", [3.30, 3.33], from_zero=False)
    assert 3 < axis.low < 3.30 < 3.33 < axis.high < 3.4
    for alike in ([3.3, 3.3], [1, 3.3]):
        assert axis_of("time", "ms", alike, from_zero=False).low == 0
