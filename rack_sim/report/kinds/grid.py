"""Grid: what changes where the keys of a grid change."""

from rack_sim.report.charts.grid import grid_charts
from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.report.text.grid import grid_content, grid_exit_code, grid_text, grid_warnings

STORY = Story(
    title=study_title,
    text=grid_text,
    content=grid_content,
    page=study_page,
    sheets=write_study,
    charts=grid_charts,
    warnings=grid_warnings,
    exit_code=grid_exit_code,
)
