"""Programs of one chip and of two stages: titles, what links carry, memory, and missing tasks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from machines import SMALL_CHIP, SMALL_LINK

from rack_sim.compiler.checker import RULES, bound, check_program, describe, operators
from rack_sim.compiler.deliveries import NeededExchange, exchanges_of
from rack_sim.compiler.live_memory import check_memory, live_bytes_max
from rack_sim.compiler.program import Program
from rack_sim.compiler.step import StepTiming, compile_program, compile_step, program_of
from rack_sim.compiler.traffic import TRAFFICS, loads
from rack_sim.foundation.errors import InfeasibleError, InputError, ScheduleError
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.expert_blocks import ExpertPlacement
from rack_sim.model.layers import Experts
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape
from rack_sim.timing.tasks import Work

VECTOR_PS = 32_800  # 328 bytes at 10 GB/s
LINK = SMALL_LINK
HIDDEN, CONTEXT, LAYERS = 256, 64, 3
CHIP = SMALL_CHIP


def planned(degree: int, stages: int, rows: int = 1) -> Plan:
    plan = partition(
        Deployment(
            model=Architecture.dense("small", LAYERS, HIDDEN, 8, 4, 32, 512, 1000, False, 512),
            system=System(
                "box", CHIP, fully_connected(name="box", chips=8, local=LINK, port_count=8), 0.0
            ),
            shape=StepShape(rows, CONTEXT, Precision("int8", "fp16", "fp16", "fp16")),
            concurrent_sequences=2,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return plan


@pytest.fixture(scope="module")
def alone() -> StepTiming:
    """One chip."""
    return compile_step(planned(1, 1))


@pytest.fixture(scope="module")
def two() -> StepTiming:
    """Two stages of two chips."""
    return compile_step(planned(2, 2))


def said(rule: Iterator[str]) -> str:
    return "; ".join(rule)


def with_capacity(program: Program, capacity: int) -> Program:
    chip = program.plan.system.chip
    chip = replace(chip, memory=(replace(chip.memory[0], capacity_bytes=capacity),))
    plan = replace(program.plan, system=replace(program.plan.system, chip=chip))
    return replace(program, plan=plan)


# Titles and shapes --------------------------------------------------------------------------------


def test_the_title_says_what_a_program_is_of(alone: StepTiming) -> None:
    assert alone.program.title == "decode, 1 row, context 64"
    shape = alone.program.shape
    assert replace(alone.program, shape=replace(shape, rows=2)).title.startswith("decode, 2 rows,")
    prompt, _ = program_of(alone, "prefill", rows=3)
    assert prompt.title == "prefill, 3 rows, context 64"


def test_what_is_not_said_of_another_program_is_as_it_is_compiled(alone: StepTiming) -> None:
    assert program_of(alone) == (alone.program, alone.interval_ps)
    assert program_of(alone, "decode", 1, CONTEXT)[0] is alone.program
    shorter, _ = program_of(alone, context_tokens=CONTEXT - 1)
    assert (shorter.shape.rows, shorter.shape.context_tokens) == (1, CONTEXT - 1)


def test_a_prompt_is_no_longer_than_the_context_and_that_no_longer_than_the_cache(
    alone: StepTiming,
) -> None:
    assert program_of(alone, "prefill", rows=CONTEXT)[0].shape.rows == CONTEXT
    with pytest.raises(InputError, match=r"a prompt of 65 rows is longer than .* of 64 tokens"):
        program_of(alone, "prefill", rows=CONTEXT + 1)
    with pytest.raises(InputError, match="contexts of 64 tokens, not 65"):
        program_of(alone, context_tokens=CONTEXT + 1)
    assert program_of(alone, "decode", rows=CONTEXT + 1)[0].shape.rows == CONTEXT + 1


# Exchanges and links ------------------------------------------------------------------------------


def test_one_chip_exchanges_nothing(alone: StepTiming) -> None:
    (stage,) = alone.plan.stages
    for block in stage.blocks:
        assert exchanges_of(alone.program, block, (0,)) == []
    assert loads(alone.program) == {}
    assert alone.link_loads == alone.vectors_by_hop == alone.link_busy_ps == {}


@pytest.mark.parametrize(("group", "shard"), [((0, 1), 128), ((0, 1, 2), 86), ((4, 5, 6, 7), 64)])
def test_exchanges_of_a_block_by_hand(two: StepTiming, group: tuple[int, ...], shard: int) -> None:
    """A row of 256 elements of two bytes; sums of squares and candidates of 4 and 8 bytes."""
    blocks = {block.name: block for stage in two.plan.stages for block in stage.blocks}
    gather = NeededExchange("gather", "all_gather", group, 2 * shard + 4)
    reduce = NeededExchange("reduce", "reduce_scatter", group, 2 * shard)
    assert exchanges_of(two.program, blocks["embedding"], group) == []
    assert exchanges_of(two.program, blocks["layer0.attention"], group) == [gather, reduce]
    assert exchanges_of(two.program, blocks["layer2.feed_forward"], group) == [gather, reduce]
    candidates = NeededExchange("candidates", "all_gather", group, 8)
    assert exchanges_of(two.program, blocks["head"], group) == [gather, candidates]


@pytest.mark.parametrize("size", [4, 8])
def test_experts_that_lie_apart_exchange_logits_and_rows(two: StepTiming, size: int) -> None:
    """And nothing else; one chip has all of them. A row's shard goes to every chip it may go to."""
    model = Architecture.dense("sparse", 1, HIDDEN, 8, 4, 32, 512, 1000, False, 512)
    (layer,) = model.layers
    model = replace(model, layers=(replace(layer, feed_forward=Experts(8, 2, 64)),))
    block = blocks_of(model, ExpertPlacement(apart=True))[2]
    group = tuple(range(size))
    shard_bytes = 2 * HIDDEN // size
    assert exchanges_of(two.program, block, group) == [
        NeededExchange("logits", "all_gather", group, (8 + 1) * 4),
        NeededExchange("dispatch", "all_to_all", group, shard_bytes),
        NeededExchange("collect", "all_to_all", group, shard_bytes),
    ]
    assert exchanges_of(two.program, block, (0,)) == []
    sliced = exchanges_of(two.program, blocks_of(model)[2], group)
    assert [item.traffic for item in sliced] == ["gather", "reduce"]


def test_eight_chips_combine_what_pairs_found(two: StepTiming) -> None:
    """Four key-value heads: two chips share each. Each keeps an eighth of 8 heads of 32 + 2."""
    block = next(b for b in two.plan.stages[0].blocks if b.name == "layer0.attention")
    found = exchanges_of(two.program, block, tuple(range(8)))
    size_bytes = 2 * -(-block.combined_per_row // 8)
    assert [item for item in found if item.traffic == "combine"] == [
        NeededExchange("combine", "reduce_scatter", pair, size_bytes)
        for pair in ((0, 1), (2, 3), (4, 5), (6, 7))
    ]


def test_links_carry_every_kind_of_traffic_by_hand(two: StepTiming) -> None:
    """Shards of 260, 256 and 128 x 2 bytes are a vector each, whoever sends them."""
    first, second = two.plan.stages
    expected: Counter[tuple[tuple[int, int], str]] = Counter()
    for stage in (first, second):
        a, b = stage.chips
        for hop in ((a, b), (b, a)):
            for block in stage.blocks:
                expected[hop, "gather"] += block.gathers
                expected[hop, "reduce"] += block.kind in ("attention", "feed_forward")
                expected[hop, "candidates"] += block.kind == "head"
    for a, b in zip(first.chips, second.chips, strict=True):
        expected[(a, b), "transfer"] += 1
        expected[(b, a), "token"] += 1
    found = loads(two.program)
    assert {
        (hop, kind): load.vectors for hop, kinds in found.items() for kind, load in kinds.items()
    } == {place: count for place, count in expected.items() if count}
    for kinds in found.values():
        assert all(load.held_ps == load.vectors * VECTOR_PS for load in kinds.values())
        assert list(kinds) == [name for name in TRAFFICS if name in kinds]
    assert list(found) == sorted(found)
    assert two.vectors_by_hop == {
        hop: sum(load.vectors for load in kinds.values()) for hop, kinds in found.items()
    }


# Memory -------------------------------------------------------------------------------------------


def test_of_chips_that_overflow_the_fullest_is_named(two: StepTiming) -> None:
    """In whatever order chips come; its terms are those of its own memory."""
    program = two.program
    live = live_bytes_max(program, two.interval_ps)
    used: dict[int, dict[str, int]] = {}
    for stage in two.plan.stages:
        for chip, memory in zip(stage.chips, stage.memory, strict=True):
            used[chip] = {
                "weights": memory.weight_bytes,
                "kv_cache": memory.kv_bytes,
                "program_text": 1000,
                "activations": live[chip] + 2 * HIDDEN // 2,
            }
    totals = {chip: sum(terms.values()) for chip, terms in used.items()}
    assert len(set(totals.values())) > 1
    fullest = max(totals, key=lambda chip: totals[chip])
    for capacity in (min(totals.values()) - 1, 1):
        with pytest.raises(InfeasibleError) as caught:
            check_memory(with_capacity(program, capacity), two.interval_ps)
        reason = caught.value.reason
        assert (reason.demand_bytes, reason.bound_bytes) == (totals[fullest], capacity)
        assert reason.terms == used[fullest]
        assert f"what lives on chip {fullest} at one time" in reason.question
        assert len(reason.levers) == 2
    check_memory(with_capacity(program, max(totals.values())), two.interval_ps)


def test_more_steps_on_their_way_keep_more_activations(two: StepTiming) -> None:
    one = live_bytes_max(two.program, two.latency_ps)
    many = live_bytes_max(two.program, two.latency_ps // 4)
    assert set(one) == set(many) == {chip for stage in two.plan.stages for chip in stage.chips}
    assert all(many[chip] >= one[chip] for chip in one)
    assert any(many[chip] > one[chip] for chip in one)
    nothing = replace(two.program, leaves_bytes=np.zeros(len(two.program), dtype=np.int64))
    assert live_bytes_max(nothing, two.interval_ps) == {}


@pytest.mark.parametrize("size", [2, 7, 1000])
def test_results_of_so_many_bytes_keep_so_many_times_as_much_as_of_one(
    alone: StepTiming, size: int
) -> None:
    """One byte each: what ends at a time makes room for what begins then, whatever its size."""
    sizes = np.ones(len(alone.program), dtype=np.int64)
    of_one = live_bytes_max(replace(alone.program, leaves_bytes=sizes), alone.latency_ps)
    many = live_bytes_max(replace(alone.program, leaves_bytes=size * sizes), alone.latency_ps)
    assert many == {chip: size * count for chip, count in of_one.items()}


UNKNOWN = Work("unknown", "operator")

# Missing tasks ------------------------------------------------------------------------------------


def test_the_last_operator_of_one_chip_is_missed_under_another_name(alone: StepTiming) -> None:
    program = alone.program
    last = next(
        task for task in range(len(program)) if program.names[program.work[task]] == "head.sample"
    )
    work = program.work.copy()
    work[last] = 0
    assert said(operators(program)) == ""
    found = said(operators(replace(program, work=work)))
    assert found.startswith("head.sample (head) takes 0 ps on chip 0, which needs ")
    gone = tuple(
        UNKNOWN if known == Work("head.sample", "operator") else known for known in program.works
    )
    assert "head.sample (head) takes 0 ps on chip 0" in said(
        operators(replace(program, works=gone))
    )


def test_every_chip_and_operator_that_is_too_fast_is_told(two: StepTiming) -> None:
    """A picosecond less on each chip of a stage; no more of them than five are shown."""
    program = two.program
    norms = [
        task
        for task in range(len(program))
        if program.names[program.work[task]] == "attention.norm"
    ]
    assert len(norms) == 2 * LAYERS
    duration = program.duration_ps.copy()
    duration[norms] -= 1
    found = list(operators(replace(program, duration_ps=duration)))
    assert len(found) == 2 * LAYERS
    for text in found:
        took, needs = (int(word.rstrip(",")) for word in text.split() if word.rstrip(",").isdigit()
                       and int(word.rstrip(",")) > 100)  # fmt: skip
        assert needs - took == 1
    longer = program.duration_ps.copy()
    longer[norms] += 1
    assert not list(operators(replace(program, duration_ps=longer)))


def test_nothing_that_a_unit_does_may_take_a_picosecond_less(two: StepTiming) -> None:
    """Operators, their weights ahead and beside them, sums and layouts: each kind once a part."""
    program = two.program
    kinds: dict[tuple[str, int], int] = {}
    for task in np.flatnonzero(~program.is_link[program.resource]).tolist():
        if program.duration_ps[task]:
            kinds[program.names[program.work[task]], int(program.part[task])] = task
    endings = {name.rpartition(" ")[2] for name, _ in kinds}
    assert {"ahead", "weights", "sum", "layout"} <= endings
    for (name, part), task in kinds.items():
        duration = program.duration_ps.copy()
        duration[task] -= 1
        (found,) = operators(replace(program, duration_ps=duration))
        stem = name.rpartition(" ")[0] if name[-1].isdigit() and "/" in name else name
        assert found.startswith(f"{stem} ({program.parts[part].name}) takes ")


def test_weights_that_are_ahead_on_neither_chip_are_missed_on_both() -> None:
    """Whatever else takes long on the chip before: here candidates of 600 rows."""
    program = compile_step(planned(2, 1, rows=600)).program
    ahead = Work("head.vocabulary_projection", "weights_ahead")
    assert ahead in program.works
    gone = tuple(UNKNOWN if work == ahead else work for work in program.works)
    found = list(operators(replace(program, works=gone)))
    assert [text.split(", which")[0] for text in found] == [
        f"head.vocabulary_projection weights ahead (head) takes 0 ps on chip {chip}"
        for chip in (0, 1)
    ]


@pytest.mark.parametrize(("count", "shown", "more"), [(1, 1, ""), (5, 5, ""), (6, 5, "1 more")])
def test_five_breaches_are_shown_and_the_rest_counted(
    alone: StepTiming, count: int, shown: int, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a rule that finds so many."""
    wrong = [f"breach {number}" for number in range(count)]
    monkeypatch.setattr("rack_sim.compiler.checker.RULES", (lambda _: iter(wrong),))
    with pytest.raises(ScheduleError) as caught:
        check_program(alone.program)
    text = str(caught.value)
    assert text.count("breach") == shown
    assert (f"(and {more})" in text) is bool(more)
    assert alone.program.title in text


def test_a_step_is_no_faster_than_weights_and_links(two: StepTiming) -> None:
    """To the picosecond: the weights that each stage's chips read, and one hop between stages."""
    program, plan = two.program, two.plan
    weights_ps = 0
    for stage in plan.stages:
        read = sum(
            operator.parameters
            for block in stage.blocks
            for operator in block.operators
            if not operator.lookup_per_row
        )
        weights_ps += read // 2  # two chips; a byte at 10^12 a second takes a picosecond
    least_ps = weights_ps + 100_000

    def lasting(latency_ps: int) -> Program:
        """All tasks at the start, the last result that late."""
        start = np.zeros(len(program), dtype=np.int64)
        done = np.minimum(program.done_ps, 0)
        done[-1] = latency_ps
        return replace(program, start_ps=start, done_ps=done)

    assert said(bound(lasting(least_ps))) == ""
    text = said(bound(lasting(least_ps - 1)))
    assert f"({weights_ps} ps)" in text
    assert "(100000 ps)" in text


def test_a_task_is_described_by_name_part_place_and_time(two: StepTiming) -> None:
    program = two.program
    unit = next(
        n for n in range(len(program)) if program.names[program.work[n]] == "embedding.lookup"
    )
    assert describe(program, unit) == "embedding.lookup (embedding) on memory of chip 0 at 0 ps"
    sent = int(np.flatnonzero(program.is_link[program.resource])[0])
    a, b = program.ends[program.resource[sent]].tolist()
    assert f"on link {a}->{b} at {program.start_ps[sent]} ps" in describe(program, sent)


def test_programs_of_other_shapes_pass_every_rule(two: StepTiming) -> None:
    for rows in (1, 2, 5):
        for kind in ("decode", "prefill"):
            shape = replace(two.program.shape, rows=rows, program=kind)
            program = compile_program(two.plan, shape)
            assert [said(rule(program)) for rule in RULES] == [""] * len(RULES)
