"""A config.json is read as it is, and everything wrong with it is said at once."""

from typing import Any

import pytest

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.model.architecture import Architecture
from rack_sim.model.huggingface import architecture_from_config

# The config.json of Llama-3.1 8B, keys that do not change the shape included.
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {"factor": 8.0, "rope_type": "llama3"},
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}


def without(*keys: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (LLAMA | changes).items() if key not in keys}


def problems_of(config: dict[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        architecture_from_config("any", config)
    return caught.value.problems


def test_a_real_config_is_read_and_other_keys_are_ignored() -> None:
    assert architecture_from_config("llama", LLAMA) == Architecture(
        name="llama",
        layer_count=32,
        hidden_size=4096,
        head_count=32,
        kv_head_count=8,
        head_size=128,
        feed_forward_size=14336,
        vocabulary_size=128256,
        tied_embeddings=False,
        max_context_tokens=131072,
    )


def test_defaults_are_those_of_the_format() -> None:
    bare = without("num_key_value_heads", "tie_word_embeddings", "model_type")
    model = architecture_from_config("any", bare)
    assert (model.kv_head_count, model.tied_embeddings, model.head_size) == (32, False, 128)
    nulls = without(num_key_value_heads=None, head_dim=None)
    assert architecture_from_config("any", nulls).kv_head_count == 32


def test_head_dim_need_not_be_hidden_over_heads() -> None:
    model = architecture_from_config("any", without(head_dim=256, num_attention_heads=24))
    assert (model.head_size, model.query_size, model.kv_size) == (256, 24 * 256, 8 * 256)


def test_a_tied_head_has_no_parameters_but_its_norm() -> None:
    tied = architecture_from_config("any", without(tie_word_embeddings=True))
    untied = architecture_from_config("any", LLAMA)
    assert untied.parameter_count - tied.parameter_count == 128256 * 4096
    assert tied.head_parameters == 4096


@pytest.mark.parametrize(
    "key",
    [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
    ],
)
def test_a_missing_key_is_named(key: str) -> None:
    (problem,) = problems_of(without(key))
    assert problem.message == f"key {key!r} is missing"


def test_a_misspelt_key_is_recognised() -> None:
    (problem,) = problems_of(without("hidden_size", hiden_size=4096))
    assert problem.suggestion == "is 'hiden_size' meant for it?"


def test_a_misspelt_key_with_a_space_is_quoted_whole() -> None:
    (problem,) = problems_of(without("hidden_size", **{"hidden size": 4096}))
    assert problem.suggestion == "is 'hidden size' meant for it?"


@pytest.mark.parametrize("value", [0, -1, 4096.0, "4096", True, [4096], 1.5])
def test_a_size_is_a_whole_number_of_at_least_one(value: Any) -> None:
    (problem,) = problems_of(without(hidden_size=value))
    assert problem.field == "hidden_size"
    assert repr(value) in problem.message


@pytest.mark.parametrize("key", ["num_key_value_heads", "head_dim"])
def test_optional_sizes_are_checked_too(key: str) -> None:
    (problem,) = problems_of(without(**{key: 0}))
    assert problem.field == key


def test_tied_is_true_or_false() -> None:
    (problem,) = problems_of(without(tie_word_embeddings="yes"))
    assert problem.field == "tie_word_embeddings"


def test_an_unknown_model_type_is_refused_with_what_could_be_read() -> None:
    (problem,) = problems_of(without(model_type="lama"))
    assert problem.field == "model_type"
    assert "'lama'" in problem.message
    assert "num_key_value_heads" in problem.message
    assert problem.suggestion == "did you mean 'llama'?"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_local_experts", 8),
        ("num_experts", 128),
        ("n_routed_experts", 256),
        ("q_lora_rank", 1536),
        ("kv_lora_rank", 512),
        ("sliding_window", 4096),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("quantization_config", {"quant_method": "fp8"}),
    ],
)
def test_what_is_not_modelled_is_refused(key: str, value: Any) -> None:
    (problem,) = problems_of(without(**{key: value}))
    assert problem.field == key
    assert "is not modelled" in problem.message


def test_one_expert_and_no_window_are_a_dense_model() -> None:
    dense = without(num_local_experts=1, num_experts=0, sliding_window=None)
    assert architecture_from_config("llama", dense) == architecture_from_config("llama", LLAMA)


def test_heads_that_do_not_divide_are_refused() -> None:
    (problem,) = problems_of(without(num_key_value_heads=5))
    assert problem.field == "num_key_value_heads"
    (problem,) = problems_of(without(num_attention_heads=24))
    assert (problem.field, problem.suggestion) == ("hidden_size", "give head_dim")
    both = problems_of(without(num_attention_heads=24, num_key_value_heads=5))
    assert {problem.field for problem in both} == {"num_key_value_heads", "hidden_size"}


def test_every_problem_is_reported_at_once() -> None:
    found = problems_of(
        without("vocab_size", model_type="mixtral", num_local_experts=8, intermediate_size="big")
    )
    assert [problem.field for problem in found] == [
        "model_type",
        "num_local_experts",
        "intermediate_size",
        "",
    ]


def test_heads_are_checked_even_where_another_key_is_wrong() -> None:
    """The docstring: "every problem", heads that do not divide among them."""
    found = problems_of(without("vocab_size", num_key_value_heads=5))
    assert {problem.field for problem in found} == {"", "num_key_value_heads"}
