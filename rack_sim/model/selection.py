"""Selection: what chips that share a cache tell each other to choose from it together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Selection:
    """How a row's entries are chosen where the cache lies on several chips, split by sequence.

    Every chip needs the whole query of the indexer, `query_elements` a row, to score its part of
    the cache. Then each tells the others its best candidates, so that all know the best of all:
    `chosen_max` for each of `list_count` lists, or as many as its part has, one for every
    `tokens_per_choice` tokens.
    """

    query_elements: int
    chosen_max: int
    list_count: int = 1
    tokens_per_choice: int = 1

    def candidates(self, context_tokens: int, chip_count: int) -> int:
        """Candidates of a chip for one row."""
        of_chip = -(-(context_tokens // self.tokens_per_choice) // chip_count)
        return self.list_count * min(self.chosen_max, of_chip)

    @property
    def candidates_max(self) -> int:
        """Candidates of a chip for one row at any context."""
        return self.list_count * self.chosen_max
