"""Jitter view: what `rack-sim sweep` says of a jitter study, in the terminal and as JSON."""

from collections.abc import Iterator

from rich.table import Table

from rack_sim.cli.console import table
from rack_sim.foundation.units import PS_PER_MS, PS_PER_NS, format_time
from rack_sim.study.jitter import JitterPoint, JitterResult, JitterRow


def jitter_tables(result: JitterResult) -> Iterator[Table]:
    """Two tables: a user's tokens per second, and the tail of a token's time."""
    for title, cell in (
        ("tokens/s of a user, by mean extra time of an operator", _tokens_cell),
        ("time between two tokens of a user, p99", _tail_cell),
    ):
        names = [_jitter_text(row) for row in result.points[0].rows]
        columns = [("machine", "left"), *((name, "right") for name in names)]
        rows = [(point.name, *(cell(point, row) for row in point.rows)) for point in result.points]
        yield table(f"{result.study.name}: {title}", columns, rows)


def jitter_content(result: JitterResult) -> list[dict[str, object]]:
    """Every machine with its replays."""
    return [
        {
            "name": point.name,
            "chip_count": point.chip_count,
            "replays": [
                {
                    "operator_jitter_ns": row.operator_jitter_ps / PS_PER_NS,
                    "tok_s_per_user": point.user_tokens_per_s(row),
                    "tok_s": row.tokens_per_s,
                    "kept_share": point.kept_share(row),
                    "token_gap_ms_mean": row.gap.mean_ps / PS_PER_MS,
                    "token_gap_ms_p99": row.gap.p99_ps / PS_PER_MS,
                    "last_stage_slip_ms_mean": float(row.slip_ps[-1]) / PS_PER_MS,
                }
                for row in point.rows
            ],
        }
        for point in result.points
    ]


def _tokens_cell(point: JitterPoint, row: JitterRow) -> str:
    return f"{point.user_tokens_per_s(row):,.0f} ({point.kept_share(row):.0%})"


def _tail_cell(_: JitterPoint, row: JitterRow) -> str:
    return format_time(round(row.gap.p99_ps))


def _jitter_text(row: JitterRow) -> str:
    return f"{row.operator_jitter_ps / PS_PER_NS:,.10g} ns" if row.operator_jitter_ps else "none"
