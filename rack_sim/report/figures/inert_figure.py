"""InertFigure: a figure that draws its texts as they are written, whoever wrote them.

matplotlib reads dollars as formulas, measures what cannot be encoded, and gives a name as much room
as it asks for. Every text is looked at before it is first measured or drawn: titles, labels, names
in legends, and what formatters of ticks give.
"""

from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter

from rack_sim.foundation.visible import shortened, visible

# A line in a drawing, about seven inches; headings of the sheet come wrapped and are left alone.
_LINE_CHARACTERS = 100
# Names beside an axis, of which the drawing loses as much room as they take.
_TICK_CHARACTERS = 40


class InertFigure(Figure):
    """A figure in which no text is a formula, too long for the sheet or without a shape."""

    def draw(self, renderer: Any) -> None:  # noqa: ANN401 - one of matplotlib's
        """Draws the figure, and arranges it where it has not been."""
        self._make_inert()
        super().draw(renderer)

    def _make_inert(self) -> None:
        for axes in self.axes:
            for axis in (axes.xaxis, axes.yaxis):
                for formatter in (axis.get_major_formatter(), axis.get_minor_formatter()):
                    _make_formatter_inert(formatter)
        found: Any = self.findobj(_is_text)
        for text in found:
            text.set_parse_math(False)
            words = text.get_text()
            shown = words if text in self.texts else inert_lines(words)
            if shown != words:
                text.set_text(shown)


def inert_lines(words: str, characters: int = _LINE_CHARACTERS) -> str:
    """Text with what acts in it written out, each of its lines cut to so many characters."""
    return "\n".join(shortened(line, characters) for line in visible(words).split("\n"))


def _is_text(artist: Artist) -> bool:
    return isinstance(artist, Text)


def _make_formatter_inert(formatter: Any) -> None:  # noqa: ANN401 - matplotlib's are untyped
    if isinstance(formatter, FixedFormatter):
        formatter.seq = [inert_lines(str(words), _TICK_CHARACTERS) for words in formatter.seq]
    elif isinstance(formatter, FuncFormatter) and not isinstance(formatter.func, _InertTicks):
        formatter.func = _InertTicks(formatter.func)


class _InertTicks:
    """A function that names ticks, of names that come from it, too."""

    def __init__(self, names: Any) -> None:  # noqa: ANN401 - any function of value and place
        self._names = names

    def __call__(self, value: float, place: int | None = None) -> str:
        return inert_lines(str(self._names(value, place)), _TICK_CHARACTERS)
