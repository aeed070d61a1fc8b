"""States of sequences against `transformers`: what its cache keeps, and the FLOP of its chunks.

Small models of each family that keeps states are run on a few tokens; then the cache of the library
holds what one sequence keeps. It stores one row more of a convolution than the next token needs.
FLOP of the layers that are written as matrix products there are counted by torch, as they run.
"""

from typing import Any

import pytest

from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.state_layers import StateShape

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 24,
    "vocab_size": 50,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
}
DELTA = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 6,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 8,
    "linear_conv_kernel_dim": 4,
}
EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 8,
}
MAMBA = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 2,
    "mamba_d_state": 16,
    "mamba_d_conv": 4,
    "mamba_chunk_size": 8,
}
KINDS = ["linear_attention", "full_attention", "linear_attention", "linear_attention"]
MODELS: dict[str, dict[str, Any]] = {
    "qwen3_next": {**DELTA, **EXPERTS},
    "qwen3_5_text": DELTA,
    "qwen3_5_moe_text": {**DELTA, **EXPERTS},
    "nemotron_h": {
        "hybrid_override_pattern": "M*M-",
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "n_groups": 2,
        "ssm_state_size": 16,
        "conv_kernel": 4,
        "chunk_size": 8,
    },
    "granitemoehybrid": {
        **MAMBA, "num_local_experts": 0, "shared_intermediate_size": 16, "layer_types": KINDS,
    },
    "bamba": {**MAMBA, "attn_layer_indices": [1]},
    "falcon_h1": {**MAMBA, "mamba_d_ssm": 64},
    "lfm2": {"layer_types": ["conv", "full_attention", "conv", "conv"]},
    "olmo_hybrid": DELTA | {"layer_types": KINDS},
    "minimax": {"num_local_experts": 4, "num_experts_per_tok": 2, "block_size": 8},
    "kimi_linear": {
        "num_key_value_heads": 4,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 8,
        "kv_lora_rank": 8,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8,
        "v_head_dim": 8,
        "linear_head_dim": 8,
        "linear_num_heads": 4,
        "layer_types": KINDS,
    },
}  # fmt: skip


def config_of(model_type: str) -> dict[str, Any]:
    own = {"bos_token_id": 1, "eos_token_id": 2}
    return {"model_type": model_type, **COMMON, **own, **MODELS[model_type]}


def ours(model_type: str) -> Architecture:
    config = config_of(model_type)
    if model_type == "kimi_linear":  # the library says these otherwise in its own files
        inner = {"head_dim": config.pop("linear_head_dim")}
        inner["num_heads"] = config.pop("linear_num_heads")
        config |= {"linear_attn_config": inner}
    return architecture_from_config("small", config)


def theirs(model_type: str) -> Any:
    config = config_of(model_type)
    del config["model_type"]
    made = transformers.AutoConfig.for_model(model_type, **config)
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(made).eval()


@pytest.mark.parametrize("model_type", MODELS)
def test_a_sequence_keeps_what_the_cache_of_the_library_holds(model_type: str) -> None:
    model = ours(model_type)
    with torch.no_grad():
        cache = theirs(model_type)(torch.arange(3, 15)[None], use_cache=True).cache
    recurrent = convolution = 0
    if model_type == "minimax":  # which keeps its states aside
        recurrent = sum(kept.numel() for kept in cache.linear_cache if len(kept))
    for layer in cache.layers:
        states = getattr(layer, "recurrent_states", {}) or {}
        recurrent += sum(kept.numel() for kept in states.values() if kept is not None)
        rows = getattr(layer, "conv_states", {}) or {}
        convolution += sum(kept[..., 1:].numel() for kept in rows.values() if kept is not None)
    assert recurrent == model.state_elements_per_sequence
    assert convolution == model.convolution_elements_per_sequence
    assert recurrent + convolution > 0


@pytest.mark.parametrize("model_type", ["qwen3_5_text", "minimax"])
def test_chunks_take_the_products_that_the_library_runs(model_type: str) -> None:
    """Of a whole number of chunks; the library solves a triangle where we invert and multiply."""
    from torch.utils.flop_counter import FlopCounterMode

    model, module = ours(model_type), theirs(model_type)
    kinds = [isinstance(layer.attention, StateShape) for layer in model.layers]
    number = kinds.index(True)
    shape = model.layers[number].attention
    assert shape is not None and isinstance(shape, StateShape)
    rows = 2 * shape.chunk_tokens
    held = module.model.layers[number]
    layer = held.self_attn if model_type == "minimax" else held.linear_attn
    hidden = torch.randn(1, rows, model.hidden_size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        if model_type == "minimax":
            layer(hidden, None, None)
        else:
            layer(hidden)
    block = next(b for b in blocks_of(model) if b.name == f"layer{number}.state")
    matrix = sum(
        one.flop_of(one.chunk_tokens)
        for one in block.operators
        if one.unit == "matrix" and one.rows_of != "next_tokens"
    )
    wanted = rows * matrix
    if model_type != "minimax":
        chunk, key, value = shape.chunk_tokens, 16, 8
        wanted -= rows * 6 * (2 * chunk * (key + value) + chunk * -(-chunk // 3))
        # torch counts a convolution, and that of the rows it is padded with; here it is the vector
        # unit's.
        kernel = shape.convolution.kernel_size
        wanted += 2 * kernel * shape.convolution.channels * (rows + kernel - 1)
    assert counter.get_total_flops() == wanted
