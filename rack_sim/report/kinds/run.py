"""Run: what a machine does with its traffic."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.pipeline import Result
from rack_sim.report.story import Story

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(result: Result) -> "Iterator[tuple[str, Figure]]":
    from rack_sim.report.figures import FIGURES

    for name, drawing in FIGURES.items():
        if drawing.is_for(result):
            yield name, drawing.draw(result)


STORY = Story(figures=_figures)
