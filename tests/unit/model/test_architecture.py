"""Parameters and key-value bytes of the shipped models equal the published integers."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.expert_blocks import ExpertPlacement
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.layers import DenseFeedForward, GroupedAttention
from rack_sim.scenario.library import presets
from rack_sim.timing.precision import bytes_of

# Published totals, worked out from the config.json of each (facts, section D).
PARAMETERS = {
    # Hybrids, counted by transformers 5.24, router corrections among them.
    "qwen3.5-27b": 26_895_998_464,
    "qwen3.5-35b-a3b": 34_660_610_688,
    "qwen3.5-397b-a17b": 396_346_350_336,
    "qwen3-next-80b-a3b": 79_674_391_296,
    "nemotron-3-nano-30b-a3b": 31_577_940_288,
    "nemotron-3-super-120b-a12b": 120_668_707_840,
    "nemotron-h-56b": 56_324_350_464,
    "kimi-linear-48b-a3b": 49_122_681_728,
    "minimax-m1": 456_089_655_296,
    "deepseek-v3": 671_026_419_200,
    "gemma-7b": 8_537_680_896,
    "gpt-oss-120b": 116_829_156_672,
    "gpt-oss-20b": 20_914_757_184,
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.3-70b": 70_553_706_496,
    # Of Maverick "about 400 B" is published; by hand: 24 layers of 128 + 1 experts of
    # 3 x 5120 x 8192 and a router of 5120 x 128, 24 of 3 x 5120 x 16384, 48 of attention
    # 5120 x (2 x 5120 + 2 x 1024), 97 norms, two embeddings of 202048 x 5120.
    "llama-4-maverick": 24 * (129 * 125_829_120 + 655_360 + 251_658_240)
    + 48 * 62_914_560
    + 97 * 5120
    + 2 * 1_034_485_760,
    # Published: 107.77 B; by hand as Maverick, with 16 + 1 experts in each of 48 layers.
    "llama-4-scout": 48 * (17 * 125_829_120 + 81_920 + 62_914_560) + 97 * 5120 + 2 * 1_034_485_760,
    "mixtral-8x7b": 46_702_792_704,
    "qwen3-8b": 8_190_735_360,
    "qwen3-32b": 32_762_123_264,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
    # Counted by transformers 5.24, router corrections among them (tests/crosscheck).
    "kimi-k2": 1_026_408_232_448,
    "kimi-k2.5": 1_026_408_232_448,
    "deepseek-r1": 671_026_419_200,
    "minimax-m2.5": 228_689_764_864,
    "gemma-4-26b-a4b": 25_233_141_760,
    "gemma-4-31b": 30_697_345_280,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "devstral-2-123b": 125_025_988_608,
    "devstral-small-2-24b": 23_572_403_200,
    "mistral-large-2": 122_610_069_504,
    "mistral-7b-v0.3": 7_248_023_552,
    "phi-4": 14_659_507_200,
    "exaone-4.0-32b": 32_003_216_384,
    "olmo-3.1-32b": 32_233_522_176,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-32b": 32_763_876_352,
    "mimo-v2-flash": 308_778_780_864,
    "deepseek-v3.2": 671_877_944_064,
    "deepseek-v4-flash": 284_332_240_471,
    "glm-5": 743_911_218_432,
}
# Billions that a token meets, both embeddings included, as published (section D).
ACTIVE_BILLIONS = {
    # Hybrids, counted from transformers 5.24 as all of their parameters are.
    "qwen3.5-35b-a3b": 3.45,
    "qwen3.5-397b-a17b": 17.35,
    "qwen3-next-80b-a3b": 3.87,
    "nemotron-3-nano-30b-a3b": 3.58,
    "nemotron-3-super-120b-a12b": 12.77,
    "kimi-linear-48b-a3b": 3.48,
    "minimax-m1": 48.4,
    "deepseek-v3": 37.6,
    "gpt-oss-120b": 5.7,
    "gpt-oss-20b": 4.2,
    "llama-4-scout": 17.17,
    "mixtral-8x7b": 12.88,
    "qwen3-30b-a3b": 3.35,
    "qwen3-235b-a22b": 22.19,
    "deepseek-r1": 37.6,
    "gemma-4-26b-a4b": 3.8,
}
# Llama-2 7B has a key and a value per head: 32 layers x 2 x 4096 x 2 bytes.
KV_FP16_BYTES = {
    # Hybrids: the layers that attend.
    "qwen3.5-27b": 16 * 2 * 4 * 256 * 2,
    "qwen3.5-35b-a3b": 10 * 2 * 2 * 256 * 2,
    "qwen3.5-397b-a17b": 15 * 2 * 2 * 256 * 2,
    "qwen3-next-80b-a3b": 12 * 2 * 2 * 256 * 2,
    "nemotron-3-nano-30b-a3b": 6 * 2 * 2 * 128 * 2,
    "nemotron-3-super-120b-a12b": 8 * 2 * 2 * 128 * 2,
    "nemotron-h-56b": 10 * 2 * 8 * 128 * 2,
    "kimi-linear-48b-a3b": 7 * (512 + 64) * 2,
    "minimax-m1": 10 * 2 * 8 * 128 * 2,
    "deepseek-v3": 70_272,
    "gemma-7b": 458_752,
    "gpt-oss-120b": 73_728,
    "gpt-oss-20b": 49_152,
    "llama-2-7b": 524_288,
    "llama-2-70b": 327_680,
    "llama-3-8b": 131_072,
    "llama-3-70b": 327_680,
    "llama-3.1-8b": 131_072,
    "llama-3.1-70b": 327_680,
    "llama-3.1-405b": 516_096,
    "llama-3.3-70b": 327_680,
    "llama-4-maverick": 196_608,
    "llama-4-scout": 196_608,
    "mixtral-8x7b": 131_072,
    "qwen3-8b": 147_456,
    "qwen3-32b": 262_144,
    "qwen3-30b-a3b": 98_304,
    "qwen3-235b-a22b": 192_512,
    # By hand: layers x (key + value of every key-value head), in windows and without, x 2 bytes.
    "kimi-k2": 61 * (512 + 64) * 2,
    "kimi-k2.5": 61 * (512 + 64) * 2,
    "deepseek-r1": 61 * (512 + 64) * 2,
    "minimax-m2.5": 62 * 2 * 8 * 128 * 2,
    "gemma-4-26b-a4b": (25 * 2 * 8 * 256 + 5 * 2 * 2 * 512) * 2,
    "gemma-4-31b": (50 * 2 * 16 * 256 + 10 * 2 * 4 * 512) * 2,
    "llama-3.2-1b": 16 * 2 * 8 * 64 * 2,
    "llama-3.2-3b": 28 * 2 * 8 * 128 * 2,
    "devstral-2-123b": 88 * 2 * 8 * 128 * 2,
    "devstral-small-2-24b": 40 * 2 * 8 * 128 * 2,
    "mistral-large-2": 88 * 2 * 8 * 128 * 2,
    "mistral-7b-v0.3": 32 * 2 * 8 * 128 * 2,
    "phi-4": 40 * 2 * 10 * 128 * 2,
    "exaone-4.0-32b": 64 * 2 * 8 * 128 * 2,
    "olmo-3.1-32b": 64 * 2 * 8 * 128 * 2,
    "qwen2.5-7b": 28 * 2 * 4 * 128 * 2,
    "qwen2.5-32b": 64 * 2 * 8 * 128 * 2,
    "mimo-v2-flash": (9 * 4 + 39 * 8) * (192 + 128) * 2,
    # The latent, the rotary key, and the key of the indexer.
    "deepseek-v3.2": 61 * (512 + 64 + 128) * 2,
    "glm-5": 78 * (512 + 64 + 128) * 2,
    # One key for 4 tokens, and for these one of the indexer, or one for 128.
    "deepseek-v4-flash": 2 * (21 * (512 + 128) // 4 + 20 * 512 // 128),
}


def preset(name: str) -> Architecture:
    config: dict[str, Any] = yaml.safe_load(presets("model")[name].read_text(encoding="utf-8"))
    return architecture_from_config(name, config)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_parameters_are_the_published_ones(name: str) -> None:
    assert preset(name).parameter_count == PARAMETERS[name]


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_active_parameters_are_the_published_ones(name: str) -> None:
    """To the digits that are published; a dense model's tokens meet all of it."""
    model = preset(name)
    if name not in ACTIVE_BILLIONS:
        moe = bool(model.expert_counts)
        assert (model.active_parameter_count < model.parameter_count) == moe
        return
    published = ACTIVE_BILLIONS[name]
    digits = len(str(published).partition(".")[2])
    assert round(model.active_parameter_count / 10**9, digits) == published


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_equal_layers_are_one_object(name: str) -> None:
    layers = preset(name).layers
    assert len({id(layer) for layer in layers}) == len(set(layers)) <= 4


@pytest.mark.parametrize("apart", [False, True])
def test_experts_apart_or_sliced_are_the_same_parameters(apart: bool) -> None:
    for name in ("mixtral-8x7b", "deepseek-v3", "gpt-oss-20b"):
        blocks = blocks_of(preset(name), ExpertPlacement(apart=apart))
        assert sum(block.parameters for block in blocks) == PARAMETERS[name]


@pytest.mark.parametrize("name", sorted(KV_FP16_BYTES))
def test_cache_per_token_is_the_published_one(name: str) -> None:
    assert bytes_of(preset(name).kv_elements_per_token, "fp16") == KV_FP16_BYTES[name]


def test_every_shipped_model_has_a_published_count_here() -> None:
    assert set(presets("model")) == set(PARAMETERS)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_blocks_hold_every_parameter_and_cache_element_once(name: str) -> None:
    model = preset(name)
    blocks = blocks_of(model)
    # A tied head multiplies by a table that the embedding holds already, on other chips.
    again = model.embedding_parameters if model.tied_embeddings else 0
    assert sum(block.parameters for block in blocks) == PARAMETERS[name] + again
    cached = sum(block.kv_elements_per_token for block in blocks)
    assert bytes_of(cached, "fp16") == KV_FP16_BYTES[name]


architectures = st.builds(
    Architecture.dense,
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
    h, layer0 = model.hidden_size, model.layers[0]
    attention, feed_forward = layer0.attention, layer0.feed_forward
    assert isinstance(attention, GroupedAttention)
    assert isinstance(feed_forward, DenseFeedForward)
    d, inner = attention.head_size, feed_forward.inner_size
    layer = [
        (h,),  # input_layernorm
        (attention.head_count * d, h),  # q_proj
        (attention.kv_head_count * d, h),  # k_proj
        (attention.kv_head_count * d, h),  # v_proj
        (h, attention.head_count * d),  # o_proj
        (h,),  # post_attention_layernorm
        (inner, h),  # gate_proj
        (inner, h),  # up_proj
        (h, inner),  # down_proj
    ]
    shapes = [(model.vocabulary_size, h), *layer * model.layer_count, (h,)]
    if not model.tied_embeddings:
        shapes.append((model.vocabulary_size, h))
    count = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes)
    assert model.parameter_count == count
