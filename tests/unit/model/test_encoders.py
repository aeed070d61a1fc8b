"""Encoders: said to be there, counted where their shape is known, never in the way."""

from typing import Any

import pytest

from rack_sim.model.encoders import Encoder, encoders_of
from rack_sim.model.huggingface import architecture_from_config

TEXT = {
    "model_type": "qwen3",
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
    "max_position_embeddings": 64,
}


def test_a_model_of_text_has_none() -> None:
    assert architecture_from_config("text", TEXT).encoders == ()


def test_they_are_beside_the_count_of_the_model() -> None:
    """27 layers of 1,152 with an inner width of 4,304, as the published file has it."""
    seeing = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "out_hidden_size": 2048}
    whole = {"model_type": "qwen3_vl", "text_config": TEXT, "vision_config": seeing}
    model = architecture_from_config("seeing", whole)
    alone = architecture_from_config("text", TEXT)
    assert model.parameter_count == alone.parameter_count
    layer = 4 * 1152 * 1153 + 2 * 1152 * 4304 + 4304 + 1152 + 4 * 1152
    merger = 4608 * 4609 + 4608 * 2048 + 2048
    ends = 1152 * (3 * 2 * 16 * 16 + 1 + 2304) + merger + 2 * 1152
    assert model.encoders == (Encoder("pictures", 27 * layer + ends + 3 * (merger + 2 * 4608)),)


@pytest.mark.parametrize(
    "part",
    [
        {"hidden_size": "wide"},
        {"hidden_size": True},
        {"depth": -1},
        {"patch_size": [14, 16]},
        {"deepstack_visual_indexes": 3},
        {"spatial_merge_size": None, "temporal_patch_size": 2.5},
    ],
)
def test_a_shape_that_makes_no_sense_is_not_counted(part: dict[str, Any]) -> None:
    """The model is served without it, so it is no reason to refuse the file."""
    whole = {"model_type": "qwen3_vl", "vision_config": part, "text_config": TEXT}
    assert architecture_from_config("seeing", whole).encoders == (Encoder("pictures", None),)


def test_of_others_it_is_only_said_that_they_are_there() -> None:
    whole = {"model_type": "else", "vision_config": {"a": 1}, "audio_config": {"b": 2}}
    assert encoders_of(whole, 64) == (Encoder("pictures", None), Encoder("sound", None))
    assert encoders_of({"vision_config": {}, "audio_config": None}, 64) == ()
