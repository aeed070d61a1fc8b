"""Jitter tables: jitter.csv and slip.csv of a jitter study."""

from collections.abc import Iterator

from rack_sim.engine.recurrence import stage_starts_ps
from rack_sim.foundation.units import PS_PER_NS, format_ms
from rack_sim.report.csv import safe_text
from rack_sim.study.jitter import JitterPoint, JitterResult, JitterRow, Spread

# What the replay takes for granted, for whoever reads the numbers without the documentation.
JITTER_ASSUMED = (
    "extra times are exponential and independent, one for each task of a matrix, vector or switch "
    "unit; the same mean at every chip",
    "links and memory take the time that was compiled",
    "units and links keep the compiled order, so no step overtakes another",
    "what arrives before it is needed waits without limit; flow control costs nothing",
    "every row of every slot carries a token",
)


def jitter_table(result: JitterResult) -> Iterator[tuple[str, ...]]:
    """One row for each machine and mean extra time."""
    for point in result.points:
        step = point.step
        for row in point.rows:
            yield (
                *_machine(point, row),
                str(step.plan.stage_count),
                str(step.slot_count),
                str(point.path_operator_count),
                format_ms(step.revolution_ps),
                format_ms(step.latency_ps),
                f"{point.user_tokens_per_s(row):.6f}",
                f"{row.tokens_per_s:.6f}",
                f"{point.kept_share(row):.6f}",
                *_spread(row.gap),
                *_spread(row.step_latency),
            )


def slip_table(result: JitterResult) -> Iterator[tuple[str, ...]]:
    """One row for each machine, mean extra time and stage."""
    for point in result.points:
        starts = stage_starts_ps(point.step.program).tolist()
        for row in point.rows:
            for stage, (start_ps, slip_ps) in enumerate(
                zip(starts, row.slip_ps.tolist(), strict=True)
            ):
                head = _machine(point, row)
                yield (*head, str(stage), format_ms(start_ps), format_ms(round(slip_ps)))


def _machine(point: JitterPoint, row: JitterRow) -> tuple[str, str, str]:
    jitter_ns = f"{row.operator_jitter_ps / PS_PER_NS:.10g}"
    return safe_text(point.name), str(point.chip_count), jitter_ns


def _spread(times: Spread) -> tuple[str, str, str]:
    return (
        format_ms(round(times.mean_ps)),
        format_ms(round(times.p50_ps)),
        format_ms(round(times.p99_ps)),
    )
