"""Layers with shapes of their own: halves that are missing, shared caches, further inputs."""

from typing import Any

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.operators import Block


def block(shared: int | None, multiple: float | None) -> dict[str, Any]:
    """One item of `block_configs`, as published files have it."""
    return {
        "attention": {"n_heads_in_group": shared, "no_op": shared is None, "window_length": None},
        "ffn": {"ffn_mult": multiple, "no_op": multiple is None, "replace_with_linear": False},
    }


NAS = {
    "model_type": "nemotron-nas",
    "hidden_size": 8192,
    "num_hidden_layers": 4,
    "num_attention_heads": 64,
    "num_key_value_heads": None,
    "intermediate_size": None,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "block_configs": [block(8, 5.25), block(None, 1.3125), block(16, None), block(None, None)],
}
GEMMA_4_E2B = {
    "model_type": "gemma4",
    "text_config": {
        "model_type": "gemma4_text",
        "hidden_size": 1536,
        "num_hidden_layers": 35,
        "intermediate_size": 6144,
        "num_attention_heads": 8,
        "head_dim": 256,
        "global_head_dim": 512,
        "num_key_value_heads": 1,
        "num_kv_shared_layers": 20,
        "hidden_size_per_layer_input": 256,
        "vocab_size_per_layer_input": 262144,
        "use_double_wide_mlp": True,
        "sliding_window": 512,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
        "vocab_size": 262144,
        "max_position_embeddings": 131072,
    },
}


def model_of(config: dict[str, Any], **changes: object) -> Architecture:
    return architecture_from_config("model", config | changes)


def test_each_layer_of_a_search_has_its_own_shape() -> None:
    """Widths are 2/3 of the multiple, up to whole 256; no norm where there is nothing to it."""
    model, hidden, vocabulary = model_of(NAS), 8192, 128256
    first = hidden * 128 * 2 * (64 + 8) + 3 * hidden * 28672 + 2 * hidden
    second = 3 * hidden * 7168 + hidden
    third = hidden * 128 * 2 * (64 + 4) + hidden
    assert model.parameter_count == first + second + third + (2 * vocabulary + 1) * hidden
    names = [one.name for one in blocks_of(model)]
    layers = ["layer0.attention", "layer0.feed_forward", "layer1.feed_forward", "layer2.attention"]
    assert names == ["embedding", *layers, "head"]
    assert model.kv_elements_per_token == 2 * 128 * (8 + 4)
    assert sum(one.parameters for one in blocks_of(model)) == model.parameter_count
    assert model.head_counts == {(64, 8), (64, 4)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ([block(8, 1.0)] * 3, "is not a list of 4 items"),
        (None, "key 'block_configs' is missing"),
        ([block(7, 1.0)] * 4, "64 heads do not come in groups of 7"),
        ([block(8, -1.0)] * 4, "-1.0 is not a number above 0"),
        ([block(8, 1e300)] * 4, "1e+300 is above 1000"),
        ([3] * 4, "has items that are not mappings"),
        ([{"attention": {"replace_with_linear": True}}] * 4, "True is not modelled"),
    ],
)
def test_layers_without_a_shape_are_refused(changed: object, said: str) -> None:
    with pytest.raises(InputError) as refused:
        model_of(NAS, block_configs=changed)
    assert said in str(refused.value)


def named(model: Architecture, name: str) -> Block:
    return next(one for one in blocks_of(model) if one.name == name)


def test_the_last_layers_read_the_cache_of_those_before() -> None:
    """15 of 35 layers keep keys and values; the others have neither, and read as many elements."""
    model = model_of(GEMMA_4_E2B)
    kept = [layer.attention.kv_elements_per_token for layer in model.layers if layer.attention]
    assert kept == [*[2 * 256] * 4, 2 * 512] * 3 + [0] * 20
    for own, shared in ((14, 34), (13, 33)):
        mine, other = (named(model, f"layer{at}.attention") for at in (own, shared))
        reads = [sum(o.kv_read_per_row_token for o in one.operators) for one in (mine, other)]
        writes = [sum(o.kv_write_per_row for o in one.operators) for one in (mine, other)]
        assert reads[0] == reads[1] == writes[0]
        assert writes[1] == 0
        size = 512 if own == 14 else 256
        assert mine.parameters - other.parameters == 2 * 1536 * size + size
    assert model.needs_one_stage


def test_a_table_gives_every_layer_an_input() -> None:
    """Parameters as `transformers` 5.24 counts them, without encoders and the scalars of layers."""
    model = model_of(GEMMA_4_E2B)
    assert model.parameter_count == 4_628_569_344
    table = named(model, "per_layer_table")
    assert table.parameters == 262144 * 35 * 256
    assert table.operators[0].lookup_per_row == 35 * 256
    layer = named(model, "layer3.layer_input")
    assert layer.parameters == 2 * 1536 * 256 + 1536
    assert [one.followed_by for one in layer.operators][2] == "reduce_scatter"
    wide = named(model, "layer20.feed_forward").parameters
    assert wide == 2 * 3 * 1536 * 6144 + 2 * 1536
    tables = (262144 + 1536) * 35 * 256 + 256
    assert model.embedding_parameters == 262144 * 1536 + tables
    twice = 262144 * 1536  # a tied head
    assert sum(one.parameters for one in blocks_of(model)) - twice == model.parameter_count


def test_a_cache_that_no_layer_before_has_cannot_be_shared() -> None:
    text = GEMMA_4_E2B["text_config"] | {"num_kv_shared_layers": 33}  # type: ignore[operator]
    with pytest.raises(InputError, match="none before them is full_attention"):
        model_of(GEMMA_4_E2B, text_config=text)


GEMMA_3N = {
    "model_type": "gemma3n_text",
    "hidden_size": 2048,
    "num_hidden_layers": 35,
    "intermediate_size": [16384] * 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "num_kv_shared_layers": 15,
    "hidden_size_per_layer_input": 256,
    "vocab_size_per_layer_input": 262144,
    "laurel_rank": 64,
    "altup_num_inputs": 4,
    "vocab_size": 262400,
    "max_position_embeddings": 32768,
}


def test_four_streams_are_predicted_and_corrected() -> None:
    """Parameters as `transformers` 5.24 counts them; the router's count where it is used first."""
    model, hidden = model_of(GEMMA_3N), 2048
    assert model.parameter_count == 6_835_235_568
    attention, inner = named(model, "layer0.attention"), named(model, "layer0.feed_forward")
    own = hidden * 256 * (2 * 8 + 2 * 2) + 2 * 256 + 2 * hidden
    beside = 5 * hidden + 4**3 + 2 * hidden * 64 + hidden
    assert attention.parameters == own + beside
    assert inner.parameters == 3 * hidden * 16384 + 2 * hidden + 4**2 + hidden
    assert named(model, "streams").parameters == 3 * hidden**2
    assert (model.stream_count, inner.stream_count) == (4, 4)


@pytest.mark.parametrize(
    ("widths", "said"),
    [([16384] * 34, "is not a list of 35 items"), ([0] * 35, "0 is not a whole number")],
)
def test_widths_of_layers_are_a_list_of_numbers(widths: list[int], said: str) -> None:
    with pytest.raises(InputError) as refused:
        model_of(GEMMA_3N, intermediate_size=widths)
    assert said in str(refused.value)


def test_a_list_of_step_may_go_on_with_layers_for_further_tokens() -> None:
    kinds = ["full_attention", *["sliding_attention"] * 3]
    keys = {
        "model_type": "step3p5",
        "hidden_size": 64,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "intermediate_size": 128,
        "vocab_size": 100,
        "max_position_embeddings": 128,
        "sliding_window": 16,
        "num_nextn_predict_layers": 2,
    }
    longer = architecture_from_config("step", {**keys, "layer_types": kinds * 2})
    assert longer == architecture_from_config("step", {**keys, "layer_types": (kinds * 2)[:6]})
    with pytest.raises(InputError, match="layer_types"):
        architecture_from_config("step", {**keys, "layer_types": kinds})
