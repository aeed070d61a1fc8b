"""Critical path charts: what one token waits for; of reactive chips, what an iteration takes."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rack_sim.metrics.critical_path import whole_name
from rack_sim.metrics.words import TERMS, capital
from rack_sim.record.record import Record
from rack_sim.report.chart import (
    Axis,
    Chart,
    Limit,
    Panels,
    Series,
    axis_of,
    empty_chart,
    in_order,
    things_axis,
)
from rack_sim.report.colours import BLUE, CAPACITY, TERM_LOOKS, Look
from rack_sim.report.numbers import amount_text, count_text, milliseconds, number_text, percent_text

if TYPE_CHECKING:
    import pandas as pd

_KINDS_SHOWN = 12
_ROWS_MAX = 34
_POINTS_MAX = 400
# Hatches of more bars than this run into each other.
_HATCHED_MAX = 24
_US_PER_MS = 1_000
_HEIGHT_INCHES = 3.0


def critical_path_charts(run: Record) -> Iterator[Panels]:
    """The chain of tasks that makes a token take as long as it does: by stage, task and kind."""
    if "critical_path.csv" in run.tables:
        yield _path(run)
    else:
        yield _iterations(run)


def _path(run: Record) -> Panels:
    table = run.frame("critical_path.csv")
    path = table.assign(name=table["task"].map(whole_name))
    names = [name for name in TERMS if f"{name}_ms" in path.columns]
    total_ms = float(path["time_ms"].sum())
    sums = {name: float(path[f"{name}_ms"].sum()) for name in names}
    largest = max(sums, key=lambda name: sums[name])
    kinds = _kinds(path)
    most = kinds.iloc[0]
    return Panels(
        "critical_path",
        f"One token takes {number_text(total_ms, 4)} ms, {percent_text(sums[largest] / total_ms)} "
        f"of it {TERMS[largest].name}; {_task_words(most['name'])} takes most, "
        f"{percent_text(most['time_ms'] / total_ms)}",
        f"{run.name}: {count_text(len(path), 'task')} let one another begin, and their times add "
        "up to the whole",
        (
            _by_stage(path, largest, sums[largest] / total_ms),
            _step_by_step(path),
            _by_kind(kinds, total_ms),
        ),
        columns=1,
        height_inches=_HEIGHT_INCHES,
    )


def _terms(rows: "pd.DataFrame") -> tuple[Series, ...]:
    """A bar for each row, made of what its time went to."""
    places = in_order(rows)
    found = []
    for name in TERMS:
        if f"{name}_ms" in rows.columns:
            look = TERM_LOOKS[name]
            if len(rows) > _HATCHED_MAX:
                look = look._replace(hatch="")
            values = tuple((_US_PER_MS * rows[f"{name}_ms"]).tolist())
            found.append(Series(TERMS[name].name, places, values, look, "bars"))
    return tuple(found)


def _by_stage(path: "pd.DataFrame", largest: str, share: float) -> Chart:
    stages = path.groupby("stage", sort=True).sum(numeric_only=True)
    highest_ms, slowest = float(stages["time_ms"].max()), stages["time_ms"].idxmax()
    count = len(stages)
    margin = max(0.0, (8 - count) / 2)  # few stages keep the width they have among eight
    total = milliseconds(path["time_ms"].sum())
    title = f"Stage by stage: stage {slowest} takes longest, {milliseconds(highest_ms)} of {total}"
    return Chart(
        "path-stages",
        title if count > 1 else f"The one stage takes {total}",
        Axis(
            "stage",
            low=-0.5 - margin,
            high=count - 0.5 + margin,
            marks=tuple(map(float, range(0, count, -(-count // 12)))),
        ),
        Axis("time", "µs", high=1.1 * _US_PER_MS * highest_ms),
        _terms(stages),
        f"{total} from the first stage to the sampled token, in {count_text(len(path), 'task')} "
        f"over {count_text(count, 'stage')}; {TERMS[largest].name} is {percent_text(share)} of it."
        + (" A stage has the way to the next in it, the last the token's way back." * (count > 1)),
        is_stacked=True,
    )


def steps_of(path: "pd.DataFrame") -> "pd.DataFrame":
    """The path in order, pieces of one task that follow each other on one unit put together."""
    where = ["name", "unit", "chip", "target_chip", "stage", "block"]
    # What has no target is on the same link as itself.
    known = path[where].fillna(-1)
    begins = (known != known.shift()).any(axis=1) | (path["name"] == path["task"])
    sums = {str(name): "sum" for name in path.columns if str(name).endswith("_ms")}
    first = dict.fromkeys((*where, "start_ms"), "first")
    return path.assign(pieces=1).groupby(begins.cumsum()).agg({**sums, **first, "pieces": "sum"})


def zoomed(steps: "pd.DataFrame", stage: int) -> "pd.DataFrame":
    """The first steps of a stage, whole blocks, as many as can be shown with their names."""
    own = steps[steps["stage"] == stage]
    ends = own.groupby("block", sort=False).size().cumsum()
    fits = ends[ends <= _ROWS_MAX]
    return own.head(int(fits.iloc[-1] if len(fits) else ends.iloc[0]))


def _step_by_step(path: "pd.DataFrame") -> Chart:
    """A staircase, top to bottom: each task begins where the one above lets it."""
    steps = steps_of(path)
    stages = steps["stage"].unique()
    stage = int(stages[len(stages) // 2])
    shown = zoomed(steps, stage)
    starts = _US_PER_MS * (shown["start_ms"] - shown["start_ms"].iloc[0])
    ends = starts + _US_PER_MS * shown["time_ms"]
    terms = _terms(shown)
    places, blocks = terms[0].x, list(shown["block"])
    rest = int((steps["stage"] == stage).sum()) - len(shown)
    more = f", its first {len(shown)} of {len(shown) + rest}" if rest else ""
    return Chart(
        "path-steps",
        f"Stage {stage}, task by task: each lets the next begin{more}",
        things_axis("", [_step_words(row) for row in shown.to_dict("records")]),
        Axis("time in the stage", "µs", high=1.12 * float(ends.max())),
        (
            Series("until it begins", places, tuple(starts.tolist()), Look(BLUE), "gap"),
            *terms[:-1],
            # What stands beside a bar is the whole of it.
            replace(terms[-1], labels=tuple(map(milliseconds, shown["time_ms"]))),
        ),
        f"From top to bottom: {', then '.join(dict.fromkeys(blocks))}.",
        tuple(
            Limit(place - 0.5, "", CAPACITY, axis="x")
            for place in range(1, len(blocks))
            if blocks[place] != blocks[place - 1]
        ),
        is_stacked=True,
        is_sideways=True,
    )


def _step_words(row: Mapping[Hashable, object]) -> str:
    """``norm · chip 3``; the block's own name is left to the words below."""
    name = _task_words(str(row["name"]).split(".", 1)[-1])
    chip, target = row["chip"], row["target_chip"]
    return f"{name} · {f'link {chip}→{target:g}' if row['unit'] == 'link' else f'chip {chip}'}"


def _task_words(name: str) -> str:
    return name.replace(".", ": ").replace("_", " ")


def _kinds(path: "pd.DataFrame") -> "pd.DataFrame":
    """The path by name of task and kind of unit, what takes longest first."""
    found = path.assign(tasks=1).groupby(["name", "unit"]).sum(numeric_only=True).reset_index()
    return found.sort_values(["time_ms", "name", "unit"], ascending=[False, True, True])


def _by_kind(kinds: "pd.DataFrame", total_ms: float) -> Chart:
    shown, rest = kinds.head(_KINDS_SHOWN), kinds.iloc[_KINDS_SHOWN:]
    first = shown.iloc[0]
    words = [
        f"{_task_words(row['name'])} ({row['unit']}, {row['tasks']:,}×)"
        for row in shown.to_dict("records")
    ]
    values = shown.filter(like="_ms").copy()  # a row of its own is added
    if len(rest):
        words.append(f"{count_text(len(rest), 'other kind')} ({rest['tasks'].sum():,}×)")
        values.loc[-1] = rest.filter(like="_ms").sum()
    return Chart(
        "path-tasks",
        f"{capital(_task_words(first['name']))} takes most of all kinds of tasks, "
        f"{percent_text(first['time_ms'] / total_ms)}",
        things_axis("", words),
        Axis("time", "µs", high=1.05 * _US_PER_MS * float(values["time_ms"].max())),
        _terms(values),
        f"{milliseconds(first['time_ms'])} in {count_text(int(first['tasks']), 'task')}; beside "
        "each kind: the unit that does it, and how often.",
        is_stacked=True,
        is_sideways=True,
    )


def _iterations(run: Record) -> Panels:
    """The mean time of an iteration by the rows in it: what a token of reactive chips waits for."""
    table = run.frame("iterations.csv")
    subject = f"{run.name}: chips that decide at run time have no fixed critical path"
    if not len(table):
        empty = empty_chart("iterations", "", "No iteration ran.")
        return Panels("iterations", "No iteration ran", subject, (empty,), columns=1)
    counts, times_ms = table["iteration_count"], table["time_ms_mean"]
    mean = milliseconds((counts * times_ms).sum() / counts.sum())
    ends = [
        f"{milliseconds(row['time_ms_mean'])} with {count_text(int(row['rows']), 'row')}"
        for row in (table.iloc[0], table.iloc[-1])
    ]
    title = f"An iteration takes {mean} on average: {' to '.join(dict.fromkeys(ends))}"
    shown = table.iloc[:: -(-len(table) // _POINTS_MAX)]
    chart = Chart(
        "iterations",
        title,
        axis_of("rows", "", table["rows"], scale="linear"),
        axis_of("mean time", "ms", times_ms, scale="linear"),
        (
            Series(
                "",
                tuple(shown["rows"].astype(float)),
                tuple(shown["time_ms_mean"]),
                Look(BLUE),
                hover=tuple(
                    f"{count_text(int(count), 'iteration')}, {amount_text(rows)} sequences decode"
                    for count, rows in zip(
                        shown["iteration_count"], shown["decoding_mean"], strict=True
                    )
                ),
                mark_size=0.6,
            ),
        ),
        f"{count_text(int(counts.sum()), 'iteration')}. A token takes one iteration, and its time "
        "grows with the rows in it: sequences that decode, and prompt tokens.",
    )
    return Panels("iterations", title, subject, (chart,), columns=1)
