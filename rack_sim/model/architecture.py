"""Architecture: the shape of a decoder-only transformer, and its exact parameter counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """A dense decoder with grouped-query attention.

    `feed_forward_size` is the inner width of the gated feed-forward (three matrices). Counts are
    exact integers and equal the published ones.
    """

    name: str
    layer_count: int
    hidden_size: int
    head_count: int
    kv_head_count: int
    head_size: int
    feed_forward_size: int
    vocabulary_size: int
    tied_embeddings: bool
    max_context_tokens: int

    @property
    def query_size(self) -> int:
        """Width of all query heads together."""
        return self.head_count * self.head_size

    @property
    def kv_size(self) -> int:
        """Width of all key heads (or all value heads) together."""
        return self.kv_head_count * self.head_size

    @property
    def embedding_parameters(self) -> int:
        """The token embedding table."""
        return self.vocabulary_size * self.hidden_size

    @property
    def attention_parameters(self) -> int:
        """One attention block: its norm, query, key, value and output projections."""
        projections = self.hidden_size * (2 * self.query_size + 2 * self.kv_size)
        return projections + self.hidden_size

    @property
    def feed_forward_parameters(self) -> int:
        """One feed-forward block: its norm, gate, up and down projections."""
        return 3 * self.hidden_size * self.feed_forward_size + self.hidden_size

    @property
    def head_parameters(self) -> int:
        """The final norm and the output projection; a tied projection is the embedding again."""
        projection = 0 if self.tied_embeddings else self.embedding_parameters
        return self.hidden_size + projection

    @property
    def parameter_count(self) -> int:
        """Every parameter once."""
        return (
            self.embedding_parameters
            + self.layer_count * (self.attention_parameters + self.feed_forward_parameters)
            + self.head_parameters
        )

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one token adds to the key-value cache, over all layers."""
        return self.layer_count * 2 * self.kv_size
