"""Over time: arrivals, throughput, who waits and runs, and the cache in use."""

from typing import Any

import numpy as np

from rack_sim.record.record import Record
from rack_sim.report.html.page import Chart, Section, Table
from rack_sim.report.html.plot import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    layout,
    line,
)
from rack_sim.report.html.quantity import figure, milliseconds, number_of

# More points than this would lie on one another, and make the page large.
_POINTS_MAX = 160
_TABLE_ROWS_MAX = 40


def over_time_section(run: Record) -> Section:
    """Three charts over the simulated time; bins are put together where there are many."""
    table = run.frame("timeline.csv")
    if len(table) < 2:
        return Section(
            "over-time", "Over time", sentences=("The run is shorter than two bins of time.",)
        )
    columns = {name: table[name].to_numpy(dtype=float) for name in table.columns}
    start = columns["start_s"]
    bin_s = float(start[1] - start[0])
    merged, width = _merged(columns, _POINTS_MAX)
    seconds = width * bin_s
    time = merged["start_s"] + seconds / 2
    rows, row_width = _merged(columns, _TABLE_ROWS_MAX)
    capacity = _capacity(run)
    kv = "kv_reserved_tokens_mean"
    window = _window(run)
    note = f"Each point is the mean of {milliseconds(seconds * 1000)}."

    def rate(name: str) -> Any:  # noqa: ANN401 - an array
        return merged[name] / seconds

    charts = [
        Chart(
            "time-throughput",
            "Tokens per second",
            f"Output tokens: {figure(_peak(rate('output_tokens')))} per second at most, "
            f"{figure(float(rate('output_tokens').mean()))} on average; prompt tokens: "
            f"{figure(float(rate('prompt_tokens').mean()))} on average.{window[1]}",
            (
                line(
                    "prompt tokens",
                    time,
                    rate("prompt_tokens"),
                    ORANGE,
                    unit="tokens/s",
                    dash=DASHES[2],
                ),
                line("output tokens", time, rate("output_tokens"), BLUE, unit="tokens/s"),
            ),
            _layout("tokens/s", window[0]),
            _table(
                "Tokens per second",
                rows,
                row_width * bin_s,
                ("prompt_tokens", "output_tokens"),
                True,
            ),
            note=note,
        ),
        Chart(
            "time-requests",
            "Requests that arrive, wait and run",
            f"{figure(_peak(merged['running_mean']))} run at most, "
            f"{figure(_peak(merged['waiting_mean']))} wait at most.",
            (
                line(
                    "arrive, per second",
                    time,
                    rate("arrived"),
                    GREY,
                    unit="requests/s",
                    dash=DASHES[2],
                ),
                line("running", time, merged["running_mean"], BLUE, unit="requests"),
                line(
                    "waiting",
                    time,
                    merged["waiting_mean"],
                    VERMILION,
                    unit="requests",
                    dash=DASHES[1],
                ),
            ),
            _layout("requests", window[0]),
            _table(
                "Requests",
                rows,
                row_width * bin_s,
                ("arrived", "finished", "rejected", "timed_out", "waiting_mean", "running_mean"),
                False,
            ),
            note=note,
        ),
        Chart(
            "time-cache",
            "KV cache reserved",
            f"{figure(_peak(merged[kv]))} tokens at most"
            + (f", of room for {figure(capacity)}." if capacity else "."),
            (line("tokens reserved", time, merged[kv], GREEN, unit="tokens"),),
            _layout("tokens", window[0]),
            _table("KV cache", rows, row_width * bin_s, (kv,), False),
            note=note,
        ),
    ]
    return Section("over-time", "Over time", charts=tuple(charts))


def _merged(columns: dict[str, Any], rows_max: int) -> tuple[dict[str, Any], int]:
    """Bins put together by so many that no more than `rows_max` are left; levels are means.

    A last group that is not whole would look like a fall, and is left out.
    """
    count = len(columns["start_s"])
    width = -(-count // rows_max)
    whole = count // width * width
    found = {}
    for name, values in columns.items():
        groups = values[:whole].reshape(-1, width)
        if name == "start_s":
            found[name] = groups[:, 0]
        elif name.endswith("_mean"):
            found[name] = groups.mean(axis=1)
        else:
            found[name] = groups.sum(axis=1)
    return found, width


def _table(
    caption: str, rows: dict[str, Any], seconds: float, names: tuple[str, ...], per_second: bool
) -> Table:
    cells = [rows[name] / seconds if per_second else rows[name] for name in names]
    return Table(
        f"{caption}, every {milliseconds(seconds * 1000)}",
        ("#from, s", *(f"#{name.removesuffix('_mean').replace('_', ' ')}" for name in names)),
        tuple(
            (figure(float(start)), *(figure(float(column[number])) for column in cells))
            for number, start in enumerate(rows["start_s"])
        ),
        note="timeline.csv has every bin.",
    )


def _layout(y_title: str, window: dict[str, Any]) -> dict[str, Any]:
    return layout(
        "simulated time, s",
        y_title,
        yaxis={"rangemode": "tozero"},
        hovermode="x unified",
        **window,
    )


def _window(run: Record) -> tuple[dict[str, Any], str]:
    """The steady window as a shaded band, and what it is."""
    start, length = (number_of(run.summary[name]) for name in ("window_start_s", "window_s"))
    if run.summary["window_kind"] != "steady" or start is None or length is None:
        return {}, ""
    band = {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": start,
        "x1": start + length,
        "y0": 0,
        "y1": 1,
        "fillcolor": "--band",
        "line": {"width": 0},
        "layer": "below",
    }
    return {"shapes": [band]}, (
        f" Rates of this report count the shaded window, {figure(start)} s to "
        f"{figure(start + length)} s."
    )


def _capacity(run: Record) -> float | None:
    tokens = run.frame("replicas.csv")["kv_capacity_tokens"]
    return float(tokens.sum()) if len(tokens) else None


def _peak(values: Any) -> float:  # noqa: ANN401 - an array
    return float(np.max(values)) if len(values) else 0.0
