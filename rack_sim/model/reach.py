"""Reach: which entries of the cache a row attends to, where those are chosen or stand for several.

Sparse attention reads what an indexer has chosen; compressed attention reads entries that each
stand for a few tokens, and the nearest tokens as they are.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self


@dataclass(frozen=True, slots=True)
class Reach:
    """How many entries a row attends to at a context.

    There is an entry for every whole `tokens_per_entry` tokens. A row attends to `chosen_max` of
    them that are its own choice (None: to all), and beside them to the `nearest_tokens` last tokens
    as they are. A group of chips splits the cache over `head_count` key-value heads before it
    splits it by sequence.
    """

    nearest_tokens: int = 0
    tokens_per_entry: int = 1
    chosen_max: int | None = None
    head_count: int = 1

    def met(self, context_tokens: int, rows: int = 1, parts: int = 1) -> int:
        """Entries that `rows` rows of one sequence attend to together, at most.

        Rows choose apart from each other, so together as many as all their choices until those are
        all there are; their nearest tokens overlap but for the rows themselves. With `parts` the
        entries lie on so many chips and all that is chosen may lie on one: the answer is `parts`
        times what that chip has to do.
        """
        near, there = self.nearest_tokens, context_tokens // self.tokens_per_entry
        nearest = min(context_tokens, near + rows - 1) if near else 0
        chosen = there if self.chosen_max is None else min(there, rows * self.chosen_max)
        return nearest + min(chosen, -(-there // parts)) * parts if parts > 1 else nearest + chosen

    @property
    def entries_per_token(self) -> Fraction:
        """Entries that a token makes."""
        return Fraction(1, self.tokens_per_entry)

    @property
    def choice_tokens(self) -> int | None:
        """Tokens of a context beyond which a row finds more entries than it may choose."""
        return None if self.chosen_max is None else self.chosen_max * self.tokens_per_entry

    def within(self, context_tokens: int) -> Self:
        """The same for contexts of up to so many tokens: a choice of all there can be is none."""
        all_chosen = self.chosen_max and context_tokens // self.tokens_per_entry <= self.chosen_max
        return replace(self, chosen_max=None) if all_chosen else self
