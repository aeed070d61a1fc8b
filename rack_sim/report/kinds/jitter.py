"""Jitter: what a machine loses where operators take longer than compiled."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.report.text.jitter import jitter_content, jitter_text
from rack_sim.study.jitter import JitterResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(result: JitterResult) -> "Iterator[tuple[str, Figure]]":
    from rack_sim.report.jitter_figure import draw_jitter

    yield "jitter", draw_jitter(result)


STORY = Story(
    title=study_title,
    text=jitter_text,
    content=jitter_content,
    page=study_page,
    sheets=write_study,
    figures=_figures,
)
