"""Text columns: the cells of many rows at once, as columns of ASCII.

Writing a row after the other is one formatting for each number; here four digits of a whole column
are looked up at a time. A column is a table of bytes with a row per cell, right-aligned; zero bytes
are no characters, and leave when rows are put together.
"""

from collections.abc import Sequence
from math import gcd

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.units import PS_PER_MS

Text = NDArray[np.uint8]

_FOUR = 4
# Every number of four digits, its characters in one word.
_WORDS = np.array([f"{number:04d}" for number in range(10**_FOUR)], dtype="S4").view(np.uint32)


def numbers(values: Int64Array) -> Text:
    """Whole numbers; a negative one is an empty cell."""
    width = len(str(int(values.max(initial=0))))
    text = _digits(values, width)
    for place in range(width - 1):
        text[values < 10 ** (width - 1 - place), place] = 0
    text[values < 0] = 0
    return text


def milliseconds(times_ps: Int64Array) -> Text:
    """Picoseconds as exact decimal milliseconds; a negative time is an empty cell."""
    text = decimals(*np.divmod(times_ps, PS_PER_MS), places=9)
    text[times_ps < 0] = 0
    return text


def decimals(whole: Int64Array, part: Int64Array, *, places: int) -> Text:
    """Whole numbers, and the digits behind their point."""
    point = words(".", len(whole))
    return np.hstack((numbers(whole), point, _digits(part, places)))


def shares(parts: Int64Array, whole: int) -> Text:
    """Quotients with nine decimals, rounded half up, exact; `whole` is positive.

    Parts may be Python's integers, where they are too large for others.
    """
    units, rest = parts // whole, parts % whole  # divmod knows no Python integers
    common = gcd(10**9, whole)
    times, by = 10**9 // common, whole // common
    if 2 * whole * times >= 2**62:  # whole numbers of any size, one by one
        rest = rest.astype(object)
    rounded = ((2 * times * rest + by) // (2 * by)).astype(np.int64)
    return decimals(units.astype(np.int64) + rounded // 10**9, rounded % 10**9, places=9)


def words(text: str, count: int) -> Text:
    """The same text in each of `count` cells."""
    return np.tile(np.frombuffer(text.encode("ascii"), dtype=np.uint8), (count, 1))


def lines(columns: Sequence[Text]) -> list[str]:
    """The rows of a table, commas between its columns."""
    comma = words(",", len(columns[0]))
    parts = [part for column in columns for part in (comma, column)][1:]
    table = np.hstack([*parts, words("\n", len(comma))])
    return table.tobytes().replace(b"\0", b"").decode("ascii").splitlines()


def _digits(values: Int64Array, width: int) -> Text:
    """The last `width` digits of each number, zeros in front."""
    groups = -(-width // _FOUR)
    text = np.empty((len(values), groups), dtype=np.uint32)
    for group in range(groups - 1, -1, -1):
        values, last = np.divmod(values, 10**_FOUR)
        text[:, group] = _WORDS[last]
    return text.view(np.uint8)[:, groups * _FOUR - width :].copy()
