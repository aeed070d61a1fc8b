"""Over time charts: tokens per second, who runs and waits, and the cache in use."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rack_sim.record.record import Record
from rack_sim.report.chart import Axis, Chart, Limit, Panels, Series, axis_of, empty_chart
from rack_sim.report.colours import (
    ARRIVED,
    CACHE,
    CAPACITY,
    FROM_CACHE,
    OUTPUT,
    PROMPT,
    RECOMPUTED,
    RUNNING,
    WAITING,
    Look,
)
from rack_sim.report.numbers import count_text, number_text, percent_text

_TOKENS = ("prompt_tokens", "cached_tokens", "recomputed_tokens", "output_tokens")
_COUNTS = (*_TOKENS, "arrived")
_LEVELS = ("running_mean", "waiting_mean", "kv_reserved_tokens_mean")
_KV = "kv_reserved_tokens_mean"
# More steps than this in one drawing show the noise of arrivals, and little else.
_STEP_COUNT_MAX = 160
_HEIGHT_INCHES = 2.3


class Steps(NamedTuple):
    """Columns of timeline.csv per second (counts) or as means (levels), between `edges_s`."""

    edges_s: NDArray[np.float64]
    rates: dict[str, NDArray[np.float64]]

    def highest(self, *names: str) -> float:
        """The largest value of some columns."""
        return max(float(self.rates[name].max(initial=0)) for name in names)

    def mean(self, name: str) -> float:
        """The mean of a column over the whole run."""
        widths_s = np.diff(self.edges_s)
        return float((self.rates[name] * widths_s).sum() / widths_s.sum())


def steps_of(run: Record, step_count_max: int = _STEP_COUNT_MAX) -> Steps | None:
    """The timeline gathered into at most so many steps; None where there is none.

    The last step ends with the run. A short rest is added to the step before it, because a few
    tokens over a sliver of time would look like a burst.
    """
    table, end_s = run.frame("timeline.csv"), run.summary["simulated_s"]
    if not len(table) or not isinstance(end_s, int | float) or end_s <= 0:
        return None
    start_s = table["start_s"].to_numpy(dtype=float)
    bin_s = float(start_s[1] - start_s[0]) if len(start_s) > 1 else float(end_s)
    bins_per_step = -(-len(start_s) // step_count_max)
    step_s = bins_per_step * bin_s
    step_count = max(1, int((2 * end_s + step_s) // (2 * step_s)))
    places = np.minimum(np.arange(len(start_s)) // bins_per_step, step_count - 1)
    edges_s = np.arange(step_count + 1, dtype=np.float64) * step_s
    edges_s[-1] = end_s
    widths_s = np.diff(edges_s)
    rates = {}
    for name in (*_COUNTS, *_LEVELS):
        values = table[name].to_numpy(dtype=float) * (bin_s if name in _LEVELS else 1.0)
        rates[name] = np.bincount(places, values, step_count) / widths_s
    return Steps(edges_s, rates)


def over_time_charts(run: Record) -> Iterator[Panels]:
    """Tokens per second by kind; requests running and waiting, and how full the cache is."""
    steps = steps_of(run)
    title, says = _throughput_title(run), _throughput_says(run, steps)
    charts = tuple(_throughput(run, steps))
    yield Panels("throughput_over_time", title, says, charts, 1, _HEIGHT_INCHES)
    title, says = _occupancy_title(run, steps), _occupancy_says(run, steps)
    charts = tuple(_occupancy(run, steps))
    yield Panels("occupancy_over_time", title, says, charts, 1, _HEIGHT_INCHES)


def _throughput(run: Record, steps: Steps | None) -> Iterator[Chart]:
    if steps is None or not steps.highest("prompt_tokens", "output_tokens"):
        yield empty_chart("time-output", "Over time", "Nothing was served.")
        return
    output = _line(steps, "output_tokens", "output", OUTPUT)
    title = f"Output: {number_text(steps.mean('output_tokens'))} tokens/s on average"
    yield _chart(run, steps, "time-output", title, ("output tokens", "tokens/s"), (output,))
    kinds = [
        _line(steps, column, words, look)
        for column, words, look in (
            ("prompt_tokens", "prefilled", PROMPT),
            ("cached_tokens", "found in the prefix cache", FROM_CACHE),
            ("recomputed_tokens", "prefilled again after a preemption", RECOMPUTED),
        )
        if steps.highest(column)
    ]
    if kinds:
        mean = number_text(steps.mean("prompt_tokens"))
        title = f"Prompts: {mean} tokens/s prefilled on average"
        yield _chart(run, steps, "time-prompts", title, ("prompt tokens", "tokens/s"), tuple(kinds))


def _occupancy(run: Record, steps: Steps | None) -> Iterator[Chart]:
    if steps is None or not steps.highest("running_mean"):
        yield empty_chart("time-running", "Over time", "Nothing was served.")
        return
    limit, words = _most_running(run)
    limits = (Limit(limit, words, CAPACITY),) if limit else ()
    running = _line(steps, "running_mean", "running", RUNNING)
    title = f"{_mean_text(steps.mean('running_mean'))} requests run on average"
    yield _chart(run, steps, "time-running", title, ("running", "requests"), (running,), limits)
    # Waiting has a chart of its own: it can dwarf what runs.
    if steps.highest("waiting_mean") > 0:
        waiting = _line(steps, "waiting_mean", "waiting", WAITING)
        title = f"{_mean_text(steps.mean('waiting_mean'))} requests wait on average"
        yield _chart(run, steps, "time-waiting", title, ("waiting", "requests"), (waiting,))
    arrived = _line(steps, "arrived", "arrive", ARRIVED)
    title = f"{number_text(steps.mean('arrived'))} requests arrive a second on average"
    yield _chart(run, steps, "time-arrivals", title, ("arrivals", "requests/s"), (arrived,))
    room = _cache_tokens(run)
    if room:
        full = Limit(100, "full", CAPACITY)
        used = _line(steps, _KV, "reserved", CACHE, 100 / room)
        title = f"The cache is {percent_text(steps.mean(_KV) / room)} full on average"
        yield _chart(run, steps, "time-cache", title, ("cache in use", "%"), (used,), (full,))


def _line(steps: Steps, column: str, words: str, look: Look, factor: float = 1.0) -> Series:
    middles = (steps.edges_s[:-1] + steps.edges_s[1:]) / 2
    values = steps.rates[column] * factor
    look = look._replace(marker="circle" if len(values) == 1 else "")
    return Series(words, tuple(middles.tolist()), tuple(values.tolist()), look)


def _chart(
    run: Record,
    steps: Steps,
    name: str,
    title: str,
    y: tuple[str, str],
    lines: tuple[Series, ...],
    limits: tuple[Limit, ...] = (),
) -> Chart:
    highest = max(value for line in lines for value in line.values)
    bounds = [limit.value for limit in limits]
    window = _window(run)
    shaded = "" if window is None else f" Shaded: the steady window, {_window_words(window)}."
    return Chart(
        name,
        title,
        Axis("simulated time", "s", high=float(steps.edges_s[-1])),
        axis_of(*y, [0.0, highest], bounds=bounds, scale="linear"),
        lines,
        f"At most {number_text(highest)} {y[1]}; each point is the mean of "
        f"{number_text(float(steps.edges_s[1]))} s.{shaded}",
        (*limits, *([] if window is None else [Limit(window[0], "", axis="x", end=window[1])])),
    )


def _window(run: Record) -> tuple[float, float] | None:
    """The window that the headline counts, where it is not the whole run."""
    start, length = run.summary["window_start_s"], run.summary["window_s"]
    if run.summary["window_kind"] != "steady" or not isinstance(start, int | float):
        return None
    return (start, start + length) if isinstance(length, int | float) else None


def _window_words(window: tuple[float, float]) -> str:
    return f"{window[0]:,.10g} to {window[1]:,.10g} s"


def _most_running(run: Record) -> tuple[float | None, str]:
    """How many requests can run at a time, and why no more."""
    row = run.summary
    slots, rows, replicas = (row[name] for name in ("slot_count", "slot_rows", "replica_count"))
    if isinstance(slots, int) and isinstance(rows, int) and isinstance(replicas, int):
        most = slots * rows * replicas
        return most, f"{most:,} rows in all slots"
    policy = (run.resolved.get("serving") or {}).get("policy") or {}
    sequences = policy.get("max_sequences")
    if not isinstance(sequences, int) or not isinstance(replicas, int):
        return None, ""
    return sequences * replicas, f"at most {sequences * replicas:,} sequences"


def _cache_tokens(run: Record) -> int:
    """Tokens that the caches of all replicas hold."""
    return sum(int(row["kv_capacity_tokens"] or 0) for row in run.rows("replicas.csv"))


def fullest_share(run: Record) -> float:
    """How full the cache of a replica was at its fullest moment: a step of a chart is a mean."""
    return max(
        int(row["kv_tokens_max"] or 0) / int(row["kv_capacity_tokens"] or 1)
        for row in run.rows("replicas.csv")
    )


def _whose(run: Record) -> str:
    """Whose numbers these are: ``name: 16 chips in 4 replicas``."""
    row = run.summary
    chips, replicas = int(row["chip_count"] or 0), int(row["replica_count"] or 1)
    text = f"{run.name}: {count_text(chips, 'chip')}"
    return f"{text} in {replicas:,} replicas" if replicas > 1 else text


def _throughput_title(run: Record) -> str:
    row = run.summary
    output, prompt = row["output_throughput_tok_s"], row["input_throughput_tok_s"]
    if not output or not isinstance(output, float) or not isinstance(prompt, int | float):
        return f"None of {int(row['request_count'] or 0):,} requests produced a token"
    steady = " in the steady window" if row["window_kind"] == "steady" else ""
    return f"{number_text(output, 4)} output and {number_text(prompt, 4)} prompt tokens/s{steady}"


def _throughput_says(run: Record, steps: Steps | None) -> str:
    if steps is None:
        return _whose(run)
    window = _window(run)
    shaded = "" if window is None else f"; shaded: the steady window, {_window_words(window)}"
    return (
        f"{_whose(run)}; over the whole run {number_text(steps.mean('output_tokens'))} output and "
        f"{number_text(steps.mean('prompt_tokens'))} prompt tokens/s{shaded}"
    )


def _occupancy_title(run: Record, steps: Steps | None) -> str:
    if steps is None or not steps.highest("running_mean"):
        return f"None of {int(run.summary['request_count'] or 0):,} requests was let in"
    running, waiting = (_mean_text(steps.mean(name)) for name in ("running_mean", "waiting_mean"))
    used, peak = steps.mean(_KV) / (_cache_tokens(run) or 1), fullest_share(run)
    where = " at a replica" if len(run.rows("replicas.csv")) > 1 else ""
    return (
        f"{running} requests run and {waiting} wait on average; the cache is {percent_text(used)} "
        f"full, at most {percent_text(peak)}{where}"
    )


def _occupancy_says(run: Record, steps: Steps | None) -> str:
    replicas = len(run.rows("replicas.csv"))
    where = (
        f"the caches of {replicas:,} replicas together hold" if replicas > 1 else "the cache holds"
    )
    text = f"{_whose(run)}; {where} {_cache_tokens(run):,} tokens"
    waited = steps is not None and steps.highest("waiting_mean")
    return text if waited else f"{text}; no request ever waited"


def _mean_text(value: float) -> str:
    return number_text(value, 3 if value >= 1 else 1)
