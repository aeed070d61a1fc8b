"""Numbers: quantities as people read them, in figures, pages and sentences.

A missing one is a dash. What stands in the sentences of a page has spaces that no line breaks.
"""

from math import floor, isfinite, log10
from numbers import Real

from rack_sim.foundation.units import format_bytes

NONE = "–"
_SPACE = "\N{NO-BREAK SPACE}"
_WHOLE_MAX = 1e15
_DECIMALS_MAX = 12


def number_of(value: object) -> float | None:
    """A number; None for text, nothing, and what is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return float(value) if isfinite(value) else None


def number_text(value: object, digits: int = 3) -> str:
    """A number with so many significant digits, whole ones whole; text as it is.

    >>> number_text(1234.5), number_text(0.0123456), number_text(5000), number_text(3.3353, 4)
    ('1,234', '0.0123', '5,000', '3.335')
    >>> number_text(None), number_text(0)
    ('–', '0')
    """
    number = number_of(value)
    if number is None:
        return str(value) if isinstance(value, str) and value else NONE
    if number.is_integer() and abs(number) < _WHOLE_MAX:
        return f"{int(number):,}"
    decimals = max(0, digits - 1 - floor(log10(abs(number))))
    return f"{number:,.{decimals}f}" if decimals <= _DECIMALS_MAX else f"{number:.{digits}g}"


def amount_text(value: float, digits: int = 4) -> str:
    """A number where nobody counts its digits: no zeros at its end, large ones in millions.

    >>> amount_text(8), amount_text(0.5), amount_text(1322360), amount_text(12345.6)
    ('8', '0.5', '1.322 M', '12,346')
    """
    for unit, size in (("bn", 1e9), ("M", 1e6)):
        if abs(value) >= size:
            return f"{_trimmed(number_text(value / size, digits))} {unit}"
    return _trimmed(number_text(value, digits))


def cell(value: object, digits: int = 6) -> str:
    """A cell of a table as it is in the file, short: a number with so many digits at most."""
    if number_of(value) is None:
        return str(value) if value not in (None, "") and value == value else ""
    return _trimmed(number_text(value, digits))


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def count_text(count: object, noun: str) -> str:
    """A count of things.

    >>> count_text(1, "chip"), count_text(10008, "chip"), count_text(2, "entry")
    ('1 chip', '10,008 chips', '2 entries')
    """
    number = number_of(count) or 0
    changes = noun.endswith("y") and not noun.endswith(("ay", "ey", "oy"))
    plural = noun if number == 1 else f"{noun[:-1]}ies" if changes else f"{noun}s"
    return f"{number_text(number)} {plural}"


def counted(count: object, noun: str) -> str:
    """The same, with a space that no line breaks."""
    return count_text(count, noun).replace(" ", _SPACE, 1)


def percent_text(share: object) -> str:
    """A share in percent, ties rounded up; 100 % only where it is all.

    >>> [percent_text(share) for share in (0.9487, 1, 0.99999, 0.99951, 0, 0.00001, 1.5)]
    ['94.9 %', '100 %', '99.9 %', '99.9 %', '0 %', '<0.1 %', '150.0 %']
    """
    number = number_of(share)
    if number is None:
        return NONE
    if number in (0, 1):
        return f"{number * 100:.0f} %"
    if 0 < number < 0.001:
        return "<0.1 %"
    percent = floor(number * 1000 + 0.5) / 10
    return f"{min(percent, 99.9) if number < 1 else percent:.1f} %"


def share(value: object) -> str:
    """The same, with a space that no line breaks."""
    return percent_text(value).replace(" ", _SPACE)


def milliseconds(value: object) -> str:
    """Milliseconds in the unit that reads best.

    >>> [milliseconds(ms).replace(_SPACE, " ") for ms in (0.0421, 1500, 1.12e-7, 0)]
    ['42.10 µs', '1.500 s', '112 ps', '0 ms']
    """
    number = number_of(value)
    if number is None:
        return NONE
    for unit, size in (("s", 1e3), ("ms", 1.0), ("µs", 1e-3), ("ns", 1e-6), ("ps", 1e-9)):
        if abs(number) >= size:
            return _in_unit(number / size, unit)
    return f"{number_text(number)}{_SPACE}ms"


def watts(value: object) -> str:
    """Watts, kilowatts or megawatts."""
    number = number_of(value)
    if number is None:
        return NONE
    for unit, size in (("MW", 1e6), ("kW", 1e3)):
        if abs(number) >= size:
            return _in_unit(number / size, unit)
    return _in_unit(number, "W")


def usd(value: object) -> str:
    """US dollars; large amounts in millions."""
    number = number_of(value)
    if number is None:
        return NONE
    if abs(number) >= 1e6:
        return _in_unit(number / 1e6, f"million{_SPACE}USD")
    return f"{number:,.2f}{_SPACE}USD" if abs(number) < 1e4 else f"{number:,.0f}{_SPACE}USD"


def _in_unit(number: float, unit: str) -> str:
    return f"{number_text(float(f'{number:.4g}'), 4)}{_SPACE}{unit}"


def size(value: object) -> str:
    """Bytes in decimal units."""
    number = number_of(value)
    return NONE if number is None else format_bytes(int(number)).replace(" ", _SPACE)


def spaced(text: str) -> str:
    """Words with common spaces, for cells and terminals, which break lines as they like."""
    return text.replace(_SPACE, " ")
