"""Bytes of published files of weights: against their published sizes, formulas, and counting."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.checkpoint import Checkpoint
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.module_names import ModulePatterns
from rack_sim.model.number_format import NumberFormat
from rack_sim.model.stored_formats import StoredFormat
from rack_sim.model.tensors import WEIGHT_KINDS, Tensor
from rack_sim.model.weight_formats import FormatsByKind
from rack_sim.model.weight_table import by_format, weight_table
from rack_sim.scenario.library import presets

Config = dict[str, Any]

GPT_OSS = {
    "quant_method": "mxfp4",
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
}


def config(name: str, **changes: Any) -> Config:
    """The keys of a preset, some changed."""
    keys: Config = yaml.safe_load(presets("model")[name].read_text(encoding="utf-8"))
    return keys | changes


def shipped(name: str, quantization: Mapping[str, Any] | None, **changes: Any) -> Architecture:
    """A preset as if its file had this quantization_config."""
    model = architecture_from_config(
        name, config(name, quantization_config=quantization, **changes)
    )
    assert model.checkpoint.problems == ()
    return model


def bytes_of(model: Architecture) -> int:
    """All bytes of a model's file."""
    return sum(row.bytes for row in weight_table(model, model.checkpoint))


def up(amount: int, parts: int) -> int:
    """A quotient, rounded up."""
    return -(-amount // parts)


def named(model: Architecture, name: str) -> Fraction:
    """Bits of a parameter of the operators of that name in the last layer."""
    found = [
        operator.stored.bits_each
        for block in blocks_of(model, formats=model.checkpoint)
        if block.name.startswith(f"layer{model.layer_count - 1}.")
        for operator in block.operators
        if operator.name.endswith(name) and operator.stored
    ]
    return found[-1]


# Published sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "published"),
    [
        # metadata.total_size of model.safetensors.index.json; found as well in copies of the first
        # and, of the second, as "tensor_bytes" of an inventory.
        ("gpt-oss-20b", 13_761_264_768),
        ("gpt-oss-120b", 65_248_815_744),
    ],
)
def test_gpt_oss_takes_what_its_published_file_does(name: str, published: int) -> None:
    assert bytes_of(shipped(name, GPT_OSS)) == published


def test_a_deepseek_in_awq_takes_what_its_published_file_does() -> None:
    """total_size of model.safetensors.index.json in github:kvcache-ai/sglang_awq at 1e697f11."""
    awq = {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True}
    assert bytes_of(shipped("deepseek-v3", awq)) == 364_589_799_936


# Formulas -----------------------------------------------------------------------------------------

HIDDEN, DENSE, EXPERT, EXPERTS, LAYERS, FIRST = 7168, 18432, 2048, 256, 61, 3
VOCABULARY = 129_280
ATTENTION = ((1536, HIDDEN), (576, HIDDEN), (24576, 1536), (32768, 512), (HIDDEN, 16384))
# Embedding, head and final norm; norms, of latents too; routers and their corrections.
LEFT_ALONE = (
    2 * VOCABULARY * HIDDEN
    + HIDDEN
    + LAYERS * (2 * HIDDEN + 1536 + 512)
    + (LAYERS - FIRST) * EXPERTS * (HIDDEN + 1)
)


def matrices_of_feed_forwards() -> list[tuple[int, int]]:
    """Every matrix of the dense layers, the experts and the shared ones: outputs and inputs."""
    wide = FIRST * [(DENSE, HIDDEN), (DENSE, HIDDEN), (HIDDEN, DENSE)]
    one = [(EXPERT, HIDDEN), (EXPERT, HIDDEN), (HIDDEN, EXPERT)]
    return wide + (LAYERS - FIRST) * (EXPERTS + 1) * one


def test_deepseek_in_blocks_of_fp8() -> None:
    """A byte a weight and four for every block of 128 by 128, which 576 rows do not fill."""
    fp8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
    expected = 2 * LEFT_ALONE
    for rows, columns in [*LAYERS * ATTENTION, *matrices_of_feed_forwards()]:
        expected += rows * columns + 4 * up(rows, 128) * up(columns, 128)
    model = shipped("deepseek-v3", fp8)
    assert bytes_of(model) == expected
    exponents = shipped("deepseek-v3", fp8 | {"scale_fmt": "ue8m0"})
    scales = expected - 2 * LEFT_ALONE - (model.parameter_count - LEFT_ALONE)
    assert bytes_of(model) - bytes_of(exponents) == scales * 3 // 4


def test_deepseek_in_nvfp4_keeps_attention_and_head() -> None:
    """Half a byte a weight, one for every 16 inputs of an output, four for the matrix."""
    ignore = ["lm_head", "model.embed_tokens", "model.layers.61*", "model.norm"]
    ignore += [f"model.layers.{number}.self_attn*" for number in range(LAYERS)]
    ignore += [f"model.layers.{number}.mlp.gate" for number in range(FIRST, LAYERS)]
    kept = LEFT_ALONE + LAYERS * sum(rows * columns for rows, columns in ATTENTION)
    expected = 2 * kept
    for rows, columns in matrices_of_feed_forwards():
        expected += rows * columns // 2 + rows * up(columns, 16) + 4
    inner = {"quant_algo": "NVFP4", "group_size": 16, "kv_cache_quant_algo": "FP8"}
    of_config = inner | {"quant_method": "modelopt", "ignore": ignore}
    assert bytes_of(shipped("deepseek-v3", of_config)) == expected
    # As hf_quant_config.json has it.
    beside = {"producer": {"name": "modelopt"}, "quantization": inner | {"exclude_modules": ignore}}
    assert bytes_of(shipped("deepseek-v3", beside)) == expected


@pytest.mark.parametrize("desc_act", [False, True])
@pytest.mark.parametrize("group", [128, 96, -1])
def test_a_llama_in_gptq(group: int, desc_act: bool) -> None:
    """Scales of two bytes and zero points of half of one, in words; an index where reordered."""
    hidden, inner, layers, vocabulary = 4096, 14336, 32, 128_256
    in_block = [(4096, hidden), (1024, hidden), (1024, hidden), (hidden, hidden)]
    in_block += [(inner, hidden), (inner, hidden), (hidden, inner)]
    expected = 2 * (2 * vocabulary * hidden + hidden + layers * 2 * hidden)
    for rows, columns in layers * in_block:
        groups = 1 if group == -1 else up(columns, group)
        expected += rows * columns // 2 + groups * rows * 2 + groups * rows // 8 * 4
        expected += columns * 4 if desc_act else 0
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": group, "desc_act": desc_act}
    assert bytes_of(shipped("llama-3.1-8b", gptq)) == expected


def test_int8_has_a_scale_for_every_output() -> None:
    weights = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
    int8 = {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": ["lm_head"],
    }
    model = shipped("llama-3.1-8b", int8)
    outputs = 32 * (4096 + 2 * 1024 + 4096 + 2 * 14336 + 4096)
    kept = 2 * 128_256 * 4096 + 4096 + 32 * 2 * 4096
    assert bytes_of(model) == (model.parameter_count - kept) + 2 * outputs + 2 * kept
    bits = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    assert bytes_of(shipped("llama-3.1-8b", bits)) == bytes_of(model) + 2 * outputs


def test_experts_alone_in_int4() -> None:
    """As Kimi-K2-Thinking is: what its expressions name stays."""
    weights = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}
    int4 = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": [
            "lm_head",
            "re:.*self_attn.*",
            "re:.*shared_experts.*",
            r"re:.*mlp\.(gate|up|gate_up|down)_proj.*",
        ],
    }
    model = shipped("deepseek-v3", int4)
    experts = (LAYERS - FIRST) * EXPERTS * 3 * HIDDEN * EXPERT
    expected = experts * 9 // 16 + 2 * (model.parameter_count - experts)
    assert bytes_of(model) == expected


def test_experts_in_fp4_beside_fp8() -> None:
    """As DeepSeek-V4 says it, beside its method."""
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    keys = config(
        "deepseek-v3", quantization_config=fp8, expert_dtype="fp4", ignore=["expert_dtype"]
    )
    mixed = architecture_from_config("v4", keys)
    assert named(mixed, "experts_down_projection") == Fraction(17, 4)
    assert named(mixed, ".shared_down_projection") == 8 + Fraction(32, 128 * 128)


def test_without_a_method_it_is_the_dtype() -> None:
    for dtype, size in (("bfloat16", 2), ("float16", 2), ("float32", 4), ("torch.float32", 4)):
        model = shipped("llama-3.1-8b", None, torch_dtype=dtype)
        assert bytes_of(model) == size * model.parameter_count
    unsaid = shipped("llama-3.1-8b", None)
    assert bytes_of(unsaid) == 2 * unsaid.parameter_count
    assert "assumed" in unsaid.checkpoint.title
    assert "assumed" not in shipped("llama-3.1-8b", None, dtype="bfloat16").checkpoint.title


def test_a_part_for_text_has_its_own_or_that_of_the_file() -> None:
    part = config("llama-3.1-8b")
    for key in ("name", "description", "source", "grade"):
        part.pop(key)
    fp8 = {
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
        "modules_to_not_convert": ["model.language_model.layers.31.mlp", "visual"],
    }
    whole = {"model_type": "llama", "text_config": part, "quantization_config": fp8}
    inside = {"model_type": "llama", "text_config": {**part, "quantization_config": fp8}}
    of_whole, of_inside = (architecture_from_config("m", keys) for keys in (whole, inside))
    assert bytes_of(of_whole) == bytes_of(of_inside)
    assert named(of_whole, "feed_forward.down_projection") == 16
    assert named(of_whole, "attention.output_projection") < 9


# Which modules are left alone ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "meant", "others"),
    [
        ("lm_head", ["lm_head"], ["model.layers.0.mlp.gate"]),
        ("gate", ["model.layers.0.mlp.gate"], ["model.layers.0.mlp.gate_proj"]),
        ("mlp.gate.", ["model.layers.0.mlp.gate"], ["model.layers.0.mlp.gate_proj"]),
        ("model.layers.1", ["model.layers.1.mlp.up_proj"], ["model.layers.11.mlp.up_proj"]),
        ("model.layers.*.self_attn", ["model.layers.7.self_attn.q_proj"], ["model.layers.7.mlp"]),
        ("model.layers.3.self_attn*", ["model.layers.3.self_attn.q_proj"], ["model.layers.3.mlp"]),
        ("*.mlp.gate", ["model.layers.3.mlp.gate"], ["model.layers.3.mlp.gate_proj"]),
        ("re:.*mlp.gate$", ["model.layers.3.mlp.gate"], ["model.layers.3.mlp.gate_proj"]),
        (r"model.layers.\d+.mlp", ["model.layers.30.mlp.up_proj"], ["model.layers.3.self_attn"]),
        (".*lm_head", ["lm_head"], ["model.norm"]),
        ("lm_head.weight", ["lm_head"], ["head"]),
    ],
)
def test_patterns_mean_modules(pattern: str, meant: list[str], others: list[str]) -> None:
    patterns = ModulePatterns([pattern])
    assert all(patterns.mean([name]) for name in meant)
    assert not any(patterns.mean([name]) for name in others)


@pytest.mark.parametrize(
    "name", ["block_sparse_moe.experts", "feed_forward.experts", "mlp.experts.0.w2", "experts"]
)
def test_modules_go_by_the_names_that_files_have(name: str) -> None:
    fp8 = {"quant_method": "fp8", "modules_to_not_convert": [name]}
    assert named(shipped("deepseek-v3", fp8), "experts_down_projection") == 16
    assert named(shipped("deepseek-v3", fp8), "shared_down_projection") < 9


def test_a_layer_of_its_own() -> None:
    fp8 = {"quant_method": "fp8", "modules_to_not_convert": ["model.layers.5.self_attn.k_proj"]}
    model = shipped("llama-3.1-8b", fp8)
    # A byte more for each weight; the scale of the matrix is not needed.
    plain = shipped("llama-3.1-8b", {"quant_method": "fp8"})
    assert bytes_of(model) - bytes_of(plain) == 1024 * 4096 - 4


def test_exceptions_of_gptq() -> None:
    gptq = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": 128,
        "dynamic": {"-:.*down_proj": {}, "+:.*o_proj": {"bits": 8, "group_size": 64}},
    }
    model = shipped("llama-3.1-8b", gptq)
    assert named(model, "feed_forward.down_projection") == 16
    assert named(model, "attention.output_projection") == 8 + Fraction(16 + 8, 64)
    assert named(model, "gate_up_projection") == 4 + Fraction(16 + 4, 128)


# What is wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"quant_method": "exl3"}, "quant_method", "'exl3' is not known: nothing says how the"),
        ({"bits": 4}, "quant_method", "it names no quant_method"),
        (
            {"quant_method": "fp8", "weight_blok_size": [128, 128]},
            "weight_blok_size",
            "unknown key",
        ),
        ({"quant_method": "fp8", "weight_block_size": 128}, "weight_block_size", "not a pair"),
        ({"quant_method": "awq"}, "", "key 'bits' is missing"),
        ({"quant_method": "awq", "bits": 5}, "bits", "5 bits are none of 2, 3, 4, 8"),
        (
            {"quant_method": "fp8", "modules_to_not_convert": "gate"},
            "modules_to_not_convert",
            "list",
        ),
        ({"quant_method": "fp8", "modules_to_not_convert": ["re:("]}, "", "no pattern of modules"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP5"}, "quant_algo", "'NVFP5' is not known"),
        ({"quant_method": "compressed-tensors"}, "", "key 'config_groups' is missing"),
        ({"quant_method": "bitsandbytes"}, "load_in_8bit", "one of load_in_8bit and load_in_4bit"),
        ("fp8", "", "is not a mapping"),
    ],
)
def test_what_is_wrong_is_kept_for_who_asks(given: Any, field: str, words: str) -> None:
    """The shape is read all the same: formats may be chosen by hand."""
    keys = config("llama-3.1-8b", quantization_config=given)
    (problem,) = architecture_from_config("m", keys).checkpoint.problems
    assert words in problem.message
    assert problem.field.removeprefix("quantization_config").lstrip(".") == field or not field


def test_an_unknown_method_says_what_would_stay_and_what_to_do() -> None:
    given = {"quant_method": "gptk", "ignore": ["lm_head", "re:.*self_attn.*"]}
    keys = config("llama-3.1-8b", quantization_config=given, dtype="float16")
    (problem,) = architecture_from_config("m", keys).checkpoint.problems
    assert "lm_head, re:.*self_attn.* would stay in fp16" in problem.message
    assert "did you mean 'gptq'?" in problem.suggestion
    assert "precision.weights: {default: fp16, experts: fp4}" in problem.suggestion


def test_a_dtype_that_is_none() -> None:
    (problem,) = architecture_from_config(
        "m", config("llama-3.1-8b", torch_dtype="bfloat61")
    ).checkpoint.problems
    assert (problem.field, "bfloat16" in problem.suggestion) == ("torch_dtype", True)


# Counting -----------------------------------------------------------------------------------------

formats = st.builds(
    StoredFormat,
    st.just("f"),
    st.integers(2, 16),
    st.none() | st.integers(1, 9),
    st.none() | st.integers(1, 9),
    st.sampled_from([0, 8, 16, 32]),
    st.sampled_from([0, 4]),
    st.sampled_from([0, 32]),
    st.sampled_from([0, 32]),
)
tensors = st.builds(Tensor, st.just("m"), st.integers(1, 20), st.integers(1, 20), st.integers(1, 3))


@given(formats, tensors)
def test_groups_are_counted_one_by_one(form: StoredFormat, tensor: Tensor) -> None:
    groups = {
        (row // (form.group_rows or tensor.rows), column // (form.group_columns or tensor.columns))
        for row in range(tensor.rows)
        for column in range(tensor.columns)
    }
    across, down = (len({group[axis] for group in groups}) for axis in (1, 0))
    words = across * up(down * form.zero_bits, 32)
    each = tensor.rows * tensor.columns * form.bits + len(groups) * int(form.scale_bits)
    each += 32 * words + form.tensor_bits + tensor.columns * form.index_bits
    assert form.bits_of(tensor) == tensor.count * each
    assert form.bits_of(tensor) >= tensor.elements * form.bits


@given(formats, tensors, st.integers(1, 20))
def test_the_rows_of_two_operators_make_the_matrix(
    form: StoredFormat, tensor: Tensor, before: int
) -> None:
    whole = replace(tensor, rows=before + tensor.rows)
    first, rest = replace(tensor, rows=before), replace(tensor, rows_before=before)
    assert form.bits_of(first) + form.bits_of(rest) == form.bits_of(whole)


@pytest.mark.parametrize("name", sorted(presets("model")))
@pytest.mark.parametrize(
    "given",
    [
        {"quant_method": "fp8", "weight_block_size": [128, 128]},
        {"quant_method": "awq", "bits": 4, "group_size": 128},
        {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]},
        None,
    ],
)
def test_all_parameters_are_stored_and_none_for_less(name: str, given: Config | None) -> None:
    """Each once, a tied table too; never fewer bits than its format has."""
    model = shipped(name, given)
    rows = weight_table(model, model.checkpoint)
    assert sum(row.parameters for row in rows) == model.parameter_count
    bits = {"fp8": 8, "int4": 4, "fp4": 4, "bf16": 16}
    assert all(row.bytes * 8 >= row.parameters * bits[row.element] for row in rows)
    assert sum(size for _, size in by_format(rows).values()) == bytes_of(model)


@pytest.mark.parametrize("name", sorted(presets("model")))
def test_every_kind_may_have_a_format(name: str) -> None:
    """By hand: kinds add up to the model, each at its bits."""
    model = architecture_from_config(name, config(name))
    bits = {kind: 2 + number for number, kind in enumerate(WEIGHT_KINDS)}
    own = tuple((kind, NumberFormat(kind, kind, size)) for kind, size in bits.items())
    rows = weight_table(model, FormatsByKind(NumberFormat("none", "none", 1), own))
    assert sum(row.parameters for row in rows) == model.parameter_count
    for row in rows:
        assert (row.title, row.bytes) == (row.kind, up(row.parameters * bits[row.kind], 8))
    kinds = {row.kind for row in rows}
    has_experts = bool(model.expert_counts)
    tables = {"head"} if model.tied_embeddings else {"embedding", "head"}
    assert kinds >= tables | {"attention", "norms"}
    assert ("experts" in kinds, "router" in kinds) == (has_experts, has_experts)


def test_equal_layers_share_their_operators() -> None:
    model = shipped("deepseek-v3", {"quant_method": "fp8", "weight_block_size": [128, 128]})
    blocks = blocks_of(model, formats=model.checkpoint)
    assert len({id(block.operators) for block in blocks}) == 2 + 3  # one attention, two of the rest


def test_a_checkpoint_is_a_value() -> None:
    assert Checkpoint() == Checkpoint()
    assert replace(Checkpoint(), dtype="fp16") != Checkpoint()
    assert hash(shipped("gpt-oss-20b", GPT_OSS)) == hash(shipped("gpt-oss-20b", GPT_OSS))


# Damage -------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
WHOLE: tuple[Config, ...] = (
    GPT_OSS,
    {"quant_method": "fp8", "weight_block_size": [128, 128], "scale_fmt": "ue8m0"},
    {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True},
    {"quant_method": "gptq", "bits": 4, "group_size": 64, "dynamic": {"-:.*o_proj": {}}},
    {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True},
    {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head"]},
    {
        "quant_method": "modelopt",
        "quant_algo": "MIXED_PRECISION",
        "quantized_layers": {"model.layers.0.mlp": {"quant_algo": "FP8"}},
    },
    {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32},
            }
        },
        "ignore": ["re:.*self_attn.*"],
    },
)


@given(st.sampled_from(WHOLE), st.data())
def test_damaged_keys_are_problems_and_never_a_crash(whole: Config, data: st.DataObject) -> None:
    """Removed, renamed or replaced, at any depth; what is read all the same has its bits."""
    damaged = deepcopy(whole)
    holder = damaged
    while True:
        key = data.draw(st.sampled_from(sorted(holder)))
        inner = holder[key]
        if not (isinstance(inner, dict) and inner and data.draw(st.booleans())):
            break
        holder = inner
    value = holder.pop(key)
    how = data.draw(st.sampled_from(["remove", "rename", "replace"]))
    if how == "rename":
        holder[key + "x"] = value
    elif how == "replace":
        holder[key] = data.draw(anything)
    keys = config("llama-3.1-8b", quantization_config=damaged, num_hidden_layers=2)
    model = architecture_from_config("m", keys)
    assert all(problem.message for problem in model.checkpoint.problems)
    rows = weight_table(model, model.checkpoint)
    assert sum(row.parameters for row in rows) == model.parameter_count
    assert sum(row.bytes for row in rows) * 4 >= model.parameter_count  # two bits at least
