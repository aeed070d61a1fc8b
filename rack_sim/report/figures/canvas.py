"""Canvas: what all figures share: a sheet under its heading, the style, the writing of files."""

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.visible import shortened, visible
from rack_sim.report.colours import FAINT_INK, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PNG_DOTS_PER_INCH = 160

_TITLE_POINTS = 13
_SUBTITLE_POINTS = 10
POINTS_PER_INCH = 72
_LINE_SPACING = 1.3
_MARGIN_INCHES = 0.12
# A heading that says more would leave the drawing too little of a screen.
_HEADING_LINES = 5
# Mean width of a character over the size of its font, for DejaVu Sans (bold and regular).
BOLD_CHARACTER = 0.62
REGULAR_CHARACTER = 0.53

_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT_INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": FAINT_INK,
    "ytick.color": FAINT_INK,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a name is text, whatever dollars it has in it
    "svg.fonttype": "path",  # letters as shapes: no viewer swaps the font and shifts the layout
    "svg.hashsalt": "rack-sim",  # otherwise the ids in an SVG are drawn anew in every process
}


@contextmanager
def drawing_style() -> Iterator[None]:
    """The look of all figures while the block runs, whatever the user's own settings are."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes; the tables beside a figure have them.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        warnings.filterwarnings("ignore", r"Matplotlib currently does not support", UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_sheet(
    title: str, subtitle: str, *, width_inches: float, height_inches: float, fitted: bool = True
) -> "Figure":
    """A sheet with a heading and nothing below it yet.

    The sheet is `height_inches` high plus its heading. `fitted` lets matplotlib arrange the axes
    so that nothing overlaps.
    """
    from rack_sim.report.figures.inert_figure import InertFigure

    title_lines = _balanced(_wrap(title, width_inches, _TITLE_POINTS * BOLD_CHARACTER))
    subtitle_lines = _balanced(_wrap(subtitle, width_inches, _SUBTITLE_POINTS * REGULAR_CHARACTER))
    title_inches = len(title_lines) * _TITLE_POINTS * _LINE_SPACING / POINTS_PER_INCH
    heading_inches = (
        _MARGIN_INCHES
        + title_inches
        + len(subtitle_lines) * _SUBTITLE_POINTS * _LINE_SPACING / POINTS_PER_INCH
        + _MARGIN_INCHES
    )
    sheet_inches = height_inches + heading_inches
    figure = InertFigure(figsize=(width_inches, sheet_inches), dpi=PNG_DOTS_PER_INCH)
    if fitted:
        figure.set_layout_engine(
            "constrained", rect=(0, 0, 1, height_inches / sheet_inches), h_pad=0.08, w_pad=0.08
        )
    below_title_inches = _MARGIN_INCHES + title_inches
    for lines, down_inches, points, weight, colour in (
        (title_lines, _MARGIN_INCHES, _TITLE_POINTS, "bold", INK),
        (subtitle_lines, below_title_inches, _SUBTITLE_POINTS, "normal", FAINT_INK),
    ):
        figure.text(
            _MARGIN_INCHES / width_inches,
            1 - down_inches / sheet_inches,
            "\n".join(lines),
            fontsize=points,
            verticalalignment="top",
            linespacing=_LINE_SPACING - 0.1,
            fontweight=weight,
            color=colour,
        )
    return figure


def say_instead(axes: "Axes", message: str) -> None:
    """Puts a sentence where there is nothing to draw."""
    axes.set_axis_off()
    axes.text(
        0.5,
        0.5,
        message,
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=FAINT_INK,
        fontsize=11,
    )


def write_figure(figure: "Figure", stem: Path) -> list[Path]:
    """Writes a figure as PNG and SVG, without dates; returns the two files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    png, svg = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    # Straight to the two canvases: Figure.savefig would draw everything several times.
    dots: Any = FigureCanvasAgg(figure)
    dots.print_png(png, metadata={"Software": "rack-sim"})
    figure.set_layout_engine("none")  # arranged once: both files show the same
    lines: Any = FigureCanvasSVG(figure)
    drawn = StringIO()
    lines.print_svg(drawn, metadata={"Date": None, "Creator": "rack-sim"})
    svg.write_text(visible(drawn.getvalue()), encoding="utf-8", newline="\n")
    return [png, svg]


def _wrap(text: str, width_inches: float, character_points: float) -> list[str]:
    usable_points = (width_inches - 2 * _MARGIN_INCHES) * POINTS_PER_INCH
    # A number stays with its sign.
    whole = visible(text).replace(" %", "\N{NO-BREAK SPACE}%")
    characters = int(usable_points / character_points)
    return textwrap.wrap(shortened(whole, _HEADING_LINES * characters), characters)


def _balanced(lines: list[str]) -> list[str]:
    """As many lines as there are, about equally long: no word stands alone below a full line."""
    text = " ".join(lines)
    longest = max(map(len, lines), default=1)
    for width in range(-(-len(text) // max(len(lines), 1)), longest):
        found = textwrap.wrap(text, width)
        if len(found) <= len(lines):
            return found
    return lines
