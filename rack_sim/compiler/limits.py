"""Physical limits: what no schedule of this machine can beat, to hold results against."""

from dataclasses import dataclass

from rack_sim.compiler.step import StepTiming
from rack_sim.foundation.units import PS_PER_S, work_to_ps


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a deployment.

    - `chips_min`: chips whose memory holds the weights alone
    - `token_limit_ps`: one token with every stage reading its weights once at full memory
      bandwidth, no fixed latency, no links, no compute: a bound on TPOT for this partition
    - `token_feed_limit_ps`: the same with the matrix unit's feed rate instead
    - `system_rows_per_s`: rows per second if every chip read its weights once per slot at full
      memory bandwidth and slots followed each other without a gap
    - `compiled_rows_per_s`: rows per second of the compiled interval
    """

    chips_min: int
    token_limit_ps: int
    token_feed_limit_ps: int
    system_rows_per_s: int
    compiled_rows_per_s: int


def limits_of(step: StepTiming) -> Limits:
    """The physical limits of a compiled step."""
    plan = step.plan
    tier = plan.system.chip.fast_memory
    feed = plan.system.chip.matrix.feed_bytes_per_s or tier.bandwidth_bytes_per_s
    fullest = [max(memory.weight_bytes for memory in stage.memory) for stage in plan.stages]
    slowest_read_ps = max(work_to_ps(size, tier.bandwidth_bytes_per_s) for size in fullest)
    return Limits(
        chips_min=-(-plan.weight_bytes // tier.capacity_bytes),
        token_limit_ps=sum(work_to_ps(size, tier.bandwidth_bytes_per_s) for size in fullest),
        token_feed_limit_ps=sum(work_to_ps(size, feed) for size in fullest),
        system_rows_per_s=step.rows * PS_PER_S // max(slowest_read_ps, 1),
        compiled_rows_per_s=step.rows * PS_PER_S // step.interval_ps,
    )
