"""Encoders: what turns pictures and sound into rows of a model; they are not served here.

A config.json gives their shape in parts of its own. Known ones are counted as their published
classes are, with what projects their results to the width of the model; of any other it is only
said that it is there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

_SENSES = {"vision_config": "pictures", "audio_config": "sound"}


@dataclass(frozen=True, slots=True)
class Encoder:
    """The encoder of one sense; `parameter_count` is None where its shape is not known."""

    sense: str
    parameter_count: int | None


def encoders_of(config: Mapping[str, Any], hidden_size: int) -> tuple[Encoder, ...]:
    """The encoders beside a model that is `hidden_size` wide."""
    found = []
    for key, sense in _SENSES.items():
        part = config.get(key)
        if isinstance(part, Mapping) and part:
            known = _KNOWN.get(str(config.get("model_type"))) if sense == "pictures" else None
            found.append(Encoder(sense, _counted(known, config, part, hidden_size)))
    return tuple(found)


class _Sizes:
    """Numbers of an encoder's part, and of what stands beside it; KeyError for what is none."""

    def __init__(self, part: Mapping[str, Any], beside: Mapping[str, Any], hidden: int) -> None:
        self.part, self.beside, self.hidden = part, beside, hidden

    def of(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        value = self.part.get(key)
        return self._number(default if value is None else value, key, least)

    def outside(self, key: str, default: int) -> int:
        value = self.beside.get(key)
        return self._number(default if value is None else value, key, 0)

    def length(self, key: str, default: int) -> int:
        value = self.part.get(key)
        if value is None:
            return default
        if not isinstance(value, list | tuple):
            raise KeyError(key)
        return len(value)

    @staticmethod
    def _number(value: object, key: str, least: int) -> int:
        if isinstance(value, list | tuple) and len(set(value)) == 1:  # of height and width
            (value,) = set(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise KeyError(key)
        return value


_Count = Callable[[_Sizes], int]


def _counted(
    known: _Count | None, config: Mapping[str, Any], part: Mapping[str, Any], hidden: int
) -> int | None:
    if known is None:
        return None
    try:
        return known(_Sizes(part, config, hidden))
    except (KeyError, TypeError):
        return None


def _linear(inputs: int, outputs: int, *, bias: bool = True) -> int:
    return inputs * outputs + outputs * bias


def _layer(hidden: int, inner: int) -> int:
    """Attention and a plain feed-forward with biases everywhere, and two norms with biases."""
    projections = 4 * _linear(hidden, hidden)
    return projections + _linear(hidden, inner) + _linear(inner, hidden) + 4 * hidden


def _patch(sizes: _Sizes, hidden: int, patch: int, *, frames: int = 1) -> int:
    """What makes a row of a patch, without a bias."""
    channels = sizes.of("in_channels", sizes.of("num_channels", 3))
    return prod((channels, frames, patch, patch, hidden))


def _merger(hidden: int, merged: int, outputs: int) -> int:
    """A norm with biases over `hidden`, and two matrices."""
    return 2 * hidden + _linear(merged, merged) + _linear(merged, outputs)


def _qwen2_5(sizes: _Sizes) -> int:
    hidden, inner = sizes.of("hidden_size"), sizes.of("intermediate_size")
    merged = hidden * sizes.of("spatial_merge_size", 2) ** 2
    frames = sizes.of("temporal_patch_size", 2)
    gated = 2 * _linear(hidden, inner) + _linear(inner, hidden)
    layer = 4 * _linear(hidden, hidden) + gated + 2 * hidden
    return (
        _patch(sizes, hidden, sizes.of("patch_size", 14), frames=frames)
        + sizes.of("depth", 32) * layer
        + _merger(hidden, merged, sizes.of("out_hidden_size", 3584))
        - hidden  # its norm has no biases
    )


def _qwen3(sizes: _Sizes, depth_lists: int) -> int:
    hidden, outputs = sizes.of("hidden_size", 1152), sizes.of("out_hidden_size", 3584)
    merged = hidden * sizes.of("spatial_merge_size", 2) ** 2
    frames = sizes.of("temporal_patch_size", 2)
    return (
        _patch(sizes, hidden, sizes.of("patch_size", 16), frames=frames)
        + hidden * (1 + sizes.of("num_position_embeddings", 2304))
        + sizes.of("depth", 27) * _layer(hidden, sizes.of("intermediate_size", 4304))
        + _merger(hidden, merged, outputs)
        + depth_lists * _merger(merged, merged, outputs)
    )


def _siglip(sizes: _Sizes) -> int:
    hidden, inner = sizes.of("hidden_size", 768), sizes.of("intermediate_size", 3072)
    patch = sizes.of("patch_size", 16)
    places = (sizes.of("image_size", 224) // patch) ** 2
    layer = _layer(hidden, inner)
    head = hidden + layer - 2 * hidden if sizes.part.get("vision_use_head", True) else 0
    return (
        _patch(sizes, hidden, patch)
        + hidden * (1 + places)
        + sizes.of("num_hidden_layers", 12) * layer
        + 2 * hidden
        + head
        + hidden * sizes.hidden
        + hidden
    )


def _pixtral(sizes: _Sizes) -> int:
    hidden, inner = sizes.of("hidden_size", 1024), sizes.of("intermediate_size", 4096)
    layer = 4 * hidden**2 + 3 * hidden * inner + 2 * hidden
    merged = hidden * sizes.outside("spatial_merge_size", 2) ** 2
    bias = sizes.beside.get("multimodal_projector_bias", False) is True
    return (
        _patch(sizes, hidden, sizes.of("patch_size", 16))
        + hidden
        + sizes.of("num_hidden_layers", 24) * layer
        + hidden
        + merged * hidden
        + _linear(hidden, sizes.hidden, bias=bias)
        + _linear(sizes.hidden, sizes.hidden, bias=bias)
    )


def _llama4(sizes: _Sizes) -> int:
    hidden, inner = sizes.of("hidden_size", 768), sizes.of("intermediate_size", 5632)
    patch = sizes.of("patch_size", 14)
    places = (sizes.of("image_size", 448) // patch) ** 2 + 1
    outputs = sizes.of("projector_output_dim", 4096)
    return (
        _patch(sizes, hidden, patch)
        + hidden * (1 + places)
        + 4 * hidden
        + sizes.of("num_hidden_layers", 34) * _layer(hidden, inner)
        + inner * sizes.of("projector_input_dim", 4096)
        + outputs**2
        + sizes.of("vision_output_dim", 7680) * sizes.hidden
    )


def _minimax_m3(sizes: _Sizes) -> int:
    hidden, inner = sizes.of("hidden_size", 1280), sizes.of("intermediate_size", 5120)
    width = sizes.outside("projector_hidden_size", 6144)
    merged = sizes.hidden * sizes.of("spatial_merge_size", 2) ** 2
    frames = sizes.of("temporal_patch_size", 2)
    return (
        _patch(sizes, hidden, sizes.of("patch_size", 14), frames=frames)
        + 2 * hidden
        + sizes.of("num_hidden_layers", 32) * _layer(hidden, inner)
        + _linear(hidden, width)
        + _linear(merged, width)
        + 2 * _linear(width, sizes.hidden)
    )


def _step(sizes: _Sizes) -> int:
    hidden = sizes.of("width", sizes.of("hidden_size", 1536))
    ratio = sizes.part.get("mlp_ratio", 8960 / 1536)
    patch = sizes.of("patch_size", 14)
    places = (sizes.of("image_size", 728) // patch) ** 2
    layer = _layer(hidden, int(hidden * ratio)) + 2 * hidden
    down = 9 * 2 * hidden**2 + 2 * hidden + 9 * 8 * hidden**2 + 4 * hidden
    bias = sizes.beside.get("projector_bias", False) is True
    return (
        _patch(sizes, hidden, patch)
        + places * hidden
        + 2 * hidden
        + sizes.of("layers", sizes.of("num_hidden_layers", 47)) * layer
        + down
        + _linear(4 * hidden, sizes.hidden, bias=bias)
    )


def _kimi(sizes: _Sizes) -> int:
    """Keys as the published files have them, or as `transformers` calls them."""
    hidden = sizes.of("vt_hidden_size", sizes.of("hidden_size", 1152))
    inner = sizes.of("vt_intermediate_size", sizes.of("intermediate_size", 4304))
    count = sizes.of("vt_num_hidden_layers", sizes.of("num_hidden_layers", 27))
    height = sizes.of("init_pos_emb_height", sizes.of("pos_emb_height", 64))
    width = sizes.of("init_pos_emb_width", sizes.of("pos_emb_width", 64))
    merged = hidden * sizes.of("merge_kernel_size", 2) ** 2
    return (
        _patch(sizes, hidden, sizes.of("patch_size", 14))
        + hidden * (1 + height * width)
        + count * _layer(hidden, inner)
        + 2 * hidden
        + _merger(hidden, merged, sizes.hidden)
    )


def _qwen3_vl(sizes: _Sizes) -> int:
    return _qwen3(sizes, sizes.length("deepstack_visual_indexes", 3))


_KNOWN: Mapping[str, _Count] = {
    "gemma3": _siglip,
    "kimi_k25": _kimi,
    "llama4": _llama4,
    "minimax_m3_vl": _minimax_m3,
    "mistral3": _pixtral,
    "qwen2_5_vl": _qwen2_5,
    "qwen3_vl": _qwen3_vl,
    "qwen3_vl_moe": _qwen3_vl,
    "qwen3_5": lambda sizes: _qwen3(sizes, 0),
    "qwen3_5_moe": lambda sizes: _qwen3(sizes, 0),
    "step3p7": _step,
}
