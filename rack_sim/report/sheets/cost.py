"""Cost: where the energy of a run goes, and what a million tokens are made of."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

from rack_sim.metrics.cost_row import COST_COLUMNS
from rack_sim.metrics.formula import Named, Term, quotient
from rack_sim.metrics.summary import Value, number_of
from rack_sim.record.record import Record
from rack_sim.report.charts.energy_and_cost import DRAWN_BY
from rack_sim.report.draw.excel import LARGE_PX, Numbered, Spot, place_charts
from rack_sim.report.sheets.formula_text import formula_text
from rack_sim.report.sheets.sheet import LABEL, STRONG, Book, Formula, Sheet, Style, number_style

_ENERGY = {column: words for column, (words, *_) in DRAWN_BY.items()}
_TOKEN_COST = {
    "capital_usd_per_million_output_tokens": "capital written off",
    "electricity_usd_per_million_output_tokens": "electricity, standing by included",
}
_BUSY = tuple(column for column in COST_COLUMNS if column.name.startswith("busy_"))
_PRICE = COST_COLUMNS[[column.name for column in COST_COLUMNS].index("api_price") :]
_SHARE: Style = {"num_format": "0.0%"}
_STYLES = (LABEL, _SHARE, _SHARE, _SHARE)


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
        value = term.value({name: number_of(self.row, name) or 0.0 for name in self.row})
        text = formula_text(term, self.cells.__getitem__)
        self.sheet.put(row, column, Formula(text, value), style)

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


def write_cost(book: Book, run: Record, charts: Mapping[str, Numbered]) -> None:
    """Energy by who draws it, time by what it goes to, money by what it is paid for."""
    purpose = "Of this run as it was. Prices and utilisation can be changed on the sheet Capacity."
    sheet = book.sheet("Cost", purpose, "Energy and cost")
    sheet.widths(46, 18, 16, 16, 4)
    page = _Page(sheet, run.summary)
    _write_energy(page)
    _write_tokens(page)
    heads = ("what it is", "", "", "share of busy time\n[%]")
    lines = [(one.definition.rpartition(": ")[2], "", "", run.summary[one.name]) for one in _BUSY]
    sheet.put_block(22, "What chips are busy with", heads, lines, _STYLES)
    if run.summary["api_price"] is not None:
        sheet.put_block(30, "Against a price")
        for row, column in enumerate(_PRICE, start=31):
            cells = (column.name, run.summary[column.name])
            sheet.put_row(row, 0, cells, [LABEL, number_style(column.unit, align="right")])
    beside = Spot(3, 5, size_px=LARGE_PX)
    place_charts(sheet, beside, map(charts.get, ("token-energy", "token-cost")))


def _write_energy(page: _Page) -> None:
    heads = ("who draws it", "energy\n[J]", "mean power\n[W]", "share\n[%]")
    page.sheet.put_block(3, "Energy of the run", heads, styles=_STYLES)
    page.sheet.put(12, 0, "simulated time, s", LABEL)
    page.number(12, "simulated_s", {"num_format": "#,##0.000"})
    whole = page.parts(5, _ENERGY, number_style("J"))
    for row, energy in enumerate((*map(Named, _ENERGY), whole), start=5):
        page.formula(row, 2, quotient(energy, Named("simulated_s")), number_style("W"))


def _write_tokens(page: _Page) -> None:
    heads = ("what is paid for", "cost\n[USD]", "", "share\n[%]")
    page.sheet.put_block(14, "A million output tokens", heads, styles=_STYLES)
    page.parts(16, _TOKEN_COST, number_style("USD"))
    lines = {
        "usd_per_million_total_tokens": "with prompt tokens counted, USD per million",
        "capital_usd": "capital bought, USD",
    }
    for row, (name, text) in enumerate(lines.items(), start=19):
        page.sheet.put(row, 0, text, LABEL)
        page.number(row, name, number_style("USD"))
