"""Warnings: what a reader should know before using a number."""

from collections.abc import Iterator, Sequence

from rack_sim.record.record import Record
from rack_sim.report.html.inputs import input_warnings
from rack_sim.report.html.page import HtmlTable, Section
from rack_sim.report.html.requests import Requests
from rack_sim.report.numbers import counted, number_of, number_text, share

# Fewer finished requests than this leave less than ten beyond p99.
_FEW_REQUESTS = 1_000
# assumed: the queue of the last quarter this many times that of the second is no chance.
_GROWTH_RATIO = 2.0


def warnings_ahead(warnings: Sequence[str]) -> tuple[str, ...]:
    """What is said of the warnings at the top of a page; nothing where there are none."""
    one = len(warnings) == 1
    return (
        (
            f"{counted(len(warnings), 'warning')} {'stands' if one else 'stand'} at the end of "
            f"this page: read {'it' if one else 'them'} before you use a number.",
        )
        if warnings
        else ()
    )


def warnings_section(warnings: Sequence[str], tables: tuple[HtmlTable, ...] = ()) -> Section:
    """The warnings, and what belongs to them."""
    none = () if warnings else ("None.",)
    return Section("warnings", "Warnings", none, points=tuple(warnings), tables=tables)


def lost_requests(requests: Requests) -> tuple[HtmlTable, ...]:
    """The requests that got no answer, by reason."""
    rows = tuple(
        (status.replace("_", " "), reason, f"{count:,}", share(count / requests.count))
        for (status, reason), count in requests.lost.items()
    )
    heads = ("What became of them", "Why", "#requests", "#of all")
    return (HtmlTable("Requests without an answer", heads, rows, is_open=True),) if rows else ()


def run_warnings(run: Record, requests: Requests) -> Iterator[str]:
    """One sentence each, what matters most first."""
    row, trace = run.summary, run.facts["trace"]
    for (status, reason), count in requests.lost.items():
        yield (
            f"{counted(count, 'request')} ({share(count / requests.count)}) "
            f"{'was' if count == 1 else 'were'} {status.replace('_', ' ')}: {reason}. They are "
            "in no latency and no throughput."
        )
    if not requests.finished_count:
        yield "No request finished: there are no latencies."
    elif requests.finished_count < _FEW_REQUESTS:
        yield (
            f"Only {counted(requests.finished_count, 'request')} finished: fewer than ten lie "
            "beyond p99, which a few more requests could move far."
        )
    if row["window_kind"] == "whole_run":
        yield (
            "The run is too short for a steady window: rates count the whole run, filling and "
            "draining included. More requests would tell better."
        )
    yield from _growing(run)
    if row["preemption_count"]:
        yield (
            f"Sequences lost their cache {number_text(row['preemption_count'])} times, and "
            f"{number_text(row['recomputed_token_count'])} tokens were prefilled again: the cache "
            "is small for this load."
        )
    if trace and trace["skipped_row_count"]:
        yield f"{counted(trace['skipped_row_count'], 'malformed row')} of the trace were skipped."
    yield from input_warnings(run.facts)


def _growing(run: Record) -> Iterator[str]:
    """Whether ever more requests waited while they arrived."""
    table = run.frame("timeline.csv")
    arrived = table["arrived"].to_numpy()
    bins = int(arrived.nonzero()[0].max()) + 1 if arrived.any() else 0
    quarter = bins // 4
    if quarter < 2:
        return
    waiting = table["waiting_mean"].to_numpy()[:bins]
    early, late = float(waiting[quarter : 2 * quarter].mean()), float(waiting[-quarter:].mean())
    if late > max(_GROWTH_RATIO * early, 1.0) and number_of(run.summary["window_s"]):
        yield (
            f"The queue grew while requests arrived: {number_text(early)} waited in the second "
            f"quarter of the arrivals, {number_text(late)} in the last. Where more comes than is "
            "served, latencies say how long the run was, and nothing of the machine."
        )
