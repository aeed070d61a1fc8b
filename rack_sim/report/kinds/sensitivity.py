"""Sensitivity: which inputs move cost and speed most."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.report.story import Story
from rack_sim.study.sensitivity import Sensitivity

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(result: Sensitivity) -> "Iterator[tuple[str, Figure]]":
    from rack_sim.report.sensitivity_figure import draw_tornado

    yield "sensitivity", draw_tornado(result)


STORY = Story(figures=_figures)
