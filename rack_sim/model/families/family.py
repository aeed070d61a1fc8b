"""Family: how the keys of a model type are read, and what several families read alike."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from rack_sim.model.architecture import Ends
from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.layers import (
    DenseFeedForward,
    Experts,
    FeedForwardShape,
    GroupedAttention,
    Layer,
    QueryKeyNorms,
)

Layers = Callable[[ConfigKeys, int], list[Layer]]


def no_ends(_keys: ConfigKeys) -> Ends:
    """An embedding, a norm and a head, as most have."""
    return Ends()


class Family(NamedTuple):
    """How a model type is read: its layers, and whether embeddings are tied unless it says so.

    `ends` reads what stands before and after the layers. `names` are what it calls the common keys,
    `defaults` what its published code takes where a file leaves one out. `shapeless` are keys of
    this family alone that change nothing, or nothing where they are not read.
    """

    layers: Layers
    tied: bool = False
    shapeless: tuple[str, ...] = ()
    ends: Callable[[ConfigKeys], Ends] = no_ends
    names: Mapping[str, str] = {}
    defaults: Mapping[str, float] = {}


def grouped(
    keys: ConfigKeys,
    *,
    window_tokens: int | None = None,
    qkv_bias: bool = False,
    output_bias: bool = False,
    query_key_norms: QueryKeyNorms = "none",
    sinks: bool = False,
) -> GroupedAttention:
    """Grouped-query attention of the usual keys; heads that do not divide are noted."""
    heads = keys.count("num_attention_heads")
    kv_heads = keys.count("num_key_value_heads", heads)
    if keys.are_counts("num_attention_heads") and heads % kv_heads:
        keys.refuse(
            "num_key_value_heads",
            f"{heads} attention heads cannot share {kv_heads} key-value heads evenly",
        )
    size = head_size(keys, heads)
    return GroupedAttention(
        heads,
        kv_heads,
        size,
        window_tokens,
        qkv_bias,
        output_bias,
        query_key_norms,
        sinks,
        rotary_size(keys, size),
    )


def head_size(keys: ConfigKeys, heads: int) -> int:
    """What the file says of a head, else the hidden size shared out, which must come out even."""
    hidden, given = keys.count("hidden_size"), keys.optional_count("head_dim")
    comparable = keys.are_counts("hidden_size", "num_attention_heads")
    if comparable and given is None and hidden % heads:
        keys.refuse(
            "hidden_size", f"hidden_size {hidden} is no multiple of {heads} heads", "give head_dim"
        )
    return given or max(hidden // heads, 1)


def rotary_size(keys: ConfigKeys, size: int) -> int | None:
    """Elements of a head that are turned by position; None for all."""
    given = keys.optional_count("rotary_dim")
    if given is not None:
        return min(given, size)
    share = keys.share("partial_rotary_factor")
    return None if share is None else int(size * share)


def dense_feed_forward(keys: ConfigKeys, key: str = "intermediate_size") -> DenseFeedForward:
    """A gated feed-forward as wide as a key says."""
    return DenseFeedForward(keys.count(key))


def no_experts(keys: ConfigKeys) -> None:
    """Refuses experts, which a family does not have."""
    for key in ("num_local_experts", "num_experts"):
        keys.only(key, 0, 1)
    keys.only("n_routed_experts", 0)


def no_latent(keys: ConfigKeys) -> None:
    """Refuses latent attention, which a family does not have."""
    keys.only("q_lora_rank")
    keys.only("kv_lora_rank")


_EXPERT_COUNTS = {"num_experts", "num_local_experts", "n_routed_experts"}


def chosen_count(keys: ConfigKeys, key: str, expert_count: int, default: int | None = None) -> int:
    """How many experts a row is sent to, which are not more than there are."""
    found = keys.count(key, default)
    if found > expert_count and not keys.stood_in & _EXPERT_COUNTS:
        keys.refuse(key, f"{found} of {expert_count} experts cannot be chosen")
        return expert_count
    return found


def local_experts(keys: ConfigKeys, default: int | None = None) -> Experts:
    """Experts in every layer, each as wide as `intermediate_size`."""
    count = keys.count(keys.first_of("num_local_experts", "num_experts"), default)
    return Experts(
        count,
        chosen_count(keys, "num_experts_per_tok", count, 2 if default else None),
        keys.count("intermediate_size"),
    )


def attention_kinds(
    keys: ConfigKeys, layer_count: int, *, every: int | None, first_is_full: bool = False
) -> Sequence[str]:
    """For each layer whether its attention slides or is full, as `layer_types` says.

    Without that key every `every`th layer is full, the last of so many or the first; with None all.
    """
    kinds = keys.list_of("layer_types", ("sliding_attention", "full_attention"), layer_count)
    if kinds is not None:
        return kinds
    if every is None:
        return ["full_attention"] * layer_count
    at = 0 if first_is_full else every - 1
    return [
        "full_attention" if number % every == at else "sliding_attention"
        for number in range(layer_count)
    ]


def interned(layers: Iterable[Layer]) -> list[Layer]:
    """Equal layers as one object."""
    known: dict[Layer, Layer] = {}
    return [known.setdefault(layer, layer) for layer in layers]


def by_kind(
    kinds: Sequence[str], make: Callable[[int | None], Layer], *, window: int | None
) -> list[Layer]:
    """A layer for each kind of attention: `make` gets the tokens of its window, None where full."""
    sliding = make(window if "sliding_attention" in kinds else None)
    full = make(None)
    return [sliding if kind == "sliding_attention" else full for kind in kinds]


def sparse_after(
    layer_count: int, first: int, step: int, sparse: Layer, plain: Callable[[], Layer]
) -> list[Layer]:
    """Experts in every `step`th layer from `first` on; `plain` is asked only where one is not."""
    flags = [number >= first and number % step == 0 for number in range(layer_count)]
    other = sparse if all(flags) else plain()
    return [sparse if is_sparse else other for is_sparse in flags]


def feed_forward_of(keys: ConfigKeys) -> FeedForwardShape:
    """The gated feed-forward of a family without experts."""
    no_experts(keys)
    return dense_feed_forward(keys)
