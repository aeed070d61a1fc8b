"""Rope: how far positions reach, from `max_position_embeddings` and what scales them.

    linear, dynamic     max_position_embeddings x factor
    yarn                original_max_position_embeddings x factor (without it, as linear)
    llama3, longrope    max_position_embeddings: it counts what the scaling brings

This is what Transformers documents of `rope_scaling` (in newer files `rope_parameters`) and what
vLLM makes of it. Where parameters differ by kind of layer, those of full attention say how far
positions reach, else the kind that reaches least. A Gemma 3 says the positions that scaling brings.
"""

from collections.abc import Mapping

from rack_sim.foundation.errors import suggest
from rack_sim.model.config_keys import ConfigKeys

# What `max_position_embeddings` says is so, and kinds that are multiplied by a factor.
_AS_SAID = ("default", "llama3", "longrope", "su", "mrope", "proportional")
_BY_A_FACTOR = ("linear", "dynamic", "yarn")


def longest_context(keys: ConfigKeys, *, are_scaled: bool = False) -> int:
    """Positions that the model reads, scaled as the file says; `are_scaled` says they are so."""
    positions = keys.count("max_position_embeddings")
    scaling = keys.part("rope_scaling") or keys.part("rope_parameters")
    if scaling is None:
        return positions
    kinds = [key for key, value in scaling.config.items() if isinstance(value, Mapping)]
    if "full_attention" in kinds:
        kinds = ["full_attention"]
    parts = [scaling.part(key) for key in kinds] or [scaling]
    reached = [_scaled(part, positions) for part in parts if part]
    return positions if are_scaled else min(reached)


def _scaled(scaling: ConfigKeys, positions: int) -> int:
    key = "type" if "rope_type" not in scaling.config else "rope_type"
    kind = scaling.config.get(key) or "default"
    if kind not in (*_AS_SAID, *_BY_A_FACTOR):
        known = sorted((*_AS_SAID, *_BY_A_FACTOR))
        scaling.refuse(key, f"{kind!r} is no scaling that is known", suggest(str(kind), known))
    if kind not in _BY_A_FACTOR:
        return positions
    if kind == "yarn":
        positions = scaling.count("original_max_position_embeddings", positions)
    return int(positions * scaling.factor("factor"))
