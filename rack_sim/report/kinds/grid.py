"""Grid: what changes where the keys of a grid change."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.study.grid import GridResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(result: GridResult) -> "Iterator[tuple[str, Figure]]":
    from rack_sim.report.grid_figure import draw_grid

    yield "grid", draw_grid(result)


STORY = Story(study_title, study_page, write_study, _figures)
