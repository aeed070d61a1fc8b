"""Compressed attention: one latent for all heads, of the nearest tokens and of compressed ones."""

from dataclasses import dataclass

from rack_sim.model.compressor import Compressor
from rack_sim.model.indexer import Indexer
from rack_sim.model.reach import Reach


@dataclass(frozen=True, slots=True)
class CompressedAttention:
    """Attention of DeepSeek-V4: all heads share one key, which is the value, too.

    The last `nearest_tokens` are kept as they are. With a `compressor` earlier ones are kept as
    entries of several tokens; an `indexer` chooses among those, else a row attends to all.
    Queries go through `query_rank`; what heads find goes through `group_count` matrices, each
    `output_rank` wide, for as many groups of heads. Every head has a sink.
    """

    head_count: int
    head_size: int
    query_rank: int
    rotary_size: int
    group_count: int
    output_rank: int
    nearest_tokens: int
    compressor: Compressor | None = None
    indexer: Indexer | None = None
    window_tokens: None = None

    @property
    def kv_head_count(self) -> int:
        """All heads share one."""
        return 1

    @property
    def query_size(self) -> int:
        """Width of all query heads together, and of what they find."""
        return self.head_count * self.head_size

    @property
    def narrow_size(self) -> int:
        """Width of what the first projection makes on every chip: the narrow query and the key."""
        return self.query_rank + self.head_size

    @property
    def output_size(self) -> int:
        """Width of what the matrices for groups of heads give together."""
        return self.group_count * self.output_rank

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that a token adds to the cache for good: its share of compressed entries."""
        if self.compressor is None:
            return 0
        own = -(-self.compressor.entry_size // self.compressor.tokens_per_entry)
        return own + (self.indexer.kv_elements_per_token if self.indexer else 0)

    @property
    def kv_elements_per_sequence(self) -> int:
        """Elements that every sequence keeps: the nearest tokens, windows that are not full."""
        behind_indexer = self.indexer.compressor if self.indexer else None
        compressors = [one for one in (self.compressor, behind_indexer) if one]
        state = sum(one.state_elements for one in compressors)
        return self.nearest_tokens * self.head_size + state

    @property
    def reach(self) -> Reach:
        """The nearest tokens, and compressed entries: all, or the chosen ones, or none."""
        if self.compressor is None:
            return Reach(self.nearest_tokens, chosen_max=0)
        chosen_max = self.indexer.chosen_max if self.indexer else None
        return Reach(self.nearest_tokens, self.compressor.tokens_per_entry, chosen_max)

    def parameter_count(self, hidden_size: int) -> int:
        """Projections, norms, sinks, compressor and indexer; the block's own norm is not here."""
        beside = [one for one in (self.compressor, self.indexer) if one]
        return (
            hidden_size * self.narrow_size
            + self.narrow_size
            + self.query_rank * self.query_size
            + self.query_size * self.output_rank
            + self.output_size * hidden_size
            + self.head_count
            + sum(one.parameter_count(hidden_size) for one in beside)
        )
