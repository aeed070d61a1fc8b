"""Occupancy figure: requests running and waiting, and how full the cache is, over time."""

from typing import TYPE_CHECKING

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.pipeline import Result
from rack_sim.report.colours import GREEN, ORANGE, PURPLE
from rack_sim.report.figures.canvas import new_sheet, say_instead
from rack_sim.report.figures.over_time import (
    Line,
    Panel,
    Series,
    draw_panels,
    fleet_words,
    series_of,
    shade_window,
)
from rack_sim.report.numbers import number_text, percent_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_occupancy(result: Result) -> "Figure":
    """Running, waiting (where anything waited) and the cache in use, each beside its limit."""
    series = series_of(result)
    capacity = cache_tokens(result.explanation.fleet)
    if series is None or not series.highest("running_ps"):
        text = f"None of {result.totals.request_count:,} requests was let in"
        figure = new_sheet(text, fleet_words(result), width_inches=10, height_inches=3.4)
        say_instead(figure.subplots(), "Nothing was served.")
        return figure
    panels = [_running(result.explanation.fleet)]
    # Waiting has a panel of its own: it can dwarf what runs.
    if series.highest("waiting_ps") > 0:
        line = Line("waiting_ps", "waiting", ORANGE)
        panels.append(Panel("requests waiting", (line,)))
    panels.append(
        Panel(
            "cache in use\n(% of its room)",
            (Line("kv_token_ps", "reserved", GREEN, 100 / capacity),),
            limit=100,
            limit_words="full",
        )
    )
    figure = new_sheet(
        _title(result, series, capacity),
        _subtitle(result, series, capacity),
        width_inches=10,
        height_inches=0.6 + 1.75 * len(panels),
    )
    shade_window(result, draw_panels(figure, result, series, panels))
    return figure


def cache_tokens(fleet: FleetPlan) -> int:
    """Tokens that the caches of all replicas hold."""
    return fleet.timing.kv_tokens * fleet.replica_count


def _running(fleet: FleetPlan) -> Panel:
    lines = (Line("running_ps", "running", PURPLE),)
    if isinstance(fleet.timing, SlotTiming):
        rows = fleet.timing.slot_count * fleet.timing.rows * fleet.replica_count
        return Panel("requests running", lines, rows, f"{rows:,} rows in all slots")
    limits = fleet.policy.iteration_limits
    most = limits.sequences * fleet.replica_count if limits else 0
    return Panel("requests running", lines, most or None, f"at most {most:,} sequences")


def fullest_share(result: Result) -> float:
    """How full the cache of a replica was at its fullest moment: a step of the figure is a mean."""
    return max(books.kv_tokens_max / books.kv_tokens for books in result.totals.replicas)


def _title(result: Result, series: Series, capacity: int) -> str:
    running, waiting = (_mean_text(series.mean(name)) for name in ("running_ps", "waiting_ps"))
    used, peak = series.mean("kv_token_ps") / capacity, fullest_share(result)
    where = " at a replica" if len(result.totals.replicas) > 1 else ""
    return (
        f"{running} requests run and {waiting} wait on average; the cache is {percent_text(used)} "
        f"full, at most {percent_text(peak)}{where}"
    )


def _mean_text(value: float) -> str:
    return number_text(value, 3 if value >= 1 else 1)


def _subtitle(result: Result, series: Series, capacity: int) -> str:
    replicas = result.explanation.fleet.replica_count
    where = (
        f"the caches of {replicas:,} replicas together hold" if replicas > 1 else "the cache holds"
    )
    text = f"{fleet_words(result)}; {where} {capacity:,} tokens"
    return text if series.highest("waiting_ps") else f"{text}; no request ever waited"
