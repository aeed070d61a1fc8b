"""Every word of the vocabulary has one look, and no two that stand together are alike."""

import copy
from importlib.resources import files
from itertools import combinations

import pytest

from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.words import GOALS, METRICS, PHASES, ROLES, TERMS, VERDICTS, capital
from rack_sim.report import colours
from rack_sim.report.colours import (
    GOAL_LOOKS,
    LOOK_COUNT,
    PHASE_LOOKS,
    ROLE_LOOKS,
    TERM_LOOKS,
    VERDICT_LOOKS,
    Colour,
    look_of,
)

VOCABULARY = [
    (TERMS, TERM_LOOKS),
    (PHASES, PHASE_LOOKS),
    (VERDICTS, VERDICT_LOOKS),
    (GOALS, GOAL_LOOKS),
    (ROLES, ROLE_LOOKS),
]


@pytest.mark.parametrize(("words", "looks"), VOCABULARY)
def test_every_word_has_a_colour_of_its_own(words, looks):
    assert set(words) == set(looks)
    assert len({look.colour for look in looks.values()}) == len(looks)
    assert len({one.name for one in words.values()}) == len(words)


def test_terms_and_phases_differ_in_grey_too():
    for looks in (TERM_LOOKS, PHASE_LOOKS):
        assert len({look.hatch for look in looks.values()}) == len(looks)
    verdicts = VERDICT_LOOKS.values()
    assert len({look.marker for look in verdicts}) == len(verdicts)


def test_machines_differ_in_colour_until_there_are_no_more_and_then_in_dash_and_hatch():
    looks = [look_of(number) for number in range(3 * LOOK_COUNT)]
    assert len({look.colour for look in looks[:LOOK_COUNT]}) == LOOK_COUNT
    for one, other in combinations(looks, 2):
        assert one != other
        assert one.colour != other.colour or (one.dash, one.hatch) != (other.dash, other.hatch)
    assert colours.OBJECTIVE.colour not in {look.colour for look in looks}


def test_the_page_has_a_shade_of_every_colour():
    style = (files("rack_sim.report.html") / "templates" / "style.css").read_text(encoding="utf-8")
    for colour in (value for value in vars(colours).values() if isinstance(value, Colour)):
        assert style.count(f"{colour.css}:") == 2, "a light one and a dark one"
        assert copy.deepcopy(colour) is colour


def test_columns_are_those_of_the_words():
    names = {column.name for column in SUMMARY}
    assert {f"tpot_{term}_ms" for term in TERMS} <= names
    assert {f"ttft_{phase}_ms_mean" for phase in PHASES} <= names
    assert {f"{metric}_ms_p99" for metric in METRICS} <= names
    assert capital("time to first token") == "Time to first token"
