"""Console: how the command line speaks. Results go to stdout, everything else to stderr."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from rack_sim.foundation.errors import InputError, RackSimError
from rack_sim.hardware.topology import Topology

# Where output goes to a file or a pipe there is no terminal to fit into.
_PIPE_COLUMNS = 120
_FEWEST_COLUMNS = 80
_WIDEST_COLUMNS = 1_000
# What a shell reports for a program whose reader went away (128 + SIGPIPE).
_NOBODY_READS = 141


class _Console(Console):
    """A console that leaves quietly when nobody reads its output any more (``| head -1``)."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as rich has it
        """Prints as rich does, but a table never narrower than its numbers and names are long."""
        if len(objects) == 1 and isinstance(objects[0], Table) and "width" not in options:
            wide = self.options.update(max_width=_WIDEST_COLUMNS)
            needed = Measurement.get(self, wide, objects[0]).minimum
            if needed > self.width:
                options |= {"width": needed, "crop": False}
        super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Sends what is left nowhere and ends the program."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_NOBODY_READS)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    console = _Console(stderr=stderr, highlight=False)
    if not stream.isatty() and "COLUMNS" not in os.environ:
        console.width = _PIPE_COLUMNS
    # Narrower than this, tables would lose digits; better that the terminal breaks lines.
    console.width = max(console.width, _FEWEST_COLUMNS)
    return console


out = _console(stderr=False)
err = _console(stderr=True)


def say_json(content: Mapping[str, object]) -> None:
    """Prints JSON on stdout, and nothing else there."""
    out.out(json.dumps(content, indent=2), highlight=False)


def counted(count: int, noun: str) -> str:
    """``1 rack``, ``2 racks``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def nodes_and_racks(topology: Topology) -> str:
    """``9 nodes, 1 rack``; racks of one node each are not told twice."""
    nodes = counted(len(topology.nodes), "node")
    if topology.rack_noun == "node":
        return nodes
    return f"{nodes}, {counted(len(topology.racks), 'rack')}"


def table(title: str, columns: Sequence[tuple[str, str]], rows: Sequence[tuple[str, ...]]) -> Table:
    """A table; each column is a heading and "left" or "right"."""
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


def complain(error: RackSimError) -> None:
    """Prints an error without a traceback: every problem on a line of its own."""
    if isinstance(error, InputError):
        for problem in error.problems:
            sys.stderr.write(f"error: {problem}\n")
        if len(error.problems) > 1:
            sys.stderr.write(f"{len(error.problems)} problems\n")
    else:
        sys.stderr.write(f"{error}\n")
