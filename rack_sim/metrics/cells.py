"""Cells: numbers as text, exact on every machine."""


def share(part: int, whole: int) -> str:
    """A quotient with nine decimals, rounded half up; empty where `whole` is nothing.

    >>> share(2, 3), share(3, 2), share(1, 0)
    ('0.666666667', '1.500000000', '')
    """
    if not whole:
        return ""
    scaled = (2 * part * 10**9 + whole) // (2 * whole)
    return f"{scaled // 10**9}.{scaled % 10**9:09d}"
