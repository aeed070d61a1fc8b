"""gpt-oss: windows in every other layer, sinks, and biases everywhere."""

from collections.abc import Mapping

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, chosen_count, grouped, no_latent
from rack_sim.model.layers import Experts, Layer


def _gpt_oss(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    no_latent(keys)
    count = keys.count("num_local_experts")
    chosen = keys.first_of("num_experts_per_tok", "experts_per_token")
    experts = Experts(
        count, chosen_count(keys, chosen, count), keys.count("intermediate_size"), biases=True
    )
    bias = keys.flag("attention_bias", default=True)
    window = keys.count("sliding_window", 128)
    kinds = keys.list_of("layer_types", ("sliding_attention", "full_attention"), layer_count)
    if kinds is None:
        kinds = [("sliding_attention", "full_attention")[n % 2] for n in range(layer_count)]
    windows: Mapping[str, int | None] = {"sliding_attention": window, "full_attention": None}
    by_kind = {
        kind: Layer(
            grouped(keys, window_tokens=tokens, qkv_bias=bias, output_bias=bias, sinks=True),
            experts,
        )
        for kind, tokens in windows.items()
    }
    return [by_kind[kind] for kind in kinds]


FAMILIES = {
    "gpt_oss": Family(
        _gpt_oss,
        shapeless=("initial_context_length", "swiglu_limit", "swiglu_alpha"),
        defaults={"head_dim": 64},
    )
}
