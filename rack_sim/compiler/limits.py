"""Physical limits: what no schedule of this machine can beat, to hold results against."""

from dataclasses import dataclass, replace

from rack_sim.compiler.step import StepTiming
from rack_sim.foundation.units import PS_PER_S, work_to_ps
from rack_sim.partition.memory import block_weight_bytes, kept
from rack_sim.partition.plan import Plan, Stage
from rack_sim.partition.tiers import placements


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a deployment.

    - `chips_min`: chips whose memory (the largest tier that may) holds the weights alone
    - `token_limit_ps`: one token with every stage reading the weights it uses once at the full
      bandwidth of the memory they lie in, no fixed latency, no links, no compute: a bound on TPOT
      for this partition
    - `token_feed_limit_ps`: the same for the weights of matrix operators at the feed rate
    - `system_rows_per_s`: rows per second if slots followed each other without a gap and each
      stage took no longer than reading those weights once at full memory bandwidth, or than its
      matmuls at peak, whichever is longer

    A table that is only looked up counts with the rows read, not with what it holds.
    - `compiled_rows_per_s`: rows per second of the compiled interval; None where none is
    """

    chips_min: int
    token_limit_ps: int
    token_feed_limit_ps: int
    system_rows_per_s: int
    compiled_rows_per_s: int | None


def limits_of(step: StepTiming) -> Limits:
    """The physical limits of a compiled step."""
    compiled = _rows_per_s(step.rows, step.interval_ps)
    return _limits(step.plan, step.rows, compiled)


def batch_limits(plan: Plan, rows: int) -> Limits:
    """The physical limits of a plan whose iterations carry at most `rows` rows."""
    shape = replace(plan.demand.shape, rows=rows)
    return _limits(replace(plan, demand=replace(plan.demand, shape=shape)), rows, None)


def _limits(plan: Plan, rows: int, compiled_rows_per_s: int | None) -> Limits:
    chip = plan.system.chip
    tier = chip.tier_of("weights")
    largest = max(chip.memory[tiers.weights].capacity_bytes for tiers in placements(chip))
    feed = plan.system.chip.matrix.feed_bytes_per_s or tier.bandwidth_bytes_per_s
    read = [_read_bytes(plan, stage, matrix_only=False) for stage in plan.stages]
    fed = [_read_bytes(plan, stage, matrix_only=True) for stage in plan.stages]
    peak = plan.system.chip.matrix.peak_flop_per_s[plan.demand.shape.precision.compute]
    slowest_ps = max(
        max(work_to_ps(size, tier.bandwidth_bytes_per_s), work_to_ps(_flop(plan, stage), peak))
        for size, stage in zip(read, plan.stages, strict=True)
    )
    return Limits(
        chips_min=-(-_needed_weight_bytes(plan) // largest),
        token_limit_ps=sum(work_to_ps(size, tier.bandwidth_bytes_per_s) for size in read),
        token_feed_limit_ps=sum(work_to_ps(size, feed) for size in fed),
        system_rows_per_s=_rows_per_s(rows, max(slowest_ps, 1)),
        compiled_rows_per_s=compiled_rows_per_s,
    )


def _rows_per_s(rows: int, interval_ps: int) -> int:
    """Whole rows a second, rounded down; one where it is less, which is a bound still."""
    return max(rows * PS_PER_S // interval_ps, 1)


def _needed_weight_bytes(plan: Plan) -> int:
    """Weight bytes of the plan, but once where it keeps a table in two stages."""
    blocks = [block for stage in plan.stages for block in stage.blocks]
    again = kept(blocks) if plan.stage_count > 1 else blocks
    twice = [block for block in blocks if block not in again]
    return plan.weight_bytes - sum(block_weight_bytes(block, plan.demand) for block in twice)


def _read_bytes(plan: Plan, stage: Stage, *, matrix_only: bool) -> int:
    """Weight bytes that the fullest chip of a stage reads in one step."""
    shape = plan.demand.shape
    read = 0
    for block in stage.blocks:
        for operator in block.operators:
            if operator.unit == "matrix" or not matrix_only:
                looked_up = operator.lookup_per_row * shape.rows
                elements = looked_up if operator.lookup_per_row else operator.parameters_met
                read += shape.precision.part_bytes(operator, elements)
    return -(-read // plan.tensor_parallel)


def _flop(plan: Plan, stage: Stage) -> int:
    """FLOP of a stage's matmuls on its fullest chip in one step, attention to no context."""
    rows = plan.demand.shape.rows
    flop = sum(
        rows * operator.flop_per_row
        for block in stage.blocks
        for operator in block.operators
        if operator.unit == "matrix" and operator.rows_of != "prompts"
    )
    return -(-flop // plan.tensor_parallel)
