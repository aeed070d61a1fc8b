"""Attention roofs: what bounds the attention of an iteration, affine in what it reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rack_sim.foundation.units import PS_PER_S
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.precision import Precision


@dataclass(frozen=True, slots=True)
class AttentionRoof:
    """One bound on the attention of an iteration, over all layers: affine in what it reads.

    `name` is compute, memory or weight_feed. Picoseconds for every pair of a row and a cached token
    it attends to, for every cached token that is read (the cache of a sequence is read once in an
    iteration), and for every row. Each is rounded up once, after the sum over all layers: the time
    of an iteration is too long by less than 1 ps for each pair, token and row.
    """

    name: str
    per_pair_ps: int
    per_token_ps: int
    per_row_ps: int

    def time_ps(self, *, pairs: int, cached_tokens: int, rows: int) -> int:
        """What attention takes at least."""
        return self.per_pair_ps * pairs + self.per_token_ps * cached_tokens + self.per_row_ps * rows


class AffineWork:
    """Work for every pair, cached token and row: FLOP or bytes, exact."""

    def __init__(self) -> None:
        self.pair = self.token = self.row = Fraction(0)

    def roof(self, name: str, per_s: int) -> AttentionRoof:
        """The time it takes at a rate, each coefficient rounded up to whole picoseconds."""
        pair, token, row = (
            -(-amount * PS_PER_S // per_s) for amount in (self.pair, self.token, self.row)
        )
        return AttentionRoof(name, pair, token, row)


def level_and_slope(operator: Operator) -> tuple[int, Fraction]:
    """Entries that a row meets at any context, and further ones for each token of it.

    Of a `reach` that is exact from the context on in which a row finds as much as it may choose;
    below it is an upper bound, and so are the reads of rows of one sequence that choose alike. A
    window counts as the whole context, an upper bound beyond it.
    """
    if operator.reach is None:
        return 0, Fraction(1)
    return operator.reach.level, operator.reach.slope


def without_dominated(roofs: Sequence[AttentionRoof]) -> tuple[AttentionRoof, ...]:
    """The roofs that can be the largest; of equal ones the first."""
    kept: list[AttentionRoof] = []
    for roof in roofs:
        if not any(_dominates(other, roof) for other in kept):
            kept = [other for other in kept if not _dominates(roof, other)] + [roof]
    return tuple(kept)


def _dominates(above: AttentionRoof, below: AttentionRoof) -> bool:
    """Whether a roof is never less than another."""
    return (
        above.per_pair_ps >= below.per_pair_ps
        and above.per_token_ps >= below.per_token_ps
        and above.per_row_ps >= below.per_row_ps
    )


def kv_bytes_per_token(
    blocks_by_stage: Sequence[Sequence[Block]], group_size: int, precision: Precision
) -> int:
    """What a cached token takes on a chip of the fullest stage."""
    return max(
        precision.kv_bytes(-(-sum(block.kv_elements_per_token for block in blocks) // group_size))
        for blocks in blocks_by_stage
    )
