"""Console: how the command line speaks. Results go to stdout, everything else to stderr.

Nothing reaches a terminal but through here. Text is never markup (styles are arguments, not words
in brackets), and what a terminal would obey in it is written out: a `str` where rich takes it in,
and once more everything that rich gives out.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.progress import TextColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from rack_sim.foundation.errors import InputError, RackSimError
from rack_sim.foundation.visible import on_one_line, shortened, visible
from rack_sim.report.text import Line

# Where output goes to a file or a pipe there is no terminal to fit into.
_PIPE_COLUMNS = 120
_FEWEST_COLUMNS = 80
_WIDEST_COLUMNS = 1_000
# The name of a row stays on one line; a longer one would leave its numbers no room.
_ROW_NAME_CHARACTERS = 60


class _Console(Console):
    """A console that shows what it is given, character by character, and obeys none of it.

    Its tables keep their numbers and names whole.
    """

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as rich has it
        """Prints as rich does, but a table never narrower than its numbers and names are long."""
        if len(objects) == 1 and isinstance(objects[0], Table) and "width" not in options:
            wide = self.options.update(max_width=_WIDEST_COLUMNS)
            needed = Measurement.get(self, wide, objects[0]).minimum
            if needed > self.width:
                options |= {"width": needed, "crop": False}
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - as rich has it
        """Text from a string, its hidden characters written out before it is measured."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What rich draws; of text, only what is seen. rich's own orders are no text."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not stream.isatty() and "COLUMNS" not in os.environ:
        console.width = _PIPE_COLUMNS
    # Narrower than this, tables would lose digits; better that the terminal breaks lines.
    console.width = max(console.width, _FEWEST_COLUMNS)
    return console


out = _console(stderr=False)
err = _console(stderr=True)


def say_json(content: Mapping[str, object]) -> None:
    """Prints JSON on stdout, and nothing else there; it is ASCII, and its strings are exact."""
    out.out(json.dumps(content, indent=2).replace("\x7f", "\\u007f"), highlight=False)


def say_line(line: Line) -> None:
    """Prints a sentence or a table on stdout."""
    if isinstance(line, str):
        out.print(line, soft_wrap=True)
    else:
        out.print(table(line.title, line.columns, line.rows))


def words_column(field: str = "description") -> TextColumn:
    """A column of a progress bar with the words of a task's field, which are no markup."""
    pattern = "{task.description}" if field == "description" else f"{{task.fields[{field}]}}"
    return TextColumn(pattern, markup=False)


def table(title: str, columns: Sequence[tuple[str, str]], rows: Sequence[tuple[str, ...]]) -> Table:
    """A table; each column is a heading and "left" or "right"."""
    if len(columns) == 1:  # sentences, which have no numbers beside them
        rows = [(on_one_line(row[0]),) for row in rows]
    else:
        rows = [
            (shortened(on_one_line(row[0]), _ROW_NAME_CHARACTERS), *map(visible, row[1:]))
            for row in rows
        ]
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(heading for heading, _ in columns),
    )
    for number, (heading, side) in enumerate(columns):
        # Numbers, the names of rows and single words stay whole in a narrow terminal.
        whole = side == "right" or number == 0
        cells = [heading, *(row[number] for row in rows)]
        if not whole:
            cells = [word for cell in cells for word in cell.split()]
        drawn.add_column(
            heading,
            justify="right" if side == "right" else "left",
            no_wrap=whole,
            min_width=max((cell_len(cell) for cell in cells), default=None),
        )
    for row in rows:
        drawn.add_row(*row)
    return drawn


def headings(text: str) -> list[tuple[str, str]]:
    """Columns by their headings; a ``>`` marks those of numbers: ``headings("chip, >count")``."""
    names = [part.strip() for part in text.split(",")]
    return [(name.removeprefix(">"), "right" if name[:1] == ">" else "left") for name in names]


def facts_table(title: str, facts: Sequence[tuple[str, str]]) -> Table:
    """A table without headings: what a thing is called, and what is to be said of it."""
    return table(title, [("", "left"), ("", "left")], facts)


def complain(error: RackSimError) -> None:
    """Prints an error without a traceback: every problem on a line of its own."""
    if isinstance(error, InputError):
        for problem in error.problems:
            tell(f"error: {on_one_line(str(problem))}")
        if len(error.problems) > 1:
            tell(f"{len(error.problems)} problems")
    else:
        tell(str(error))


def tell(text: str) -> None:
    """Prints text of any origin on stderr as it is: no markup, no wrapping, nothing that acts."""
    sys.stderr.write(f"{visible(text)}\n")
