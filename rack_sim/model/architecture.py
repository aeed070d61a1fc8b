"""Architecture: the shape of a decoder-only transformer, and its exact parameter counts."""

from dataclasses import dataclass
from typing import Self

from rack_sim.foundation.brief import Brief
from rack_sim.model.alternating import Alternating
from rack_sim.model.checkpoint import UNSAID, Checkpoint
from rack_sim.model.compressed_attention import CompressedAttention
from rack_sim.model.encoders import Encoder
from rack_sim.model.layers import (
    AttentionShape,
    DenseFeedForward,
    Experts,
    FeedForwardShape,
    GroupedAttention,
    Layer,
    SideBySide,
)
from rack_sim.model.per_layer_inputs import PerLayerInputs, input_parameters
from rack_sim.model.state_layers import StateShape
from rack_sim.model.streams import Streams


@dataclass(frozen=True, slots=True)
class Ends:
    """What stands before the first layer and after the last besides an embedding, a norm, a head.

    `learnt_positions` are rows of a second table that is looked up, `embedding_norm` a norm of what
    the tables give, `norm_biases` says that norms at the ends have one, `head_bias` the head. Where
    residual streams are several, `streams` says how the head reads them; `layer_inputs` are what
    tokens give to each layer; `alternating` streams are made at one end and summed up at the other.
    """

    learnt_positions: int = 0
    embedding_norm: bool = False
    norm_biases: bool = False
    head_bias: bool = False
    is_module: bool = False
    streams: Streams | None = None
    layer_inputs: PerLayerInputs | None = None
    alternating: Alternating | None = None


@dataclass(frozen=True, slots=True)
class PredictionModules:
    """Modules that predict further tokens, in no count of their model: see `prediction`.

    Each has one `layer`; None where its shape is not known.
    """

    module_count: int
    layer: Layer | None


@dataclass(frozen=True, slots=True, repr=False)
class Architecture(Brief):
    """A decoder: an embedding, `layers` in order, a head.

    Counts are exact integers and equal the published ones. `checkpoint` is how the published file
    holds its weights. `encoders` of pictures and sound are in no count: they are not served.
    """

    name: str
    layers: tuple[Layer, ...]
    hidden_size: int
    vocabulary_size: int
    tied_embeddings: bool
    max_context_tokens: int
    ends: Ends = Ends()
    prediction: PredictionModules | None = None
    checkpoint: Checkpoint = UNSAID
    encoders: tuple[Encoder, ...] = ()

    @classmethod
    def dense(  # noqa: PLR0913 - the keys of a config.json
        cls,
        name: str,
        layer_count: int,
        hidden_size: int,
        head_count: int,
        kv_head_count: int,
        head_size: int,
        feed_forward_size: int,
        vocabulary_size: int,
        tied_embeddings: bool,
        max_context_tokens: int,
    ) -> Self:
        """Of equal layers of grouped-query attention and a gated feed-forward, as a Llama."""
        layer = Layer(
            GroupedAttention(head_count, kv_head_count, head_size),
            DenseFeedForward(feed_forward_size),
        )
        return cls(
            name,
            (layer,) * layer_count,
            hidden_size,
            vocabulary_size,
            tied_embeddings,
            max_context_tokens,
        )

    @property
    def title(self) -> str:
        """Its name and its parameters, those that a token meets where that is not all."""
        count, active = self.parameter_count, self.active_parameter_count
        some = f" ({active:,} active)" if active < count else ""
        return f"{self.name}: {count:,} parameters{some}"

    @property
    def needs_one_stage(self) -> bool:
        """Whether layers read what only the chips of others have: their cache, or their inputs."""
        shares = any(isinstance(one, GroupedAttention) and one.shares_cache for one in self.mixers)
        return shares or self.ends.layer_inputs is not None

    @property
    def layer_count(self) -> int:
        """Layers, each an attention block and a feed-forward block."""
        return len(self.layers)

    @property
    def mixers(self) -> tuple[AttentionShape | StateShape, ...]:
        """What mixes rows, layer by layer: attention, or what keeps a state, or first one of both
        that stand side by side."""
        found: list[AttentionShape | StateShape] = []
        for mixer in (layer.attention for layer in self.layers):
            if isinstance(mixer, SideBySide):
                found += (mixer.attention, mixer.state)
            elif mixer:
                found.append(mixer)
        return tuple(found)

    @property
    def feed_forwards(self) -> tuple[FeedForwardShape, ...]:
        """The feed-forwards, layer by layer."""
        return tuple(layer.feed_forward for layer in self.layers if layer.feed_forward)

    @property
    def head_counts(self) -> frozenset[tuple[int, int]]:
        """Heads, and inputs that they share (key-value heads, say), each pair once."""
        return frozenset(
            (shape.head_count, shape.group_count)
            if isinstance(shape, StateShape)
            else (shape.head_count, shape.kv_head_count)
            for shape in self.mixers
        )

    @property
    def expert_counts(self) -> frozenset[int]:
        """Experts of the layers that have some."""
        blocks = self.feed_forwards
        return frozenset(block.expert_count for block in blocks if isinstance(block, Experts))

    @property
    def embedding_parameters(self) -> int:
        """The tables of tokens and of positions, their norm, what makes inputs of layers or further
        streams, and what joins two rows to one."""
        rows = self.vocabulary_size + self.ends.learnt_positions
        inputs = self.ends.layer_inputs
        beside = inputs.parameter_count(self.hidden_size) if inputs else 0
        if self.ends.alternating:
            beside += self.ends.alternating.end_parameters(self.hidden_size) // 2
        beside += 2 * (self.norm_parameters + self.hidden_size**2) * self.ends.is_module
        return rows * self.hidden_size + self.ends.embedding_norm * self.norm_parameters + beside

    @property
    def own_parameter_count(self) -> int:
        """Parameters but those of tables that are another model's."""
        table = self.vocabulary_size * self.hidden_size
        head = self.vocabulary_size * self.ends.head_bias
        shared = (2 - self.tied_embeddings) * table + head
        return self.parameter_count - shared * self.ends.is_module

    @property
    def norm_parameters(self) -> int:
        """A norm at one of the ends."""
        return self.hidden_size * (1 + self.ends.norm_biases)

    @property
    def head_parameters(self) -> int:
        """The final norm and the output projection; a tied projection is the embedding again."""
        projection = 0 if self.tied_embeddings else self.vocabulary_size * self.hidden_size
        streams = self.ends.streams
        mixing = streams.head_parameters(self.hidden_size) if streams else 0
        if self.ends.alternating:
            mixing = self.ends.alternating.end_parameters(self.hidden_size) // 2
        biases = self.vocabulary_size * self.ends.head_bias
        return self.norm_parameters + projection + biases + mixing

    @property
    def stream_count(self) -> int:
        """Residual streams, each as wide as the hidden size."""
        several = self.ends.streams or self.ends.alternating
        return several.count if several else 1

    @property
    def parameter_count(self) -> int:
        """Every parameter once."""
        h = self.hidden_size
        layers = sum(block.parameter_count(h) for block in self.feed_forwards)
        return layers + self._parameters_besides_feed_forward

    @property
    def active_parameter_count(self) -> int:
        """Those of `parameter_count` that one token meets, the whole embedding table included."""
        h = self.hidden_size
        layers = sum(block.active_parameter_count(h) for block in self.feed_forwards)
        return layers + self._parameters_besides_feed_forward

    @property
    def _parameters_besides_feed_forward(self) -> int:
        h = self.hidden_size
        attention = sum(shape.parameter_count(h) for shape in self.mixers)
        norms = sum(layer.norm_parameters(h) for layer in self.layers)
        norms += sum(layer.stream_parameters(h) for layer in self.layers)
        norms += sum(input_parameters(h, layer.input_size) for layer in self.layers)
        return self.embedding_parameters + attention + norms + self.head_parameters

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one token adds to the key-value cache, over all layers.

        Layers with a window keep the last tokens only, so a whole sequence takes less.
        """
        attention = (shape for shape in self.mixers if not isinstance(shape, StateShape))
        return sum(shape.kv_elements_per_token for shape in attention)

    @property
    def kv_elements_per_sequence(self) -> int:
        """Elements that a sequence keeps whatever its length: nearest tokens, open windows."""
        compressed = (s for s in self.mixers if isinstance(s, CompressedAttention))
        return sum(shape.kv_elements_per_sequence for shape in compressed)

    @property
    def state_elements_per_sequence(self) -> int:
        """Elements of recurrent state that a sequence keeps, over all layers."""
        return sum(s.state_elements for s in self.mixers if isinstance(s, StateShape))

    @property
    def convolution_elements_per_sequence(self) -> int:
        """Elements of the rows that convolutions keep of a sequence, over all layers."""
        return sum(s.convolution.elements for s in self.mixers if isinstance(s, StateShape))
