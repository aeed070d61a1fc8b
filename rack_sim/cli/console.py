"""Console: how the command line speaks. Results go to stdout, everything else to stderr."""

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from rack_sim.foundation.errors import InputError, RackSimError

# Where output goes to a file or a pipe there is no terminal to fit into.
_PIPE_COLUMNS = 120


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else _PIPE_COLUMNS)


out = _console(stderr=False)
err = _console(stderr=True)


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
    for heading, side in columns:
        drawn.add_column(
            heading, justify="right" if side == "right" else "left", no_wrap=side == "right"
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
