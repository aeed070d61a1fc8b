"""Replicas: how alike the copies of a fleet were busy, and what each did."""

from rack_sim.record.record import Record
from rack_sim.report.charts.replicas import replicas_charts
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.page import HtmlTable, Section
from rack_sim.report.numbers import milliseconds, number_text, share


def replicas_section(run: Record) -> Section | None:
    """A bar and a row for each replica; nothing where there is one."""
    table = run.frame("replicas.csv")
    if len(table) < 2:
        return None
    rows = table.to_dict("records")
    every = HtmlTable(
        "Replicas",
        (
            "#Replica",
            "Role",
            "#requests",
            "#finished",
            "#rejected",
            "#timed out",
            "#output tokens",
            "#busy",
            "#most running",
            "#most waiting",
            "#most of the cache",
            "#last end",
        ),
        tuple(
            (
                str(row["replica"]),
                str(row["role"]),
                f"{row['request_count']:,}",
                f"{row['finished_count']:,}",
                f"{row['rejected_count']:,}",
                f"{row['timed_out_count']:,}",
                f"{row['output_tokens']:,}",
                share(float(row["utilisation"])),
                number_text(row["running_max"]),
                number_text(row["waiting_max"]),
                share(row["kv_tokens_max"] / row["kv_capacity_tokens"])
                if row["kv_capacity_tokens"]
                else "–",
                milliseconds(float(row["last_end_ms"])),
            )
            for row in rows
        ),
    )
    return Section("replicas", "Replicas", charts=draw_all(replicas_charts(run)), tables=(every,))
