"""No key of a model goes unread: it is read, changes no size, is ignored by name, or is wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rack_sim.model.architecture import Architecture
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.scenario import Scenario, load_scenario, resolved_yaml

Said = Callable[..., list[str]]
Load = Callable[..., Scenario]

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 512,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "intermediate_size": 1024,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
}
SEES: dict[str, Any] = {
    "model_type": "llava",
    "architectures": ["LlavaForConditionalGeneration"],
    "image_token_index": 32000,
    "vision_config": {"hidden_size": 1024, "num_hidden_layers": 24},
    "text_config": LLAMA,
}


def model_of(scenario: Scenario) -> Architecture:
    return scenario.deployment.model


def put(keys: str) -> tuple[str, str]:
    return "model: llama-2-7b", f"model: {{preset: llama-2-7b, {keys}}}"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("num_hidden_layer", "num_hidden_layers"),
        ("num_kv_heads", "num_key_value_heads"),
        ("hidden_sizes", "hidden_size"),
        ("tie_word_embedding", "tie_word_embeddings"),
        ("sliding_windows", "sliding_window"),
        ("moe_intermediate_size", "intermediate_size"),
    ],
)
def test_a_key_that_nobody_reads_is_refused_where_it_stands(
    said: Said, key: str, meant: str
) -> None:
    tail = (
        f"model.{key}: unknown key {key!r} of a model of type 'llama' (did you mean {meant!r}? "
        f"If it changes no size, say so: ignore: [{key}])"
    )
    assert said(put(f"{key}: 2")) == [f"p.yaml:3:29: {tail}"]
    assert said("", f"model.{key}=2") == [f"--set model.{key}=2: {tail}"]


def test_of_a_draft_model_too(said: Said, small: str) -> None:
    text = small.replace("groq-rack-72", "nvidia-h100-x1").replace(
        "  max_context_tokens: 1024\n",
        "  max_context_tokens: 1024\n  speculation:\n    draft_tokens: 2\n    acceptance: 0.5\n"
        "    draft_model: {preset: llama-2-7b, num_kv_heads: 1}\n",
    )
    Path("draft.yaml").write_text(text)
    path = "serving.speculation.draft_model"
    problems = said((small, text))
    assert any(f"p.yaml:11:39: {path}.num_kv_heads: unknown key" in item for item in problems)
    problems = said((small, text.replace(", num_kv_heads: 1", "")), f"{path}.num_heads=1")
    assert any(item.startswith(f"--set {path}.num_heads=1: {path}") for item in problems)


def test_the_name_of_a_preset_may_be_set(load: Load, said: Said) -> None:
    """What was laid on the one that stood there stays."""
    assert model_of(load("", "model.preset=llama-3-8b")) == model_of(load("", "model=llama-3-8b"))
    changed = load(put("num_hidden_layers: 3"), "model.preset=llama-3-8b")
    assert len(model_of(changed).layers) == 3
    assert model_of(changed).vocabulary_size == 128256
    assert load("", "system.preset=groq-264").deployment.system.name == "groq-264"
    (problem,) = said("", "model.preset=nobody")
    assert problem.startswith("--set model.preset=nobody: no model is called 'nobody'")
    (problem,) = said("", "model.preset=llama-3-8b", "model=llama-2-7b")
    assert "clashes with --set" in problem
    written = json.dumps(LLAMA)
    (problem,) = said(("model: llama-2-7b", f"model: {written}"), "model.preset=llama-3-8b")
    assert problem.endswith(
        "the model is written out: no preset stands there to be replaced (--set model=llama-3-8b)"
    )


def test_of_a_model_that_sees_the_text_part_is_reached(load: Load, said: Said) -> None:
    Path("sees.json").write_text(json.dumps(SEES))
    preset = ("model: llama-2-7b", "model: {preset: sees.json, num_hidden_layers: 3}")
    for scenario in (
        load(preset),
        load(("model: llama-2-7b", "model: sees.json"), "model.num_hidden_layers=3"),
        load(
            ("model: llama-2-7b", "model: sees.json"),
            "model.text_config.num_hidden_layers=3",
        ),
    ):
        assert len(model_of(scenario).layers) == 3
    named = load(("model: llama-2-7b", "model: {preset: sees.json, name: mine, vocab_size: 500}"))
    assert (model_of(named).name, model_of(named).vocabulary_size) == ("mine", 500)
    (problem,) = said(("model: llama-2-7b", "model: sees.json"), "model.num_layers=3")
    assert problem.startswith("--set model.num_layers=3: model.text_config.num_layers: unknown key")
    beside = {**SEES, "num_hidden_layers": 3}
    Path("sees.json").write_text(json.dumps(beside))
    (problem,) = said(("model: llama-2-7b", "model: sees.json"))
    assert problem.startswith("sees.json:1:")
    assert "stands beside text_config, where nobody reads it" in problem
    Path("sees.json").write_text(json.dumps({**SEES, "num_hidden_layers": 4}))
    repeats = ("model: llama-2-7b", "model: sees.json")
    assert len(model_of(load(repeats)).layers) == 4
    assert len(model_of(load(repeats, "model.num_hidden_layers=3")).layers) == 3
    preset = "model: {preset: sees.json, num_hidden_layers: 3}"
    assert len(model_of(load((repeats[0], preset))).layers) == 3


def test_a_key_may_be_ignored_by_name(load: Load, said: Said) -> None:
    plain = model_of(load())
    found = load(put("my_tool: 3, ignore: [my_tool]"))
    assert model_of(found) == plain
    Path("again.yaml").write_text(resolved_yaml(found))
    assert resolved_yaml(load_scenario("again.yaml")) == resolved_yaml(found)
    assert model_of(load("", "model.my_tool=3", "model.ignore=[my_tool]")) == plain
    for given, message in [
        ("my_tool", "model.ignore: must be a list of keys, as in ignore: [some_key]"),
        ("[my_tol]", "model.ignore: 'my_tol' is no key of this model"),
        ("[hidden_size]", "model.ignore: 'hidden_size' is read: it cannot be ignored"),
    ]:
        problems = said(put(f"my_tool: 3, ignore: {given}"))
        assert any(problem.endswith(message) for problem in problems), problems


@pytest.mark.parametrize(
    "key",
    ["bos_token_id", "pad_token_id", "use_cache", "auto_map", "rope_theta", "top_p"],
)
def test_what_runs_and_names_a_model_is_no_part_of_its_shape(key: str) -> None:
    plain = architecture_from_config("a", LLAMA)
    found = architecture_from_config("a", {**LLAMA, key: 5})
    assert replace(found, checkpoint=plain.checkpoint) == plain


# What transformers 5.24 writes for a model of the family beside the keys of every model.
WRITTEN: dict[str, dict[str, Any]] = {
    "llama": {"attention_bias": False, "mlp_bias": False, "pretraining_tp": 1},
    "mistral": {"head_dim": 64, "sliding_window": 4096},
    "mixtral": {
        "head_dim": None,
        "num_experts_per_tok": 2,
        "num_local_experts": 8,
        "output_router_logits": False,
        "router_aux_loss_coef": 0.001,
        "router_jitter_noise": 0.0,
        "sliding_window": None,
    },
    "gemma": {"attention_bias": False, "head_dim": 64, "use_bidirectional_attention": None},
    "qwen2": {
        "layer_types": ["full_attention"] * 4,
        "max_window_layers": 28,
        "sliding_window": 32768,
        "use_sliding_window": False,
    },
    "qwen3": {
        "attention_bias": False,
        "layer_types": ["full_attention"] * 4,
        "max_window_layers": 28,
        "sliding_window": None,
        "use_sliding_window": False,
    },
    "qwen3_moe": {
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "moe_intermediate_size": 96,
        "norm_topk_prob": False,
        "num_experts_per_tok": 2,
        "num_local_experts": 8,
        "router_aux_loss_coef": 0.001,
        "use_sliding_window": False,
    },
    "llama4_text": {
        "attention_chunk_size": 8192,
        "attn_scale": 0.1,
        "attn_temperature_tuning": True,
        "floor_scale": 8192,
        "interleave_moe_layer_step": 1,
        "intermediate_size_mlp": 16384,
        "layer_types": ["chunked_attention"] * 3 + ["full_attention"],
        "moe_layers": [0, 1, 2, 3],
        "no_rope_layer_interval": 4,
        "no_rope_layers": [1, 1, 1, 0],
        "num_experts_per_tok": 1,
        "num_local_experts": 16,
        "use_qk_norm": True,
    },
    "deepseek_v3": {
        "first_k_dense_replace": 3,
        "kv_lora_rank": 64,
        "moe_intermediate_size": 96,
        "n_group": 8,
        "n_routed_experts": 16,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "num_nextn_predict_layers": 1,
        "q_lora_rank": None,
        "qk_head_dim": 96,
        "qk_nope_head_dim": 64,
        "qk_rope_head_dim": 32,
        "rope_interleave": True,
        "routed_scaling_factor": 2.5,
        "topk_group": 4,
        "v_head_dim": 64,
    },
    "gpt_oss": {
        "experts_per_token": 4,
        "initial_context_length": 4096,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_experts_per_tok": 4,
        "num_local_experts": 16,
        "sliding_window": 128,
        "swiglu_alpha": 1.702,
        "swiglu_limit": 7.0,
    },
}


@pytest.mark.parametrize("family", WRITTEN)
def test_what_transformers_writes_is_taken_and_nothing_else(family: str) -> None:
    """Every key is known; with one letter more, each that is read would be another key."""
    whole = {
        **LLAMA,
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"},
        "tie_word_embeddings": False,
        **WRITTEN[family],
        "model_type": family,
    }
    assert architecture_from_config("a", whole).parameter_count > 0
    for key in whole:
        with pytest.raises(Exception, match=f"unknown key '{key}x' of a model"):
            architecture_from_config("a", {**whole, f"{key}x": 3})
