"""Load: where a machine saturates."""

from functools import partial

from rack_sim.report.charts.load import load_charts
from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.load import machine_count, write_capacities, write_knees
from rack_sim.report.sheets.study import OwnSheets, study_title, write_study
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
    sheets=partial(write_study, own=OwnSheets(machine_count, write_knees, write_capacities)),
    charts=load_charts,
    warnings=load_warnings,
)
