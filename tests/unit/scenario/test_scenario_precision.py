"""Precision in a scenario: one format, one for each kind of weight, or those of a file."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from rack_sim.model.weight_table import by_format
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.scenario import Scenario, load_scenario
from rack_sim.timing.precision import Precision

Load = Callable[..., Scenario]
Said = Callable[..., list[str]]

FP8 = "{quant_method: fp8, weight_block_size: [128, 128]}"


def precision_of(scenario: Scenario) -> Precision:
    return scenario.deployment.shape.precision


def planned(deployment: Deployment) -> Plan:
    plan = partition(deployment)
    assert isinstance(plan, Plan)
    return plan


def test_one_format_is_a_word(load: Load) -> None:
    assert precision_of(load()) == Precision("int8", "fp16", "fp16", "fp16")


def test_a_format_for_each_kind(load: Load) -> None:
    scenario = load("", "precision.weights={default: int8, head: fp16, norms: fp32}")
    model = scenario.deployment.model
    head, norms = 32_000 * 4096, (2 * 32 + 1) * 4096
    expected = {
        "fp16": (head, 2 * head),
        "fp32": (norms, 4 * norms),
        "int8": 2 * (model.parameter_count - head - norms,),
    }
    assert by_format(precision_of(scenario).weights_of(model)) == expected
    plan = planned(scenario.deployment)
    assert plan.weight_bytes == sum(size for _, size in expected.values())


def test_a_format_with_scales(load: Load) -> None:
    weights = "{default: int8, feed_forward: {format: int4, group: 128, scale: fp16}}"
    scenario = load(
        "", f"precision.weights={weights}", "precision.kv={format: fp8, group: 64, scale: e8m0}"
    )
    precision = precision_of(scenario)
    assert precision.kv_bits == 8 + Fraction(8, 64)
    assert precision.kv_bytes(640) == 650
    rows = precision.weights_of(scenario.deployment.model)
    (row,) = [row for row in rows if row.kind == "feed_forward"]
    assert row.bytes == 32 * 3 * 4096 * 11008 * (4 * 128 + 16) // (128 * 8)
    assert row.title == "int4 with fp16 scales of 128"


@pytest.mark.parametrize(("name", "bits"), [("nvfp4", 4.5), ("mxfp4", 4.25), ("mxfp8", 8.25)])
def test_formats_that_count_their_scales(load: Load, name: str, bits: float) -> None:
    precision = precision_of(load("", f"precision.weights={name}", f"precision.kv={name}"))
    assert precision.kv_bytes(32) == bits * 4
    model = load().deployment.model
    (size,) = [size for _, size in by_format(precision.weights_of(model)).values()]
    assert size == pytest.approx(model.parameter_count * bits / 8, abs=8)  # rounded up by kind


def test_the_same_format_for_all_kinds_is_one_format(load: Load) -> None:
    """Bytes and picoseconds, whichever way it is said."""
    plain = planned(load().deployment)
    mixed = planned(load("", "precision.weights={default: int8, head: int8}").deployment)
    assert plain.weight_bytes == mixed.weight_bytes
    assert [stage.memory for stage in plain.stages] == [stage.memory for stage in mixed.stages]
    assert _timed(plain) == _timed(mixed)


def _timed(plan: Plan) -> list[int]:
    stages = [(stage.chips, stage.blocks) for stage in plan.stages]
    timing = plan.timer.time([chips for chips, _ in stages], [blocks for _, blocks in stages])
    return [timing.latency_ps, timing.interval_ps]


def test_a_checkpoint_takes_what_its_file_does(load: Load) -> None:
    scenario = load(
        "",
        "precision.weights=checkpoint",
        f"model.quantization_config={FP8}",
        "model.dtype=float16",
    )
    model, plan = scenario.deployment.model, planned(scenario.deployment)
    formats = by_format(precision_of(scenario).weights_of(model))
    kept = 2 * 32_000 * 4096 + (2 * 32 + 1) * 4096
    blocks = 32 * (4 * 32 * 32 + 3 * 32 * 86)
    quantised = model.parameter_count - kept
    assert formats == {
        "fp16": (kept, 2 * kept),
        "fp8 (128 x 128)": (quantised, quantised + 4 * blocks),
    }
    assert plan.weight_bytes == sum(size for _, size in formats.values())


def test_what_is_resolved_resolves_to_itself(load: Load, tmp_path: Path) -> None:
    weights = "precision.weights={default: int8, head: {format: fp8, group: 32}}"
    for given in (weights, "precision.weights=checkpoint", "precision.kv={format: fp4, group: 16}"):
        first = load("", given, f"model.quantization_config={FP8}")
        path = tmp_path / "again.yaml"
        path.write_text(yaml.safe_dump(first.resolved), encoding="utf-8")
        again = load_scenario(str(path), [])
        assert again.resolved == first.resolved
        assert again.scenario_hash == first.scenario_hash
        assert precision_of(again) == precision_of(first)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("precision.weights=fp9", "precision.weights: 'fp9' is not known (allowed: bf16"),
        ("precision.weights=chekpoint", "precision.weights: 'chekpoint' is not known (did you"),
        ("precision.weights={experts: fp4}", "precision.weights: key 'default' is missing"),
        ("precision.kv={format: fp8}", "precision.kv: key 'group' is missing"),
        (
            "precision.weights.head=fp4",
            "'head' is inside a value that has no keys (precision.weights is 'int8': give all of "
            "it, as in {head: fp4, …})",
        ),
    ],
)
def test_a_wrong_format_says_where_and_what(said: Said, override: str, message: str) -> None:
    (problem,) = said("", override)
    assert problem.startswith(f"--set {override}: {message}")


def test_a_wrong_format_of_a_kind_says_where_and_what(said: Said) -> None:
    override = "precision.weights={default: int8, hed: fp4, head: fp5, norms: {format: fp8}}"
    assert [
        text.partition("precision.weights=")[2].partition("}}:")[2] for text in said("", override)
    ] == [
        "1:17: unknown key 'hed' (did you mean 'head'?)",
        "1:27: precision.weights.head: 'fp5' is not known (allowed: bf16, bfp8, fp16, fp32, fp4, "
        "fp8, int4, int8, mxfp4, mxfp8, nvfp4)",
        "1:38: precision.weights.norms: key 'group' is missing",
    ]


def test_a_kind_that_a_model_has_not_is_refused(said: Said) -> None:
    (problem,) = said("", "precision.weights={default: int8, experts: fp4}")
    assert "precision.weights.experts: llama-2-7b has no weights of kind 'experts'" in problem
    assert "(it has: attention, embedding, feed_forward, head, norms)" in problem


def test_a_tied_table_has_one_format(said: Said, load: Load) -> None:
    tied = "model.tie_word_embeddings=true"
    (problem,) = said("", tied, "precision.weights={default: int8, head: fp16}")
    assert "precision.weights.head: the head of llama-2-7b is its embedding again" in problem
    load("", tied, "precision.weights={default: int8, head: fp16, embedding: fp16}")


def test_a_method_that_is_not_known_is_refused_where_it_is_taken(said: Said, load: Load) -> None:
    wrong = "model.quantization_config={quant_method: gptk, ignore: [lm_head]}"
    load("", wrong)  # formats by hand need it not
    (problem,) = said("", wrong, "precision.weights=checkpoint")
    assert problem.startswith(
        f"--set {wrong}:1:2: model.quantization_config.quant_method: quantization method 'gptk' "
        "is not known: nothing says how the matrices of attention, feed-forwards and experts are "
        "stored; lm_head would stay in bf16 (did you mean 'gptq'?"
    )


def test_a_draft_is_taken_as_it_is_shipped_too(said: Said) -> None:
    draft = {"preset": "llama-2-7b", "quantization_config": {"quant_method": "exl3"}}
    spoken: dict[str, Any] = {"draft_tokens": 2, "acceptance": 0.5, "draft_model": draft}
    problems = said(
        "",
        "system=nvidia-h100-x8",
        "serving={max_context_tokens: 1024, speculation: "
        + yaml.safe_dump(spoken, default_flow_style=True).strip()
        + "}",
        "precision.weights=checkpoint",
    )
    (problem,) = problems
    assert "draft_model.quantization_config.quant_method: quantization method 'exl3'" in problem


def test_levers_know_the_published_file(load: Load) -> None:
    scenario = load(
        "", "precision.weights=fp32", "partition.stages=8", f"model.quantization_config={FP8}"
    )
    deployment = replace(scenario.deployment, tensor_parallel=8)
    found = partition(deployment)
    assert not isinstance(found, Plan)
    assert "precision.weights: checkpoint" in found.levers
