"""Plot: plotly's traces and layouts, as plain data; colours are names of the style sheet.

plotly.js draws them in the reader's browser. Its Python classes would only check the attributes,
at the price of an import: the tests check them instead.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

Trace = dict[str, Any]
Layout = dict[str, Any]

BLUE, SKY, GREEN, ORANGE = "--blue", "--sky", "--green", "--orange"
VERMILION, PURPLE, YELLOW, GREY = "--vermilion", "--purple", "--yellow", "--grey"
INK = "--ink"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW, GREY)
_LABEL_CHARACTERS = 26
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


def broken(words: str, *more: str) -> str:
    """Words beside a bar, broken into short lines, so that they leave room for the bar."""
    return "<br>".join(map(plain_text, (*wrap(words, _LABEL_CHARACTERS), *more)))


def plain_text(text: str) -> str:
    """Text as plotly shows it: it would read tags, and fetch nothing, but show less than there is.

    >>> plain_text("<b>fast</b>")
    '&lt;b>fast&lt;/b>'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;")


def named(traces: Sequence[Mapping[str, Any]]) -> tuple[Trace, ...]:
    """Traces whose names are shown as they are written."""
    return tuple({**trace, "name": plain_text(str(trace.get("name", "")))} for trace in traces)
