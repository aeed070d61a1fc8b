"""Attention roofs: what bounds the attention of an iteration, affine in what it reads."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from rack_sim.foundation.units import PS_PER_S
from rack_sim.model.operators import Block, Operator
from rack_sim.model.reach import Reach
from rack_sim.timing.precision import Precision
from rack_sim.timing.window import Window


@dataclass(frozen=True, slots=True)
class WindowRates:
    """The same for layers with a window: only pairs and tokens within it count."""

    window: Window
    per_pair_ps: int
    per_token_ps: int


@dataclass(frozen=True, slots=True)
class AttentionRoof:
    """One bound on the attention of an iteration, over all layers: affine in what it reads.

    `name` is compute, memory or weight_feed. Picoseconds for every pair of a row and a cached token
    it attends to, for every cached token that is read (the cache of a sequence is read once in an
    iteration), and for every row; layers with a window have rates of their own in `windowed`. Each
    is rounded up once, after the sum over all layers: the time of an iteration is too long by less
    than 1 ps for each pair, token and row.
    """

    name: str
    per_pair_ps: int
    per_token_ps: int
    per_row_ps: int
    windowed: tuple[WindowRates, ...] = ()

    def time_ps(self, attended: "Attended") -> int:
        """What attention takes at least."""
        whole_ps = self.per_pair_ps * attended.pairs + self.per_token_ps * attended.cached_tokens
        for rates in self.windowed:
            pairs, tokens = attended.within[rates.window]
            whole_ps += rates.per_pair_ps * pairs + rates.per_token_ps * tokens
        return whole_ps + self.per_row_ps * attended.rows


@dataclass(frozen=True, slots=True)
class Attended:
    """What `rows` attend to: `pairs` of a row and a token, and cached tokens that are read.

    `within` has pairs and tokens for each window.
    """

    rows: int
    pairs: int
    cached_tokens: int
    within: Mapping[Window, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of_equals(
        cls, sequences: int, before: int, rows: int, windows: Iterable[Window] = ()
    ) -> "Attended":
        """That of so many sequences, each with `rows` rows and `before` cached tokens before."""
        pairs, read = pairs_attended(before, rows), tokens_read(before, rows)
        within = {
            window: (
                sequences * window.pairs(before, rows),
                sequences * window.read(before, rows),
            )
            for window in windows
        }
        return cls(sequences * rows, sequences * pairs, sequences * read, within)


def pairs_attended(before: int, rows: int, window: Window | None = None) -> int:
    """Pairs of a row and a token, of `rows` rows of a sequence; a row attends to itself, too."""
    if window is not None:
        return window.pairs(before, rows)
    return rows * before + rows * (rows + 1) // 2


def tokens_read(before: int, rows: int, window: Window | None = None) -> int:
    """Tokens that any of `rows` rows of a sequence attends to: each is read once."""
    return before + rows if window is None else window.read(before, rows)


class AffineWork:
    """Work for every pair, cached token and row: FLOP or bytes, exact.

    Pairs and tokens by the window of their layers; None: without one.
    """

    def __init__(self) -> None:
        self.pair: defaultdict[Window | None, Fraction] = defaultdict(Fraction)
        self.token: defaultdict[Window | None, Fraction] = defaultdict(Fraction)
        self.row = Fraction(0)

    def roof(self, name: str, per_s: int) -> AttentionRoof:
        """The time it takes at a rate, each coefficient rounded up to whole picoseconds."""

        def ps(amount: Fraction) -> int:
            return -(-amount * PS_PER_S // per_s)

        windows = sorted(window for window in {*self.pair, *self.token} if window is not None)
        return AttentionRoof(
            name,
            ps(self.pair[None]),
            ps(self.token[None]),
            ps(self.row),
            tuple(WindowRates(w, ps(self.pair[w]), ps(self.token[w])) for w in windows),
        )


Entries = list[tuple[Window | None, Fraction]]
"""How many entries of the cache each token within a window counts for; None: without a window."""


class Reads(NamedTuple):
    """Entries that are read: for cached tokens by window, and for every row."""

    by_window: Entries
    per_row: int = 0


def pairs_met(operator: Operator) -> Entries:
    """Entries that a row meets.

    Its nearest tokens are a window, and so are those that it may choose from where it finds no more
    than it may choose. Exact but for the last tokens that make no whole entry yet: they count.
    """
    reach = operator.reach
    if reach is None:
        return [(_window(operator), Fraction(1))]
    chosen = [(_optional(reach.choice_tokens), reach.entries_per_token)]
    chosen = chosen if reach.chosen_max != 0 else []
    return [*_nearest(reach), *chosen]


def entries_read(operator: Operator) -> Reads:
    """Entries that are read: of a window once for all rows of a sequence.

    Of what rows choose each reads its own: an upper bound in contexts that are shorter than what a
    row may choose, and where rows of one sequence choose alike.
    """
    reach = operator.reach
    if reach is None:
        return Reads([(_window(operator), Fraction(1))])
    if reach.chosen_max is not None:
        return Reads(_nearest(reach), reach.chosen_max)
    return Reads([*_nearest(reach), (None, reach.entries_per_token)])


def _nearest(reach: Reach) -> Entries:
    return [(Window(reach.nearest_tokens), Fraction(1))] if reach.nearest_tokens else []


def _window(operator: Operator) -> Window | None:
    return _optional(operator.window_tokens, is_chunk=operator.chunked)


def _optional(tokens: int | None, *, is_chunk: bool = False) -> Window | None:
    return None if tokens is None else Window(tokens, is_chunk)


def without_dominated(roofs: Sequence[AttentionRoof]) -> tuple[AttentionRoof, ...]:
    """The roofs that can be the largest; of equal ones the first."""
    kept: list[AttentionRoof] = []
    for roof in roofs:
        if not any(_dominates(other, roof) for other in kept):
            kept = [other for other in kept if not _dominates(roof, other)] + [roof]
    return tuple(kept)


def _dominates(above: AttentionRoof, below: AttentionRoof) -> bool:
    """Whether a roof is never less than another."""
    ours = {rates.window: rates for rates in above.windowed}
    return (
        above.per_pair_ps >= below.per_pair_ps
        and above.per_token_ps >= below.per_token_ps
        and above.per_row_ps >= below.per_row_ps
        and all(_covers(ours.get(rates.window), rates) for rates in below.windowed)
    )


def _covers(ours: WindowRates | None, theirs: WindowRates) -> bool:
    per_pair_ps, per_token_ps = (ours.per_pair_ps, ours.per_token_ps) if ours else (0, 0)
    return per_pair_ps >= theirs.per_pair_ps and per_token_ps >= theirs.per_token_ps


def kv_bytes_per_token(
    blocks_by_stage: Sequence[Sequence[Block]], group_size: int, precision: Precision
) -> int:
    """What a cached token takes on a chip of the fullest stage."""
    return max(
        precision.kv_bytes(-(-sum(block.kv_elements_per_token for block in blocks) // group_size))
        for blocks in blocks_by_stage
    )
