"""Compare: scenarios and finished runs side by side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.report.story import Story
from rack_sim.study.compare import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(result: Comparison) -> "Iterator[tuple[str, Figure]]":
    from rack_sim.report.compare_figures import draw_compared, draw_pareto

    yield "pareto", draw_pareto(result)
    yield "compared", draw_compared(result)


STORY = Story(figures=_figures)
