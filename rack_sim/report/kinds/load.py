"""Load: where a machine saturates."""

from rack_sim.report.charts.load import load_charts
from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.report.text.load import load_answers, load_content, load_text, load_warnings

STORY = Story(
    question="How many requests a second does it serve before the SLO breaks, and before the "
    "queue grows?",
    title=study_title,
    answers=load_answers,
    text=load_text,
    content=load_content,
    page=study_page,
    sheets=write_study,
    charts=load_charts,
    warnings=load_warnings,
)
