"""Number format: how numbers are stored that lie in no matrix of a file, as those of a cache."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A format of numbers: `bits` for each, its share of the scales included.

    `element` is the format of the number alone.
    """

    title: str
    element: str
    bits: int | Fraction

    @classmethod
    def in_groups(
        cls, element: str, bits: int | Fraction, *, group: int, scale: str, scale_bits: int
    ) -> "NumberFormat":
        """Numbers of which `group` share a scale."""
        title = f"{element} with {scale} scales of {group}"
        return cls(title, element, bits + Fraction(scale_bits, group))

    def __str__(self) -> str:
        """The title."""
        return self.title
