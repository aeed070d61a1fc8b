"""Levers where all chips are one group, and so one stage is all that there can be."""

import re
from dataclasses import replace

import pytest

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

MODEL = Architecture.dense("small", 3, 256, 8, 4, 32, 512, 1000, False, 4096)
# What the search may think a chip holds beside what it does: three bytes for each of eight blocks.
ROUNDED = 24


def deploy(
    capacity: int, *, weights: str = "fp16", degree: int | None = 4, sequences: int = 8,
    context: int = 512, stages: int | None = None,
) -> Deployment:  # fmt: skip
    chip = Chip(
        name="small",
        execution="static",
        memory=(MemoryTier("sram", capacity, 10**12),),
        matrix=MatrixUnit({"fp16": 10**13, "int8": 10**13, "fp4": 10**13}, None),
        vector_flop_per_s=10**12,
        operator_fixed_latency_ps=0,
        program_text_bytes=1000,
        port_count=9,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )
    link = LinkType("c2c", 10**11, 1000, 320, 328)
    topology = fully_connected(name="node", chips=4, local=link, port_count=9)
    return Deployment(
        model=MODEL,
        system=System("node", chip, topology, 0.0),
        shape=StepShape(1, context, Precision(weights, "fp16", "fp16", "fp16")),
        concurrent_sequences=sequences,
        tensor_parallel=degree,
        stage_count=stages,
        objective="fewest_chips",
    )


def used(**asked: object) -> int:
    """Bytes on the fullest chip of a machine that has room."""
    plan = partition(deploy(10**9, **asked))  # type: ignore[arg-type]
    assert isinstance(plan, Plan)
    assert plan.stage_count == 1
    return plan.used_bytes_max


def levers(capacity: int, **asked: object) -> list[str]:
    refused = partition(deploy(capacity, **asked))  # type: ignore[arg-type]
    assert isinstance(refused, Infeasible)
    return list(refused.levers)


@pytest.mark.parametrize("weights", ["int8", "fp4"])
def test_a_narrower_precision_is_named_to_the_byte(weights: str) -> None:
    enough = used(weights=weights)
    assert f"precision.weights: {weights}" in levers(enough + ROUNDED)
    assert f"precision.weights: {weights}" not in levers(enough - 1)


def test_only_precisions_that_the_chip_computes_in_and_others_than_now_are_named() -> None:
    named = [lever for lever in levers(used(weights="fp4") + ROUNDED) if "precision" in lever]
    assert named == ["precision.weights: fp4"]
    roomy = [lever for lever in levers(used(weights="int8") + ROUNDED) if "precision" in lever]
    assert roomy == ["precision.weights: int8", "precision.weights: fp4"]
    narrow = levers(used(weights="fp4") + ROUNDED, weights="fp4", sequences=50)
    assert not any("precision" in lever for lever in narrow)


@pytest.mark.parametrize("sequences", [1, 2, 7])
def test_as_many_sequences_as_fit_are_named(sequences: int) -> None:
    enough = used(sequences=sequences)
    assert f"serving.concurrent_sequences: {sequences}" in levers(enough + ROUNDED)
    fewer = f"serving.concurrent_sequences: {sequences - 1}"
    found = [lever for lever in levers(enough - 1) if "sequences" in lever]
    assert found == ([fewer] if sequences > 1 else [])


@pytest.mark.parametrize("context", [1, 100, 511])
def test_the_longest_context_that_fits_is_named(context: int) -> None:
    enough = used(context=context)
    (found,) = (lever for lever in levers(enough + ROUNDED) if "context" in lever)
    longest = int(found.removeprefix("serving.max_context_tokens: "))
    assert longest >= context
    assert isinstance(partition(deploy(enough + ROUNDED, context=longest)), Plan)
    assert isinstance(partition(deploy(enough + ROUNDED, context=longest + 1)), Infeasible)
    # A token of eight sequences takes more than rounding does.
    assert longest == context


def test_another_degree_is_named_where_it_needs_no_more_chips() -> None:
    """Four stages of one chip do not fit what one stage of four does."""
    enough = used()
    refused = levers(enough + ROUNDED, degree=1, stages=4)
    assert "partition.tensor_parallel: 4 with partition.stages: 1" in refused
    assert not any("more chips" in lever for lever in refused)
    one = levers(enough + ROUNDED, degree=2, stages=1)
    assert "more chips: 4 (1 stages of 4) would hold it" in one
    assert not any("tensor_parallel" in lever for lever in one)


@pytest.mark.parametrize(("degree", "stages"), [(4, None), (4, 1), (None, 1), (None, None)])
def test_a_failure_counts_the_chips_of_the_largest_group(
    degree: int | None, stages: int | None
) -> None:
    refused = partition(deploy(10_000, degree=degree, stages=stages))
    assert isinstance(refused, Infeasible)
    assert refused.question.endswith("on 4 chips of node (tensor parallel 4)")
    assert refused.bound_bytes == 4 * 10_000
    assert refused.terms == {
        "weights": 2 * MODEL.parameter_count,
        "kv_cache": 2 * 8 * 512 * 3 * 2 * 4 * 32,
        # Residual, and two buffers of the softmax: it reads and writes a score for each head.
        "activations": 4 * 2 * (256 + 2 * 2 * 8 * 512 // 4),
        "program_text": 4 * 1000,
    }


def test_a_group_of_many_stages_is_explained_with_all_of_them() -> None:
    refused = partition(deploy(10_000, degree=1, stages=3))
    assert isinstance(refused, Infeasible)
    assert "on 3 chips of node (tensor parallel 1)" in refused.question
    assert re.fullmatch(r"small with fp16 weights, fp16 cache, 8 sequences of 512 tokens on .*",
                        refused.question)  # fmt: skip
    assert refused.bound_bytes == 3 * 10_000
    tied = replace(deploy(10_000, degree=1, stages=2), model=replace(MODEL, tied_embeddings=True))
    table = 2 * 1000 * 256
    twice, once = partition(tied), partition(replace(tied, stage_count=1))
    assert isinstance(twice, Infeasible)
    assert isinstance(once, Infeasible)
    assert twice.terms["weights"] - once.terms["weights"] == table
    # One group, the number of stages left open: as many as there are blocks or groups.
    free = partition(deploy(10_000, degree=1))
    assert isinstance(free, Infeasible)
    assert free.bound_bytes == 4 * 10_000
