"""Streams: a residual stream that is several, which every block mixes anew (hyper-connections)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Streams:
    """`count` residual streams, of which a block reads one weighted sum.

    What a block finds is added to each with a weight, and the streams are mixed with each other; a
    projection of all of them says how, its mixing weights balanced in `round_count` rounds.
    """

    count: int
    round_count: int

    @property
    def mixed_per_row(self) -> int:
        """Weights of a block: in, out, and of each stream in each."""
        return (2 + self.count) * self.count

    def block_parameters(self, hidden_size: int) -> int:
        """Of one block: the projection, its offsets, and a scale for each of the three kinds."""
        return self.mixed_per_row * (self.count * hidden_size + 1) + 3

    def head_parameters(self, hidden_size: int) -> int:
        """Before the head: a weight in for each stream, its offset, and a scale."""
        return self.count * (self.count * hidden_size + 1) + 1
