"""Plot: plotly's traces and layouts, as plain data; colours are names of the style sheet.

plotly reads its texts as HTML: a `str` in a chart is text, and is escaped where the chart becomes
data (`inert`); `Markup` is HTML of ours, and its parts come in through `lines_of`.

plotly.js draws them in the reader's browser. Its Python classes would only check the attributes,
at the price of an import: the tests check them instead.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from markupsafe import Markup

from rack_sim.foundation.visible import shortened, visible
from rack_sim.report import colours
from rack_sim.report.colours import LOOK_COUNT, look_of

Trace = dict[str, Any]
Layout = dict[str, Any]

BLUE, SKY = colours.BLUE.css, colours.SKY.css
GREEN, ORANGE = colours.GREEN.css, colours.ORANGE.css
VERMILION, PURPLE = colours.VERMILION.css, colours.PURPLE.css
YELLOW, GREY, INK = colours.YELLOW.css, colours.GREY.css, colours.INK.css
COLOURS = tuple(look_of(number).colour.css for number in range(LOOK_COUNT))
_LABEL_CHARACTERS = 26
_LABEL_LINES = 4
# A legend or a box at the pointer with a longer line would cover the chart.
_TEXT_CHARACTERS = 160
# Lines that follow each other differ in more than colour.
DASHES = ("solid", "dash", "dot", "dashdot")
PATTERNS = ("", "/", ".", "x", "\\", "+", "-", "|")


def layout(x_title: str, y_title: str, **more: Any) -> Layout:  # noqa: ANN401 - plotly's attributes
    """Two axes with titles; `xaxis` and `yaxis` in `more` add to them."""
    axes = {
        name: {"title": {"text": title}, **more.pop(name, {})}
        for name, title in (("xaxis", x_title), ("yaxis", y_title))
    }
    return {**axes, **more}


def line(
    name: str,
    x: Sequence[Any],
    y: Sequence[Any],
    colour: str,
    *,
    unit: str = "",
    dash: str = "solid",
    **more: Any,  # noqa: ANN401 - plotly's attributes
) -> Trace:
    """A line; `unit` is said where the pointer is."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 2, "dash": dash},
        "hovertemplate": f"%{{y:.4~g}} {unit}".rstrip(),
        **more,
    }


def bars(
    name: str,
    x: Sequence[Any],
    y: Sequence[Any],
    colour: str,
    *,
    unit: str = "",
    sideways: bool = False,
    pattern: str = "",
    **more: Any,  # noqa: ANN401 - plotly's attributes
) -> Trace:
    """Bars over `x`, or beside it where they lie `sideways`."""
    marker: dict[str, Any] = {"color": colour}
    if pattern:
        marker["pattern"] = {"shape": pattern, "size": 6, "solidity": 0.25, "fillmode": "overlay"}
    value = "x" if sideways else "y"
    return {
        "type": "bar",
        "name": name,
        "x": list(y if sideways else x),
        "y": list(x if sideways else y),
        "orientation": "h" if sideways else "v",
        "marker": marker,
        "hovertemplate": f"%{{{value}:.4~g}} {unit}".rstrip(),
        **more,
    }


def limit_line(value: float, words: str, *, middle: float) -> Layout:
    """An upright line for an objective or a limit, its words on the side towards the `middle`."""
    return {
        "shapes": [
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": value,
                "x1": value,
                "y0": 0,
                "y1": 1,
                "line": {"color": VERMILION, "width": 2, "dash": "dash"},
            }
        ],
        "annotations": [
            {
                "xref": "x",
                "yref": "paper",
                "x": value,
                "y": 1,
                "xanchor": "left" if value < middle else "right",
                "yanchor": "top",
                "bgcolor": "--panel",
                "text": words,
                "showarrow": False,
                "font": {"color": VERMILION},
            }
        ],
    }


def broken(words: str, *more: str) -> Markup:
    """Words beside a bar, broken into short lines, so that they leave room for the bar."""
    short = shortened(visible(words), _LABEL_CHARACTERS * _LABEL_LINES)
    return lines_of(*wrap(short, _LABEL_CHARACTERS), *more)


def lines_of(*texts: str) -> Markup:
    """Texts below each other."""
    return Markup("<br>").join(map(_escaped, texts))


def inert(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Data of a chart in which every text is shown as it is written, whoever wrote it.

    >>> inert({"name": "<b>fast</b>", "text": [lines_of("a", "<b>")]})
    {'name': '&lt;b>fast&lt;/b>', 'text': ['a<br>&lt;b>']}
    """
    if isinstance(value, Markup):
        return str(value)
    if isinstance(value, str):
        return str(_escaped(value))
    if isinstance(value, Mapping):
        return {key: inert(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [inert(item) for item in value]
    return value


def with_categories(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> Layout:
    """The layout, in which an axis with texts along it is never taken for dates or numbers."""
    found = dict(layout)
    for trace in traces:
        for letter in "xy":
            values = trace.get(letter) or ()
            if values and all(isinstance(value, str) for value in values):
                axis = f"{letter}axis{str(trace.get(f'{letter}axis', '')).removeprefix(letter)}"
                found[axis] = {"type": "category", **found.get(axis, {})}
    return found


def _escaped(text: str) -> Markup:
    shown = shortened(visible(text), _TEXT_CHARACTERS)
    return Markup(shown.replace("&", "&amp;").replace("<", "&lt;"))
