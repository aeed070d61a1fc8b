"""Classic decoders: norms with biases, feed-forwards without a gate, positions that are learnt.

GPT-2, GPT-NeoX, OPT, BLOOM, Falcon, StarCoder 2 and Nemotron.
"""

from rack_sim.model.architecture import Ends
from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, grouped, head_size, no_experts
from rack_sim.model.layers import DenseFeedForward, GroupedAttention, Layer, Norms

_BIASED = Norms(biases=True)


def _gpt2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    keys.only("add_cross_attention", False)
    width = keys.optional_count("n_inner") or 4 * keys.count("hidden_size")
    return [_with_biases(keys, width)] * layer_count


def _with_biases(keys: ConfigKeys, width: int, *, biases: bool = True) -> Layer:
    """A layer of as many key-value heads as heads."""
    heads = keys.count("num_attention_heads")
    attention = GroupedAttention(
        heads, heads, _share(keys, heads), qkv_bias=biases, output_bias=biases
    )
    return Layer(attention, DenseFeedForward(width, gated=False, biases=biases), _BIASED)


def _share(keys: ConfigKeys, heads: int) -> int:
    """A head's share of the hidden size, as wide as which the output projection's input is."""
    size, hidden = head_size(keys, heads), keys.count("hidden_size")
    if keys.are_counts("hidden_size", "num_attention_heads", "head_dim") and size * heads != hidden:
        message = f"{heads} heads of {size} are not as wide as the projection of {hidden}"
        keys.refuse("head_dim", message, "leave it out: a head is its share of hidden_size")
    return size


def _bloom(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    return [_with_biases(keys, 4 * keys.count("hidden_size"))] * layer_count


def _opt(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    keys.only("do_layer_norm_before", True)
    keys.only("_remove_final_layer_norm", False)
    keys.only("layer_norm_elementwise_affine", True)
    keys.only("word_embed_proj_dim", keys.count("hidden_size"))
    biases = keys.flag("enable_bias", default=True)
    return [_with_biases(keys, keys.count("ffn_dim"), biases=biases)] * layer_count


def _opt_ends(keys: ConfigKeys) -> Ends:
    """Positions count from 2 on."""
    return Ends(learnt_positions=keys.count("max_position_embeddings") + 2, norm_biases=True)


def _gpt_neox(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Both halves of a layer read the stream, each through a norm of its own."""
    no_experts(keys)
    bias = keys.flag("attention_bias", default=True)
    attention = grouped(keys, qkv_bias=bias, output_bias=bias)
    feed_forward = DenseFeedForward(keys.count("intermediate_size"), gated=False, biases=True)
    parallel = keys.flag("use_parallel_residual", default=True)
    return [Layer(attention, feed_forward, _BIASED, parallel)] * layer_count


def _falcon(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """One key-value head, some or all; halves in parallel behind one norm or two."""
    new = keys.flag("new_decoder_architecture")
    heads = keys.count("num_attention_heads")
    shared = 1 if keys.flag("multi_query", default=True) else heads
    given = keys.count("num_kv_heads", heads)  # old files have it, where nobody reads it
    kv_heads = given if new else shared
    if keys.are_counts("num_attention_heads") and heads % kv_heads:
        keys.refuse("num_kv_heads", f"{heads} attention heads cannot share {kv_heads} evenly")
    bias = keys.flag("bias")
    attention = GroupedAttention(
        heads, kv_heads, _share(keys, heads), qkv_bias=bias, output_bias=bias
    )
    width = keys.optional_count("ffn_hidden_size") or 4 * keys.count("hidden_size")
    parallel = keys.flag("parallel_attn", default=True) or new
    one_norm = keys.count("num_ln_in_parallel_attn", 2 if new else 1) == 1
    layer = Layer(
        attention,
        DenseFeedForward(width, gated=False, biases=bias),
        _BIASED,
        parallel,
        shares_norm=parallel and one_norm,
    )
    return [layer] * layer_count


def _starcoder2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    bias = keys.flag("use_bias", default=True)
    window = keys.optional_count("sliding_window")
    attention = grouped(keys, window_tokens=window, qkv_bias=bias, output_bias=bias)
    feed_forward = DenseFeedForward(keys.count("intermediate_size"), gated=False, biases=bias)
    return [Layer(attention, feed_forward, _BIASED)] * layer_count


def _nemotron(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    bias = keys.flag("attention_bias")
    attention = grouped(keys, qkv_bias=bias, output_bias=bias)
    biases = keys.flag("mlp_bias")
    feed_forward = DenseFeedForward(keys.count("intermediate_size"), gated=False, biases=biases)
    return [Layer(attention, feed_forward, _BIASED)] * layer_count


def _norm_biases(_keys: ConfigKeys) -> Ends:
    return Ends(norm_biases=True)


_GPT2 = (
    "activation_function",
    "attn_pdrop",
    "layer_norm_epsilon",
    "n_ctx",
    "reorder_and_upcast_attn",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
)
_OPT = ("activation_function", "dropout", "init_std", "layerdrop")
_BLOOM = (
    "apply_residual_connection_post_layernorm",
    "attention_softmax_in_fp32",
    "bias_dropout_fusion",
    "layer_norm_epsilon",
    "masked_softmax_fusion",
    "n_inner",
    "offset_alibi",
    "seq_length",
    "skip_bias_add",
    "skip_bias_add_qkv",
    "slow_but_exact",
    "unk_token_id",
)
_NEOX = ("classifier_dropout", "rotary_emb_base", "rotary_pct")
_FALCON = ("activation", "alibi", "layer_norm_epsilon")
_STARCODER = ("embedding_dropout", "mlp_type", "norm_epsilon", "norm_type", "residual_dropout")
_LAYERS = {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}

FAMILIES = {
    "gpt2": Family(
        _gpt2,
        tied=True,
        shapeless=_GPT2,
        ends=lambda keys: Ends(
            learnt_positions=keys.count("max_position_embeddings"), norm_biases=True
        ),
        names={**_LAYERS, "hidden_size": "n_embd", "max_position_embeddings": "n_positions"},
        defaults={"max_position_embeddings": 1024},
    ),
    "gpt_neox": Family(
        _gpt_neox, shapeless=_NEOX, ends=_norm_biases, defaults={"partial_rotary_factor": 0.25}
    ),
    "opt": Family(_opt, tied=True, shapeless=_OPT, ends=_opt_ends),
    "bloom": Family(
        _bloom,
        tied=True,
        shapeless=_BLOOM,
        ends=lambda _keys: Ends(embedding_norm=True, norm_biases=True),
        names={**_LAYERS, "hidden_size": "n_embed", "max_position_embeddings": "seq_length"},
        defaults={"max_position_embeddings": 2048},
    ),
    "falcon": Family(
        _falcon,
        tied=True,
        shapeless=_FALCON,
        ends=_norm_biases,
        names={**_LAYERS, "hidden_size": "n_embed"},
        defaults={"max_position_embeddings": 2048},
    ),
    "starcoder2": Family(
        _starcoder2,
        tied=True,
        ends=_norm_biases,
        shapeless=(
            "residual_dropout",
            "embedding_dropout",
            "norm_epsilon",
            "norm_type",
            "mlp_type",
        ),
    ),
    "nemotron": Family(
        _nemotron,
        ends=_norm_biases,
        defaults={"partial_rotary_factor": 0.5},
        shapeless=("norm_eps",),
    ),
}
