"""Trace cells: a line of CSV as its cells, records that go over several lines, and values shown.

The cells are those of Python's `csv` reader (quotes where a cell begins, doubled inside, spaces in
front left out), without its limit of 131,072 characters, which a recorded prompt passes.
"""

from collections.abc import Iterator

SHOWN_CHARACTERS = 80
"""More of a cell is not shown in a message."""

_LINE_CHARACTERS = 200
_RECORD_LINES_MAX = 10_000
_RECORD_CHARACTERS_MAX = 2**24


class BadRowError(ValueError):
    """A row that is no request, or a header of no trace; the message says why.

    `hint` is what to do about it, where there is more to say than for any row.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def shown(value: object) -> str:
    """A foreign value for a message: short, on one line, nothing that a terminal would obey."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list"
    text = str(value)
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
    return repr(cut) if isinstance(value, str) else cut


def shown_longer(text: str) -> str:
    """A foreign line for a message, as `shown`, with more of it."""
    return repr(text if len(text) <= _LINE_CHARACTERS else text[:_LINE_CHARACTERS] + "…")


def split_cells(line: str) -> list[str]:
    """The cells of a record. Raises `BadRowError` where a quote is not closed."""
    if '"' not in line:
        return line.split(",")
    cells = []
    at = 0
    while at >= 0:
        start = _first_of_cell(line, at)
        if line.startswith('"', start):
            close = _closing_quote(line, start + 1)
            if close < 0:
                raise BadRowError("a quote is not closed")
            at = line.find(",", close)
            rest = line[close + 1 : at] if at >= 0 else line[close + 1 :]
            cells.append(line[start + 1 : close].replace('""', '"') + rest)
        else:
            at = line.find(",", start)
            cells.append(line[start:at] if at >= 0 else line[start:])
        at = at + 1 if at >= 0 else -1
    return cells


def records(numbered: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines of a CSV, those put together that a quoted cell goes over.

    The lines below a quote that nothing closes are records of their own, so that one stray quote
    costs one row.
    """
    for number, line in numbered:
        if '"' not in line or not _is_open(line):
            yield number, line
            continue
        taken, size, is_open = [(number, line)], len(line), True
        while is_open and len(taken) < _RECORD_LINES_MAX and size < _RECORD_CHARACTERS_MAX:
            following = next(numbered, None)
            if following is None:
                break
            taken.append(following)
            size += len(following[1])
            is_open = _is_open(following[1], inside=True)
        if is_open:
            yield from taken
        else:
            yield number, "\n".join(text for _, text in taken)


def _is_open(line: str, *, inside: bool = False) -> bool:
    """Whether a line ends inside of a quoted cell; `inside`: it begins there."""
    at = 0
    while at >= 0:
        start = 0 if inside else _first_of_cell(line, at)
        if inside or line.startswith('"', start):
            start = _closing_quote(line, start if inside else start + 1)
            if start < 0:
                return True
        inside = False
        at = line.find(",", start)
        at = at + 1 if at >= 0 else -1
    return False


def _first_of_cell(line: str, at: int) -> int:
    while line.startswith(" ", at):
        at += 1
    return at


def _closing_quote(line: str, at: int) -> int:
    """Where the quote that is not doubled stands, from `at` on; -1 where there is none."""
    while True:
        at = line.find('"', at)
        if at < 0 or not line.startswith('"', at + 1):
            return at
        at += 2
