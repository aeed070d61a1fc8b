"""Time of attention to chosen entries: on chips with a fixed program, and in iterations."""

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import SMALL_CHIP, SMALL_LINK

from rack_sim.compiler.deliveries import NeededExchange, exchanges_of
from rack_sim.compiler.step import compile_step
from rack_sim.compiler.traffic import TRAFFICS, loads
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.routing import Routing
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.operators import Block, Operator
from rack_sim.model.reach import Reach
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.attention_roofs import Attended, entries_read, pairs_met, tokens_read
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.kernels import CollectiveKernel, Kernel, launches_of
from rack_sim.timing.operators import time_operator
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

HEADS, INDEX_HEADS, KEY, LATENT, ROTARY, CHOSEN = 16, 8, 64, 128, 32, 512
ENTRY = LATENT + ROTARY
CONFIG = {
    "model_type": "deepseek_v32",
    "hidden_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "intermediate_size": 2048,
    "vocab_size": 4096,
    "max_position_embeddings": 16384,
    "q_lora_rank": 256,
    "kv_lora_rank": LATENT,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": ROTARY,
    "v_head_dim": 64,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 256,
    "first_k_dense_replace": 1,
    "index_n_heads": INDEX_HEADS,
    "index_head_dim": KEY,
    "index_topk": CHOSEN,
}
V4 = {
    "model_type": "deepseek_v4",
    "hidden_size": 1024,
    "num_hidden_layers": 3,
    "num_attention_heads": HEADS,
    "head_dim": 128,
    "vocab_size": 4096,
    "max_position_embeddings": 16384,
    "q_lora_rank": 256,
    "qk_rope_head_dim": ROTARY,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 256,
    "index_n_heads": INDEX_HEADS,
    "index_head_dim": KEY,
    "index_topk": 128,
    "o_lora_rank": 64,
    "hc_mult": 4,
    "num_hash_layers": 1,
    "compress_ratios": [0, 4, 128],
}
MODEL = architecture_from_config("sparse", CONFIG)
BLOCKS = blocks_of(MODEL)
FP16 = Precision(weights="fp16", kv="fp16", activations="fp16", compute="fp16")
CHIP = Chip(
    name="small",
    execution="reactive",
    memory=(MemoryTier("hbm", 10**12, 10**12),),
    matrix=MatrixUnit({"fp16": 10**14}, None),
    vector_flop_per_s=10**13,
    operator_fixed_latency_ps=100_000,
    program_text_bytes=0,
    port_count=8,
    idle_watts=1.0,
    peak_watts=2.0,
    price_usd=1.0,
)
STATIC = replace(CHIP, execution="static")


def operator_of(name: str) -> Operator:
    block = next(b for b in BLOCKS if b.name == "layer0.attention")
    return next(o for o in block.operators if o.name == name)


# Programs made beforehand -------------------------------------------------------------------------


@pytest.mark.parametrize("context", [100, 1000, 4096, 16_384])
@pytest.mark.parametrize("chips", [1, 2, 8])
def test_a_program_provides_for_all_choices_on_one_chip(context: int, chips: int) -> None:
    """Of the tokens that a chip holds as many as a row may choose, on every chip for all heads."""
    held = ceil(context / chips)
    worst = min(CHOSEN, held, context)
    found = time_operator(
        operator_of("attention.scores"),
        chip=STATIC, precision=FP16, rows=1, context_tokens=context, group_size=chips,
    )  # fmt: skip
    assert found.flop == 2 * HEADS * ENTRY * worst
    even = time_operator(
        operator_of("attention.scores"),
        chip=CHIP, precision=FP16, rows=1, context_tokens=context, group_size=chips,
    )  # fmt: skip
    assert even.flop == ceil(2 * HEADS * ENTRY * min(CHOSEN, context) / chips)
    assert found.flop >= even.flop


@given(rows=st.integers(1, 40), each=st.integers(1, 8), context=st.integers(1, 16_384))
def test_rows_of_a_sequence_read_what_each_chose_and_index_keys_once(
    rows: int, each: int, context: int
) -> None:
    """On one chip, by bytes: `rows` sequences of `each` rows."""

    def bytes_of(name: str) -> int:
        operator = replace(operator_of(name), activations_per_row=0, activations_per_row_token=0)
        return time_operator(
            operator,
            chip=STATIC, precision=FP16, rows=rows * each, context_tokens=context, group_size=1,
            sequence_count=rows,
        ).memory_bytes  # fmt: skip

    assert bytes_of("attention.scores") == 2 * rows * ENTRY * min(context, each * CHOSEN)
    assert bytes_of("indexer.scores") == 2 * rows * KEY * context


@pytest.mark.parametrize("config", [CONFIG, V4], ids=["indexer", "compressed"])
@pytest.mark.parametrize("degree", [1, 4])
def test_a_step_is_compiled_and_checked_with_its_exchanges(
    config: dict[str, object], degree: int
) -> None:
    """The checker counts the bytes of every exchange and the time of every operator again."""
    model = architecture_from_config("sparse", config)
    plan = planned(model, degree, context=2048)
    step = compile_step(plan)
    block = next(b for b in blocks_of(model) if b.selection)
    found = exchanges_of(step.program, block, tuple(range(degree)))
    selection = block.selection
    assert selection is not None
    if degree == 1:
        assert found == []
        return
    group = tuple(range(degree))
    candidates = selection.candidates(2048, degree)
    assert NeededExchange("queries", "all_gather", group, 2 * INDEX_HEADS * KEY // degree) in found
    assert NeededExchange("choices", "all_gather", group, 8 * candidates) in found
    kinds = {name for load in loads(step.program).values() for name in load}
    assert {"gather", "candidates"} <= kinds <= set(TRAFFICS)
    mixes = [item for item in found if item.traffic == "mixes"]
    wanted = NeededExchange("mixes", "all_gather", group, (24 + 1) * 4)
    assert mixes == ([wanted] if model.stream_count > 1 else [])


def planned(model: Architecture, degree: int, context: int) -> Plan:
    plan = partition(
        Deployment(
            model=model,
            system=System(
                "box",
                replace(SMALL_CHIP, execution="static"),
                fully_connected(name="box", chips=8, local=SMALL_LINK, port_count=8),
                0.0,
            ),
            shape=StepShape(1, context, FP16, stream_count=model.stream_count),
            concurrent_sequences=2,
            tensor_parallel=degree,
            stage_count=2,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return plan


def test_streams_go_from_stage_to_stage_and_states_take_room() -> None:
    """Four times the hidden size; what a sequence keeps beside its tokens, for both sequences."""
    model = architecture_from_config("sparse", V4)
    plan = planned(model, 4, context=2048)
    shape = plan.demand.shape
    assert shape.shard_elements(1024, 4) == 1024
    for stage in plan.stages:
        tokens = sum(2 * block.kv_elements_per_token * 2048 for block in stage.blocks)
        sequence = sum(block.kv_elements_per_sequence for block in stage.blocks)
        assert {memory.kv_bytes for memory in stage.memory} == {2 * ceil(tokens / 4)}
        assert {memory.state_bytes for memory in stage.memory} == {2 * 2 * ceil(sequence / 4)}


# Iterations ---------------------------------------------------------------------------------------


def names(blocks: tuple[Block, ...], group: int) -> list[str]:
    launched = launches_of(blocks, group_size=group, residual_elements=1024)
    return [
        f"[{one.traffic}]" if isinstance(one, CollectiveKernel) else one.name for one in launched
    ]


def test_scores_choice_and_attention_are_kernels_of_their_own() -> None:
    block = next(b for b in BLOCKS if b.name == "layer0.attention")
    found = names((block,), 4)
    start = found.index("indexer.down_projection")
    assert found[start:-3] == [
        "indexer.down_projection",
        "indexer.query_projection",
        "indexer.rotary",
        "[queries]",
        "indexer.scores + indexer.weighted_sum",
        "selection.top_k",
        "[choices]",
        "selection.merge",
        "attention.scores + attention.softmax + attention.values",
        "[combine]",
        "attention.value_absorption",
    ]
    assert not [name for name in names((block,), 1) if "[" in name or "merge" in name]


def timer(chips: int, blocks: tuple[Block, ...] = BLOCKS) -> IterationTimer:
    box = Routing(fully_connected(name="node", chips=8, local=SMALL_LINK, port_count=8))
    group = tuple(range(chips))
    return IterationTimer(CHIP, box, [group], [blocks], FP16, residual_elements=1024)


def decoding(timed: IterationTimer, context: int, rows: int = 1) -> Attended:
    """A row of each of so many sequences, itself the last token of its context."""
    return Attended.of_equals(rows, context - 1, 1, timed.windows)


REACHES = st.builds(
    Reach,
    nearest_tokens=st.integers(0, 50),
    tokens_per_entry=st.integers(1, 20),
    chosen_max=st.none() | st.integers(0, 60),
)


@given(reach=REACHES, context=st.integers(1, 2000))
def test_a_row_meets_what_a_step_counts_but_for_entries_that_are_not_whole(
    reach: Reach, context: int
) -> None:
    reaching = replace(operator_of("attention.scores"), reach=reach)
    found = sum(
        (context if window is None else window.met(context)) * entries
        for window, entries in pairs_met(reaching)
    )
    assert 0 <= found - reach.met(context) < 1


@given(reach=REACHES, before=st.integers(0, 2000), rows=st.integers(1, 50))
def test_rows_of_a_sequence_read_no_less_than_a_step_counts(
    reach: Reach, before: int, rows: int
) -> None:
    """Exact without a choice, and of a row that finds as much as it may choose."""
    read = entries_read(replace(operator_of("attention.scores"), reach=reach))
    found = rows * read.per_row + sum(
        tokens_read(before, rows, window) * entries for window, entries in read.by_window
    )
    needed = reach.met(before + rows, rows)
    assert found >= needed
    if reach.chosen_max is None or (rows == 1 and before >= (reach.choice_tokens or 0)):
        assert found - needed < 1


@pytest.mark.parametrize("context", [CHOSEN, 4000, 16_384])
@pytest.mark.parametrize("rows", [1, 7])
def test_from_its_choice_on_an_iteration_is_exact(context: int, rows: int) -> None:
    """Rows of a sequence each: what the indexer does grows with the context, attention does not."""
    one = timer(1)
    spent = one.duration_ps(rows, decoding(one, context, rows)) - one.base_ps(rows, rows)
    layers, memory = 2, 1  # bytes a picosecond
    matrix = 2 * INDEX_HEADS * KEY * context + 2 * HEADS * (ENTRY + LATENT) * CHOSEN
    vector = (3 * INDEX_HEADS + 8) * context + 5 * HEADS * CHOSEN
    read = 2 * KEY * context + 2 * ENTRY * CHOSEN
    # A score is written for the choice and read by it; queries go in, values come out.
    handed = 2 * 2 * context
    rows_bytes = 2 * (INDEX_HEADS * KEY + CHOSEN + HEADS * (ENTRY + LATENT))
    by_hand = max(
        layers * rows * matrix / 100,
        layers * rows * vector / 10,
        layers * rows * (read + handed + rows_bytes) / memory,
    )
    # Coefficients of pairs, tokens and rows are rounded up to a picosecond each.
    assert by_hand <= spent < by_hand + rows * (2 * context + 1)


def test_below_its_choice_an_iteration_takes_no_less_than_it_must() -> None:
    """The bound counts a whole choice; where contexts stay below it, what there is."""
    context = 100
    bound = timer(1)
    exact = timer(1, tuple(block.within(CHOSEN) for block in BLOCKS))
    needed = [t.duration_ps(1, decoding(t, context)) for t in (exact, bound)]
    assert needed[0] < needed[1]
    at_choice = [t.duration_ps(1, decoding(t, CHOSEN)) for t in (exact, bound)]
    assert at_choice[0] == pytest.approx(at_choice[1], rel=0.002)  # rounded up in other places


def test_choices_and_queries_cross_the_links_of_a_group() -> None:
    found = {
        one.traffic: timer(4).size_bytes(one, 4, rows=3)
        for one in launches_of(BLOCKS, group_size=4, residual_elements=1024)
        if isinstance(one, CollectiveKernel)
    }
    assert found["queries"] == 3 * 2 * INDEX_HEADS * KEY
    assert found["choices"] == 3 * 8 * CHOSEN * 4
    merge = next(
        one
        for one in launches_of(BLOCKS, group_size=4, residual_elements=1024)
        if isinstance(one, Kernel) and one.name == "selection.merge"
    )
    assert merge.whole
    assert merge.operators[0].flop_per_row == 8 * 4 * CHOSEN
