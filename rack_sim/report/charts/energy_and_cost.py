"""Energy and cost charts: who draws the joules of a token, and what its dollars pay for."""

from collections.abc import Iterator, Mapping

from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record
from rack_sim.report.chart import Axis, Chart, Panels, empty_chart, things_axis
from rack_sim.report.charts.parts import PartBar, parts_chart
from rack_sim.report.colours import BLUE, GREEN, INK, LIMIT, ORANGE, PURPLE, SKY, Look
from rack_sim.report.numbers import count_text, number_of, number_text, percent_text

_NETWORK = "energy_network_joules"
# column -> words of its bar, words inside a sentence, look
DRAWN_BY = {
    "energy_chips_idle_joules": (
        "chips, idle: always drawn", "chips that do nothing", Look(SKY, hatch="."),
    ),
    "energy_chips_dynamic_joules": ("chips, while busy: above idle", "busy chips", Look(BLUE)),
    "energy_hosts_joules": ("hosts", "hosts", Look(ORANGE, hatch="/")),
    _NETWORK: ("switches and optics", "the network", Look(PURPLE, hatch="-")),
    "energy_building_joules": (
        "building: cooling and losses", "the building", Look(GREEN, hatch="x"),
    ),
}  # fmt: skip


def energy_and_cost_charts(run: Record) -> Iterator[Panels]:
    """Joules of an output token by who draws them; dollars of a million by what they pay for."""
    row = run.summary
    charts = (_energy(row), _cost(row))
    yield Panels("energy_and_cost", _title(row), _says(run), charts)


def _energy(row: Mapping[str, Value]) -> Chart:
    name, title = "token-energy", "Energy of an output token"
    tokens = _number(row, "output_token_count")
    if not tokens:
        return empty_chart(name, title, "No output token to divide by.")
    parts = [
        PartBar(words, _number(row, column) / tokens, look)
        for column, (words, _, look) in DRAWN_BY.items()
        if row[column] or column != _NETWORK
    ]
    total = _number(row, "joules_per_output_token")
    parts.append(PartBar("in all", total, Look(INK), is_share=False))
    largest = max(parts[:-1], key=lambda part: part.amount)
    title += f": {number_text(total)} J, most for {largest.words}"
    chart = Chart(name, title, things_axis("", ()), Axis("energy", "J"))
    return parts_chart(chart, parts, total, lambda joules: f"{number_text(joules)} J")


def _cost(row: Mapping[str, Value]) -> Chart:
    name, title = "token-cost", "Cost of a million output tokens"
    if not row["output_token_count"]:
        return empty_chart(name, title, "No output token to divide by.")
    total = _number(row, "usd_per_million_output_tokens")
    parts = [
        PartBar("capital", _number(row, "capital_usd_per_million_output_tokens"), Look(BLUE)),
        PartBar(
            "electricity",
            _number(row, "electricity_usd_per_million_output_tokens"),
            Look(ORANGE, hatch="/"),
        ),
        PartBar("in all", total, Look(INK), is_share=False),
    ]
    sold = row["api_usd_per_million_output_tokens"]
    if isinstance(sold, float):
        parts.append(PartBar("sold for, prompts included", sold, LIMIT, is_share=False))
    largest = max(parts[:2], key=lambda part: part.amount)
    title += f": {number_text(total)} USD, most for {largest.words}"
    chart = Chart(name, title, things_axis("", ()), Axis("cost", "USD"))
    return parts_chart(chart, parts, total, lambda usd: f"{number_text(usd)} USD")


def _title(row: Mapping[str, Value]) -> str:
    if not row["output_token_count"]:
        return "Nothing was served: energy and money went to no token"
    drawn = {name: _number(row, name) for name in DRAWN_BY}
    largest = max(drawn, key=lambda name: drawn[name])
    share = drawn[largest] / sum(drawn.values())
    return (
        f"{number_text(_number(row, 'joules_per_output_token'))} J per output token, "
        f"{percent_text(share)} of it to {DRAWN_BY[largest][1]}; "
        f"{number_text(_number(row, 'usd_per_million_output_tokens'))} USD per million of them"
    )


def _says(run: Record) -> str:
    """Whose numbers these are, and what they were counted with."""
    row, cost = run.summary, run.resolved.get("cost") or {}
    chips = count_text(int(_number(row, "chip_count")), "chip")
    replicas = int(_number(row, "replica_count"))
    parts = [
        f"{run.name}: {chips}" + (f" in {replicas:,} replicas" if replicas > 1 else ""),
        f"{number_text(_number(row, 'mean_watts') / 1000)} kW with the building",
        f"{_number(row, 'capital_usd'):,.0f} USD to buy",
    ]
    for key, words in (
        ("power_usage_effectiveness", "PUE {:g}"),
        ("amortisation_years", "written off over {:g} years"),
        ("utilisation", "serving {share} of the time"),
        ("electricity_usd_per_kwh", "{:g} USD per kWh"),
    ):
        given = cost.get(key)
        value = given["value"] if isinstance(given, Mapping) else given
        if value is not None:
            parts.append(words.format(float(value), share=percent_text(float(value))))
    return "; ".join(parts)


def _number(row: Mapping[str, Value], column: str) -> float:
    return number_of(row[column]) or 0.0
