"""Hybrid: what families read alike whose layers keep a state or attend."""

from collections.abc import Callable, Sequence

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import interned
from rack_sim.model.layers import FeedForwardShape, Layer, MixerShape

KINDS = ("linear_attention", "full_attention")
NEW_KINDS = {"mamba": "linear_attention", "attention": "full_attention"}
"""What files of before `transformers` 5 call them."""

TIME_STEPS = (
    "time_step_floor",
    "time_step_limit",
    "time_step_max",
    "time_step_min",
    "time_step_rank",
)
"""How far a step of Mamba-2 may go: no shape."""


def kinds_of(keys: ConfigKeys, layer_count: int, default: Sequence[str]) -> Sequence[str]:
    """For each layer whether it keeps a state (`linear_attention`) or attends."""
    key = keys.first_of("layer_types", "layers_block_type")
    said = keys.list_of(key, (*KINDS, *NEW_KINDS), layer_count)
    return [NEW_KINDS.get(kind, kind) for kind in said or default]


def mixed(
    kinds: Sequence[str],
    state: Callable[[], MixerShape],
    attention: Callable[[], MixerShape],
    feed_forwards: Sequence[FeedForwardShape],
) -> list[Layer]:
    """A layer for each kind; a mixer that no layer has is not asked for."""
    made = {"linear_attention": state, "full_attention": attention}
    by_kind = {kind: made[kind]() for kind in sorted(set(kinds))}
    return interned(
        Layer(by_kind[kind], feed_forward)
        for kind, feed_forward in zip(kinds, feed_forwards, strict=True)
    )


def groups_of(keys: ConfigKeys, key: str, heads: int, default: int) -> int:
    """Groups of B and C, which heads share evenly."""
    groups = keys.count(key, default)
    if heads % groups:
        keys.refuse(key, f"{heads} heads cannot share {groups} groups evenly")
    return groups
