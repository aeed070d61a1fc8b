"""A config.json is read as it is, and everything wrong with it is said at once."""

from dataclasses import replace
from typing import Any

import pytest

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.model.architecture import Architecture
from rack_sim.model.checkpoint import Checkpoint
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.layers import Experts, GroupedAttention, LatentAttention

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


def grouped(model: Architecture) -> GroupedAttention:
    attention = model.layers[0].attention
    assert isinstance(attention, GroupedAttention)
    return attention


def test_a_real_config_is_read_and_other_keys_are_ignored() -> None:
    shape = Architecture.dense(
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
    stored = Checkpoint("bf16", dtype_said=True)
    assert architecture_from_config("llama", LLAMA) == replace(shape, checkpoint=stored)


def test_defaults_are_those_of_the_format() -> None:
    bare = without("num_key_value_heads", "tie_word_embeddings", "model_type")
    model = architecture_from_config("any", bare)
    attention = grouped(model)
    assert (attention.kv_head_count, attention.head_size) == (32, 128)
    assert not model.tied_embeddings
    nulls = without(num_key_value_heads=None, head_dim=None)
    assert grouped(architecture_from_config("any", nulls)).kv_head_count == 32


def test_head_dim_need_not_be_hidden_over_heads() -> None:
    model = grouped(architecture_from_config("any", without(head_dim=256, num_attention_heads=24)))
    assert (model.head_size, model.query_size, model.key_size) == (256, 24 * 256, 8 * 256)


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
    ],
)
def test_a_missing_key_is_named(key: str) -> None:
    (problem,) = problems_of(without(key))
    assert problem.message == f"key {key!r} is missing"


def test_what_published_code_takes_stands_for_a_key_that_is_left_out() -> None:
    """Llamas of before 2024 say no context: the code they ran on took 2,048."""
    old = architecture_from_config("any", without("max_position_embeddings", "rope_scaling"))
    assert old.max_context_tokens == 2048
    (problem,) = problems_of(without("max_position_embeddings", model_type="mistral"))
    assert problem.message == "key 'max_position_embeddings' is missing"


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


def test_a_misspelt_model_type_is_told_by_its_keys_and_its_name() -> None:
    (problem,) = problems_of(without(model_type="lama"))
    assert problem.field == "model_type"
    assert "'lama' is not known; its keys look like 'llama'" in problem.message
    assert "8,030,261,248 parameters in 32 layers" in problem.message
    assert problem.suggestion == "--set model.model_type=llama"


@pytest.mark.parametrize("known", ["DEEPSEEK", "QWEN3_MOE", "GPT_OSS"])
def test_an_unknown_model_type_is_read_as_the_family_that_its_keys_look_like(known: str) -> None:
    """As its next generation may be called; no other family's rules complain."""
    config = {name: value for name, value in globals()[known].items() if name != "model_type"}
    (problem,) = problems_of(config | {"model_type": "next_1", "new_key": 3})
    family = globals()[known]["model_type"]
    count = architecture_from_config("any", globals()[known]).parameter_count
    assert f"look like {family!r}, as which it would be {count:,} parameters" in problem.message
    assert "whatever new_key may say" in problem.message
    assert problem.suggestion == (f"--set model.model_type={family} --set 'model.ignore=[new_key]'")
    (problem,) = problems_of(config | {"model_type": "next_1"})
    assert problem.suggestion == f"--set model.model_type={family}"


def test_the_setting_that_is_offered_reads_the_file() -> None:
    config = {**DEEPSEEK, "model_type": "deepseek_v9", "index_width": 3}
    (problem,) = problems_of(config)
    assert "--set model.model_type=deepseek_v3 --set 'model.ignore=[index_width]'" in str(problem)
    said = config | {"model_type": "deepseek_v3", "ignore": ["index_width"]}
    known = architecture_from_config("any", DEEPSEEK)
    assert architecture_from_config("any", said) == known


def test_a_file_without_a_type_is_a_llama_unless_its_keys_look_like_another() -> None:
    config = {name: value for name, value in DEEPSEEK.items() if name != "model_type"}
    (problem,) = problems_of(config)
    assert "key 'model_type' is missing; its keys look like 'deepseek_v3'" in problem.message
    assert (
        problems_of(without("vocab_size", "model_type"))[0].message == "key 'vocab_size' is missing"
    )


def test_what_looks_like_no_family_says_which_is_nearest_and_what_is_in_the_way() -> None:
    strange = {f"mamba_{number}": number for number in range(20)}
    (problem,) = problems_of(without(model_type="mamba_9", **strange))
    assert (
        "nearest is 'llama', which does not know 20 of its keys; as that it would be"
        in problem.message
    )
    assert "mamba_11 and 8 more may say" in problem.message
    (problem,) = problems_of(without("vocab_size", model_type="mamba", intermediate_size="big"))
    assert "cannot be read: key 'vocab_size' is missing; intermediate_size" in problem.message
    assert problem.suggestion.startswith("once that is right: --set model.model_type=")


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
    found = problems_of(without("vocab_size", num_local_experts=8, intermediate_size="big"))
    assert [problem.field for problem in found] == ["", "num_local_experts", "intermediate_size"]


def test_heads_are_checked_even_where_another_key_is_wrong() -> None:
    """The docstring: "every problem", heads that do not divide among them."""
    found = problems_of(without("vocab_size", num_key_value_heads=5))
    assert {problem.field for problem in found} == {"", "num_key_value_heads"}


def test_how_weights_are_stored_is_no_part_of_the_shape() -> None:
    stored = without(quantization_config={"quant_method": "fp8"})
    plain = architecture_from_config("llama", LLAMA)
    found = architecture_from_config("llama", stored)
    assert found.checkpoint.method == "fp8"
    assert replace(found, checkpoint=plain.checkpoint) == plain


def windows(model: Architecture) -> list[int | None]:
    return [layer.attention.window_tokens for layer in model.layers]


def test_a_mistral_has_its_window_in_every_layer() -> None:
    model = architecture_from_config("any", without(model_type="mistral", sliding_window=4096))
    assert windows(model) == [4096] * 32
    model = architecture_from_config("any", without(model_type="mistral", sliding_window=None))
    assert windows(model) == [None] * 32


GPT_OSS = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "num_hidden_layers": 4,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "intermediate_size": 2880,
    "vocab_size": 201088,
    "max_position_embeddings": 131072,
    "num_local_experts": 32,
    "experts_per_token": 4,
    "sliding_window": 128,
    "attention_bias": True,
    "quantization_config": {"quant_method": "mxfp4"},
}


def test_layer_types_say_which_layers_have_a_window() -> None:
    assert windows(architecture_from_config("any", GPT_OSS)) == [128, None, 128, None]
    kinds = ["full_attention"] * 3 + ["sliding_attention"]
    model = architecture_from_config("any", GPT_OSS | {"layer_types": kinds})
    assert windows(model) == [None, None, None, 128]


@pytest.mark.parametrize("kinds", [["full_attention"], ["linear_attention"] * 4, "full", [1] * 4])
def test_layer_types_that_are_none_are_refused(kinds: Any) -> None:
    (problem,) = problems_of(GPT_OSS | {"layer_types": kinds})
    assert problem.field == "layer_types"


LLAMA4 = {
    "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text",
        "hidden_size": 5120,
        "num_hidden_layers": 8,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16384,
        "vocab_size": 202048,
        "max_position_embeddings": 1048576,
        "num_local_experts": 128,
        "num_experts_per_tok": 1,
        "interleave_moe_layer_step": 2,
        "attention_chunk_size": 8192,
    },
    "vision_config": {"hidden_size": 1408},
}


def test_of_a_model_that_sees_the_text_is_read() -> None:
    model = architecture_from_config("any", LLAMA4)
    assert windows(model) == [8192, 8192, 8192, None] * 2
    assert [isinstance(layer.feed_forward, Experts) for layer in model.layers] == [False, True] * 4
    assert model.layers[1].feed_forward == Experts(128, 1, 8192, shared_size=8192)
    whole = LLAMA4["text_config"] | {"no_rope_layers": [0, 1] * 4, "moe_layers": [0]}
    model = architecture_from_config("any", LLAMA4 | {"text_config": whole})
    assert windows(model) == [None, 8192] * 4
    assert [isinstance(layer.feed_forward, Experts) for layer in model.layers] == [True] + [
        False
    ] * 7


def test_problems_of_the_text_say_where_they_stand() -> None:
    wrong = {k: v for k, v in LLAMA4["text_config"].items() if k != "vocab_size"} | {"head_dim": 0}
    missing, head = problems_of(LLAMA4 | {"text_config": wrong})
    assert missing.message == "key 'vocab_size' is missing in text_config"
    assert head.field == "text_config.head_dim"


DEEPSEEK = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "num_hidden_layers": 5,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "topk_method": "noaux_tc",
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "num_nextn_predict_layers": 1,
    "quantization_config": {"quant_method": "fp8"},
}


def test_latent_attention_and_the_first_dense_layers() -> None:
    model = architecture_from_config("any", DEEPSEEK)
    assert {layer.attention for layer in model.layers} == {
        LatentAttention(128, 1536, 512, 128, 64, 128)
    }
    kinds = [isinstance(layer.feed_forward, Experts) for layer in model.layers]
    assert kinds == [False, False, False, True, True]
    assert model.kv_elements_per_token == 5 * 576


QWEN3_MOE = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "num_hidden_layers": 6,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 2,
    "mlp_only_layers": [3],
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
}


def test_experts_stand_in_every_so_many_layers() -> None:
    model = architecture_from_config("any", QWEN3_MOE)
    kinds = [isinstance(layer.feed_forward, Experts) for layer in model.layers]
    assert kinds == [False, True, False, False, False, True]
    assert grouped(model).query_key_norms == "head"


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        (QWEN3_MOE, "num_experts_per_tok", 129),
        (QWEN3_MOE, "mlp_only_layers", [6]),
        (QWEN3_MOE, "use_sliding_window", True),
        (GPT_OSS, "sliding_window", 0),
        (DEEPSEEK, "kv_lora_rank", "wide"),
        (DEEPSEEK, "attention_bias", True),
    ],
)
def test_families_refuse_what_they_do_not_model(
    config: dict[str, Any], key: str, value: Any
) -> None:
    (problem,) = problems_of(config | {key: value})
    assert problem.field == key


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("n_group", 7, "256 experts make no 7 groups of as many each"),
        ("topk_group", 9, "9 of 8 groups cannot be chosen"),
        ("topk_group", 1, "1 group of 32 experts: 33 cannot be chosen"),
    ],
)
def test_experts_make_even_groups(key: str, value: int, message: str) -> None:
    grouped_experts = DEEPSEEK | {"n_group": 8, "topk_group": 4}
    assert architecture_from_config("any", grouped_experts)
    (problem,) = problems_of(grouped_experts | {"num_experts_per_tok": 33, key: value})
    assert (problem.field, problem.message) == (key, message)


@pytest.mark.parametrize("family", ["gpt2", "bloom", "opt", "falcon"])
def test_heads_of_old_decoders_share_out_the_projection(family: str) -> None:
    old = {
        "model_type": family,
        "hidden_size": 768,
        "num_hidden_layers": 2,
        "num_attention_heads": 12,
        "vocab_size": 100,
        "max_position_embeddings": 512,
        **({"ffn_dim": 3072} if family == "opt" else {}),
    }
    even = architecture_from_config("any", old)
    assert architecture_from_config("any", old | {"head_dim": 64}) == even
    (problem,) = problems_of(old | {"head_dim": 80})
    assert problem.field == "head_dim"
    assert problem.message == "12 heads of 80 are not as wide as the projection of 768"


def test_layer_types_are_as_many_as_layers_where_nobody_reads_them_too() -> None:
    three = without(model_type="ministral3", layer_types=["full_attention"] * 3)
    (problem,) = problems_of(three)
    assert problem.field == "layer_types"
    assert problem.message == "has 3 items for 32 layers"


def test_gemma_is_tied_unless_it_says_otherwise() -> None:
    gemma = without("tie_word_embeddings", model_type="gemma")
    assert architecture_from_config("any", gemma).tied_embeddings
    assert not architecture_from_config("any", without(model_type="gemma")).tied_embeddings


def test_qwen2_has_biases_at_queries_keys_and_values() -> None:
    plain = architecture_from_config("any", LLAMA)
    biased = architecture_from_config("any", without("attention_bias", model_type="qwen2"))
    added = 32 * (32 + 2 * 8) * 128
    assert biased.parameter_count - plain.parameter_count == added


# Positions 32,768, of which training read 4,096: kind, what is given with it, longest context.
SCALED = [
    (None, {}, 32_768),
    ("default", {}, 32_768),
    ("mrope", {"mrope_section": [16, 24, 24]}, 32_768),
    ("linear", {"factor": 2.0}, 65_536),
    ("dynamic", {"factor": 4}, 131_072),
    ("yarn", {"factor": 2.5, "original_max_position_embeddings": 4096}, 10_240),
    ("yarn", {"factor": 40, "original_max_position_embeddings": 4096}, 163_840),  # DeepSeek-V3
    ("yarn", {"factor": 4.0}, 131_072),
    ("llama3", {"factor": 8.0, "original_max_position_embeddings": 4096}, 32_768),
    ("longrope", {"short_factor": [1.0], "long_factor": [2.0]}, 32_768),
    ("su", {"factor": 32, "original_max_position_embeddings": 4096}, 32_768),
]


@pytest.mark.parametrize(("kind", "more", "longest"), SCALED)
@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize("word", ["rope_type", "type"])
def test_the_longest_context_is_scaled_as_the_file_says(
    kind: str | None, more: dict[str, Any], longest: int, key: str, word: str
) -> None:
    """Kinds that Transformers documents, by the name of older files and of newer ones."""
    scaling = {word: kind, **more} if kind else None
    config = without("rope_scaling", max_position_embeddings=32_768) | {key: scaling}
    assert architecture_from_config("any", config).max_context_tokens == longest
    nested = {"model_type": "any", "text_config": config}
    assert architecture_from_config("any", nested).max_context_tokens == longest


YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192}


@pytest.mark.parametrize(
    ("by_layer", "longest"),
    [
        ({"full_attention": YARN, "sliding_attention": {"rope_type": "default"}}, 65_536),
        ({"sliding_attention": {"rope_type": "default"}, "full_attention": YARN}, 65_536),
        ({"main": {"rope_type": "linear", "factor": 2.0}, "other": {}}, 131_072),
    ],
)
def test_full_attention_says_how_far_positions_reach(
    by_layer: dict[str, Any], longest: int
) -> None:
    model = architecture_from_config("any", without("rope_scaling", rope_parameters=by_layer))
    assert model.max_context_tokens == longest


@pytest.mark.parametrize(
    "scaling",
    [
        {"rope_scaling": {"rope_type": "linear", "factor": 8.0}},
        {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0}}},
    ],
)
def test_positions_of_a_gemma_3_are_scaled_already(scaling: dict[str, Any]) -> None:
    gemma = without("rope_scaling", "mlp_bias", model_type="gemma3_text", **scaling)
    assert architecture_from_config("any", gemma).max_context_tokens == 131_072


def test_what_is_wrong_with_the_scaling_of_a_kind_of_layer_says_where() -> None:
    wrong = {"full_attention": {"rope_type": "yarm", "factor": 2}}
    (problem,) = problems_of(without("rope_scaling", rope_parameters=wrong))
    assert problem.field == "rope_parameters.full_attention.rope_type"
    assert problem.suggestion == "did you mean 'yarn'?"


@pytest.mark.parametrize(
    ("scaling", "field", "message"),
    [
        ({"rope_type": "yarm", "factor": 4}, ".rope_type", "'yarm' is no scaling that is known"),
        ({"type": "yarn"}, None, "key 'factor' is missing in rope_scaling"),
        ({"type": "linear", "factor": 0.5}, ".factor", "0.5 is not a number of at least 1"),
        ({"type": "linear", "factor": "4"}, ".factor", "'4' is not a number of at least 1"),
        ({"type": "linear", "factor": True}, ".factor", "True is not a number of at least 1"),
        ({"type": "linear", "factor": float("inf")}, ".factor", "inf is not a finite number"),
        ({"type": "linear", "factor": float("nan")}, ".factor", "nan is not a number of at least"),
        (
            {"type": "yarn", "factor": 4, "original_max_position_embeddings": 0},
            ".original_max_position_embeddings",
            "0 is not a whole number of at least 1",
        ),
        ("yarn", "", "'yarn' is not a mapping"),
    ],
)
def test_a_scaling_that_cannot_be_is_refused(scaling: Any, field: str | None, message: str) -> None:
    (problem,) = problems_of(without(rope_scaling=scaling))
    assert problem.message.startswith(message)
    assert problem.field == ("" if field is None else f"rope_scaling{field}")


@pytest.mark.parametrize(
    ("beside", "inside", "tied"),
    [
        (True, None, True),
        (False, None, False),
        (None, True, True),
        (None, None, False),
        (True, True, True),
    ],
)
def test_tied_is_read_beside_a_text_part_too(
    beside: bool | None, inside: bool | None, tied: bool
) -> None:
    text = without(tie_word_embeddings=inside)
    config = {"model_type": "any", "tie_word_embeddings": beside, "text_config": text}
    assert architecture_from_config("any", config).tied_embeddings is tied


def test_two_words_on_ties_that_differ_are_refused() -> None:
    config = {"tie_word_embeddings": True, "text_config": without(tie_word_embeddings=False)}
    (problem,) = problems_of(config)
    assert problem.field == "tie_word_embeddings"
    assert problem.message == "is True here and False in text_config"
    (problem,) = problems_of({"tie_word_embeddings": "no", "text_config": without()})
    assert problem.message == "'no' is not true or false"
