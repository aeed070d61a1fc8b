"""Indexer: the small attention whose scores choose what the large one reads.

Its keys are cached for every token (or, behind a compressor, for every few); it scores all of them
for every row. Only the best are attended to.
"""

from dataclasses import dataclass

from rack_sim.model.compressor import Compressor
from rack_sim.model.selection import Selection


@dataclass(frozen=True, slots=True)
class Indexer:
    """Scores every cached key for a row and chooses the best.

    A row has `head_count` queries of `key_size` elements, made of its narrow query, `query_rank`
    wide (None: of the hidden state); a token has one key. `weighted`: a row weighs the heads and
    their scores are added up, so that there is one choice; else each head chooses for itself.
    `chosen_max` is what is chosen, each of `tokens_per_choice` tokens. Keys come from a projection,
    or from a `compressor`. `norm_parameters` are those of the norms of keys and queries.
    """

    head_count: int
    key_size: int
    rotary_size: int
    chosen_max: int
    query_rank: int | None = None
    weighted: bool = True
    tokens_per_choice: int = 1
    norm_parameters: int = 0
    compressor: Compressor | None = None

    @property
    def query_size(self) -> int:
        """Width of all queries together."""
        return self.head_count * self.key_size

    @property
    def tokens_per_key(self) -> int:
        """Tokens that share a cached key."""
        return self.compressor.tokens_per_entry if self.compressor else 1

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one token adds to the cache, rounded up where several share a key."""
        return -(-self.key_size // self.tokens_per_key)

    @property
    def down_size(self) -> int:
        """Width of what is made of the hidden state on every chip: a key, and weights of heads."""
        key = 0 if self.compressor else self.key_size
        return key + self.head_count * self.weighted

    @property
    def selection(self) -> Selection:
        """What chips that share the cache tell each other."""
        lists = 1 if self.weighted else self.head_count
        per_choice = self.tokens_per_key * self.tokens_per_choice
        return Selection(self.query_size, self.chosen_max, lists, per_choice)

    def parameter_count(self, hidden_size: int) -> int:
        """Projections and norms, and the compressor."""
        compressor = self.compressor.parameter_count(hidden_size) if self.compressor else 0
        queries = (self.query_rank or hidden_size) * self.query_size
        return queries + hidden_size * self.down_size + self.norm_parameters + compressor
