"""Families: for each model type of a config.json, the layers that its keys describe.

A family is a function from the keys to the layers. What the published code of a family takes where
a key is missing stands here as the default; keys that change the shape in a way that is not
modelled are refused.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.layers import (
    AttentionShape,
    DenseFeedForward,
    Experts,
    FeedForwardShape,
    GroupedAttention,
    LatentAttention,
    Layer,
)

Layers = Callable[[ConfigKeys, int], list[Layer]]


class Family(NamedTuple):
    """How a model type is read: its layers, and whether embeddings are tied unless it says so.

    `shapeless` are keys of this family alone that change nothing, or nothing where they are not
    read.
    """

    layers: Layers
    tied: bool = False
    shapeless: tuple[str, ...] = ()


def _grouped(
    keys: ConfigKeys, *, window_tokens: int | None = None, **parts: bool
) -> AttentionShape:
    """Grouped-query attention of the usual keys; heads that do not divide are noted."""
    heads = keys.count("num_attention_heads")
    kv_heads = keys.count("num_key_value_heads", heads)
    if keys.are_counts("num_attention_heads") and heads % kv_heads:
        keys.refuse(
            "num_key_value_heads",
            f"{heads} attention heads cannot share {kv_heads} key-value heads evenly",
        )
    hidden, head_size = keys.count("hidden_size"), keys.optional_count("head_dim")
    comparable = keys.are_counts("hidden_size", "num_attention_heads")
    if comparable and head_size is None and hidden % heads:
        keys.refuse(
            "hidden_size", f"hidden_size {hidden} is no multiple of {heads} heads", "give head_dim"
        )
    return GroupedAttention(
        heads, kv_heads, head_size or max(hidden // heads, 1), window_tokens, **parts
    )


def _dense(keys: ConfigKeys, key: str = "intermediate_size") -> FeedForwardShape:
    return DenseFeedForward(keys.count(key))


def _no_experts(keys: ConfigKeys) -> None:
    for key in ("num_local_experts", "num_experts"):
        keys.only(key, 0, 1)
    keys.only("n_routed_experts", 0)


def _no_latent(keys: ConfigKeys) -> None:
    keys.only("q_lora_rank")
    keys.only("kv_lora_rank")


_EXPERT_COUNTS = {"num_experts", "num_local_experts", "n_routed_experts"}


def _chosen(keys: ConfigKeys, key: str, expert_count: int, default: int | None = None) -> int:
    chosen = keys.count(key, default)
    if chosen > expert_count and not keys.stood_in & _EXPERT_COUNTS:
        keys.refuse(key, f"{chosen} of {expert_count} experts cannot be chosen")
        return expert_count
    return chosen


def _llama(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Llama and Mistral: grouped-query attention and a gated feed-forward in every layer."""
    keys.only("attention_bias", False)
    keys.only("mlp_bias", False)
    _no_experts(keys)
    _no_latent(keys)
    layer = Layer(_grouped(keys, window_tokens=_window(keys)), _dense(keys))
    return [layer] * layer_count


def _window(keys: ConfigKeys) -> int | None:
    """Llamas have no window; where a Mistral has one, so has every layer."""
    if keys.word("model_type", "llama") in ("mistral", "mixtral"):
        return keys.optional_count("sliding_window")
    keys.only("sliding_window")
    return None


def _mixtral(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Mixtral: experts in every layer, each as wide as `intermediate_size`."""
    keys.only("attention_bias", False)
    _no_latent(keys)
    count = keys.count("num_local_experts", 8)
    experts = Experts(
        count, _chosen(keys, "num_experts_per_tok", count, 2), keys.count("intermediate_size")
    )
    layer = Layer(_grouped(keys, window_tokens=_window(keys)), experts)
    return [layer] * layer_count


def _gemma(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Gemma: as a Llama; its feed-forward is gated by GELU, its norms have 1 + weight."""
    keys.only("attention_bias", False)
    _no_experts(keys)
    _no_latent(keys)
    keys.only("sliding_window")
    return [Layer(_grouped(keys), _dense(keys))] * layer_count


def _qwen_window(keys: ConfigKeys, layer_count: int) -> None:
    if keys.flag("use_sliding_window"):
        keys.refuse("use_sliding_window", "True is not modelled; only False is")
    keys.list_of("layer_types", ("full_attention",), layer_count)


def _qwen2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Qwen2: biases at queries, keys and values."""
    _no_experts(keys)
    _no_latent(keys)
    _qwen_window(keys, layer_count)
    return [Layer(_grouped(keys, qkv_bias=True), _dense(keys))] * layer_count


def _qwen3_attention(keys: ConfigKeys, layer_count: int) -> AttentionShape:
    _no_latent(keys)
    _qwen_window(keys, layer_count)
    bias = keys.flag("attention_bias")
    return _grouped(keys, head_norms=True, qkv_bias=bias, output_bias=bias)


def _qwen3(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Qwen3: queries and keys are normalised head by head."""
    _no_experts(keys)
    return [Layer(_qwen3_attention(keys, layer_count), _dense(keys))] * layer_count


def _qwen3_moe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Qwen3 with experts in every `decoder_sparse_step`th layer but those of `mlp_only_layers`."""
    attention = _qwen3_attention(keys, layer_count)
    count = keys.count(keys.first_of("num_experts", "num_local_experts"))
    experts = Experts(
        count, _chosen(keys, "num_experts_per_tok", count), keys.count("moe_intermediate_size")
    )
    step = keys.count("decoder_sparse_step", 1)
    plain = keys.layer_numbers("mlp_only_layers", layer_count) or frozenset()
    sparse = Layer(attention, experts)
    flags = [(number + 1) % step == 0 and number not in plain for number in range(layer_count)]
    dense = sparse if all(flags) else Layer(attention, _dense(keys))
    return [sparse if is_sparse else dense for is_sparse in flags]


def _llama4(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Llama 4: experts and a shared one every few layers; chunked attention but in every fourth."""
    keys.only("attention_bias", False)
    _no_latent(keys)
    count = keys.count("num_local_experts")
    width = keys.count("intermediate_size")
    experts = Experts(count, _chosen(keys, "num_experts_per_tok", count), width, shared_size=width)
    step = keys.count("interleave_moe_layer_step", 1)
    numbers = keys.layer_numbers("moe_layers", layer_count)
    sparse = range(step - 1, layer_count, step) if numbers is None else numbers
    dense = experts if len(sparse) == layer_count else _dense(keys, "intermediate_size_mlp")
    chunk = keys.optional_count("attention_chunk_size")
    every = keys.count("no_rope_layer_interval", 4)
    rotary = keys.list_of("no_rope_layers", (0, 1), layer_count)
    if rotary is None:
        rotary = [int((number + 1) % every != 0) for number in range(layer_count)]
    kinds = keys.list_of("layer_types", ("chunked_attention", "full_attention"), layer_count)
    if kinds is None:
        kinds = ["chunked_attention" if turned else "full_attention" for turned in rotary]
    by_kind = {
        "chunked_attention": _grouped(keys, window_tokens=chunk),
        "full_attention": _grouped(keys),
    }
    return _interned(
        Layer(by_kind[kind], experts if number in sparse else dense)
        for number, kind in enumerate(kinds)
    )


def _deepseek_v3(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """DeepSeek-V3: latent attention; experts and shared ones after the first few layers."""
    keys.only("attention_bias", False)
    keys.only("sliding_window")
    attention = LatentAttention(
        head_count=keys.count("num_attention_heads"),
        query_rank=keys.optional_count("q_lora_rank"),
        latent_size=keys.count("kv_lora_rank"),
        plain_size=keys.count("qk_nope_head_dim"),
        rotary_size=keys.count("qk_rope_head_dim"),
        value_size=keys.count("v_head_dim"),
    )
    count, width = keys.count("n_routed_experts"), keys.count("moe_intermediate_size")
    experts = Experts(
        count,
        _chosen(keys, "num_experts_per_tok", count),
        width,
        shared_size=width * keys.count("n_shared_experts", 0, least=0),
        router_correction=keys.word("topk_method", "noaux_tc") == "noaux_tc",
    )
    keys.only("qk_head_dim", attention.plain_size + attention.rotary_size)
    first = keys.count("first_k_dense_replace", 0, least=0)
    step = keys.count("moe_layer_freq", 1)
    sparse = Layer(attention, experts)
    flags = [number >= first and number % step == 0 for number in range(layer_count)]
    dense = sparse if all(flags) else Layer(attention, _dense(keys))
    return [sparse if is_sparse else dense for is_sparse in flags]


def _gpt_oss(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """gpt-oss: windows in every other layer, sinks, and biases everywhere."""
    _no_latent(keys)
    count = keys.count("num_local_experts")
    chosen = keys.first_of("num_experts_per_tok", "experts_per_token")
    experts = Experts(
        count, _chosen(keys, chosen, count), keys.count("intermediate_size"), biases=True
    )
    bias = keys.flag("attention_bias", default=True)
    window = keys.count("sliding_window", 128)
    kinds = keys.list_of("layer_types", ("sliding_attention", "full_attention"), layer_count)
    if kinds is None:
        kinds = [("sliding_attention", "full_attention")[n % 2] for n in range(layer_count)]
    windows: Mapping[str, int | None] = {"sliding_attention": window, "full_attention": None}
    by_kind = {
        kind: Layer(
            _grouped(keys, window_tokens=tokens, qkv_bias=bias, output_bias=bias, sinks=True),
            experts,
        )
        for kind, tokens in windows.items()
    }
    return [by_kind[kind] for kind in kinds]


def _interned(layers: Iterable[Layer]) -> list[Layer]:
    """Equal layers as one object."""
    known: dict[Layer, Layer] = {}
    return [known.setdefault(layer, layer) for layer in layers]


_QWEN = ("sliding_window", "max_window_layers")
_LLAMA4 = (
    "intermediate_size_mlp",
    "attn_scale",
    "attn_temperature_tuning",
    "floor_scale",
    "use_qk_norm",  # these norms have no weights
)
_GPT_OSS = ("initial_context_length", "swiglu_limit", "swiglu_alpha")

FAMILIES: Mapping[str, Family] = {
    "llama": Family(_llama),
    "mistral": Family(_llama),
    "mixtral": Family(_mixtral),
    "gemma": Family(_gemma, tied=True),
    "qwen2": Family(_qwen2, shapeless=_QWEN),
    "qwen3": Family(_qwen3, shapeless=_QWEN),
    "qwen3_moe": Family(_qwen3_moe, shapeless=_QWEN),
    "llama4": Family(_llama4, shapeless=_LLAMA4),
    "llama4_text": Family(_llama4, shapeless=_LLAMA4),
    "deepseek_v3": Family(_deepseek_v3),
    "gpt_oss": Family(_gpt_oss, shapeless=_GPT_OSS),
}
