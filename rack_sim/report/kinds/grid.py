"""Grid: what changes where the keys of a grid change."""

from rack_sim.report.charts.grid import grid_charts
from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.report.text.grid import (
    grid_answers,
    grid_content,
    grid_exit_code,
    grid_text,
    grid_warnings,
)

STORY = Story(
    question="What changes, where the keys of the grid change?",
    title=study_title,
    answers=grid_answers,
    text=grid_text,
    content=grid_content,
    page=study_page,
    sheets=write_study,
    charts=grid_charts,
    warnings=grid_warnings,
    exit_code=grid_exit_code,
)
