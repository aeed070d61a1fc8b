"""Load: where a machine saturates."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.report.text.load import load_content, load_text, load_warnings
from rack_sim.study.load import LoadResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(result: LoadResult) -> "Iterator[tuple[str, Figure]]":
    from rack_sim.report.load_figures import draw_load_goodput, draw_load_latency

    yield "load_latency", draw_load_latency(result)
    yield "load_goodput", draw_load_goodput(result)


STORY = Story(
    title=study_title,
    text=load_text,
    content=load_content,
    page=study_page,
    sheets=write_study,
    figures=_figures,
    warnings=load_warnings,
)
