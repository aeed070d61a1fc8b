"""Cost: where the energy of a run goes, and what a million tokens are made of."""

from rack_sim.metrics.cost_row import COST_COLUMNS
from rack_sim.record.record import Record
from rack_sim.report.sheets.charts import Series, new_chart
from rack_sim.report.sheets.sheet import (
    HEADER,
    LABEL,
    SECTION,
    STRONG,
    Book,
    Formula,
    Sheet,
    number_format,
)

_ENERGY = {
    "chips_idle": "chips, idle: always",
    "chips_dynamic": "chips, what busy ones draw above that",
    "hosts": "hosts",
    "network": "switches and optics, where given",
    "building": "cooling and losses (PUE - 1)",
}
_TOKEN_COST = {
    "capital_usd_per_million_output_tokens": "capital written off",
    "electricity_usd_per_million_output_tokens": "electricity, standing by included",
}
_BUSY = tuple(column for column in COST_COLUMNS if column.name.startswith("busy_"))
_PRICE = (
    "api_price",
    "api_usd_per_million_output_tokens",
    "margin_usd_per_million_output_tokens",
    "margin_usd_per_million_total_tokens",
    "break_even_utilisation",
    "payback_years",
)


def write_cost(book: Book, run: Record) -> None:
    """Energy by who draws it, time by what it goes to, money by what it is paid for."""
    row = run.summary
    sheet = book.sheet(
        "Cost",
        "Energy and cost",
        "Of this run as it was. Prices and utilisation can be changed on the sheet Capacity.",
    )
    sheet.link(2, 0, "Summary", "to the summary")
    sheet.widths(46, 18, 16, 16, 4)
    seconds = _number(row["simulated_s"])
    sheet.put_row(3, 0, ("Energy of the run", "", "", ""), SECTION)
    sheet.put_row(4, 0, ("who draws it", "energy\n[J]", "mean power\n[W]", "share\n[%]"), HEADER)
    joules = [_number(row[f"energy_{name}_joules"]) for name in _ENERGY]
    total = sum(joules)
    for number, (text, amount) in enumerate(zip(_ENERGY.values(), joules, strict=True), start=5):
        sheet.put(number, 0, text, LABEL)
        sheet.put(number, 1, amount, {"num_format": number_format("J")})
        _divided(sheet, number, 2, f"B{number + 1}/B13", amount, seconds, number_format("W"))
        _divided(sheet, number, 3, f"B{number + 1}/B$11", amount, total, "0.0%")
    sheet.put(10, 0, "together", STRONG)
    sheet.put(
        10, 1, Formula("SUM(B6:B10)", total), {"num_format": number_format("J"), "bold": True}
    )
    _divided(sheet, 10, 2, "B11/B13", total, seconds, number_format("W"))
    sheet.put_row(12, 0, ("simulated time, s", seconds), [LABEL, {"num_format": "#,##0.000"}])

    sheet.put_row(14, 0, ("A million output tokens", "", "", ""), SECTION)
    sheet.put_row(15, 0, ("what is paid for", "cost\n[USD]", "", "share\n[%]"), HEADER)
    costs = [row[name] for name in _TOKEN_COST]
    whole = sum(map(_number, costs))
    for number, (text, usd) in enumerate(zip(_TOKEN_COST.values(), costs, strict=True), start=16):
        sheet.put(number, 0, text, LABEL)
        sheet.put(number, 1, usd, {"num_format": "#,##0.0000"})
        _divided(sheet, number, 3, f"B{number + 1}/B$19", _number(usd), whole, "0.0%")
    sheet.put(18, 0, "together", STRONG)
    sheet.put(18, 1, Formula("SUM(B17:B18)", whole), {"num_format": "#,##0.0000", "bold": True})
    lines = (
        ("with prompt tokens counted, USD per million", "usd_per_million_total_tokens"),
        ("capital bought, USD", "capital_usd"),
    )
    for number, (text, name) in enumerate(lines, start=19):
        sheet.put_row(number, 0, (text, row[name]), [LABEL, {"num_format": "#,##0.00##"}])

    sheet.put_row(22, 0, ("What chips are busy with", "", "", ""), SECTION)
    sheet.put_row(23, 0, ("what it is", "", "", "share of busy time\n[%]"), HEADER)
    for number, column in enumerate(_BUSY, start=24):
        sheet.put(number, 0, column.definition.rpartition(": ")[2], LABEL)
        sheet.put(number, 3, row[column.name], {"num_format": "0.0%"})
    if row["api_price"] is not None:
        sheet.put_row(30, 0, ("Against a price", "", "", ""), SECTION)
        for number, name in enumerate(_PRICE, start=31):
            sheet.put_row(number, 0, (name, row[name]), [LABEL, {"num_format": "#,##0.00##"}])
    _draw(book, sheet)


def _divided(
    sheet: Sheet, row: int, column: int, text: str, part: float, whole: float, shown: str
) -> None:
    """A quotient as a formula; empty where there is nothing to divide by."""
    value = part / whole if whole else None
    sheet.put(row, column, Formula(f'IFERROR({text},"")', value), {"num_format": shown})


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
