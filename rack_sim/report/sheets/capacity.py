"""Capacity: the sheet on which a planner changes rate, headroom and prices, and chips and dollars
follow.

Every result is a formula over named cells. `capacity_plan` says the same in Python: its values are
what programs show that open the workbook without calculating, and tests hold both against
`metrics.cost`.
"""

from math import ceil, floor
from typing import Any, NamedTuple

from rack_sim.metrics.cost import SECONDS_PER_YEAR
from rack_sim.report.sheets.capacity_facts import (
    ATTAINMENT_ASKED,
    OWN_BASIS,
    CapacityFacts,
)
from rack_sim.report.sheets.capacity_lines import (
    FACTS,
    HOURS_PER_YEAR,
    INPUTS,
    RACKS,
    RESULTS,
    WHOLE_RACKS,
    Line,
)
from rack_sim.report.sheets.sheet import (
    HEADER,
    INPUT,
    LABEL,
    SECTION,
    STRONG,
    UNIT,
    WRAPPED,
    Book,
    Cell,
    Formula,
    Sheet,
    number_style,
)
from rack_sim.report.sheets.table import unit_words

_PURPOSE = (
    "Change the yellow cells: everything else is a formula and follows. With the values as they "
    "come, the formulas give back the run's own numbers."
)
_STUDY_PURPOSE = (
    "Change the yellow cells: everything else is a formula and follows. What is bought together is "
    "the machine as it was studied."
)
_SHOWN_FIRST = (
    "chips_bought",
    "racks",
    "capital_usd",
    "mean_kilowatts",
    "usd_per_million_output_tokens",
)


class _Names(NamedTuple):
    """Names of cells on one sheet; further sheets of a workbook get names of their own."""

    sheet: Sheet
    suffix: str

    def define(self, name: str, row: int, column: int = 1, last: int | None = None) -> None:
        from xlsxwriter.utility import xl_range_abs

        cells = xl_range_abs(row, column, row if last is None else last, column)
        self.define_range(name, cells, self.sheet.name)

    def define_range(self, name: str, cells: str, sheet: str) -> None:
        self.sheet.book.file.define_name(f"{name}{self.suffix}", f"='{sheet}'!{cells}")

    def formula(self, text: str) -> str:
        """`text`, in which names stand in braces."""
        import re

        return re.sub(r"\{(\w+)\}", lambda found: found.group(1) + self.suffix, text)


def default_choices(facts: CapacityFacts) -> dict[str, Cell]:
    """The input cells as they come."""
    return {
        "rate_rps": facts.rate_rps,
        "headroom_share": 0.0,
        "capacity_basis": facts.bases[0].name,
        "own_capacity_rps": facts.bases[0].rps,
        **({} if facts.met else {"attainment_asked_share": ATTAINMENT_ASKED}),
        "system_price_usd": facts.system_price_usd,
        "bought_by": WHOLE_RACKS,
        "spare_share": 0.0,
        **facts.numbers,
    }


def capacity_plan(facts: CapacityFacts, choices: dict[str, Any]) -> dict[str, float | None]:
    """What the formulas give for these input cells, by name."""
    c = choices
    bases = {basis.name: basis.rps for basis in facts.bases} | {OWN_BASIS: c["own_capacity_rps"]}
    capacity = bases[c["capacity_basis"]]
    sets = _up(c["rate_rps"] * (1 + c["headroom_share"]) / capacity)
    replicas = sets * c["replicas_per_set"]
    model = replicas * c["chips_per_replica"]
    systems = floor(replicas / c["replicas_per_system"])
    rest = replicas - systems * c["replicas_per_system"]
    room = c["replicas_per_system"]
    full_nodes, rest_nodes = (
        _up(count * c["chips_per_replica"] / c["usable_chips_per_node"]) for count in (room, rest)
    )
    holding = systems * full_nodes + rest_nodes
    if c["bought_by"] == WHOLE_RACKS:
        full = [step for step in facts.racks if step.replicas <= room][-1]
        part = [step for step in facts.racks if step.replicas <= rest][-1]
        racks, nodes, chips, spares = (
            systems * whole + some
            for whole, some in (
                (full.racks, part.racks),
                (full.nodes, part.nodes),
                (full.chips, part.chips),
                (full.spares, part.spares),
            )
        )
    else:
        nodes = holding + _up(model * c["spare_share"] / c["chips_per_node"])
        racks, chips = _up(nodes / c["nodes_per_rack"]), nodes * c["chips_per_node"]
        spares = (nodes - holding) * c["chips_per_node"]
    if c["system_price_usd"] is None:
        capital = chips * c["chip_price_usd"] * c["system_price_factor"]
    else:
        capital = c["system_price_usd"] * chips / c["system_chips"]
    pue, share = c["power_usage_effectiveness"], c["utilisation_share"]
    around = nodes * (c["host_watts_per_node"] + c["network_watts_per_node"])
    standby = pue * (chips * c["chip_idle_watts"] + around)
    serving = standby + pue * c["joules_per_request"] * c["rate_rps"]
    peak = standby + pue * model * (c["chip_peak_watts"] - c["chip_idle_watts"])
    mean_kw = (share * serving + (1 - share) * standby) / 1000
    capital_per_year = capital / c["amortisation_years"]
    electricity = mean_kw * HOURS_PER_YEAR * c["electricity_usd_per_kwh"]
    usd = capital_per_year + electricity
    served = c["rate_rps"] * share * SECONDS_PER_YEAR / 1e6
    outputs = served * c["output_tokens_per_request"]
    total = served * c.get("tokens_per_request", 0.0)
    return {
        "capacity_rps": capacity,
        "replica_sets": sets,
        "replicas": replicas,
        "load_share": c["rate_rps"] / (sets * capacity) if sets else None,
        "chips_of_model": model,
        "full_systems": systems,
        "rest_replicas": rest,
        "nodes_of_model": holding,
        "nodes": nodes,
        "racks": racks,
        "chips_bought": chips,
        "spare_chips": spares,
        "idle_chips": chips - model - spares,
        "capital_usd": capital,
        "standby_watts": standby,
        "serving_watts": serving,
        "peak_watts": peak,
        "mean_kilowatts": mean_kw,
        "capital_usd_per_year": capital_per_year,
        "electricity_usd_per_year": electricity,
        "usd_per_year": usd,
        "output_mtokens_per_year": outputs,
        "usd_per_million_output_tokens": usd / outputs if outputs else None,
        "usd_per_million_total_tokens": usd / total if total else None,
    }


def _up(value: float) -> int:
    """Rounded up; a billionth above a whole number is how floats divide, and counts as whole."""
    return ceil(round(value, 9))


def write_no_capacity(book: Book, why: str) -> None:
    """A sheet that says why there is nothing to plan with."""
    book.sheet("Capacity", "Capacity", why).widths(60)


def write_capacity(book: Book, facts: CapacityFacts, *, number: int = 1) -> None:
    """The sheet of one machine; `number` counts the machines of a study."""
    name = "Capacity" if number == 1 else f"Capacity {number}"
    purpose = facts.purpose or (_PURPOSE if facts.own else _STUDY_PURPOSE)
    sheet = book.sheet(name, f"Capacity: {facts.title}", purpose)
    sheet.link(2, 0, "Summary", "to the summary")
    sheet.widths(38, 20, 20, 120)
    names = _Names(sheet, "" if number == 1 else f"_{number}")
    choices = default_choices(facts)
    plan = capacity_plan(facts, choices)
    results = [line for line in RESULTS if plan[line.name] is not None or facts.own]
    row = _write_first(sheet, names, results, plan)
    row = _write_inputs(sheet, names, facts, choices, row + 1)
    row = _write_bases(sheet, names, facts, row + 1)
    row = _write_results(sheet, names, facts, results, plan, row + 1)
    if facts.own:
        row = _write_own(sheet, names, facts, plan, row + 1)
    _write_facts(sheet, names, facts, choices, row + 1)
    sheet.page.freeze_panes(3, 1)
    _write_racks(book, names, facts, name.replace("Capacity", "Racks"))


def _write_first(
    sheet: Sheet, names: _Names, results: list[Line], plan: dict[str, float | None]
) -> int:
    """The answer, above everything: it repeats cells below."""
    row = 3
    sheet.put_row(row, 0, ("Answer", "", "", ""), SECTION)
    for line in results:
        if line.name in _SHOWN_FIRST:
            row += 1
            sheet.put(row, 0, line.label, STRONG)
            style = number_style(line.unit, bold=True)
            sheet.put(row, 1, Formula(names.formula(f"{{{line.name}}}"), plan[line.name]), style)
            sheet.put(row, 2, unit_words(line.unit), UNIT)
    return row + 1


def _write_inputs(
    sheet: Sheet, names: _Names, facts: CapacityFacts, choices: dict[str, Cell], row: int
) -> int:
    sheet.put_row(row, 0, ("Inputs (yellow: change them)", "", "", ""), SECTION)
    row += 1
    sheet.put_row(row, 0, ("input", "value", "unit", "what it is"), HEADER)
    for line in INPUTS:
        if line.name not in choices:
            continue
        row += 1
        value = choices[line.name]
        sheet.put(row, 0, line.label, LABEL)
        sheet.put(row, 1, value, {**INPUT, **number_style(line.unit, align="right")})
        sheet.put(row, 2, unit_words(line.unit), UNIT)
        sheet.put(row, 3, line.note, WRAPPED)
        names.define(line.name, row)
        allowed = dict(line.allowed)
        if line.name == "capacity_basis":
            allowed["source"] = [basis.name for basis in facts.bases]
        sheet.page.data_validation(row, 1, row, 1, allowed)
    return row + 1


def _write_bases(sheet: Sheet, names: _Names, facts: CapacityFacts, row: int) -> int:
    sheet.put_row(row, 0, ("What the capacity of one set can be taken to be", "", "", ""), SECTION)
    row += 1
    sheet.put_row(row, 0, ("capacity from", "offered requests", "unit", "what it means"), HEADER)
    first = row + 1
    for basis in facts.bases:
        row += 1
        own = basis.name == OWN_BASIS
        value: Any = Formula(names.formula("{own_capacity_rps}"), basis.rps) if own else basis.rps
        sheet.put(row, 0, basis.name, LABEL)
        sheet.put(row, 1, value, number_style("1/s"))
        sheet.put(row, 2, "1/s", UNIT)
        sheet.put(row, 3, basis.meaning, WRAPPED)
    names.define("basis_names", first, 0, row)
    names.define("basis_rps", first, 1, row)
    row += 1
    if facts.met:
        sheet.put(row, 0, "Objectives met", LABEL)
        sheet.put(row, 1, facts.met, STRONG)
        return row + 1
    sheet.put(row, 0, "Objectives met", LABEL)
    sheet.put(row, 1, facts.attainment, number_style("share"))
    sheet.put(row, 2, "share, shown in %", UNIT)
    sheet.put(
        row, 3, f"share of requests that met every objective, {facts.attainment_words}", WRAPPED
    )
    names.define("attainment_share", row)
    row += 1
    sheet.put(row, 0, "Verdict", LABEL)
    sheet.put(row, 1, Formula(names.formula(_VERDICT), _verdict(facts)), STRONG)
    return row + 1


_NO_OBJECTIVES = "no objectives were given: nothing says that this rate is served well"
_MET = "objectives are met by as many requests as asked for"
_MISSED = "fewer requests than asked for meet the objectives: this is no capacity within the SLO"
_VERDICT = (
    f'IF(ISNUMBER({{attainment_share}}),IF({{attainment_share}}>={{attainment_asked_share}},"{_MET}",'
    f'"{_MISSED}"),"{_NO_OBJECTIVES}")'
)


def _verdict(facts: CapacityFacts) -> str:
    if facts.attainment is None:
        return _NO_OBJECTIVES
    return _MET if facts.attainment >= ATTAINMENT_ASKED else _MISSED


def _write_results(
    sheet: Sheet,
    names: _Names,
    facts: CapacityFacts,
    results: list[Line],
    plan: dict[str, float | None],
    row: int,
) -> int:
    sheet.put_row(row, 0, ("Results (formulas)", "", "", ""), SECTION)
    row += 1
    sheet.put_row(row, 0, ("result", "value", "unit", "how"), HEADER)
    for line in results:
        row += 1
        sheet.put(row, 0, line.label, LABEL)
        style = number_style(line.unit)
        sheet.put(row, 1, Formula(names.formula(line.formula), plan[line.name]), style)
        sheet.put(row, 2, unit_words(line.unit), UNIT)
        sheet.put(row, 3, facts.notes.get(line.name, line.note), WRAPPED)
        names.define(line.name, row)
    return row + 1


def _write_own(
    sheet: Sheet, names: _Names, facts: CapacityFacts, plan: dict[str, float | None], row: int
) -> int:
    """The run's own numbers beside those of the formulas."""
    sheet.put_row(row, 0, (f"Beside the numbers of {facts.own_name}", "", "", ""), SECTION)
    row += 1
    heads = (
        "number",
        facts.own_name,
        "difference",
        "the difference is 0 as long as no input is changed",
    )
    sheet.put_row(row, 0, heads, HEADER)
    labels = {line.name: line for line in RESULTS}
    for name, (value, digits) in facts.own.items():
        row += 1
        found = plan[name]
        difference = None
        if isinstance(value, int | float) and found is not None:
            difference = round(found, digits) - value
        line = labels[name]
        style = number_style(line.unit)
        sheet.put(row, 0, f"{line.label} [{line.unit}]", LABEL)
        sheet.put(row, 1, value, style)
        text = names.formula(f'IFERROR(ROUND({{{name}}},{digits})-B{row + 1},"")')
        sheet.put(row, 2, Formula(text, difference), {"num_format": "#,##0.######"})
    return row + 1


def _write_facts(
    sheet: Sheet, names: _Names, facts: CapacityFacts, choices: dict[str, Cell], row: int
) -> None:
    heading = "What the formulas start from (change it only if you know better)"
    sheet.put_row(row, 0, (heading, "", "", ""), SECTION)
    row += 1
    sheet.put_row(row, 0, ("fact", "value", "unit", "where it is from"), HEADER)
    for line in FACTS:
        if line.name not in choices:
            continue
        row += 1
        note = facts.notes.get(line.name, line.note)
        if line.name == "joules_per_request" and not facts.own:
            note = (
                "assumed: every chip draws its peak at the highest rate that is kept up with, the "
                "most it can be; a run counts it"
            )
        style = number_style(line.unit)
        sheet.put_row(row, 0, (line.label, choices[line.name]), [LABEL, style])
        sheet.put_row(row, 2, (unit_words(line.unit), note), [UNIT, WRAPPED])
        names.define(line.name, row)


def _write_racks(book: Book, names: _Names, facts: CapacityFacts, name: str) -> None:
    """How the racks of a system fill; the formulas look it up."""
    sheet = book.sheet(
        name,
        f"{name}: {facts.title}",
        "How the racks of one system fill: from so many replicas on, up to the next row, the plan "
        "needs these racks. A system is filled before another is bought.",
    )
    sheet.link(2, 0, "Capacity", "to the capacity")
    sheet.widths(*[18] * len(RACKS))
    sheet.put_row(3, 0, RACKS, HEADER)
    for row, step in enumerate(facts.racks, start=4):
        cells = (step.replicas, step.racks, step.nodes, step.chips, step.spares)
        sheet.put_row(row, 0, cells, {"num_format": "#,##0"})
    sheet.page.freeze_panes(4, 1)
    sheet.page.repeat_rows(3)
    names.define_range("rack_table", f"$A$5:$E${4 + len(facts.racks)}", name)
