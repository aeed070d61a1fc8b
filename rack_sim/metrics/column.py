"""Column: what every table is made of."""

from typing import NamedTuple


class Column(NamedTuple):
    """One column: its name, its unit, what it means."""

    name: str
    unit: str
    definition: str
