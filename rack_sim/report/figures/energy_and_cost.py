"""Energy and cost figure: who draws the joules of a token, and what its dollars pay for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rack_sim.metrics.summary import Value
from rack_sim.pipeline import Result
from rack_sim.report.colours import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY
from rack_sim.report.figures.canvas import new_sheet, say_instead
from rack_sim.report.numbers import count_text, number_text, percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# column -> words of its bar, words inside a sentence, colour
_DRAWN_BY = {
    "energy_chips_idle_joules": ("chips, idle:\nalways drawn", "chips that do nothing", SKY),
    "energy_chips_dynamic_joules": ("chips, while busy:\nabove idle", "busy chips", BLUE),
    "energy_hosts_joules": ("hosts", "hosts", ORANGE),
    "energy_network_joules": ("switches\nand optics", "the network", PURPLE),
    "energy_building_joules": ("building: cooling\nand losses", "the building", GREEN),
}
# Room right of the longest bar for its words, as a share of that bar.
_LABEL_ROOM = 0.75


@dataclass(frozen=True)
class Bar:
    """One bar: a part begins where the one above it ends, a whole at zero."""

    words: str
    amount: float
    colour: str
    is_whole: bool = False


def draw_energy_and_cost(result: Result) -> "Figure":
    """Joules of an output token by who draws them; dollars of a million by what they pay for."""
    row = result.summary
    figure = new_sheet(_title(result), _subtitle(result), width_inches=10, height_inches=3.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    left.set_title("Energy of one output token")
    right.set_title("Cost of a million output tokens")
    if not row["output_token_count"]:
        say_instead(left, "No output token to divide by.")
        say_instead(right, "No output token to divide by.")
        return figure
    _draw_bars(left, energy_bars(result), "J", "joules")
    _draw_bars(right, cost_bars(result), "USD", "US dollars")
    return figure


def energy_bars(result: Result) -> list[Bar]:
    """Joules of one output token by who draws them, and in all."""
    row = result.summary
    tokens = _number(row["output_token_count"])
    bars = [
        Bar(words, _number(row[name]) / tokens, colour)
        for name, (words, _, colour) in _DRAWN_BY.items()
        if row[name] or name != "energy_network_joules"
    ]
    return [*bars, Bar("in all", _number(row["joules_per_output_token"]), INK, is_whole=True)]


def cost_bars(result: Result) -> list[Bar]:
    """Dollars of a million output tokens by what they pay for, and what they are sold for."""
    row = result.summary
    bars = [
        Bar("capital", _number(row["capital_usd_per_million_output_tokens"]), BLUE),
        Bar("electricity", _number(row["electricity_usd_per_million_output_tokens"]), ORANGE),
        Bar("in all", _number(row["usd_per_million_output_tokens"]), INK, is_whole=True),
    ]
    sold = row["api_usd_per_million_output_tokens"]
    if isinstance(sold, float):
        bars.append(Bar("sold for, prompts\nincluded", sold, GREY, is_whole=True))
    return bars


def _draw_bars(axes: "Axes", bars: Sequence[Bar], unit: str, unit_words: str) -> None:
    whole = next(bar.amount for bar in bars if bar.is_whole)
    start = 0.0
    for number, bar in enumerate(bars):
        left = 0.0 if bar.is_whole else start
        axes.barh(number, bar.amount, 0.66, left, color=bar.colour)
        if not bar.is_whole:
            start = left + bar.amount
            axes.plot([start] * 2, [number - 0.33, number + 1.33], color=GREY, linewidth=0.8)
        words = f"{number_text(bar.amount)} {unit}"
        if not bar.is_whole and whole:
            words += f"  ({percent_text(bar.amount / whole)})"
        axes.annotate(
            words,
            (left + bar.amount, number),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if bar.is_whole else "normal",
        )
    longest = max(bar.amount for bar in bars)
    axes.set_xlim(0, longest * (1 + _LABEL_ROOM) or 1)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_yticks(range(len(bars)), [bar.words for bar in bars])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_xlabel(unit_words)
    axes.grid(visible=False)  # every bar has its number
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def _title(result: Result) -> str:
    row = result.summary
    if not row["output_token_count"]:
        return "Nothing was served: energy and money went to no token"
    largest = max(_DRAWN_BY, key=lambda name: _number(row[name]))
    share = _number(row[largest]) / sum(_number(row[name]) for name in _DRAWN_BY)
    return (
        f"{number_text(_number(row['joules_per_output_token']))} J per output token, "
        f"{percent_text(share)} of it to {_DRAWN_BY[largest][1]}; "
        f"{number_text(_number(row['usd_per_million_output_tokens']))} USD per million of them"
    )


def _subtitle(result: Result) -> str:
    row, cost = result.summary, result.explanation.scenario.cost
    return (
        f"{_whose(result)}; {number_text(_number(row['mean_watts']) / 1000)} kW with the "
        f"building (PUE {cost.power_usage_effectiveness:g}); {_dollars(row['capital_usd'])} USD "
        f"over {cost.amortisation_years:g} years, serving {percent_text(cost.utilisation)} of the "
        f"time; {cost.electricity_usd_per_kwh:g} USD per kWh"
    )


def _dollars(value: Value) -> str:
    return f"{_number(value):,.0f}"


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _whose(result: Result) -> str:
    """Whose numbers these are: ``name: 16 chips in 4 replicas``."""
    explanation = result.explanation
    replicas = explanation.fleet.replica_count
    chips = count_text(explanation.plan.chip_count * replicas, "chip")
    text = f"{explanation.scenario.name}: {chips}"
    return f"{text} in {replicas:,} replicas" if replicas > 1 else text
