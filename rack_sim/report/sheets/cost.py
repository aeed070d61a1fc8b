"""Cost: where the energy of a run goes, and what a million tokens are made of."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

from rack_sim.metrics.cost_row import COST_COLUMNS
from rack_sim.metrics.formula import Named, Term, quotient
from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record
from rack_sim.report.sheets.charts import Series, new_chart
from rack_sim.report.sheets.formula_text import formula_text
from rack_sim.report.sheets.sheet import (
    HEADER,
    LABEL,
    NUMBER_HEADER,
    SECTION,
    STRONG,
    Book,
    Formula,
    Sheet,
    Style,
    number_style,
)

_ENERGY = {
    "energy_chips_idle_joules": "chips, idle: always",
    "energy_chips_dynamic_joules": "chips, what busy ones draw above that",
    "energy_hosts_joules": "hosts",
    "energy_network_joules": "switches and optics, where given",
    "energy_building_joules": "cooling and losses (PUE - 1)",
}
_TOKEN_COST = {
    "capital_usd_per_million_output_tokens": "capital written off",
    "electricity_usd_per_million_output_tokens": "electricity, standing by included",
}
_BUSY = tuple(column for column in COST_COLUMNS if column.name.startswith("busy_"))
_PRICE = COST_COLUMNS[[column.name for column in COST_COLUMNS].index("api_price") :]
_SHARE: Style = {"num_format": "0.0%"}


@dataclass
class _Page:
    """The sheet under way: where the numbers of the run stand on it."""

    sheet: Sheet
    row: Mapping[str, Value]
    cells: dict[str, str] = field(default_factory=dict)

    def number(self, row: int, name: str, style: Style) -> None:
        """A number of the summary."""
        self.sheet.put(row, 1, self.row[name], style)
        self.cells[name] = f"B{row + 1}"

    def formula(self, row: int, column: int, term: Term, style: Style) -> None:
        """What follows from numbers that stand on the sheet, or will."""
        value = term.value({name: _number(number) for name, number in self.row.items()})
        text = formula_text(term, self.cells.__getitem__)
        self.sheet.put(row, column, Formula(text, value), style)

    def head(self, row: int, heading: str, *heads: str) -> None:
        """A heading, and what the columns below it are called."""
        self.sheet.put_row(row, 0, (heading, "", "", ""), SECTION)
        self.sheet.put_row(row + 1, 0, heads, [HEADER, *[NUMBER_HEADER] * 3])

    def parts(self, row: int, parts: Mapping[str, str], style: Style) -> Term:
        """A line for each part with its share of the sum, which stands below them."""
        whole = reduce(operator.add, map(Named, parts))
        for at, (name, text) in enumerate(parts.items(), start=row):
            self.sheet.put(at, 0, text, LABEL)
            self.number(at, name, style)
        for at, name in enumerate(parts, start=row):
            self.formula(at, 3, quotient(Named(name), whole), _SHARE)
        self.sheet.put(row + len(parts), 0, "together", STRONG)
        self.formula(row + len(parts), 1, whole, {**style, "bold": True})
        return whole


def write_cost(book: Book, run: Record) -> None:
    """Energy by who draws it, time by what it goes to, money by what it is paid for."""
    purpose = "Of this run as it was. Prices and utilisation can be changed on the sheet Capacity."
    sheet = book.sheet("Cost", "Energy and cost", purpose)
    sheet.link(2, 0, "Summary", "to the summary")
    sheet.widths(46, 18, 16, 16, 4)
    page = _Page(sheet, run.summary)
    _write_energy(page)
    _write_tokens(page)
    page.head(22, "What chips are busy with", "what it is", "", "", "share of busy time\n[%]")
    for number, column in enumerate(_BUSY, start=24):
        sheet.put(number, 0, column.definition.rpartition(": ")[2], LABEL)
        sheet.put(number, 3, run.summary[column.name], _SHARE)
    if run.summary["api_price"] is not None:
        sheet.put_row(30, 0, ("Against a price", "", "", ""), SECTION)
        for number, column in enumerate(_PRICE, start=31):
            cells = (column.name, run.summary[column.name])
            sheet.put_row(number, 0, cells, [LABEL, number_style(column.unit, align="right")])
    _draw(book, sheet)


def _write_energy(page: _Page) -> None:
    heads = ("who draws it", "energy\n[J]", "mean power\n[W]", "share\n[%]")
    page.head(3, "Energy of the run", *heads)
    page.sheet.put(12, 0, "simulated time, s", LABEL)
    page.number(12, "simulated_s", {"num_format": "#,##0.000"})
    whole = page.parts(5, _ENERGY, number_style("J"))
    for row, energy in enumerate((*map(Named, _ENERGY), whole), start=5):
        page.formula(row, 2, quotient(energy, Named("simulated_s")), number_style("W"))


def _write_tokens(page: _Page) -> None:
    page.head(14, "A million output tokens", "what is paid for", "cost\n[USD]", "", "share\n[%]")
    page.parts(16, _TOKEN_COST, number_style("USD"))
    lines = {
        "usd_per_million_total_tokens": "with prompt tokens counted, USD per million",
        "capital_usd": "capital bought, USD",
    }
    for row, (name, text) in enumerate(lines.items(), start=19):
        page.sheet.put(row, 0, text, LABEL)
        page.number(row, name, number_style("USD"))


def _draw(book: Book, sheet: Sheet) -> None:
    power = new_chart(
        book,
        "bar",
        [Series("W", ("Cost", 5, 2, 9, 2), ("Cost", 5, 0, 9, 0))],
        title="Mean power by who draws it",
        x="",
        y="W",
        size=(640, 300),
    )
    sheet.place(
        3,
        5,
        power,
        "Bars: mean power of idle chips, busy chips, hosts, network and building. "
        "The same numbers stand in the table Energy of the run.",
    )
    token = new_chart(
        book,
        "bar",
        [
            Series(text, ("Cost", number, 1, number, 1), None)
            for number, text in enumerate(_TOKEN_COST.values(), start=16)
        ],
        subtype="stacked",
        title="Cost of a million output tokens",
        x="",
        y="USD",
        size=(640, 240),
    )
    sheet.place(
        20,
        5,
        token,
        "A bar of two parts: capital and electricity of a million output tokens. The "
        "same numbers stand in the table A million output tokens.",
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
