"""Hugging Face: reads the config.json of a model as it is.

The families that are known, and the keys of each, stand in `families`. Keys that do not change the
shape are ignored; keys that change it in a way this simulator does not model are refused, never
ignored. How the file says that weights are stored (`quantization_config`) is no part of the shape:
the precision of a deployment is the scenario's to choose.
"""

from collections.abc import Mapping
from typing import Any

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.model.architecture import Architecture
from rack_sim.model.config_keys import COMMON_KEYS, ConfigKeys
from rack_sim.model.families import FAMILIES
from rack_sim.model.rope import longest_context

KNOWN_MODEL_TYPES = tuple(FAMILIES)

# Keys that say nothing about the shape.
_SHAPELESS = (
    "model_type",
    "architectures",
    "name",
    "description",
    "source",
    "grade",
    "hidden_act",
    "initializer_range",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "torch_dtype",
    "dtype",
    "transformers_version",
    "use_cache",
    "attention_dropout",
    "quantization_config",
)
_SHOWN_MAX = 12


def architecture_from_config(name: str, config: Mapping[str, Any]) -> Architecture:
    """The architecture that a config describes.

    Of a model that also sees, `text_config` is read. Raises InputError with every problem: a
    missing key, a value that is not a positive whole number, heads that do not divide, an unknown
    model type, a feature that is not modelled. The `field` of each problem is the key it stands at.
    """
    inner = config.get("text_config")
    nested = isinstance(inner, Mapping)
    part: Mapping[str, Any] = inner if isinstance(inner, Mapping) else config
    keys = ConfigKeys(part, "text_config" if nested else "")
    model_type = str(part.get("model_type", config.get("model_type", "llama")))
    family = FAMILIES.get(model_type)
    if family is None:
        keys.problems.append(_unknown(model_type, part))
        family = FAMILIES["llama"]
    layer_count = keys.count("num_hidden_layers")
    hidden_size = keys.count("hidden_size")
    vocabulary_size = keys.count("vocab_size")
    context_tokens = longest_context(keys)
    tied = _tied(keys, config, default=family.tied)
    layers = family.layers(keys, layer_count)
    if keys.problems:
        raise InputError(dict.fromkeys(keys.problems))
    return Architecture(
        name=name,
        layers=tuple(layers),
        hidden_size=hidden_size,
        vocabulary_size=vocabulary_size,
        tied_embeddings=tied,
        max_context_tokens=context_tokens,
    )


def _tied(keys: ConfigKeys, config: Mapping[str, Any], *, default: bool) -> bool:
    """Whether the head multiplies by the embedding; a file may say so beside its text part, too."""
    if keys.config is config:
        return keys.flag("tie_word_embeddings", default=default)
    beside = ConfigKeys(config)
    said = beside.flag("tie_word_embeddings", default=default)
    tied = keys.flag("tie_word_embeddings", default=said)
    if config.get("tie_word_embeddings") is not None and tied != said:
        beside.refuse(
            "tie_word_embeddings",
            f"is {said} here and {tied} in text_config",
            "give the one that holds in both places",
        )
    keys.problems += beside.problems
    return tied


def _unknown(model_type: str, config: Mapping[str, Any]) -> Problem:
    """That a model type is not known, which keys could be read, and which are unknown."""
    read = ", ".join(key for key in COMMON_KEYS if key in config) or "none"
    strange = [str(key) for key in config if key not in (*COMMON_KEYS, *_SHAPELESS)]
    more = f" and {len(strange) - _SHOWN_MAX} more" if len(strange) > _SHOWN_MAX else ""
    unknown = ", ".join(strange[:_SHOWN_MAX]) + more if strange else "none"
    return Problem(
        f"model type {model_type!r} is not known (keys that could be read: {read}; "
        f"unknown keys: {unknown})",
        field="model_type",
        suggestion=suggest(model_type, KNOWN_MODEL_TYPES),
    )
