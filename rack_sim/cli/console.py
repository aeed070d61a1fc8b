"""Console: how the command line speaks. Results go to stdout, everything else to stderr."""

import sys

from rich.console import Console
from rich.table import Table

from rack_sim.foundation.errors import InputError, RackSimError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def table(title: str, columns: list[tuple[str, str]], rows: list[tuple[str, ...]]) -> Table:
    """A table; each column is a heading and "left" or "right"."""
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for heading, side in columns:
        drawn.add_column(heading, justify="right" if side == "right" else "left")
    for row in rows:
        drawn.add_row(*row)
    return drawn


def complain(error: RackSimError) -> None:
    """Prints an error without a traceback: every problem on a line of its own."""
    if isinstance(error, InputError):
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        if len(error.problems) > 1:
            print(f"{len(error.problems)} problems", file=sys.stderr)
    else:
        print(str(error), file=sys.stderr)
