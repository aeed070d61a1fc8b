"""Parameters and key-value bytes of the shipped models equal the published integers."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.model.architecture import Architecture
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.operators import blocks_of
from rack_sim.scenario.library import presets
from rack_sim.timing.precision import bytes_of

# Published totals, worked out from the config.json of each (facts, section D).
PARAMETERS = {
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
}
# Llama-2 7B has a key and a value per head: 32 layers x 2 x 4096 x 2 bytes.
KV_FP16_BYTES = {
    "llama-2-7b": 524_288,
    "llama-2-70b": 327_680,
    "llama-3.1-8b": 131_072,
    "llama-3.1-70b": 327_680,
    "llama-3.1-405b": 516_096,
}


def preset(name: str) -> Architecture:
    config: dict[str, Any] = yaml.safe_load(presets("model")[name].read_text(encoding="utf-8"))
    return architecture_from_config(name, config)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_parameters_are_the_published_ones(name: str) -> None:
    assert preset(name).parameter_count == PARAMETERS[name]


@pytest.mark.parametrize("name", sorted(KV_FP16_BYTES))
def test_cache_per_token_is_the_published_one(name: str) -> None:
    assert bytes_of(preset(name).kv_elements_per_token, "fp16") == KV_FP16_BYTES[name]


def test_every_shipped_model_has_a_published_count_here() -> None:
    assert set(presets("model")) == set(PARAMETERS)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_blocks_hold_every_parameter_and_cache_element_once(name: str) -> None:
    model = preset(name)
    blocks = blocks_of(model)
    assert sum(block.parameters for block in blocks) == PARAMETERS[name]
    cached = sum(block.kv_elements_per_token for block in blocks)
    assert bytes_of(cached, "fp16") == KV_FP16_BYTES[name]


architectures = st.builds(
    Architecture,
    name=st.just("any"),
    layer_count=st.integers(1, 5),
    hidden_size=st.integers(1, 50),
    head_count=st.integers(1, 9),
    kv_head_count=st.integers(1, 9),
    head_size=st.integers(1, 9),
    feed_forward_size=st.integers(1, 60),
    vocabulary_size=st.integers(1, 99),
    tied_embeddings=st.booleans(),
    max_context_tokens=st.just(64),
)


@given(architectures)
def test_parameters_are_the_sum_of_the_matrices(model: Architecture) -> None:
    """Every weight of a Llama by its shape, as a state dict lists them."""
    h, d = model.hidden_size, model.head_size
    layer = [
        (h,),  # input_layernorm
        (model.head_count * d, h),  # q_proj
        (model.kv_head_count * d, h),  # k_proj
        (model.kv_head_count * d, h),  # v_proj
        (h, model.head_count * d),  # o_proj
        (h,),  # post_attention_layernorm
        (model.feed_forward_size, h),  # gate_proj
        (model.feed_forward_size, h),  # up_proj
        (h, model.feed_forward_size),  # down_proj
    ]
    shapes = [(model.vocabulary_size, h), *layer * model.layer_count, (h,)]
    if not model.tied_embeddings:
        shapes.append((model.vocabulary_size, h))
    count = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes)
    assert model.parameter_count == count
