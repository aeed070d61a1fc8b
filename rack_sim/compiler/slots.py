"""Slots: the revolving positions of a pipeline, as the serving engine sees them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlotTiming:
    """A compiled program reduced to what serving needs, all in integers.

    Slots enter the first stage `interval_ps` apart, `slot_count` of them revolve, each has `rows`
    rows; a row that enters has its token sampled `token_ps` later. The program serves contexts of
    up to `context_tokens`; the cache holds `kv_tokens` in all.
    """

    rows: int
    slot_count: int
    interval_ps: int
    token_ps: int
    context_tokens: int
    kv_tokens: int

    @property
    def revolution_ps(self) -> int:
        """The time between two entries of one slot, and so between two tokens of one sequence."""
        return self.slot_count * self.interval_ps
