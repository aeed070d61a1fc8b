"""The figure of a grid: every number where it belongs, every point without one marked."""

import math
from pathlib import Path

import pytest

from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.report.grid_figure import draw_grid
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


def lines_of(axes: object) -> dict[str, list[tuple[float, float]]]:
    found = {}
    for line in axes.get_lines():  # type: ignore[attr-defined]
        pairs = zip(line.get_xdata(), line.get_ydata(), strict=True)
        if not line.get_label().startswith("_"):
            found[line.get_label()] = [(float(x), float(y)) for x, y in pairs]
    return found


def crosses_of(axes: object) -> list[float]:
    return sorted(
        float(x)
        for line in axes.get_lines()  # type: ignore[attr-defined]
        if line.get_marker() == "x"
        for x in line.get_xdata()
    )


def test_a_line_for_each_value_of_the_second_key(tmp_path: Path) -> None:
    figure = draw_grid(result_of(tmp_path, TWO))
    chips, tpot = figure.axes
    assert (chips.get_ylabel(), tpot.get_ylabel()) == ("chip_count", "tpot_ms_p50")
    assert chips.get_xlabel() == "capacity_mb"
    assert lines_of(chips) == {
        "1": [(230, 0), (300, 200), (500, 400)],
        "2": [(230, 100), (300, 300), (500, 500)],
    }
    assert crosses_of(chips) == []


def test_points_without_numbers_are_crosses(tmp_path: Path) -> None:
    """The line is broken there, and the heading says why."""
    figure = draw_grid(result_of(tmp_path, TWO, failed=(2, 5)))
    chips = figure.axes[0]
    assert crosses_of(chips) == [300, 500]
    ((_, at_300),) = [pair for pair in lines_of(chips)["1"] if pair[0] == 300]
    assert math.isnan(at_300)
    heading = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    assert "2 infeasible" in heading
    assert "too large" in heading


def test_words_and_machines_are_bars(tmp_path: Path) -> None:
    words = "grid: {precision.kv: [fp16, fp8]}\ncollect: [chip_count]\n"
    machines = "points: [{name: a}, {name: b, overrides: {seed: 3}}]\ncollect: [chip_count]\n"
    for text, names in ((words, ["fp16", "fp8"]), (machines, ["a", "b"])):
        (axes,) = draw_grid(result_of(tmp_path, text)).axes
        assert [label.get_text() for label in axes.get_xticklabels()] == names
        assert [bar.get_height() for bar in axes.patches] == [0, 100]


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        (TWO, (0, 1, 2, 3, 4, 5)),
        ("grid: {seed: [1]}\ncollect: [chip_count]\n", ()),
        ("grid: {seed: [1, 100000]}\ncollect: [bottleneck]\n", ()),
        (
            "grid:\n  seed: [0, 1, 2]\n  serving.concurrent_sequences: [1, 2, 3, 4, 5]\n"
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
            write_figure(draw_grid(result), tmp_path / name)
    for ending in ("png", "svg"):
        one, other = (tmp_path / f"{name}.{ending}" for name in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()
    lines = len({row.point.chosen[1:] for row in result.rows})
    heading = " ".join(text.get_text() for text in draw_grid(result).texts)
    assert ("lines are drawn" in heading) == (lines > 14)
