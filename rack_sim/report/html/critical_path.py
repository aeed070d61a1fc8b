"""Critical path: what one token waits for; of reactive chips, what an iteration takes."""

from typing import TYPE_CHECKING

from rack_sim.metrics.critical_path import whole_name
from rack_sim.metrics.words import TERMS
from rack_sim.record.record import Record
from rack_sim.report.colours import TERM_LOOKS
from rack_sim.report.html.page import Chart, Section, Table
from rack_sim.report.html.plot import BLUE, bars, broken, layout, line
from rack_sim.report.html.quantity import figure, milliseconds, share

if TYPE_CHECKING:
    import pandas as pd

_TASKS_SHOWN = 12
_POINTS_MAX = 400


def critical_path_section(run: Record) -> Section:
    """The chain of tasks that makes a token take as long as it does."""
    if "critical_path.csv" in run.tables:
        return _static(run.frame("critical_path.csv"))
    if "iterations.csv" in run.tables:
        return _reactive(run.frame("iterations.csv"))
    return Section(
        "critical-path", "The critical path", sentences=("The run left no critical path.",)
    )


def _static(path: "pd.DataFrame") -> Section:
    total = float(path["time_ms"].sum())
    names = [name for name in TERMS if f"{name}_ms" in path.columns]
    by_stage = path.groupby("stage", sort=True)[[f"{name}_ms" for name in names]].sum()
    stages = [int(stage) for stage in by_stage.index]
    sums = {name: float(by_stage[f"{name}_ms"].sum()) for name in names}
    largest = max(sums, key=lambda name: sums[name])
    slowest = stages[int(by_stage.sum(axis=1).to_numpy().argmax())]
    stage_chart = Chart(
        "path-stages",
        "One token's way, stage by stage",
        f"{milliseconds(total)} from the first stage to the sampled token, over {len(stages)} "
        f"stages and {len(path):,} tasks. {TERMS[largest].title} is "
        f"{share(sums[largest] / total)} of it. Stage {slowest} takes longest.",
        tuple(
            bars(
                TERMS[name].name,
                stages,
                (by_stage[f"{name}_ms"] * 1000).tolist(),
                TERM_LOOKS[name].colour.css,
                pattern=TERM_LOOKS[name].hatch,
                unit="µs",
            )
            for name in names
        ),
        layout("stage", "µs", barmode="stack", bargap=0.15, hovermode="x unified"),
        Table(
            "One token's way by stage, µs",
            ("#Stage", *(f"#{TERMS[name].name}" for name in names), "#in all"),
            tuple(
                (
                    str(stage),
                    *(figure(1000 * float(value)) for value in values),
                    figure(1000 * float(sum(values)), 4),
                )
                for stage, values in zip(stages, by_stage.to_numpy().tolist(), strict=True)
            ),
        ),
        height_px=380,
    )
    tasks = path.assign(task=path["task"].map(whole_name)).groupby(["task", "unit"])["time_ms"]
    spent = tasks.agg(["sum", "count"]).reset_index()
    spent = spent.sort_values(["sum", "task", "unit"], ascending=[False, True, True])
    shown = spent.head(_TASKS_SHOWN)[::-1]
    rest = float(spent["sum"][_TASKS_SHOWN:].sum())
    first = spent.iloc[0]
    task_chart = Chart(
        "path-tasks",
        "The same by task",
        f"{first['task']} takes most: {milliseconds(float(first['sum']))} in "
        f"{int(first['count']):,} tasks, {share(float(first['sum']) / total)} of the way."
        + (f" {share(rest / total)} is in tasks that are not drawn." if rest else ""),
        (
            bars(
                "",
                [
                    broken(f"{task.replace('.', ': ')} ({unit})")
                    for task, unit in zip(shown["task"], shown["unit"], strict=True)
                ],
                shown["sum"].tolist(),
                BLUE,
                unit="ms",
                sideways=True,
            ),
        ),
        layout("ms", "", yaxis={"automargin": True}, showlegend=False),
        Table(
            "One token's way by task",
            ("Task", "Unit", "#tasks", "#ms", "#share"),
            tuple(
                (str(task), str(unit), f"{count:,}", figure(ms, 4), share(ms / total))
                for task, unit, ms, count in spent[["task", "unit", "sum", "count"]]
                .to_numpy()
                .tolist()
            ),
        ),
        height_px=90 + 36 * len(shown),
    )
    return Section("critical-path", "The critical path", charts=(stage_chart, task_chart))


def _reactive(iterations: "pd.DataFrame") -> Section:
    sentence = (
        "Chips that decide at run time have no fixed critical path: a token takes one iteration, "
        "and its time grows with the rows in it."
    )
    if not len(iterations):
        return Section("critical-path", "What a token waits for", sentences=(sentence,))
    step = -(-len(iterations) // _POINTS_MAX)
    drawn = iterations.iloc[::step]
    counts, times = iterations["iteration_count"], iterations["time_ms_mean"]
    mean = float((counts * times).sum() / counts.sum())
    table_step = -(-len(iterations) // 40)
    chart = Chart(
        "iterations",
        "Time of an iteration, by the rows in it",
        f"{int(counts.sum()):,} iterations, {milliseconds(mean)} on average; from "
        f"{milliseconds(float(times.min()))} to {milliseconds(float(times.max()))}.",
        (
            line(
                "mean time",
                drawn["rows"].tolist(),
                drawn["time_ms_mean"].tolist(),
                BLUE,
                unit="ms",
                mode="lines+markers",
                marker={"size": 4, "color": BLUE},
            ),
        ),
        layout(
            "rows of the iteration: sequences that decode, and prompt tokens",
            "ms",
            yaxis={"rangemode": "tozero"},
            showlegend=False,
        ),
        Table(
            "Iterations by rows",
            ("#rows", "#iterations", "#sequences decoding, mean", "#ms, mean"),
            tuple(
                (f"{int(rows):,}", f"{int(count):,}", figure(decoding), figure(ms, 4))
                for rows, count, decoding, ms in iterations.iloc[::table_step][
                    ["rows", "iteration_count", "decoding_mean", "time_ms_mean"]
                ]
                .to_numpy()
                .tolist()
            ),
            note="iterations.csv has every row." if table_step > 1 else "",
        ),
    )
    return Section("critical-path", "What a token waits for", (sentence,), charts=(chart,))
