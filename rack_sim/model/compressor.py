"""Compressor: makes one entry of the cache of several tokens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compressor:
    """Pools every `tokens_per_entry` tokens into an entry of `entry_size` elements, by gates.

    A token gives a value and a gate for every element; the gates of a window, with a learnt offset
    for each place in it, become weights by a softmax. With `overlapping` a token takes part in two
    windows, with values and gates of its own for each.
    """

    tokens_per_entry: int
    entry_size: int
    overlapping: bool = False

    @property
    def series_size(self) -> int:
        """Values (and gates) of a token."""
        return self.entry_size * (2 if self.overlapping else 1)

    def parameter_count(self, hidden_size: int) -> int:
        """Both projections, the offsets, and the norm of entries."""
        return hidden_size * 2 * self.series_size + self.norm_parameters

    @property
    def norm_parameters(self) -> int:
        """The offsets of places, and the norm of an entry."""
        return self.tokens_per_entry * self.series_size + self.entry_size

    @property
    def state_elements(self) -> int:
        """What a sequence keeps of tokens whose window is not full, at most.

        Values and gates of a window, and with overlapping windows those of the one before it that
        the next entry needs.
        """
        window = 2 * self.tokens_per_entry * self.series_size
        before = 2 * self.tokens_per_entry * self.entry_size if self.overlapping else 0
        return window + before
