"""State layers: mixers that keep a state of one size for a sequence, however long it is.

They stand where attention stands. A row updates the state of its sequence and reads its result from
it; nothing is kept for a token. Before the state most have a short convolution, of each channel by
itself over the last rows: its state are those rows. A prompt is worked on in chunks, each of which
reads and writes the state once.

    gated delta rule    S <- S x decay;  S <- S + k (b (v - S'k))';  o = S'q     (Qwen3-Next, 3.5)
    Kimi delta          the same, with a decay for every key element             (Kimi Linear)
    Mamba-2             S <- S x decay + (dt x) B';  o = S C + D x               (Nemotron, Granite)
    lightning           S <- S x decay + k v';  o = S'q                          (MiniMax-Text, M1)
    short convolution   none but the rows of the convolution, which stands between gates    (LFM2)

Several heads may share one input (a key head of the delta rule, a group of Mamba's B and C), as
query heads share a key. A chip that has heads of a group has that group's inputs, too: they are
split over as many chips as there are groups, and copied beyond that.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Convolution:
    """A causal convolution of each of `channels` by itself, over `kernel_size` rows.

    `shared_channels` of them are those of inputs that several heads share. What it keeps are the
    rows that the next one needs: all of the kernel but one, as serving engines store them (vLLM's
    `MambaStateShapeCalculator`); `transformers` stores one more, which it never reads again.
    """

    channels: int
    shared_channels: int
    kernel_size: int
    biases: bool = False

    @property
    def parameters(self) -> int:
        """A kernel for each channel, and its bias."""
        return self.of(self.channels)

    @property
    def elements(self) -> int:
        """Elements kept for a sequence."""
        return self.channels * self.kept_rows

    @property
    def shared_elements(self) -> int:
        """Those of them that are of shared inputs."""
        return self.shared_channels * self.kept_rows

    @property
    def kept_rows(self) -> int:
        """Rows that the next one needs."""
        return self.kernel_size - 1

    def of(self, channels: int) -> int:
        """Parameters of so many channels."""
        return channels * (self.kernel_size + self.biases)


@dataclass(frozen=True, slots=True)
class GatedDeltaNet:
    """The gated delta rule: a matrix of key x value elements for every value head.

    `chunk_tokens` is assumed: no config has it; 64 is what flash-linear-attention and
    `transformers` take. Files have what the first projection makes as four matrices, or `in_two`.
    """

    key_head_count: int
    value_head_count: int
    key_head_size: int
    value_head_size: int
    kernel_size: int
    chunk_tokens: int = 64
    in_two: bool = False

    @property
    def head_count(self) -> int:
        """Heads that each have a state."""
        return self.value_head_count

    @property
    def group_count(self) -> int:
        """Inputs that heads share: queries and keys."""
        return self.key_head_count

    @property
    def key_size(self) -> int:
        """Width of all keys together."""
        return self.key_head_count * self.key_head_size

    @property
    def value_size(self) -> int:
        """Width of all values together."""
        return self.value_head_count * self.value_head_size

    @property
    def state_elements(self) -> int:
        """Elements of the state of a sequence."""
        return self.value_size * self.key_head_size

    @property
    def convolution(self) -> Convolution:
        """Of queries, keys and values."""
        shared = 2 * self.key_size
        return Convolution(shared + self.value_size, shared, self.kernel_size)

    @property
    def projected_size(self) -> int:
        """Queries, keys, values, output gates; a decay and a strength of writing for each head."""
        return 2 * self.key_size + 2 * self.value_size + 2 * self.value_head_count

    @property
    def gate_parameters(self) -> int:
        """Of each head a decay and the bias of its step."""
        return 2 * self.value_head_count

    def parameter_count(self, hidden_size: int) -> int:
        """Everything but the block's own norm."""
        return (
            hidden_size * (self.projected_size + self.value_size)
            + self.convolution.parameters
            + self.gate_parameters
            + self.value_head_size
        )


@dataclass(frozen=True, slots=True)
class KimiDeltaAttention:
    """The delta rule with a decay for every key element; decays and output gates of low rank.

    As many keys as values, all of `head_size`, which is the low rank, too.
    """

    head_count: int
    head_size: int
    kernel_size: int
    chunk_tokens: int = 64  # assumed: as of the gated delta rule, no config has it

    @property
    def group_count(self) -> int:
        """Nothing is shared."""
        return self.head_count

    @property
    def value_size(self) -> int:
        """Width of all queries, of all keys, or of all values together."""
        return self.head_count * self.head_size

    @property
    def state_elements(self) -> int:
        """Elements of the state of a sequence."""
        return self.value_size * self.head_size

    @property
    def convolution(self) -> Convolution:
        """Of queries, keys and values."""
        return Convolution(3 * self.value_size, 0, self.kernel_size)

    @property
    def projected_size(self) -> int:
        """Queries, keys, values, and a strength of writing for each head."""
        return 3 * self.value_size + self.head_count

    @property
    def gate_parameters(self) -> int:
        """A decay of each head, and the bias of its step for every key element."""
        return self.head_count + self.value_size

    def parameter_count(self, hidden_size: int) -> int:
        """Everything but the block's own norm."""
        low_rank = 2 * self.head_size * (hidden_size + self.value_size)
        return (
            hidden_size * (self.projected_size + self.value_size)
            + low_rank
            + self.convolution.parameters
            + self.gate_parameters
            + self.head_size
        )


@dataclass(frozen=True, slots=True)
class Mamba2:
    """A state-space mixer: `state_size` elements of state for each of a head's `head_size`.

    `group_count` pairs of B and C serve the heads. `input_bias` and `output_bias` say which
    projections have one, `gated_norm` whether results are normalised behind their gate.
    """

    head_count: int
    head_size: int
    group_count: int
    state_size: int
    kernel_size: int
    chunk_tokens: int
    convolution_bias: bool = True
    input_bias: bool = False
    output_bias: bool = False
    gated_norm: bool = True

    @property
    def value_size(self) -> int:
        """Width of all heads together."""
        return self.head_count * self.head_size

    @property
    def group_size(self) -> int:
        """Width of all B and all C together."""
        return 2 * self.group_count * self.state_size

    @property
    def state_elements(self) -> int:
        """Elements of the state of a sequence."""
        return self.value_size * self.state_size

    @property
    def convolution(self) -> Convolution:
        """Of the inputs of heads, and of B and C."""
        return Convolution(
            self.value_size + self.group_size,
            self.group_size,
            self.kernel_size,
            self.convolution_bias,
        )

    @property
    def projected_size(self) -> int:
        """Output gates, inputs, B and C, and the step of each head."""
        return 2 * self.value_size + self.group_size + self.head_count

    @property
    def gate_parameters(self) -> int:
        """Of each head a decay, the bias of its step, and what of its input goes past the state."""
        return 3 * self.head_count

    def parameter_count(self, hidden_size: int) -> int:
        """Everything but the block's own norm."""
        return (
            hidden_size * (self.projected_size + self.value_size)
            + self.projected_size * self.input_bias
            + hidden_size * self.output_bias
            + self.convolution.parameters
            + self.gate_parameters
            + self.value_size * self.gated_norm
        )


@dataclass(frozen=True, slots=True)
class LightningAttention:
    """Linear attention whose decays are constants of the head; no convolution.

    A row's results are normalised together and gated.
    """

    head_count: int
    head_size: int
    chunk_tokens: int

    @property
    def group_count(self) -> int:
        """Nothing is shared."""
        return self.head_count

    @property
    def value_size(self) -> int:
        """Width of all queries, of all keys, or of all values together."""
        return self.head_count * self.head_size

    @property
    def state_elements(self) -> int:
        """Elements of the state of a sequence."""
        return self.value_size * self.head_size

    @property
    def convolution(self) -> Convolution:
        """None."""
        return Convolution(0, 0, 1)

    @property
    def projected_size(self) -> int:
        """Queries, keys, values and output gates."""
        return 4 * self.value_size

    def parameter_count(self, hidden_size: int) -> int:
        """Everything but the block's own norm."""
        return hidden_size * (self.projected_size + self.value_size) + self.value_size


@dataclass(frozen=True, slots=True)
class ShortConvolution:
    """A convolution between two gates, and no state beside the rows that it keeps."""

    width: int
    kernel_size: int
    biases: bool = False

    @property
    def head_count(self) -> int:
        """Channels, each by itself."""
        return self.width

    @property
    def group_count(self) -> int:
        """Nothing is shared."""
        return self.width

    @property
    def state_elements(self) -> int:
        """None."""
        return 0

    @property
    def convolution(self) -> Convolution:
        """Of every channel."""
        return Convolution(self.width, 0, self.kernel_size, self.biases)

    @property
    def projected_size(self) -> int:
        """The channels, and both their gates."""
        return 3 * self.width

    def parameter_count(self, hidden_size: int) -> int:
        """Everything but the block's own norm."""
        return (
            hidden_size * (self.projected_size + self.width)
            + (self.projected_size + hidden_size) * self.biases
            + self.convolution.parameters
        )


StateShape = GatedDeltaNet | KimiDeltaAttention | Mamba2 | LightningAttention | ShortConvolution
