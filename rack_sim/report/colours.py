"""Colours: what each thing looks like in every drawing: its colour, dash, marker and hatch.

A figure, a page and a sheet show a term, a percentile or a machine alike. No two that stand in one
drawing differ in colour alone: dashes, markers and hatches are read in grey, too.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Dash = Literal["solid", "dash", "dot", "dashdot"]
Marker = Literal[
    "circle", "square", "diamond", "triangle", "triangle down", "plus", "cross", "ring", ""
]


class Colour(str):
    """A colour: its hexadecimal digits, and the name of the page's own shade of it.

    A page has two themes, so its shades are custom properties of its style sheet.
    """

    css: str

    def __new__(cls, digits: str, name: str) -> "Colour":
        """The colour with these digits, of this name in the style sheet."""
        made = super().__new__(cls, digits)
        made.css = f"--{name}"
        return made

    def __deepcopy__(self, _known: object) -> "Colour":
        """Itself: a colour never changes."""
        return self


# Okabe and Ito's palette: distinct for every kind of colour vision.
BLUE = Colour("#0072B2", "blue")
SKY = Colour("#56B4E9", "sky")
GREEN = Colour("#009E73", "green")
ORANGE = Colour("#E69F00", "orange")
VERMILION = Colour("#D55E00", "vermilion")
PURPLE = Colour("#CC79A7", "purple")
YELLOW = Colour("#F0E442", "yellow")
# Three of Paul Tol's muted palette, darker than any of those, for when eight are too few.
WINE = Colour("#882255", "wine")
OLIVE = Colour("#808019", "olive")
INDIGO = Colour("#332288", "indigo")
INK = Colour("#222222", "ink")
FAINT_INK = Colour("#555555", "faint")
GREY = Colour("#B8B8B8", "grey")
PALE = Colour("#EFEFEF", "pale")
# From pale to dark: more of one thing. Against a dark page they rise the other way.
SHADES = (
    Colour("#89BCDF", "m4"),
    Colour("#66A8D4", "m5"),
    Colour("#4592C6", "m6"),
    Colour("#2A7AB3", "m7"),
    Colour("#15619A", "m8"),
    Colour("#08457A", "m9"),
)


class Look(NamedTuple):
    """How one thing is drawn: a line by its dash and markers, an area by its hatch."""

    colour: Colour
    dash: Dash = "solid"
    marker: Marker = "circle"
    hatch: str = ""


# The keys of `metrics.words.TERMS`.
TERM_LOOKS: Mapping[str, Look] = {
    "fixed_latency": Look(VERMILION, hatch="/"),
    "compute": Look(BLUE),
    "weight_feed": Look(SKY, hatch="."),
    "memory": Look(GREEN, hatch="x"),
    "link_latency": Look(ORANGE, hatch="\\"),
    "link_serialisation": Look(YELLOW, hatch="+"),
    "slack": Look(PURPLE, hatch="-"),
    "draft": Look(WINE, hatch="|"),
}
# Waiting looks like slack, and the rows of a prompt like compute, which they mostly are.
PHASE_LOOKS: Mapping[str, Look] = {
    "admission": Look(GREY, hatch="."),
    "row_wait": Look(PURPLE, hatch="-"),
    "prefill": Look(BLUE),
    "pass": Look(ORANGE, hatch="\\"),
}
PERCENTILE_LOOKS: Mapping[int, Look] = {
    50: Look(SKY, "dash", "square"),
    90: Look(GREEN, "dashdot", "diamond"),
    95: Look(ORANGE, "dot", "triangle"),
    99: Look(BLUE),
}
ROLE_LOOKS: Mapping[str, Look] = {
    "both": Look(BLUE),
    "prefill": Look(ORANGE, hatch="/"),
    "decode": Look(GREEN, hatch="."),
}
FINISHED = Look(BLUE)
GOODPUT = Look(GREEN, "dash", "square")
OFFERED = Look(GREY, marker="")
CAPACITY = Look(FAINT_INK, "dot", "")
OBJECTIVE = Look(VERMILION, "dash", "")
KNEE = Look(INK, marker="")
LIMIT = Look(GREY)
TRANSFER = Look(OLIVE)
# Of a run over time: prompts are prefilled, so they look like that phase; caches are memory.
PROMPT, OUTPUT = Look(BLUE, marker=""), Look(ORANGE, marker="")
FROM_CACHE, RECOMPUTED = Look(GREEN, "dashdot", ""), Look(WINE, "dot", "")
RUNNING, WAITING = Look(BLUE, marker=""), Look(PURPLE, marker="")
ARRIVED, CACHE = Look(OLIVE, marker=""), Look(GREEN, marker="")
VERDICT_LOOKS: Mapping[str, Look] = {
    "pruned": Look(GREY, marker="triangle"),
    "fails": Look(VERMILION, marker="cross"),
    "meets": Look(BLUE),
}
GOAL_LOOKS: Mapping[str, Look] = {
    "fewest_chips": Look(ORANGE, marker="ring"),
    "cheapest": Look(GREEN, marker="ring"),
    "least_power": Look(PURPLE, marker="ring"),
}
# Less and more of an input; neither is good or bad.
LESS, MORE = Look(SKY, hatch="/"), Look(BLUE)
BETTER, WORSE = Look(GREEN), Look(ORANGE, hatch="/")
NEUTRAL = Look(GREY)

# Without vermilion, which is an objective's.
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, WINE, OLIVE, INDIGO)
_MARKERS: tuple[Marker, ...] = ("circle", "square", "triangle", "diamond", "triangle down", "plus")
_DASHES: tuple[Dash, ...] = ("solid", "dash", "dot", "dashdot")
_HATCHES = ("", "/", ".", "x", "\\", "+", "-", "|")
LOOK_COUNT = len(_COLOURS)
"""So many things are told apart by colour; those that follow have another dash and hatch."""


def look_of(number: int) -> Look:
    """The look of the machine, run or line with this number, counted from 0."""
    again = number // LOOK_COUNT
    return Look(
        _COLOURS[number % LOOK_COUNT],
        _DASHES[again % len(_DASHES)],
        _MARKERS[number % len(_MARKERS)],
        _HATCHES[again % len(_HATCHES)],
    )
