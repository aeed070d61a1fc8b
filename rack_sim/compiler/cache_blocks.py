"""Cache blocks: what the cache of a sequence takes, where some layers keep no more than a window.

A layer without a window keeps every block of a sequence, one with a window the last blocks only.
Room is counted in units, the greatest common divisor of what a block takes in each kind of layer:
without windows a unit is a block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple, Self


class WindowBlocks(NamedTuple):
    """Layers with a window: `units` for each of the first `most` blocks, nothing for later ones."""

    most: int
    units: int


@dataclass(frozen=True, slots=True)
class CacheBlocks:
    """Units of a block in layers that keep all, `whole`, and in those with each window."""

    whole: int = 1
    windows: tuple[WindowBlocks, ...] = ()

    @classmethod
    def of(cls, whole: int, by_window: Mapping[int, int], block_tokens: int) -> Self:
        """Of bytes a token: `whole` in layers that keep all, and those of each window."""
        unit = gcd(whole, *by_window.values()) or 1
        return cls(
            whole // unit,
            tuple(
                WindowBlocks(blocks_of_window(window, block_tokens), size // unit)
                for window, size in sorted(by_window.items())
            ),
        )

    @property
    def units_of_first(self) -> int:
        """What the first block of a sequence takes: every layer keeps it."""
        return self.units(1)

    def units(self, blocks: int) -> int:
        """What so many blocks of a sequence take."""
        found = blocks * self.whole
        for most, units in self.windows:
            found += min(blocks, most) * units
        return found

    def units_of_next(self, blocks: int) -> int:
        """What one block more takes, where there are so many."""
        found = self.whole
        for most, units in self.windows:
            if blocks < most:
                found += units
        return found

    def blocks_in(self, units: int) -> int:
        """The most blocks of one sequence that so many units hold, where layers keep something."""
        blocks = 0
        for border in sorted({most for most, _ in self.windows}):
            each = self.units_of_next(blocks)
            if self.units(border) > units:
                return blocks + (units - self.units(blocks)) // each
            blocks = border
        each = self.units_of_next(blocks)
        return blocks + (units - self.units(blocks)) // each if each else 2**62


def blocks_of_window(window_tokens: int, block_tokens: int) -> int:
    """Blocks that a window touches at most: it may begin at the end of one."""
    return -(-(window_tokens - 1) // block_tokens) + 1
