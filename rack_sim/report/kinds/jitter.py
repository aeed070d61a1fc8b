"""Jitter: what a machine loses where operators take longer than compiled."""

from rack_sim.report.charts.jitter import jitter_charts
from rack_sim.report.html.study import study_page
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.report.text.jitter import jitter_answers, jitter_content, jitter_text

STORY = Story(
    question="What is left of the speed where operators take longer than they were compiled for?",
    title=study_title,
    answers=jitter_answers,
    text=jitter_text,
    content=jitter_content,
    page=study_page,
    sheets=write_study,
    charts=jitter_charts,
    numbers={
        "kept_share": "Speed that is kept",
        "tok_s_per_user": "Speed of a user",
        "token_gap_ms_p99": "Time between two tokens, p99",
    },
)
