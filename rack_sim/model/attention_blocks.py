"""Attention blocks: the operators of grouped-query, of latent and of compressed attention."""

from rack_sim.model.compressed_attention import CompressedAttention
from rack_sim.model.compressed_blocks import after_cache, before_cache
from rack_sim.model.indexer_operators import indexer_operators
from rack_sim.model.layers import AttentionShape, GroupedAttention, LatentAttention
from rack_sim.model.operators import Block, Operator
from rack_sim.model.tensors import Tensor
from rack_sim.model.textbook import GATED_FLOP, NORM_FLOP, ROTARY_FLOP, SOFTMAX_FLOP, matmul


def attention_block(hidden: int, shape: AttentionShape) -> Block:
    """The attention block of a shape, without a layer's name, its norms and its residual add."""
    if isinstance(shape, GroupedAttention):
        operators, combined = _grouped(hidden, shape), shape.output_size
    elif isinstance(shape, LatentAttention):
        operators, combined = _latent(hidden, shape), shape.head_count * shape.latent_size
    else:
        operators, combined = _compressed(hidden, shape), shape.query_size
    of_sequence = 0
    if isinstance(shape, CompressedAttention):
        of_sequence = shape.kv_elements_per_sequence
    return Block(
        "attention",
        "attention",
        operators,
        gathers=True,
        kv_elements_per_token=shape.kv_elements_per_token,
        kv_head_count=shape.kv_head_count,
        # Partial values of every query head, and the maximum and the sum of its softmax.
        combined_per_row=combined + 2 * shape.head_count,
        window_tokens=shape.window_tokens,
        selection=shape.indexer.selection if shape.indexer else None,
        kv_elements_per_sequence=of_sequence,
    )


def _compressed(hidden: int, shape: CompressedAttention) -> tuple[Operator, ...]:
    """One key for all heads, which is their value, too."""
    size = shape.head_size
    return (
        *before_cache(hidden, shape),
        *_over_cache(shape, size, size, size, 0),
        *after_cache(hidden, shape),
    )


def _grouped(hidden: int, shape: GroupedAttention) -> tuple[Operator, ...]:
    query, key, heads = shape.query_size, shape.key_size, shape.head_count
    made = shape.projected_size
    own_key, own_heads = (0, 0) if shape.shares_cache else (key, shape.kv_head_count)
    head_norm = Operator(
        name="attention.head_norm",
        unit="vector",
        parameters=shape.query_key_norm_parameters,
        flop_per_row=NORM_FLOP * (query + own_key),
        activations_per_row=2 * (query + own_key),
        weight_kind="norms",
    )
    # A gate for every element that heads find is made with their queries.
    projections = [("q_proj", query + shape.output_size * shape.output_gate)]
    if not shape.shares_cache:
        projections.append(("k_proj", key))
        if not shape.values_from_keys:
            projections.append(("v_proj", shape.value_size))
    turned = shape.head_size if shape.rotary_size is None else shape.rotary_size
    return (
        matmul(
            "attention.qkv_projection",
            hidden,
            made,
            biases=made if shape.qkv_bias else 0,
            modules=[(f"self_attn.{name}", size) for name, size in projections],
        ),
        *([head_norm] if shape.query_key_norms != "none" else []),
        Operator(
            name="attention.rotary",
            unit="vector",
            # Sinks are logits of their own, which are looked at with a row's first key.
            parameters=heads if shape.sinks else 0,
            flop_per_row=ROTARY_FLOP * (heads + own_heads) * turned,
            activations_per_row=2 * (query + own_key),
            kv_write_per_row=0 if shape.shares_cache else key + shape.value_size,
        ),
        *(indexer_operators(hidden, shape.indexer) if shape.indexer else ()),
        *_over_cache(shape, shape.head_size, shape.output_head_size, key, shape.value_size),
        *([_output_gate(shape.output_size)] if shape.output_gate else []),
        *(_gates(hidden, shape) if shape.head_gates else ()),
        matmul(
            "attention.output_projection",
            shape.output_size,
            hidden,
            "reduce_scatter",
            biases=hidden if shape.output_bias else 0,
            modules=[("self_attn.o_proj", hidden)],
        ),
    )


def _output_gate(size: int) -> Operator:
    return Operator(
        name="attention.output_gate",
        unit="vector",
        flop_per_row=GATED_FLOP * size,
        activations_per_row=3 * size,
    )


def _gates(hidden: int, shape: GroupedAttention) -> tuple[Operator, Operator]:
    """A gate for each head, from the hidden state."""
    heads, found = shape.head_count, shape.output_size
    return (
        matmul("attention.gate_projection", hidden, heads, modules=[("self_attn.g_proj", heads)]),
        Operator(
            name="attention.gate",
            unit="vector",
            # Exponential, add and divide for each gate, and a multiplication for each element.
            flop_per_row=3 * heads + found,
            activations_per_row=heads + 2 * found,
        ),
    )


def _latent(hidden: int, shape: LatentAttention) -> tuple[Operator, ...]:
    """Absorbed: queries are brought to the latent, and values back from it, a head at a time.

    Then every head reads the cached latent as it is, in decode and (more FLOP than a prompt needs)
    in prefill. What leads down to the narrow widths lies on every chip; heads are split.
    """
    heads, latent, rotary = shape.head_count, shape.latent_size, shape.rotary_size
    narrow = latent + (shape.query_rank or 0)
    key = latent + rotary
    rank = shape.query_rank
    down = matmul(
        "attention.down_projection",
        hidden,
        key + (rank or 0),
        replicated=True,
        modules=[
            *([("self_attn.q_a_proj", rank)] if rank else []),
            ("self_attn.kv_a_proj_with_mqa", key),
        ],
    )
    latent_norm = Operator(
        name="attention.latent_norm",
        unit="vector",
        parameters=narrow,
        flop_per_row=NORM_FLOP * narrow,
        activations_per_row=2 * narrow,
        replicated=True,
        weight_kind="norms",
    )
    key_rows = heads * shape.plain_size
    # One matrix makes keys and values of the latent; each absorption has its rows of it.
    keys = Tensor("self_attn.kv_b_proj", key_rows, latent)
    values = Tensor("self_attn.kv_b_proj", heads * shape.value_size, latent, rows_before=key_rows)
    return (
        down,
        latent_norm,
        matmul(
            "attention.query_projection",
            rank or hidden,
            shape.query_size,
            modules=[("self_attn.q_b_proj" if rank else "self_attn.q_proj", shape.query_size)],
        ),
        _by_head("attention.key_absorption", heads, shape.plain_size, latent, keys),
        Operator(
            name="attention.rotary",
            unit="vector",
            flop_per_row=ROTARY_FLOP * (heads + 1) * rotary,
            activations_per_row=2 * (heads + 1) * rotary,
            kv_write_per_row=key,
        ),
        *(indexer_operators(hidden, shape.indexer) if shape.indexer else ()),
        *_over_cache(shape, key, latent, key, 0),
        _by_head("attention.value_absorption", heads, latent, shape.value_size, values),
        matmul(
            "attention.output_projection",
            heads * shape.value_size,
            hidden,
            "reduce_scatter",
            modules=[("self_attn.o_proj", hidden)],
        ),
    )


def _by_head(name: str, heads: int, inputs: int, outputs: int, tensor: Tensor) -> Operator:
    """A small matrix for every head."""
    return Operator(
        name=name,
        unit="matrix",
        parameters=heads * inputs * outputs,
        flop_per_row=2 * heads * inputs * outputs,
        activations_per_row=heads * (inputs + outputs),
        tensors=(tensor,),
    )


def _over_cache(
    shape: AttentionShape, key_size: int, value_size: int, keys_read: int, values_read: int
) -> tuple[Operator, ...]:
    """Scores, softmax and values: `key_size` and `value_size` elements of every head."""
    heads, window, reach = shape.head_count, shape.window_tokens, shape.reach
    chunked = isinstance(shape, GroupedAttention) and shape.chunked
    return (
        Operator(
            name="attention.scores",
            unit="matrix",
            flop_per_row_token=2 * heads * key_size,
            activations_per_row=heads * key_size,
            activations_per_row_token=heads,
            kv_read_per_row_token=keys_read,
            window_tokens=window,
            chunked=chunked,
            reach=reach,
        ),
        Operator(
            name="attention.softmax",
            unit="vector",
            flop_per_row_token=SOFTMAX_FLOP * heads,
            activations_per_row_token=2 * heads,
            window_tokens=window,
            chunked=chunked,
            reach=reach,
        ),
        Operator(
            name="attention.values",
            unit="matrix",
            flop_per_row_token=2 * heads * value_size,
            activations_per_row=heads * value_size,
            activations_per_row_token=heads,
            kv_read_per_row_token=values_read,
            followed_by="combine",
            window_tokens=window,
            chunked=chunked,
            reach=reach,
        ),
    )
