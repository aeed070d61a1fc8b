"""The charts of a grid: every number where it belongs, every point without one marked."""

from pathlib import Path

import pytest

from rack_sim.report.chart import Panels
from rack_sim.report.charts.grid import grid_charts
from rack_sim.report.draw.matplotlib import draw
from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.scenario import GridStudy, load_study
from rack_sim.study.grid import GridResult, GridRow

HEAD = "kind: grid\nname: mine\nscenario: llama70b\n"
TWO = """grid:
  system.chip.memory.0.capacity_mb: [230, 300, 500]
  serving.concurrent_sequences: [1, 2]
collect: [chip_count, tpot_ms_p50, bottleneck]
"""


def result_of(tmp_path: Path, text: str, failed: tuple[int, ...] = ()) -> GridResult:
    """A result whose numbers are those of the points, times a hundred."""
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    study = load_study(path)
    assert isinstance(study, GridStudy)
    rows = tuple(
        GridRow(point, "infeasible", "too large", {})
        if point.number in failed
        else GridRow(
            point, "ok", "", dict.fromkeys(study.collect, 100 * point.number) | {"bottleneck": "x"}
        )
        for point in study.combinations()
    )
    return GridResult(study, rows, 0, ())


THREE = TWO.replace("collect", "  precision.kv: [fp16, fp8]\ncollect")


def panels_of(result: GridResult) -> Panels:
    (panels,) = grid_charts(result.record())
    return panels


def test_two_keys_are_a_map(tmp_path: Path) -> None:
    chips, tpot = panels_of(result_of(tmp_path, TWO)).charts
    assert chips.x.labels == ("230", "300", "500")
    assert chips.y.labels == ("1", "2")
    assert chips.x.words == "capacity_mb"
    assert tpot.title.startswith("Time per output token (TPOT), median: least, 0 ms")
    for chart in (chips, tpot):
        assert chart.cells is not None
        assert chart.cells.values == ((0, 200, 400), (100, 300, 500))
        assert chart.cells.best == (0, 0)


def test_points_without_numbers_are_crosses(tmp_path: Path) -> None:
    """They are told where the pointer is, and the heading says why."""
    panels = panels_of(result_of(tmp_path, TWO, failed=(2, 5)))
    cells = panels.charts[0].cells
    assert cells is not None
    assert cells.values == ((0, None, 400), (100, 300, None))
    assert "infeasible: too large" in cells.hover[0][1]
    assert "2 infeasible" in panels.says
    assert "too large" in panels.says


def test_more_keys_are_lines_broken_where_there_is_no_number(tmp_path: Path) -> None:
    panels = panels_of(result_of(tmp_path, THREE, failed=(4,)))
    *lines, lost = panels.charts[0].series
    assert len(lines) == 4
    assert {line.x for line in lines} == {(230, 300, 500)}
    assert lines[0].name == "concurrent_sequences 1, kv fp16"
    assert lines[0].y == (0, None, 800)
    assert (lost.name, lost.x, lost.kind) == ("no numbers", (300,), "points")
    assert lost.hover == ("infeasible: too large",)


def test_words_and_machines_are_bars(tmp_path: Path) -> None:
    words = "grid: {precision.kv: [fp16, fp8]}\ncollect: [chip_count]\n"
    machines = "points: [{name: a}, {name: b, overrides: {seed: 3}}]\ncollect: [chip_count]\n"
    for text, names in ((words, ("fp16", "fp8")), (machines, ("a", "b"))):
        (chart,) = panels_of(result_of(tmp_path, text)).charts
        assert chart.x.labels == names
        (bars,) = chart.series
        assert (bars.kind, bars.y) == ("bars", (0, 100))


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        (TWO, (0, 1, 2, 3, 4, 5)),
        ("grid: {seed: [1]}\ncollect: [chip_count]\n", ()),
        ("grid: {seed: [1, 100000]}\ncollect: [bottleneck]\n", ()),
        (
            "grid:\n  seed: [0, 1, 2, 3]\n  serving.concurrent_sequences: [1, 2, 3, 4, 5]\n"
            "  precision.kv: [fp16, fp8]\n  precision.weights: [int8, fp16]\n"
            "collect: [chip_count, rack_count, tpot_ms_p50]\n",
            (3, 4, 5),
        ),
    ],
)
def test_whatever_there_is_can_be_drawn(tmp_path: Path, text: str, failed: tuple[int, ...]) -> None:
    """All failed, one point, words only, more lines than can be told apart; twice the same."""
    result = result_of(tmp_path, text, failed)
    with drawing_style():
        for name in ("a", "b"):
            write_figure(draw(panels_of(result)), tmp_path / name)
    for ending in ("png", "svg"):
        one, other = (tmp_path / f"{name}.{ending}" for name in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()
    lines = len({row.point.chosen[:1] + row.point.chosen[2:] for row in result.rows})
    assert ("lines are drawn" in panels_of(result).says) == (lines > 14)
