"""Labels: names lie on no point, on no line and not on each other."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rack_sim.report.draw.matplotlib import name_points


@pytest.mark.parametrize("count", [1, 2, 8])
def test_names_of_points_close_together_do_not_collide(count):
    figure = Figure(figsize=(6, 5), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    points = [(5 + 0.1 * n, 5 + 0.05 * (n % 3), f"machine {n}") for n in range(count)]
    line = [(0, 5.2), (10, 5.2)]
    name_points(figure, axes, points, lines=[line])
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    # An annotation's extent has its arrow in it: only the words themselves are held against others.
    words = [box for text, box in zip(axes.texts, boxes, strict=True) if text.arrow_patch is None]
    for one, other in itertools.combinations(words, 2):
        assert not one.overlaps(other)
    height = axes.transData.transform((0, 5.2))[1]
    for box in words:
        assert not box.y0 < height < box.y1, "no name on the line"
        assert box.x0 >= axes.bbox.x0 - 1
        assert box.x1 <= axes.bbox.x1 + 1
    assert {text.get_text() for text in axes.texts} == {name for *_, name in points}
