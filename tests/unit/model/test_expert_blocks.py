"""One layer of Mixtral and one of DeepSeek-V3 by hand: FLOP, weights, exchanges."""

from typing import Any

import pytest
import yaml

from rack_sim.hardware.chip import Chip
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.expert_blocks import ExpertPlacement
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.operators import Block, Operator
from rack_sim.scenario import load_system
from rack_sim.scenario.library import presets
from rack_sim.timing.operators import OperatorTiming, time_operator
from rack_sim.timing.precision import Precision

HIDDEN, INNER = 4096, 14336
BF16 = Precision(weights="bf16", kv="bf16", activations="bf16", compute="bf16")
FP16 = Precision(weights="fp16", kv="fp16", activations="fp16", compute="fp16")


def preset(name: str) -> Architecture:
    config: dict[str, Any] = yaml.safe_load(presets("model")[name].read_text(encoding="utf-8"))
    return architecture_from_config(name, config)


def block(name: str, number: int, *, apart: bool = False) -> Block:
    return blocks_of(preset(name), ExpertPlacement(apart=apart))[number]


def named(of: Block, name: str) -> Operator:
    (found,) = (o for o in of.operators if o.name.endswith(name))
    return found


def timed(operator: Operator, chip: Chip, rows: int, group_size: int) -> OperatorTiming:
    return time_operator(
        operator,
        chip=chip,
        precision=BF16 if chip.execution == "reactive" else FP16,
        rows=rows,
        context_tokens=1000,
        group_size=group_size,
    )


@pytest.fixture(scope="module")
def h100() -> Chip:
    return load_system("nvidia-h100-x8").chip


@pytest.fixture(scope="module")
def lpu() -> Chip:
    return load_system("groq-node-8").chip


def test_a_row_of_mixtral_meets_two_experts() -> None:
    layer = block("mixtral-8x7b", 2)
    gate_up, down = (
        named(layer, "experts_gate_up_projection"),
        named(layer, "experts_down_projection"),
    )
    assert gate_up.flop_per_row == 2 * 2 * HIDDEN * 2 * INNER
    assert down.flop_per_row == 2 * 2 * HIDDEN * INNER
    assert gate_up.parameters == 8 * HIDDEN * 2 * INNER
    assert gate_up.parameters_met == 2 * HIDDEN * 2 * INNER
    assert named(layer, "router").flop_per_row == 2 * HIDDEN * 8
    # Softmax over 8, then twice the largest of 8.
    assert named(layer, "choose").flop_per_row == 5 * 8 + 2 * 8


@pytest.mark.parametrize("rows", [1, 2, 32])
def test_sliced_experts_are_read_as_far_as_they_are_touched(h100: Chip, rows: int) -> None:
    """A slice of 1/8 of 8 x (1 - (3/4)^rows) experts; a byte for each rounding."""
    gate_up = named(block("mixtral-8x7b", 2), "experts_gate_up_projection")
    found = timed(gate_up, h100, rows, 8)
    expert_bytes = 2 * HIDDEN * 2 * INNER
    touched = 8 * (1 - 0.75**rows)
    moved = rows * 2 * (HIDDEN + 2 * INNER) * 2 // 8
    assert found.memory_bytes == pytest.approx(touched * expert_bytes / 8 + moved, abs=64)
    assert found.flop == rows * gate_up.flop_per_row // 8


def test_whole_experts_on_chips_are_read_by_the_busiest_chip(h100: Chip, lpu: Chip) -> None:
    """One expert a chip: of one row, a chip that has a chosen one reads it whole."""
    gate_up = named(block("mixtral-8x7b", 2, apart=True), "experts_gate_up_projection")
    for chip in (h100, lpu):
        found = timed(gate_up, chip, 1, 8)
        assert found.flop == 2 * HIDDEN * 2 * INNER
        assert found.memory_bytes == 2 * HIDDEN * 2 * INNER + 2 * (HIDDEN + 2 * INNER)


def test_a_static_chip_provides_for_every_choice(lpu: Chip) -> None:
    """Four rows may take all eight experts, which on average they do not."""
    down = named(block("mixtral-8x7b", 2), "experts_down_projection")
    weights = timed(down, lpu, 4, 8).memory_bytes - 4 * 2 * (HIDDEN + INNER) * 2 // 8
    assert weights == 8 * HIDDEN * INNER * 2 // 8


def test_experts_apart_dispatch_and_collect() -> None:
    def exchanges(of: Block) -> list[str]:
        return [o.followed_by for o in of.operators if o.followed_by != "none"]

    assert exchanges(block("mixtral-8x7b", 2)) == ["reduce_scatter"]
    apart = block("mixtral-8x7b", 2, apart=True)
    assert exchanges(apart) == ["logits", "dispatch", "collect"]
    assert not apart.gathers
    # Shared experts need whole rows on every chip: then nothing has to be dispatched.
    shared = block("llama-4-scout", 2, apart=True)
    assert exchanges(shared) == ["reduce_scatter"]
    assert shared.gathers


def test_a_router_lies_whole_on_every_chip_that_has_whole_rows() -> None:
    assert block("mixtral-8x7b", 2).replicated_parameters == HIDDEN * 8
    assert block("mixtral-8x7b", 2, apart=True).replicated_parameters == 0


def test_a_shared_expert_sees_every_row() -> None:
    layer = block("deepseek-v3", 8)
    assert named(layer, "shared_gate_up_projection").flop_per_row == 2 * 7168 * 2 * 2048
    assert named(layer, "shared_gate_up_projection").choice is None
    assert named(layer, "experts_down_projection").flop_per_row == 8 * 2 * 7168 * 2048


def test_latent_attention_is_absorbed() -> None:
    """A row attends to a cached token by 576 elements of every head, and takes 512 from it."""
    layer = block("deepseek-v3", 1)
    assert named(layer, "scores").flop_per_row_token == 2 * 128 * 576
    assert named(layer, "values").flop_per_row_token == 2 * 128 * 512
    read = sum(o.kv_read_per_row_token for o in layer.operators)
    assert read == layer.kv_elements_per_token == 576
    assert sum(o.kv_write_per_row for o in layer.operators) == 576
    # Every matrix once: down, query, absorbed keys and values, output.
    matrices = (
        7168 * (1536 + 576)
        + 1536 * 128 * 192
        + 128 * 128 * 512
        + 128 * 512 * 128
        + 128 * 128 * 7168
    )
    assert sum(o.flop_per_row for o in layer.operators if o.unit == "matrix") == 2 * matrices
    assert layer.parameters == matrices + 1536 + 512 + 7168
    assert layer.replicated_parameters == 7168 * (1536 + 576) + 1536 + 512


def test_a_window_bounds_what_attention_reads(lpu: Chip) -> None:
    """gpt-oss: 128 tokens in the first layer, all 1,000 in the second."""
    for number, context in ((1, 128), (3, 1000)):
        scores = named(block("gpt-oss-20b", number), "scores")
        found = timed(scores, lpu, 1, 1)
        assert found.flop == 2 * 64 * 64 * context
        assert found.memory_bytes == 2 * (64 * 64 + 64 * context) + 2 * 8 * 64 * context
