"""Size: which system meets the objectives."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.report.story import Story
from rack_sim.study.sizing import Sizing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(result: Sizing) -> "Iterator[tuple[str, Figure]]":
    from rack_sim.report.sizing_figure import draw_candidates

    yield "candidates", draw_candidates(result)


STORY = Story(figures=_figures)
