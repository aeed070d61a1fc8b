"""Limits: what bounds the run, and how far it is from what physics would allow; and its energy."""

from collections.abc import Callable, Mapping

from rack_sim.metrics.cost_row import COST_COLUMNS
from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record
from rack_sim.report.charts.energy_and_cost import energy_and_cost_charts
from rack_sim.report.charts.limits import SERVED, limits_charts, rates_of
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.page import HtmlTable, Section
from rack_sim.report.numbers import milliseconds, number_of, number_text, share, usd


def _years(value: object) -> str:
    return f"{number_text(value)} years"


# column -> words, how its number is written
_MONEY: Mapping[str, tuple[str, Callable[[object], str]]] = {
    "capital_usd": ("capital: the racks in use and what stands in them", usd),
    "usd_per_million_output_tokens": ("a million output tokens, capital and electricity", usd),
    "capital_usd_per_million_output_tokens": ("of that, capital written off", usd),
    "electricity_usd_per_million_output_tokens": ("of that, electricity", usd),
    "usd_per_million_total_tokens": ("a million tokens, prompts counted", usd),
    "api_usd_per_million_output_tokens": (
        "revenue of a million output tokens and their prompts",
        usd,
    ),
    "margin_usd_per_million_output_tokens": ("that revenue less cost", usd),
    "break_even_utilisation": (
        "share of the year in which it must serve so to pay for itself (above 1: it cannot)",
        number_text,
    ),
    "payback_years": ("until revenue less electricity has paid the capital", _years),
}
_BUSY = {column.name: column.definition for column in COST_COLUMNS if column.name[:5] == "busy_"}


def limits_section(run: Record) -> Section:
    """Rates beside their limits, what binds, and where busy chips spend their time."""
    row = run.summary
    words = {
        "TPOT is bound by": row["tpot_bound_by"],
        "TTFT is bound by": row["ttft_bound_by"],
        "The bottleneck is": row["bottleneck"],
    }
    points = tuple(
        f"{text} {str(value).replace('_', ' ')}." for text, value in words.items() if value
    )
    charts, tables = draw_all(limits_charts(run)), (_beside_limits(row, rates_of(run)), *_busy(row))
    return Section("limits", "Physical limits", charts=charts, points=points, tables=tables)


def _beside_limits(row: Mapping[str, Value], rates: Mapping[str, float]) -> HtmlTable:
    tpot, bound = number_of(row["tpot_ms_p50"]), number_of(row["tok_latency_limit_ms"])
    rows = []
    if tpot and bound:
        ratio = f"{number_text(tpot / bound)} × the limit"
        words = "weights read once at full memory speed"
        rows.append(("TPOT, median", milliseconds(tpot), milliseconds(bound), words, ratio))
    served = rates.get(SERVED)
    for words, limit in rates.items():
        if served and words != SERVED:
            rate, most = (f"{number_text(number, 4)} tokens/s" for number in (served, limit))
            ratio = f"{share(served / limit)} of the limit"
            rows.append(("Throughput", rate, most, words, ratio))
    heads = ("Figure", "#here", "#limit", "the limit is", "#ratio")
    return HtmlTable("Figures beside their limits", heads, tuple(rows), is_open=True)


def _busy(row: Mapping[str, Value]) -> tuple[HtmlTable, ...]:
    rows = tuple(
        (definition.removeprefix("of the time chips were busy: "), share(row[name]))
        for name, definition in _BUSY.items()
        if number_of(row[name])
    )
    if not rows:
        return ()
    return (HtmlTable("What busy chips do, of their time", ("What", "#share"), rows, is_open=True),)


def cost_section(run: Record) -> Section:
    """Who draws the energy, and what a million tokens are paid for."""
    row, groups = run.summary, tuple(energy_and_cost_charts(run))
    if not any(chart.values_of for panels in groups for chart in panels.charts):
        return Section("cost", "Energy and cost", ("The run has no energy to split.",))
    money = tuple(
        (words, written(row[name]))
        for name, (words, written) in _MONEY.items()
        if row[name] is not None
    )
    return Section(
        "cost",
        "Energy and cost",
        charts=draw_all(groups),
        tables=(HtmlTable("Cost of the run", ("What", "#value"), money, is_open=True),),
    )
