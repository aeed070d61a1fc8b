"""Sizes: ``1KiB..1GiB``, ``64KB`` or ``1KiB,4KiB`` as whole bytes, as nccl-tests sweeps them.

Units are those of files, in any case and without the underscore; a plain number is bytes. A range
multiplies by a factor from its first size on, and ends with the last size that is no larger than
its end.
"""

import re
from fractions import Fraction

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.units import UNITS, suffixes_of

SIZES_MAX = 64
# Larger than any buffer; durations stay numbers that a person can read.
SIZE_MAX_BYTES = 2**50
_SPELT = {
    "bytes": "B",
    "kb": "KB",
    "mb": "MB",
    "gb": "GB",
    "tb": "TB",
    "kib": "KiB",
    "mib": "MiB",
    "gib": "GiB",
    "tib": "TiB",
}
_FORMS = "as in 1MiB, 64KB, 1KiB..1GiB or 1KiB,4KiB"
_NUMBER = re.compile(r"([-+]?)([0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE]\+?[0-9]{1,2})?)\s*(\w*)")


def parse_sizes(text: str, factor: int = 2, place: str = "--bytes") -> tuple[int, ...]:
    """The sizes that `text` lists, in bytes, in the order given.

    Raises InputError with every problem found.
    """
    problems: list[Problem] = []
    sizes: list[int] = []
    if factor < 2:
        problems.append(
            Problem(f"{factor} is no factor from size to size", "--factor", suggestion="2 or more")
        )
    for part in text.split(","):
        first, dots, last = part.partition("..")
        ends = [_size(end.strip(), place, problems) for end in ([first, last] if dots else [first])]
        if None in ends:
            continue
        low, high = ends[0] or 0, ends[-1] or 0
        if low > high:
            turned = f"{last.strip()}..{first.strip()}"
            problems.append(
                Problem(f"the range {part.strip()!r} is reversed", place, suggestion=turned)
            )
        while factor > 1 and low <= high and len(sizes) <= SIZES_MAX:
            sizes.append(low)
            low *= factor
    if len(sizes) > SIZES_MAX:
        problems.append(
            Problem(
                f"{text[:60]!r} is more than {SIZES_MAX} sizes",
                place,
                suggestion="a shorter range, or a larger --factor",
            )
        )
    if problems:
        raise InputError(problems)
    return tuple(sizes)


def format_size(size_bytes: int) -> str:
    """A size in the unit in which it is the shortest whole number: ``format_size(1024)`` is 1 KiB.

    Nothing is rounded.
    """
    units = [UNITS[suffix] for suffix in suffixes_of("size")]
    whole = [unit for unit in units if size_bytes % unit.factor == 0]
    # Binary units stand behind decimal ones; of two equally short numbers theirs is taken.
    best = min(reversed(whole), key=lambda unit: len(str(size_bytes // unit.factor)))
    return f"{size_bytes // best.factor:,} {_SPELT[best.suffix]}"


def _size(text: str, place: str, problems: list[Problem]) -> int | None:
    """One size in bytes; what is wrong with it is noted."""
    found = _NUMBER.fullmatch(text)
    if not found:
        shown = repr(text[:60]) if text else "an empty size"
        problems.append(Problem(f"{shown} is not a size", place, suggestion=_FORMS))
        return None
    sign, digits, word = found.groups()
    suffix = {"": "bytes", "b": "bytes", "byte": "bytes"}.get(word.lower(), word.lower())
    if suffix not in _SPELT:
        problems.append(
            Problem(f"unknown unit {word!r} in {text!r}", place, suggestion=_unit_meant(word))
        )
        return None
    size = Fraction(digits) * UNITS[suffix].factor * (-1 if sign == "-" else 1)
    wrong = ""
    if size <= 0:
        wrong = "must be at least 1 byte"
    elif size.denominator != 1:
        wrong = "is not a whole number of bytes"
    elif size > SIZE_MAX_BYTES:
        wrong = f"is more than {format_size(SIZE_MAX_BYTES)}"
    if wrong:
        problems.append(Problem(f"{text!r} {wrong}", place))
        return None
    return size.numerator


def _unit_meant(word: str) -> str:
    """A hint for an unknown unit; a bare K, M, G or T may mean either of two."""
    letter = word[0].upper()
    if len(word) == 1 and letter in "KMGT":
        binary, decimal = UNITS[f"{letter.lower()}ib"], UNITS[f"{letter.lower()}b"]
        return f"{letter}iB ({binary.factor:,} bytes) or {letter}B ({decimal.factor:,} bytes)"
    lower = {spelt.lower(): spelt for spelt in _SPELT.values()}
    hint = suggest(word.lower(), lower)
    for small, spelt in lower.items():
        hint = hint.replace(f"{small!r}", f"{spelt!r}")
    return hint if hint.startswith("did") else "allowed: " + ", ".join(_SPELT.values())
