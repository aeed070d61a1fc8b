"""Quantity: numbers with their units, for people; a missing one is a dash."""

from math import floor, isfinite, log10

from rack_sim.foundation.units import format_bytes
from rack_sim.metrics.summary import Value

NONE = "–"
_SPACE = "\N{NO-BREAK SPACE}"


def number_of(value: object) -> float | None:
    """A number; None for text, nothing, and what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) else None


def figure(value: object, digits: int = 3) -> str:
    """A number with so many significant digits, whole numbers whole.

    >>> figure(1234.5), figure(0.0123456), figure(5000), figure(None), figure(0)
    ('1,234', '0.0123', '5,000', '–', '0')
    """
    number = number_of(value)
    if number is None:
        return str(value) if isinstance(value, str) and value else NONE
    if number.is_integer() and abs(number) < 1e15:
        return f"{int(number):,}"
    decimals = max(0, digits - 1 - floor(log10(abs(number))))
    return f"{number:,.{decimals}f}" if decimals < 9 else f"{number:.{digits}g}"


def milliseconds(value: object) -> str:
    """Milliseconds in the unit that reads best.

    >>> [milliseconds(ms).replace(_SPACE, " ") for ms in (0.0421, 1500, 1.12e-7)]
    ['42.10 µs', '1.500 s', '112 ps']
    """
    number = number_of(value)
    if number is None:
        return NONE
    for unit, size in (("s", 1e3), ("ms", 1.0), ("µs", 1e-3), ("ns", 1e-6), ("ps", 1e-9)):
        if abs(number) >= size:
            return f"{figure(_short(number / size, 4), 4)}{_SPACE}{unit}"
    return f"{figure(number)}{_SPACE}ms" if number else f"0{_SPACE}ms"


def _short(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def share(value: object) -> str:
    """A share in percent; 100 % only where it is all.

    >>> share(0.9434).replace(_SPACE, " "), share(1.0).replace(_SPACE, " ")
    ('94.3 %', '100 %')
    """
    number = number_of(value)
    if number is None:
        return NONE
    if number in (0.0, 1.0):
        return f"{number * 100:.0f}{_SPACE}%"
    if 0 < number < 0.001:
        return f"<0.1{_SPACE}%"
    percent = 99.9 if 0.999 < number < 1 else number * 100
    return f"{percent:.1f}{_SPACE}%"


def size(value: object) -> str:
    """Bytes in decimal units."""
    number = number_of(value)
    return NONE if number is None else format_bytes(int(number)).replace(" ", _SPACE)


def watts(value: object) -> str:
    """Watts, kilowatts or megawatts."""
    number = number_of(value)
    if number is None:
        return NONE
    for unit, factor in (("MW", 1e6), ("kW", 1e3)):
        if abs(number) >= factor:
            return f"{figure(_short(number / factor, 4), 4)}{_SPACE}{unit}"
    return f"{figure(_short(number, 4), 4)}{_SPACE}W"


def usd(value: object) -> str:
    """US dollars; large amounts in millions."""
    number = number_of(value)
    if number is None:
        return NONE
    if abs(number) >= 1e6:
        return f"{figure(_short(number / 1e6, 4), 4)}{_SPACE}million{_SPACE}USD"
    return f"{number:,.2f}{_SPACE}USD" if abs(number) < 1e4 else f"{number:,.0f}{_SPACE}USD"


def counted(count: object, noun: str) -> str:
    """``1 rack``, ``2 racks``.

    >>> [counted(*pair).replace(_SPACE, " ") for pair in ((1, "rack"), (2, "entry"), (3, "replay"))]
    ['1 rack', '2 entries', '3 replays']
    """
    number = number_of(count) or 0
    changes = noun.endswith("y") and not noun.endswith(("ay", "ey", "oy"))
    plural = noun if number == 1 else f"{noun[:-1]}ies" if changes else f"{noun}s"
    return f"{figure(number)}{_SPACE}{plural}"


def cell(value: Value | object) -> str:
    """A cell of a table as it is in the file, short: numbers to six significant digits."""
    number = number_of(value)
    if number is None:
        return str(value) if value not in (None, "") and value == value else ""
    text = figure(number, 6)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
