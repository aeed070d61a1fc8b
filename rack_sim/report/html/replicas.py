"""Replicas: how alike the copies of a fleet were busy, and what each did."""

from rack_sim.record.record import Record
from rack_sim.report.html.page import Chart, Section, Table
from rack_sim.report.html.plot import BLUE, GREEN, ORANGE, bars, layout
from rack_sim.report.html.quantity import figure, milliseconds, share

_COLOURS = {"both": BLUE, "prefill": ORANGE, "decode": GREEN}
_BARS_MAX = 200


def replicas_section(run: Record) -> Section | None:
    """A bar and a row for each replica; nothing where there is one."""
    table = run.frame("replicas.csv")
    if len(table) < 2:
        return None
    rows = table.to_dict("records")
    drawn = rows[:_BARS_MAX]
    used = [float(row["utilisation"]) for row in rows]
    traces = []
    for role in dict.fromkeys(str(row["role"]) for row in drawn):
        of_role = [row for row in drawn if str(row["role"]) == role]
        traces.append(
            bars(
                "busy" if role == "both" else f"busy, {role} only",
                [int(row["replica"]) for row in of_role],
                [100 * float(row["utilisation"]) for row in of_role],
                _COLOURS.get(role, BLUE),
                unit="% of the time",
            )
        )
    chart = Chart(
        "replicas-busy",
        "How busy each replica was",
        f"{len(rows)} replicas: from {share(min(used))} to {share(max(used))} of the time busy.",
        tuple(traces),
        layout(
            "replica",
            "busy, % of the time",
            xaxis={"dtick": 1} if len(drawn) <= 32 else {},
            yaxis={"range": [0, 100]},
            showlegend=len(traces) > 1,
        ),
        Table(
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
                    figure(row["running_max"]),
                    figure(row["waiting_max"]),
                    share(row["kv_tokens_max"] / row["kv_capacity_tokens"])
                    if row["kv_capacity_tokens"]
                    else "–",
                    milliseconds(float(row["last_end_ms"])),
                )
                for row in rows
            ),
        ),
        note=f"The first {_BARS_MAX} are drawn." if len(rows) > _BARS_MAX else "",
    )
    return Section("replicas", "Replicas", charts=(chart,))
