"""Slots: the revolving positions of a pipeline, as the serving engine sees them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BucketTiming:
    """One of several programs of a plan: that for contexts of up to `context_tokens`.

    A slot may come round `latency_ps` after it entered, its tokens are there after `token_ps`.
    """

    context_tokens: int
    latency_ps: int
    token_ps: int


@dataclass(frozen=True, slots=True)
class SlotTiming:
    """A compiled program reduced to what serving needs, all in integers.

    Slots enter the first stage `interval_ps` apart, `slot_count` of them revolve, each has `rows`
    rows; a row that enters has its token sampled `token_ps` later. The program serves contexts of
    up to `context_tokens`; the cache holds `kv_tokens` in all. A decoding sequence owns
    `rows_per_sequence` rows, more than one where a draft proposes tokens, for which a revolution
    leaves `draft_ps`.

    Several programs for contexts of different length are `buckets`, shortest first, and all the
    above is about the last of them. ``separation_ps[i][j]`` is how soon a slot with the program of
    bucket j may enter after one with that of bucket i; tokens do not overtake each other.
    """

    rows: int
    slot_count: int
    interval_ps: int
    token_ps: int
    context_tokens: int
    kv_tokens: int
    rows_per_sequence: int = 1
    draft_ps: int = 0
    buckets: tuple[BucketTiming, ...] = ()
    separation_ps: tuple[tuple[int, ...], ...] = ()

    @property
    def revolution_ps(self) -> int:
        """The time between two entries of one slot, and so between two tokens of one sequence."""
        return self.slot_count * self.interval_ps

    @property
    def program_count(self) -> int:
        """Programs of which a turn runs one."""
        return max(len(self.buckets), 1)

    @property
    def turn_draft_ps(self) -> int:
        """What a revolution leaves for the draft."""
        return self.draft_ps

    @property
    def held_ps(self) -> tuple[int, ...]:
        """How long a step of each program holds the pipeline; of the longest, its own interval.

        No more than its own interval, and however programs follow each other, what all steps hold
        is no more than the time they take: a short step before a long one may be followed sooner
        than by its like, and a long step is followed by a short one later by as much.
        """
        if not self.buckets:
            return (self.interval_ps,)
        after_longest = self.separation_ps[-1]
        return tuple(
            after_longest[number]
            + min(own - longest for own, longest in zip(row, after_longest, strict=True))
            for number, row in enumerate(self.separation_ps)
        )
