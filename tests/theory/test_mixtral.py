"""Mixtral 8x7B on eight GPUs and on LPUs: fits, runs, and takes what its weights take."""

from collections import Counter

import pytest

import rack_sim
from rack_sim.compiler.batches import BatchMachine
from rack_sim.compiler.checker import check_program
from rack_sim.compiler.step import StepTiming
from rack_sim.foundation.errors import InputError
from rack_sim.scenario import load_system
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.kernels import CollectiveKernel, Kernel, launches_of

GPU = "precision={weights: bf16, kv: bf16, activations: bf16}"
PUBLISHED = {"nvidia-h100-x8": 3.35e12, "nvidia-a100-80-x8": 2.039e12}


def reached(system: str) -> float:
    """Bytes a second that operators reach of the published bandwidth."""
    return PUBLISHED[system] * float(load_system(system).chip.memory_efficiency)


def timer(system: str, *options: str) -> IterationTimer:
    scenario = rack_sim.load(
        "llama70b-a100",
        [f"system={system}", "model=mixtral-8x7b", "partition.tensor_parallel=8", *options],
    )
    machine = rack_sim.explain(scenario).machine
    assert isinstance(machine, BatchMachine)
    return machine.timer


@pytest.mark.parametrize("system", sorted(PUBLISHED))
def test_one_row_reads_what_a_token_meets(system: str) -> None:
    """An iteration of one row: launches, links, and its share of the parameters that it meets.

    Routers lie whole on every chip, and norms work on whole rows: below 0.5 % of what is read.
    """
    terms = timer(system).base_terms(1, 1)
    met = 2 * (12_879_925_248 - 32_000 * 4096) / 8
    assert terms.memory_ps + terms.compute_ps == pytest.approx(
        met / reached(system) * 1e12, rel=0.005
    )


def test_many_rows_read_every_expert() -> None:
    """And what 64 rows bring along: 3 % at most."""
    terms = timer("nvidia-h100-x8").base_terms(64, 64)
    all_of_it = 2 * (46_702_792_704 - 32_000 * 4096) / 8
    assert 1.0 < terms.memory_ps / (all_of_it / reached("nvidia-h100-x8") * 1e12) < 1.03


def test_an_iteration_never_takes_less_for_more_rows() -> None:
    for options in ((), ("partition.expert_parallel=8",), ("partition.expert_skew=1",)):
        found = timer("nvidia-h100-x8", *options)
        times = [found.base_ps(rows, 1) for rows in (1, 2, 3, 5, 8, 13, 40, 100, 500, 2048)]
        assert times == sorted(times)


def test_experts_apart_are_bound_by_the_busiest_chip() -> None:
    """One row: a chip reads one whole expert, four times the slices of two that it read before."""
    sliced = timer("nvidia-h100-x8").base_terms(1, 1).memory_ps
    apart = timer("nvidia-h100-x8", "partition.expert_parallel=8").base_terms(1, 1).memory_ps
    expert_ps = 2 * 3 * 4096 * 14336 / reached("nvidia-h100-x8") * 1e12
    assert apart - sliced == pytest.approx(32 * expert_ps * (1 - 2 / 8), rel=0.01)


def test_kernels_of_experts_apart() -> None:
    scenario = rack_sim.load(
        "llama70b-a100",
        [
            "system=nvidia-h100-x8",
            "model=mixtral-8x7b",
            "partition.tensor_parallel=8",
            "partition.expert_parallel=8",
        ],
    )
    (stage,) = rack_sim.explain(scenario).plan.stages
    launches = launches_of(stage.blocks[:4], group_size=8, residual_elements=4096)
    names = [
        launch.name if isinstance(launch, Kernel) else f"[{launch.traffic} {launch.operation}]"
        for launch in launches
    ]
    assert names == [
        "embedding.lookup",
        "[gather all_gather]",
        "attention.norm",
        "attention.qkv_projection",
        "attention.rotary",
        "attention.scores + attention.softmax + attention.values",
        "attention.output_projection",
        "[reduce reduce_scatter]",
        "attention.residual_add",
        "feed_forward.norm",
        "feed_forward.router",
        "[logits all_reduce]",
        "feed_forward.choose",
        "[dispatch all_to_all]",
        "feed_forward.experts_gate_up_projection",
        "feed_forward.experts_gated_activation",
        "feed_forward.experts_down_projection",
        "[collect all_to_all]",
        "feed_forward.residual_add",
        "[gather all_gather]",
        *["attention.norm", "attention.qkv_projection", "attention.rotary"],
        "attention.scores + attention.softmax + attention.values",
        "attention.output_projection",
        "[reduce reduce_scatter]",
        "attention.residual_add",
    ]
    sent = next(x for x in launches if isinstance(x, CollectiveKernel) and x.traffic == "dispatch")
    # One row, two experts on two chips: each gets the row, of which each chip has an eighth.
    found = timer("nvidia-h100-x8", "partition.expert_parallel=8")
    assert found.size_bytes(sent, 8, 1) == 8 * (2 * 4096 // 8)


def static(*options: str) -> StepTiming:
    scenario = rack_sim.load(
        "llama70b",
        [
            "model=mixtral-8x7b",
            "partition.tensor_parallel=8",
            "partition.stages=auto",
            "serving.concurrent_sequences=8",
            *options,
        ],
    )
    step = rack_sim.explain(scenario).step
    assert step is not None
    return step


@pytest.mark.parametrize("options", [(), ("partition.expert_parallel=8",)], ids=["sliced", "apart"])
def test_a_compiled_step_fits_576_chips_and_is_checked(options: tuple[str, ...]) -> None:
    step = static(*options)
    assert step.plan.chip_count <= 576
    assert step.plan.system.name == "groq-576"
    check_program(step.program, interval_ps=step.interval_ps)
    assert 1e9 < step.revolution_ps < 3e9


def test_bytes_of_dispatch_and_collect_are_conserved() -> None:
    """Any chip may have a chosen expert: all eight get all eight shards, and send as much back."""
    program = static("partition.expert_parallel=8", "serving.slot_rows=2").program
    shard_bytes = 2 * 2 * 4096 // 8
    part = next(n for n, p in enumerate(program.parts) if p.name == "layer3.feed_forward")
    for traffic in ("dispatch", "collect"):
        kind = program.traffics.index(traffic)
        tasks = [
            task
            for task in range(len(program))
            if program.part[task] == part and program.traffic[task] == kind
        ]
        sent, got = Counter[int](), Counter[int]()
        for task in tasks:
            if program.message[task] == task:
                sent[int(program.source[task])] += int(program.payload_bytes[task])
            if program.result_chip[task] == program.target[task]:
                got[int(program.target[task])] += int(program.payload_bytes[task])
        assert len(sent) == len(got) == 8
        assert set(sent.values()) == set(got.values()) == {7 * shard_bytes}


def test_what_is_asked_of_experts_that_cannot_be_is_refused() -> None:
    model = ["model=mixtral-8x7b", "partition.tensor_parallel=8", "partition.stages=auto"]
    for options, message in (
        (["partition.expert_parallel=8"], "llama-2-70b has no experts"),
        (["partition.expert_skew=1"], "llama-2-70b has no experts"),
        ([*model, "partition.expert_parallel=3"], "8 experts cannot be shared out over 3 chips"),
        ([*model, "partition.expert_parallel=4"], "a stage has 8"),
        ([*model, "partition.expert_capacity_factor=0.5"], "leaves rows without their experts"),
    ):
        with pytest.raises(InputError, match=message):
            rack_sim.load("llama70b", options)


def test_memory_holds_all_experts_and_the_router_on_every_chip() -> None:
    """Chips of a stage hold its blocks once, but for a router of 4096 x 8 a layer on each."""
    plan = static().plan
    assert plan.weight_bytes == 46_702_792_704 + 7 * 32 * 4096 * 8
    apart = static("partition.expert_parallel=8").plan
    assert apart.weight_bytes == 46_702_792_704
