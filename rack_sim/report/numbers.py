"""Numbers: numbers as people read them, in figures, charts and sentences."""

from math import floor, log10


def number_text(value: float, digits: int = 3) -> str:
    """A number for people, with so many significant digits: ``number_text(1234.5) == "1,234"``.

    >>> number_text(3.3353, 4), number_text(0.142577), number_text(72.738), number_text(0)
    ('3.335', '0.143', '72.7', '0')
    """
    if not value:
        return "0"
    decimals = max(0, digits - 1 - floor(log10(abs(value))))
    return f"{value:,.{decimals}f}"


def amount_text(value: float, digits: int = 4) -> str:
    """A number where nobody counts its digits: whole ones whole, large ones in millions.

    >>> amount_text(8), amount_text(0.5), amount_text(1322360), amount_text(12345.6)
    ('8', '0.5', '1.322 M', '12,346')
    """
    for unit, size in (("bn", 1e9), ("M", 1e6)):
        if abs(value) >= size:
            return f"{_trimmed(number_text(value / size, digits))} {unit}"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return _trimmed(number_text(value, digits))


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def count_text(count: int, noun: str) -> str:
    """A count of things: ``count_text(1, "chip") == "1 chip"``.

    >>> count_text(1, "chip"), count_text(10008, "chip")
    ('1 chip', '10,008 chips')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent_text(share: float) -> str:
    """A share for people: ``percent_text(0.9487) == "94.9 %"``; 100 % only where it is all.

    >>> percent_text(1), percent_text(0.99999), percent_text(0), percent_text(0.00001)
    ('100 %', '99.9 %', '0 %', '<0.1 %')
    """
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{floor(share * 1000 + 0.5) / 10 if share < 0.9995 else 99.9:.1f} %"
