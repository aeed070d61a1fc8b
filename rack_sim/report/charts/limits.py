"""Limits charts: tokens per second beside what could be served."""

from collections.abc import Iterator

from rack_sim.record.record import Record
from rack_sim.report.chart import Chart, Panels, Series, axis_of, empty_chart, in_order, things_axis
from rack_sim.report.colours import BLUE, Look
from rack_sim.report.numbers import amount_text, number_of, percent_text

SERVED = "served, prompt and output"
# column -> words
_RATES = {
    "total_throughput_tok_s": SERVED,
    "compiled_limit_tok_s": "if every row carried a token",
    "physical_limit_tok_s": "at memory bandwidth or matrix peak",
}


def limits_charts(run: Record) -> Iterator[Panels]:
    """Tokens per second, served and possible."""
    rates = rates_of(run)
    if len(rates) < 2:
        says = "No limit is known." if SERVED in rates else "Nothing was served."
        empty = empty_chart("limits-throughput", "", says)
        yield Panels("limits", says.rstrip("."), run.name, (empty,), columns=1)
        return
    served = rates.get(SERVED, 0.0)
    words, limit = list(rates.items())[-1]
    # Points, not bars: on a logarithmic scale the length of a bar says nothing.
    marks = Series(
        "",
        in_order(rates),
        tuple(rates.values()),
        Look(BLUE, marker="diamond"),
        "points",
        labels=tuple(map(amount_text, rates.values())),
        mark_size=1.5,
    )
    share = percent_text(served / limit)
    title = f"{amount_text(served)} tokens/s served, {share} of the limit {words}"
    chart = Chart(
        "limits-throughput",
        title,
        things_axis("", rates),
        axis_of("throughput", "tokens/s", rates.values()),
        (marks,),
        is_sideways=True,
    )
    yield Panels("limits", title, run.name, (chart,), columns=1)


def rates_of(run: Record) -> dict[str, float]:
    """Tokens per second, served and possible, by their words."""
    found = {words: number_of(run.summary[column]) for column, words in _RATES.items()}
    return {words: rate for words, rate in found.items() if rate}
