"""Jitter: what a machine loses where operators take longer than compiled."""

from rack_sim.report.charts.jitter import jitter_charts
from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.report.text.jitter import jitter_content, jitter_text

STORY = Story(
    title=study_title,
    text=jitter_text,
    content=jitter_content,
    page=study_page,
    sheets=write_study,
    charts=jitter_charts,
)
