"""Widening: what a chip stores narrower than its matrix unit can multiply, and what that costs.

Weights and cache are read from memory as they are stored. What the matrix unit has no rate for is
widened to the compute precision on its way in: memory and its bandwidth are saved, FLOP are not, as
matmuls run at the compute precision's peak. The arithmetic of widening itself (a multiply by a
scale for each element) is taken to hide behind the reading.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rack_sim.hardware.chip import PRECISION_BITS, Chip, element_of
from rack_sim.timing.precision import Precision


@dataclass(frozen=True, slots=True)
class Widening:
    """Formats that are widened to `compute`, at whose peak they are multiplied.

    `faster` is the precision with the highest peak that could take them, where that is not
    `compute`.
    """

    formats: tuple[str, ...]
    compute: str
    peak_flop_per_s: int
    faster: tuple[str, int] | None


def widening_of(chip: Chip, precision: Precision, elements: Iterable[str]) -> Widening | None:
    """What a chip widens of weights with such elements, and of the cache; None where nothing is."""
    peaks = chip.matrix.peak_flop_per_s
    kv = precision.kv if isinstance(precision.kv, str) else precision.kv.element
    stored = dict.fromkeys((*elements, element_of(kv)))
    compute_bits = PRECISION_BITS[precision.compute]
    formats = tuple(
        name
        for name in stored
        if name not in peaks and PRECISION_BITS.get(name, compute_bits) < compute_bits
    )
    if not formats:
        return None
    peak = peaks[precision.compute]
    # Whole numbers do not hold what is stored in floating point.
    whole = all(name.startswith("int") for name in formats)
    able = [name for name in peaks if whole or not name.startswith("int")]
    best = max(able, key=lambda name: peaks[name], default=precision.compute)
    faster = (best, peaks[best]) if peaks[best] > peak else None
    return Widening(formats, precision.compute, peak, faster)
