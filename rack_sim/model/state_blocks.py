"""State blocks: the operators of layers that keep a state for a sequence.

A row that is the next token of its sequence is worked on as the recurrence is written: every
element of the state is read, changed and written (`update`, on the vector unit, as the kernels of
today's engines do). Rows of a prompt are worked on a chunk at a time with matrix products
(`chunks`), which reads and writes the state once a chunk. FLOP a row of a head, with C rows in its
chunk, K key and V value elements, N of a state:

                         update              chunks
    delta rules          7 K V               C (6 K + 4 V) + C C / 3 + 6 K V
    Mamba-2              5 N V + 4 V         2 C V + 4 N V, and 2 C N for each group
    lightning            5 K V               4 C V + 4 K V

Chunks of delta rules: the products of keys with keys and of queries with keys (2 C K each), the
inverse of a triangular matrix (C C / 3; of a chunk that is not full as if it were a part of a full
one), that applied to keys and values (2 C (K + V)), the scores applied to values (2 C V), and the
three products with the state (2 K V each). Whole products are taken, as kernels do: no half of a
triangle is left out.
"""

from dataclasses import replace

from rack_sim.model.operators import Block, Operator, Shared
from rack_sim.model.state_layers import (
    Convolution,
    GatedDeltaNet,
    KimiDeltaAttention,
    LightningAttention,
    Mamba2,
    ShortConvolution,
    StateShape,
)
from rack_sim.model.tensors import Tensor
from rack_sim.model.textbook import GATED_FLOP, NORM_FLOP, PLAIN_FLOP, matmul

Operators = tuple[Operator, ...]


def state_block(hidden: int, shape: StateShape) -> Block:
    """The block of a shape, without a layer's name, its norms and its residual add."""
    if isinstance(shape, GatedDeltaNet):
        operators = _delta_net(hidden, shape)
    elif isinstance(shape, KimiDeltaAttention):
        operators = _kimi(hidden, shape)
    elif isinstance(shape, Mamba2):
        operators = _mamba(hidden, shape)
    elif isinstance(shape, LightningAttention):
        operators = _lightning(hidden, shape)
    else:
        operators = _short_convolution(hidden, shape)
    return Block("state", "state", operators, gathers=True)


def _delta_net(hidden: int, shape: GatedDeltaNet) -> Operators:
    keys, values, heads = 2 * shape.key_size, shape.value_size, shape.value_head_count
    taken = keys + 2 * values + 2 * heads
    modules = [("qkv", keys + values), ("z", values), ("b", heads), ("a", heads)]
    if shape.in_two:
        modules = [("qkvz", keys + 2 * values), ("ba", 2 * heads)]
    modules = [(f"linear_attn.in_proj_{name}", size) for name, size in modules]
    return (
        _named(_input(hidden, shape.projected_size, shape.group_count, keys), *modules),
        _convolution(shape.convolution, shape.group_count),
        _gates(shape.gate_parameters, keys, 2 * heads, Shared(shape.group_count)),
        *_over_state(
            shape,
            taken=taken,
            update_flop=7 * values * shape.key_head_size,
            state_flop=6 * values * shape.key_head_size,
            chunk_flop=heads
            * _delta_chunk_flop(shape.chunk_tokens, shape.key_head_size, shape.value_head_size),
            shared=Shared(shape.group_count, activations_per_row=keys),
        ),
        _gated_norm(values, shape.value_head_size),
        _named(_output(hidden, values), ("linear_attn.out_proj", hidden)),
    )


def _kimi(hidden: int, shape: KimiDeltaAttention) -> Operators:
    values, heads, size = shape.value_size, shape.head_count, shape.head_size
    narrow = 2 * size  # of decays and of output gates
    return (
        _named(
            _input(hidden, shape.projected_size, heads, 0),
            *((f"self_attn.{name}_proj", values) for name in "qkv"),
            ("self_attn.b_proj", heads),
        ),
        matmul(
            "state.gate_down_projection",
            hidden,
            narrow,
            replicated=True,
            modules=[("self_attn.f_a_proj", size), ("self_attn.g_a_proj", size)],
        ),
        replace(
            matmul(
                "state.gate_up_projection",
                size,
                2 * values,  # two matrices side by side
                modules=[("self_attn.f_b_proj", values), ("self_attn.g_b_proj", values)],
            ),
            activations_per_row=narrow + 2 * values,
        ),
        _convolution(shape.convolution, heads),
        _gates(shape.gate_parameters, 2 * values, values + heads, None),
        *_over_state(
            shape,
            taken=5 * values + heads,
            update_flop=7 * values * size,
            state_flop=6 * values * size,
            chunk_flop=heads * _delta_chunk_flop(shape.chunk_tokens, size, size),
        ),
        _gated_norm(values, size),
        _named(_output(hidden, values), ("self_attn.o_proj", hidden)),
    )


def _mamba(hidden: int, shape: Mamba2) -> Operators:
    values, grouped, heads = shape.value_size, shape.group_size, shape.head_count
    size = shape.state_size
    by_group = 2 * size * shape.group_count
    norm = _gated_norm(values, values)
    if not shape.gated_norm:
        norm = replace(norm, parameters=0, flop_per_row=GATED_FLOP * values)
    return (
        _named(
            _input(
                hidden, shape.projected_size, shape.group_count, grouped, biased=shape.input_bias
            ),
            ("mamba.in_proj", shape.projected_size),
        ),
        _convolution(shape.convolution, shape.group_count),
        _gates(shape.gate_parameters, 0, heads, None),
        *_over_state(
            shape,
            taken=2 * values + grouped + heads,
            update_flop=5 * values * size + 4 * values,
            state_flop=4 * size * values,
            chunk_flop=2 * values + by_group,
            shared=Shared(
                shape.group_count, flop_per_chunk_row=by_group, activations_per_row=grouped
            ),
        ),
        norm,
        _named(_output(hidden, values, biased=shape.output_bias), ("mamba.out_proj", hidden)),
    )


def _lightning(hidden: int, shape: LightningAttention) -> Operators:
    values, size = shape.value_size, shape.head_size
    activation = Operator(
        name="state.activation",
        unit="vector",
        flop_per_row=PLAIN_FLOP * 3 * values,
        activations_per_row=6 * values,
    )
    return (
        _named(
            _input(hidden, shape.projected_size, shape.head_count, 0),
            ("self_attn.qkv_proj", 3 * values),
            ("self_attn.output_gate", values),
        ),
        activation,
        *_over_state(
            shape,
            taken=4 * values,
            update_flop=5 * values * size,
            state_flop=4 * values * size,
            chunk_flop=4 * values,
        ),
        _gated_norm(values, values),
        _named(_output(hidden, values), ("self_attn.out_proj", hidden)),
    )


def _short_convolution(hidden: int, shape: ShortConvolution) -> Operators:
    """Every row reads and writes the rows that are kept, those of prompts, too: no more than it."""
    kept, width = shape.convolution, shape.width
    convolution = Operator(
        name="state.convolution",
        unit="vector",
        parameters=kept.parameters,
        flop_per_row=(2 * kept.kernel_size + kept.biases + 2) * width,
        activations_per_row=4 * width,
        convolution_elements=kept.elements,
    )
    return (
        _input(hidden, shape.projected_size, width, 0, biased=shape.biases),
        convolution,
        _output(hidden, width, biased=shape.biases),
    )


def _delta_chunk_flop(chunk: int, key: int, value: int) -> int:
    """One row of one head with each row of its chunk; see above."""
    return 6 * key + 4 * value + -(-chunk // 3)


def _input(
    hidden: int, made: int, group_count: int, grouped: int, *, biased: bool = False
) -> Operator:
    """All that is made of a row at once; `grouped` elements of it belong to shared inputs."""
    biases = made if biased else 0
    part = matmul("", hidden, grouped, biases=grouped if biased else 0)
    shared = Shared(group_count, part.parameters, part.flop_per_row, grouped) if grouped else None
    whole = matmul("state.input_projection", hidden, made, biases=biases)
    return replace(whole, shared=shared)


def _named(projection: Operator, *modules: tuple[str, int]) -> Operator:
    """A projection as files have it: modules, each with its outputs."""
    columns = projection.tensors[0].columns
    tensors = tuple(Tensor(module, rows, columns) for module, rows in modules)
    return replace(projection, tensors=tensors)


def _convolution(shape: Convolution, group_count: int) -> Operator:
    """Each channel by itself over the rows of its kernel, then an activation."""
    each = 2 * shape.kernel_size + shape.biases + PLAIN_FLOP
    part = shape.shared_channels
    return Operator(
        name="state.convolution",
        unit="vector",
        parameters=shape.parameters,
        flop_per_row=each * shape.channels,
        activations_per_row=2 * shape.channels,
        shared=Shared(group_count, shape.of(part), each * part, 2 * part) if part else None,
    )


def _gates(parameters: int, normed: int, gates: int, shared: Shared | None) -> Operator:
    """Decays and strengths of writing; `normed` elements of queries and keys are normalised."""
    flop, moved = NORM_FLOP * normed, 2 * normed
    return Operator(
        name="state.gates",
        unit="vector",
        parameters=parameters,
        flop_per_row=flop + GATED_FLOP * gates,
        activations_per_row=moved + 2 * gates,
        shared=Shared(shared.count, 0, flop, moved) if shared else None,
    )


def _over_state(
    shape: GatedDeltaNet | KimiDeltaAttention | Mamba2 | LightningAttention,
    *,
    taken: int,
    update_flop: int,
    state_flop: int,
    chunk_flop: int,
    shared: Shared | None = None,
) -> Operators:
    """The two forms of what meets the state; `taken` elements of a row come in or go out.

    In a chunk a row has FLOP with the state, and with each row of the chunk.
    """
    kept = shape.convolution
    update = Operator(
        name="state.update",
        unit="vector",
        flop_per_row=update_flop,
        activations_per_row=taken,
        rows_of="next_tokens",
        state_elements=shape.state_elements,
        convolution_elements=kept.elements,
        shared=replace(shared, flop_per_chunk_row=0, convolution_elements=kept.shared_elements)
        if shared
        else None,
    )
    chunks = replace(
        update,
        name="state.chunks",
        unit="matrix",
        flop_per_row=state_flop,
        flop_per_chunk_row=chunk_flop,
        rows_of="prompts",
        chunk_tokens=shape.chunk_tokens,
        shared=replace(shared, convolution_elements=kept.shared_elements) if shared else None,
    )
    return update, chunks


def _gated_norm(values: int, weights: int) -> Operator:
    """Results normalised, by head or by row, and multiplied by their gates."""
    return Operator(
        name="state.gated_norm",
        unit="vector",
        parameters=weights,
        flop_per_row=(NORM_FLOP + GATED_FLOP) * values,
        activations_per_row=3 * values,
    )


def _output(hidden: int, values: int, *, biased: bool = False) -> Operator:
    return matmul(
        "state.output_projection",
        values,
        hidden,
        "reduce_scatter",
        biases=hidden if biased else 0,
    )
