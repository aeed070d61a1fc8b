"""Hugging Face: reads the config.json of a model as it is.

The keys are those of the Llama family of configurations. Keys that do not change the shape are
ignored; keys that change it in a way this simulator does not model are refused, never ignored.
"""

from collections.abc import Mapping
from typing import Any

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.model.architecture import Architecture

# Model types whose layers are: norm, grouped-query attention, norm, gated feed-forward.
KNOWN_MODEL_TYPES = ("llama", "mistral")

REQUIRED_KEYS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)
OPTIONAL_KEYS = ("num_key_value_heads", "head_dim")
# A key that changes the shape, and the values that leave it unchanged.
_UNMODELLED: dict[str, tuple[Any, ...]] = {
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "num_local_experts": (None, 0, 1),
    "num_experts": (None, 0, 1),
    "n_routed_experts": (None, 0),
    "q_lora_rank": (None,),
    "kv_lora_rank": (None,),
    "sliding_window": (None,),
    "quantization_config": (None,),
}


def architecture_from_config(name: str, config: Mapping[str, Any]) -> Architecture:
    """The architecture that a config describes.

    Raises InputError with every problem: a missing key, a value that is not a positive whole
    number, heads that do not divide, an unknown model type, a feature that is not modelled. The
    `field` of each problem is the key it stands at.
    """
    problems: list[Problem] = []
    model_type = config.get("model_type", "llama")
    if model_type not in KNOWN_MODEL_TYPES:
        read = ", ".join(key for key in (*REQUIRED_KEYS, *OPTIONAL_KEYS) if key in config) or "none"
        problems.append(
            Problem(
                f"model type {model_type!r} is not known (keys that could be read: {read})",
                field="model_type",
                suggestion=suggest(str(model_type), KNOWN_MODEL_TYPES),
            )
        )
    for key, harmless in _UNMODELLED.items():
        value = config.get(key)
        if value not in harmless:
            shown = "a mapping" if isinstance(value, Mapping) else repr(value)
            problems.append(Problem(f"{shown} is not modelled; only {harmless[0]!r} is", field=key))
    sizes: dict[str, int] = {}
    for key in (*REQUIRED_KEYS, *OPTIONAL_KEYS):
        value = config.get(key)
        if value is None:
            if key in REQUIRED_KEYS:
                problems.append(
                    Problem(
                        f"key {key!r} is missing",
                        suggestion=_nearest(key, config),
                    )
                )
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            problems.append(Problem(f"{value!r} is not a whole number of at least 1", field=key))
        else:
            sizes[key] = value
    tied = config.get("tie_word_embeddings", False)
    if not isinstance(tied, bool):
        problems.append(Problem(f"{tied!r} is not true or false", field="tie_word_embeddings"))
    heads = sizes.get("num_attention_heads", 1)
    kv_heads = sizes.get("num_key_value_heads", heads)
    if "num_attention_heads" in sizes and heads % kv_heads:
        problems.append(
            Problem(
                f"{heads} attention heads cannot share {kv_heads} key-value heads evenly",
                field="num_key_value_heads",
            )
        )
    if "head_dim" not in sizes and sizes.get("hidden_size", 0) % heads:
        problems.append(
            Problem(
                f"hidden_size {sizes['hidden_size']} is no multiple of {heads} heads",
                field="hidden_size",
                suggestion="give head_dim",
            )
        )
    if problems:
        raise InputError(problems)
    return Architecture(
        name=name,
        layer_count=sizes["num_hidden_layers"],
        hidden_size=sizes["hidden_size"],
        head_count=heads,
        kv_head_count=kv_heads,
        head_size=sizes.get("head_dim", sizes["hidden_size"] // heads),
        feed_forward_size=sizes["intermediate_size"],
        vocabulary_size=sizes["vocab_size"],
        tied_embeddings=tied,
        max_context_tokens=sizes["max_position_embeddings"],
    )


def _nearest(key: str, config: Mapping[str, Any]) -> str:
    hint = suggest(key, [str(k) for k in config if k not in (*REQUIRED_KEYS, *OPTIONAL_KEYS)])
    found = hint.removeprefix("did you mean ")
    return f"is {found.rstrip('?')} meant for it?" if found != hint else ""
