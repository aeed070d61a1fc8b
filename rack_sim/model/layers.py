"""Layers: the shapes of attention and feed-forward blocks, with their exact parameter counts."""

from dataclasses import dataclass
from typing import Literal

from rack_sim.model.alternating import Alternating
from rack_sim.model.compressed_attention import CompressedAttention
from rack_sim.model.indexer import Indexer
from rack_sim.model.reach import Reach
from rack_sim.model.state_layers import StateShape
from rack_sim.model.streams import Streams

QueryKeyNorms = Literal["none", "head", "row"]


@dataclass(frozen=True, slots=True)
class GroupedAttention:
    """Grouped-query attention.

    `window_tokens` is how far a row looks back, or where it is `chunked` how many tokens a chunk
    has, beyond whose beginning no row looks; None: over the whole context. `qkv_bias` and
    `output_bias` say which projections have one, `query_key_norms` whether queries and keys are
    normalised, each head by itself or all heads of a row together, `sinks` that every head has a
    learnt logit beside those of the cache. `rotary_size` elements of a head are turned by their
    position; None: all. A value has `value_head_size` elements; None: as many as a key. With
    `values_from_keys` one projection gives both. With an `output_gate` the first projection makes a
    gate for every element that heads find; with `head_gates` a row has a gate for each head, by
    which what the head finds is multiplied. Where it `shares_cache`, a layer has no keys and values
    of its own, but reads those of a layer before. With an `indexer` a row attends to what that has
    chosen, as `reach` says.
    """

    head_count: int
    kv_head_count: int
    head_size: int
    window_tokens: int | None = None
    qkv_bias: bool = False
    output_bias: bool = False
    query_key_norms: QueryKeyNorms = "none"
    sinks: bool = False
    rotary_size: int | None = None
    value_head_size: int | None = None
    values_from_keys: bool = False
    output_gate: bool = False
    head_gates: bool = False
    shares_cache: bool = False
    indexer: Indexer | None = None
    reach: Reach | None = None
    chunked: bool = False

    @property
    def query_size(self) -> int:
        """Width of all query heads together."""
        return self.head_count * self.head_size

    @property
    def key_size(self) -> int:
        """Width of all key heads together."""
        return self.kv_head_count * self.head_size

    @property
    def value_size(self) -> int:
        """Width of all value heads together."""
        return self.kv_head_count * self.output_head_size

    @property
    def output_head_size(self) -> int:
        """Elements that a query head finds: those of a value."""
        return self.value_head_size or self.head_size

    @property
    def output_size(self) -> int:
        """Width of what all query heads find together."""
        return self.head_count * self.output_head_size

    @property
    def projected_size(self) -> int:
        """Width of what the first projection makes: queries, keys and values, gates."""
        queries = self.query_size + self.output_size * self.output_gate
        if self.shares_cache:
            return queries
        return queries + self.key_size + (0 if self.values_from_keys else self.value_size)

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one token adds to the cache: a key and a value of every head.

        A key of the indexer beside them; none where the cache is that of another layer.
        """
        if self.shares_cache:
            return 0
        return self.key_size + self.value_size + _index_elements(self.indexer)

    def parameter_count(self, hidden_size: int) -> int:
        """Projections, biases, head norms and sinks; the block's own norm is not in here."""
        count = hidden_size * (self.projected_size + self.output_size)
        count += self.projected_size * self.qkv_bias + hidden_size * self.output_bias
        count += self.query_key_norm_parameters + self.head_count * self.sinks
        count += hidden_size * self.head_count * self.head_gates
        return count + _index_parameters(self.indexer, hidden_size)

    @property
    def query_key_norm_parameters(self) -> int:
        """A weight for each element that is normalised at once."""
        if self.query_key_norms == "row":
            return self.query_size + self.key_size
        normalised = 1 if self.shares_cache else 2
        return normalised * self.head_size if self.query_key_norms == "head" else 0


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Multi-head latent attention: one latent for all heads is cached, and one rotary key.

    `query_rank` is the width through which queries go (None: straight from the hidden state),
    `latent_size` that of the cached latent; a head has `plain_size` elements that meet the latent,
    `rotary_size` that meet the rotary key, and `value_size` of a value. Where a row attends to
    chosen tokens only, `reach` says to how many; the `indexer` chooses them, or, where a layer has
    none, that of the layer before.
    """

    head_count: int
    query_rank: int | None
    latent_size: int
    plain_size: int
    rotary_size: int
    value_size: int
    window_tokens: None = None
    indexer: Indexer | None = None
    reach: Reach | None = None

    @property
    def kv_head_count(self) -> int:
        """All heads share the one latent."""
        return 1

    @property
    def query_size(self) -> int:
        """Width of all query heads together."""
        return self.head_count * (self.plain_size + self.rotary_size)

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one token adds to the cache: the latent, the rotary key, an index key."""
        return self.entry_size + _index_elements(self.indexer)

    @property
    def entry_size(self) -> int:
        """What attention reads of a token: the latent and the rotary key."""
        return self.latent_size + self.rotary_size

    @property
    def down_parameters(self) -> int:
        """The norms of the narrow widths: of the latent, and of the query where it has one."""
        return self.latent_size + (self.query_rank or 0)

    def parameter_count(self, hidden_size: int) -> int:
        """Projections and inner norms; the block's own norm is not in here."""
        queries = hidden_size * self.query_size
        if self.query_rank is not None:
            queries = self.query_rank * (hidden_size + self.query_size)
        return (
            queries
            + hidden_size * self.entry_size
            + self.latent_size * self.head_count * (self.plain_size + self.value_size)
            + self.head_count * self.value_size * hidden_size
            + self.down_parameters
            + _index_parameters(self.indexer, hidden_size)
        )


def _index_elements(indexer: Indexer | None) -> int:
    return indexer.kv_elements_per_token if indexer else 0


def _index_parameters(indexer: Indexer | None, hidden_size: int) -> int:
    return indexer.parameter_count(hidden_size) if indexer else 0


@dataclass(frozen=True, slots=True)
class DenseFeedForward:
    """A feed-forward, `inner_size` wide: gated (three matrices) or not (two)."""

    inner_size: int
    gated: bool = True
    biases: bool = False

    def parameter_count(self, hidden_size: int) -> int:
        """The matrices and their biases; the block's own norm is not in here."""
        ups = 1 + self.gated
        biases = (ups * self.inner_size + hidden_size) * self.biases
        return (ups + 1) * hidden_size * self.inner_size + biases

    def active_parameter_count(self, hidden_size: int) -> int:
        """Those that one row meets: all."""
        return self.parameter_count(hidden_size)


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture of experts: a router sends each row to `chosen_count` of `expert_count`.

    Every expert is a feed-forward, `expert_size` wide, `gated` or not. Shared experts together are
    `shared_size` wide and see every row. With a `latent_size` rows are projected to that width for
    the experts, and back from it. `biases` says that router and experts have them,
    `router_correction` that the router has a learnt offset for each expert.
    """

    expert_count: int
    chosen_count: int
    expert_size: int
    shared_size: int = 0
    biases: bool = False
    router_correction: bool = False
    shared_gate: bool = False
    own_norms: bool = False
    gated: bool = True
    latent_size: int | None = None

    def router_parameters(self, hidden_size: int) -> int:
        """A column for each expert, its bias, its offset and its scale; scales of inputs."""
        each = hidden_size + self.biases + self.router_correction + self.own_norms
        return self.expert_count * each + hidden_size * self.own_norms

    def expert_parameters(self, hidden_size: int) -> int:
        """One expert."""
        width = self.latent_size or hidden_size
        biases = ((1 + self.gated) * self.expert_size + width) * self.biases
        return (2 + self.gated) * width * self.expert_size + biases

    def parameter_count(self, hidden_size: int) -> int:
        """Router, all experts and the shared ones; the block's own norm is not in here."""
        return self._count(hidden_size, self.expert_count)

    def active_parameter_count(self, hidden_size: int) -> int:
        """Those that one row meets: router, chosen experts, shared ones."""
        return self._count(hidden_size, self.chosen_count)

    def _count(self, hidden_size: int, expert_count: int) -> int:
        return (
            self.router_parameters(hidden_size)
            + expert_count * self.expert_parameters(hidden_size)
            + (2 + self.gated) * hidden_size * self.shared_size
            + 2 * hidden_size * (self.latent_size or 0)
            + hidden_size * (self.shared_gate + 3 * self.own_norms)
        )


AttentionShape = GroupedAttention | LatentAttention | CompressedAttention


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Attention and a state that read the same rows; what both find is summed up at once."""

    attention: GroupedAttention
    state: StateShape


MixerShape = AttentionShape | StateShape | SideBySide
FeedForwardShape = DenseFeedForward | Experts


@dataclass(frozen=True, slots=True)
class Norms:
    """The norms of a block: of what it reads, of what it adds to the stream, or of both.

    Each has a weight for every element of a row, and with `biases` a bias, too.
    """

    before: bool = True
    after: bool = False
    biases: bool = False

    def parameter_count(self, hidden_size: int) -> int:
        """Those of one block."""
        return (self.before + self.after) * (1 + self.biases) * hidden_size


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: a mixer of rows, then a feed-forward, with their norms. Equal layers are one object.

    The mixer is attention or keeps a state. A layer may be one half alone; then the other is None.
    The halves of a `parallel` layer read the same rows, and what both find is added at once; with
    `shares_norm` one norm is before both. With `streams` both read and write several. After both a
    layer may add what it makes of an input of its own, `input_size` elements for each token. With
    `alternating` streams it updates one.
    """

    attention: MixerShape | None
    feed_forward: FeedForwardShape | None
    norms: Norms = Norms()
    parallel: bool = False
    shares_norm: bool = False
    streams: Streams | None = None
    input_size: int = 0
    alternating: Alternating | None = None

    def stream_parameters(self, hidden_size: int) -> int:
        """What says how both halves mix residual streams, or how the layer predicts them."""
        if self.alternating:
            return self.alternating.layer_parameters(hidden_size)
        halves = (self.attention is not None) + (self.feed_forward is not None)
        return halves * self.streams.block_parameters(hidden_size) if self.streams else 0

    def norm_parameters(self, hidden_size: int) -> int:
        """The norms of both halves; those within attention are not in here."""
        halves = (self.attention is not None) + (self.feed_forward is not None)
        return (halves - self.shares_norm) * self.norms.parameter_count(hidden_size)
