"""Limits: what bounds the run, and how far it is from what physics would allow; and its energy."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

from markupsafe import Markup

from rack_sim.metrics.cost_row import COST_COLUMNS
from rack_sim.metrics.summary import Value
from rack_sim.report.html.page import Chart, Section, Table
from rack_sim.report.html.plot import (
    BLUE,
    GREEN,
    ORANGE,
    PATTERNS,
    SKY,
    VERMILION,
    bars,
    layout,
    line,
)
from rack_sim.report.html.quantity import figure, milliseconds, number_of, share, usd, watts

_ENERGY = {
    "chips_idle": "chips, what they draw idle",
    "chips_dynamic": "chips, above that while busy",
    "hosts": "hosts",
    "network": "network",
    "building": "cooling and losses of the building",
}
# column -> words, unit
_MONEY = {
    "capital_usd": ("capital: the racks in use and what stands in them", "USD"),
    "usd_per_million_output_tokens": ("a million output tokens, capital and electricity", "USD"),
    "capital_usd_per_million_output_tokens": ("of that, capital written off", "USD"),
    "electricity_usd_per_million_output_tokens": ("of that, electricity", "USD"),
    "usd_per_million_total_tokens": ("a million tokens, prompts counted", "USD"),
    "api_usd_per_million_output_tokens": (
        "revenue of a million output tokens and their prompts",
        "USD",
    ),
    "margin_usd_per_million_output_tokens": ("that revenue less cost", "USD"),
    "break_even_utilisation": (
        "share of the year in which it must serve so to pay for itself (above 1: it cannot)",
        "",
    ),
    "payback_years": ("until revenue less electricity has paid the capital", "years"),
}
_SERVED = "served, prompt and output"
_BUSY = {column.name: column.definition for column in COST_COLUMNS if column.name[:5] == "busy_"}


def limits_section(row: Mapping[str, Value]) -> Section:
    """Rates beside their limits, what binds, and where busy chips spend their time."""
    words = {
        "TPOT is bound by": row["tpot_bound_by"],
        "TTFT is bound by": row["ttft_bound_by"],
        "The bottleneck is": row["bottleneck"],
    }
    points = tuple(
        f"{text} {str(value).replace('_', ' ')}." for text, value in words.items() if value
    )
    rates = {words: rate for words, rate in _rates(row).items() if rate}
    charts = (_throughput(rates),) if len(rates) > 1 else ()
    tables = (_beside_limits(row, rates), *_busy(row))
    return Section("limits", "Physical limits", charts=charts, points=points, tables=tables)


def _rates(row: Mapping[str, Value]) -> dict[str, float | None]:
    """Tokens per second, served and possible."""
    return {
        _SERVED: number_of(row["total_throughput_tok_s"]),
        "if every row carried a token": number_of(row["compiled_limit_tok_s"]),
        "at memory bandwidth or matrix peak": number_of(row["physical_limit_tok_s"]),
    }


def _beside_limits(row: Mapping[str, Value], rates: Mapping[str, float]) -> Table:
    tpot, bound = number_of(row["tpot_ms_p50"]), number_of(row["tok_latency_limit_ms"])
    rows = []
    if tpot and bound:
        rows.append(
            (
                "TPOT, median",
                milliseconds(tpot),
                milliseconds(bound),
                "weights read once at full memory speed",
                f"{figure(tpot / bound)} × the limit",
            )
        )
    served = rates.get(_SERVED)
    for words, limit in rates.items():
        if served and words != _SERVED:
            rows.append(
                (
                    "Throughput",
                    f"{figure(served, 4)} tokens/s",
                    f"{figure(limit, 4)} tokens/s",
                    words,
                    f"{share(served / limit)} of the limit",
                )
            )
    heads = ("Figure", "#here", "#limit", "the limit is", "#ratio")
    return Table("Figures beside their limits", heads, tuple(rows), is_open=True)


def _throughput(rates: Mapping[str, float]) -> Chart:
    """Points, not bars: on a logarithmic scale the length of a bar says nothing."""
    order = list(rates)[::-1]
    trace = line(
        "",
        [rates[words] for words in order],
        order,
        BLUE,
        mode="markers+text",
        marker={"size": 13, "color": BLUE, "symbol": "diamond"},
        text=[f"  {figure(rates[words], 4)}" for words in order],
        textposition="middle right",
        cliponaxis=False,
        hovertemplate=Markup("%{x:,.4~g} tokens/s<extra></extra>"),
    )
    said = "; ".join(f"{words}: {figure(rate, 4)} tokens/s" for words, rate in rates.items())
    return Chart(
        "limits-throughput",
        "Tokens per second, served and possible",
        f"{said}. The scale is logarithmic.",
        (trace,),
        layout(
            "tokens/s",
            "",
            xaxis={"type": "log", "dtick": 1, "range": _decades(list(rates.values()))},
            yaxis={"automargin": True, "range": [-0.6, len(rates) - 0.4]},
            showlegend=False,
        ),
        Table(
            "Tokens per second",
            ("Which", "#tokens/s"),
            tuple((words, figure(rate, 5)) for words, rate in rates.items()),
        ),
        height_px=110 + 44 * len(rates),
    )


def _busy(row: Mapping[str, Value]) -> tuple[Table, ...]:
    rows = tuple(
        (definition.removeprefix("of the time chips were busy: "), share(row[name]))
        for name, definition in _BUSY.items()
        if number_of(row[name])
    )
    if not rows:
        return ()
    return (Table("What busy chips do, of their time", ("What", "#share"), rows, is_open=True),)


def cost_section(row: Mapping[str, Value]) -> Section:
    """Who draws the energy, and what a million tokens are paid for."""
    joules = {words: number_of(row[f"energy_{name}_joules"]) for name, words in _ENERGY.items()}
    drawn = {words: value for words, value in joules.items() if value}
    total, seconds = sum(drawn.values()), number_of(row["simulated_s"])
    if not drawn or not seconds:
        return Section("cost", "Power and cost", ("The run has no energy to split.",))
    colours = (BLUE, VERMILION, GREEN, SKY, ORANGE)
    chart = Chart(
        "power",
        "Mean power, by who draws it",
        f"{watts(total / seconds)} on average: "
        + ", ".join(f"{words} {share(value / total)}" for words, value in drawn.items())
        + ".",
        tuple(
            bars(
                words,
                [""],
                [value / seconds / 1000],
                colours[number],
                unit="kW",
                sideways=True,
                pattern=PATTERNS[number],
            )
            for number, (words, value) in enumerate(drawn.items())
        ),
        layout("kW", "", barmode="stack", yaxis={"showticklabels": False}),
        Table(
            "Mean power",
            ("Who", "#kW", "#share"),
            (
                *(
                    (words, figure(value / seconds / 1000, 4), share(value / total))
                    for words, value in drawn.items()
                ),
                ("in all", figure(total / seconds / 1000, 4), share(1.0)),
            ),
        ),
        height_px=220,
    )
    money = [
        (
            words,
            figure(value)
            if unit == ""
            else f"{figure(value)} years"
            if unit == "years"
            else usd(value),
        )
        for name, (words, unit) in _MONEY.items()
        if (value := row[name]) is not None
    ]
    return Section(
        "cost",
        "Power and cost",
        charts=(chart,),
        tables=(Table("Cost of the run", ("What", "#value"), tuple(money), is_open=True),),
    )


def _decades(values: Sequence[float]) -> list[float]:
    """Powers of ten around the values, with room for words at the right."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return [low, max(high, low + 1) + 0.35 * max(1, high - low) / 2]
