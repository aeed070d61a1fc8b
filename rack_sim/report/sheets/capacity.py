"""Capacity: the sheet on which a planner changes rate, headroom and prices, and chips and dollars
follow.

Every result is a formula of `metrics.capacity` over named cells; what stands beside it in the file,
for programs that do not calculate, is the same formula calculated in Python.
"""

from dataclasses import dataclass
from typing import Any

from rack_sim.metrics.capacity import FACTS, INPUTS, RESULTS, CapacityPlan, CapacityVerdict
from rack_sim.metrics.formula import Allowed, Quantity
from rack_sim.metrics.frames import Cell
from rack_sim.report.sheets.capacity_facts import OWN_BASIS, CapacityFacts
from rack_sim.report.sheets.formula_text import formula_text
from rack_sim.report.sheets.sheet import (
    INPUT,
    LABEL,
    STRONG,
    UNIT,
    WRAPPED,
    Book,
    Formula,
    Range,
    Sheet,
    Style,
    number_style,
)
from rack_sim.report.sheets.table import FIRST_ROW, unit_words, write_list

_PURPOSE = (
    "Change the yellow cells: everything else is a formula and follows. With the values as they "
    "come, the formulas give back the run's own numbers."
)
_STUDY_PURPOSE = (
    "Change the yellow cells: everything else is a formula and follows. What is bought together is "
    "the machine as it was studied."
)
_SHOWN_FIRST = (
    CapacityPlan.racks,
    CapacityPlan.chips_bought,
    CapacityPlan.capital_usd,
    CapacityPlan.mean_kilowatts,
    CapacityPlan.usd_per_million_output_tokens,
)
_RACK_HEADS = dict.fromkeys(
    ("replicas, from", "racks", "nodes", "chips in them", "of these spare"), 18.0
)
_TOP = 3
_COUNTS: Style = {"num_format": "#,##0"}
_DIFFERENCES: Style = {"num_format": "#,##0.######"}


def write_no_capacity(book: Book, why: str) -> None:
    """A sheet that says why there is nothing to plan with."""
    book.sheet("Capacity", why).widths(60)


def write_capacity(book: Book, facts: CapacityFacts, *, number: int = 1) -> None:
    """The sheet of one machine; `number` counts the machines of a study."""
    beside = "" if number == 1 else f" {number}"
    purpose = facts.purpose or (_PURPOSE if facts.own else _STUDY_PURPOSE)
    sheet = book.sheet(f"Capacity{beside}", purpose, f"Capacity: {facts.title}")
    sheet.widths(38, 20, 20, 120)
    sheet.page.freeze_panes(3, 1)
    page = _Page(sheet, facts, facts.planned(), "" if number == 1 else f"_{number}")
    page.write_answer()
    page.write_inputs()
    page.write_bases()
    page.write_results()
    page.write_own()
    page.write_facts()
    page.write_racks(f"Racks{beside}")


@dataclass
class _Page:
    """The sheet under way: its values, what its names end with, and the next free row."""

    sheet: Sheet
    facts: CapacityFacts
    known: dict[str, Any]
    suffix: str
    row: int = _TOP

    def write_answer(self) -> None:
        """The answer, above everything: it repeats cells below."""
        self.head("Answer")
        for one in _SHOWN_FIRST:
            if one.name in self.known:
                value = Formula(self.cell_of(one.name), self.known[one.name])
                self.line(one.label, value, one.unit, style={"bold": True})

    def write_inputs(self) -> None:
        """The cells that a planner changes, each with what it takes."""
        self.head("Inputs (yellow: change them)", "input", "value", "unit", "what it is")
        for one in INPUTS:
            if one.name not in self.known or one.allowed is None:
                continue
            choices = one.allowed.choices
            if one is CapacityPlan.capacity_basis:
                choices = tuple(basis.name for basis in self.facts.bases)
            self.name(one.name)
            self.sheet.page.data_validation(self.row, 1, self.row, 1, _rule(one.allowed, choices))
            style = {**INPUT, "align": "right"}
            self.line(one.label, self.known[one.name], one.unit, one.note, style)

    def write_bases(self) -> None:
        """The rates that may be taken for a capacity, and whether the first is one."""
        heading = "What the capacity of one set can be taken to be"
        self.head(heading, "capacity from", "offered requests", "unit", "what it means")
        first = self.row
        for basis in self.facts.bases:
            own = Formula(self.cell_of(CapacityPlan.own_capacity_rps.name), basis.rps)
            value = own if basis.name == OWN_BASIS else basis.rps
            self.line(basis.name, value, CapacityPlan.capacity_rps.unit, basis.meaning)
        self.name_cells("basis_table", Range(self.sheet.name, first, 0, self.row - 1, 1))
        share, verdict = CapacityVerdict.attainment_share, CapacityVerdict.verdict
        if self.facts.met:
            self.sheet.put_row(self.row, 0, (share.label, self.facts.met), [LABEL, STRONG])
            self.row += 1
            return
        self.name(share.name)
        note = f"{share.note}, {self.facts.attainment_words}"
        self.line(share.label, self.facts.attainment, share.unit, note)
        said = self.formula(verdict)
        self.sheet.put_row(self.row, 0, (verdict.label, said), [LABEL, STRONG])
        self.row += 1

    def write_results(self) -> None:
        """Every result as a formula."""
        self.head("Results (formulas)", "result", "value", "unit", "how")
        for one in RESULTS:
            if one.name in self.known:
                self.name(one.name)
                self.line(one.label, self.formula(one), one.unit, self.note(one))

    def write_own(self) -> None:
        """The run's own numbers beside those of the formulas."""
        if not self.facts.own:
            return
        own = self.facts.own_name
        note = "the difference is 0 as long as no input is changed"
        self.head(f"Beside the numbers of {own}", "number", own, "difference", note)
        for name, (value, digits) in self.facts.own.items():
            one, found, difference = getattr(CapacityPlan, name), self.known[name], None
            if isinstance(value, int | float) and found is not None:
                difference = round(found, digits) - value
            text = f'IFERROR(ROUND({self.cell_of(name)},{digits})-B{self.row + 1},"")'
            cells = (f"{one.label} [{one.unit}]", value, Formula(text, difference))
            self.sheet.put_row(self.row, 0, cells, [LABEL, number_style(one.unit), _DIFFERENCES])
            self.row += 1

    def write_facts(self) -> None:
        """What else the formulas name."""
        heading = "What the formulas start from (change it only if you know better)"
        self.head(heading, "fact", "value", "unit", "where it is from")
        for one in FACTS:
            if one.name in self.known:
                self.name(one.name)
                self.line(one.label, self.known[one.name], one.unit, self.note(one))

    def write_racks(self, name: str) -> None:
        """A sheet of how the racks of a system fill; the formulas look it up."""
        purpose = (
            "How the racks of one system fill: from so many replicas on, up to the next row, the "
            "plan needs these racks. A system is filled before another is bought."
        )
        title, racks = f"{name}: {self.facts.title}", self.facts.racks
        sheet = self.sheet.book.sheet(name, purpose, title, back=self.sheet.name)
        write_list(sheet, _RACK_HEADS, [(step, _COUNTS) for step in racks])
        last = FIRST_ROW + len(racks) - 1
        self.name_cells("rack_table", Range(name, FIRST_ROW, 0, last, len(_RACK_HEADS) - 1))

    def head(self, heading: str, *heads: str) -> None:
        """A heading, below a free row, and what the columns below it are called."""
        free = int(self.row > _TOP)
        self.row = self.sheet.put_block(self.row + free, heading, heads, styles=[LABEL, _COUNTS])

    def line(
        self,
        label: str,
        value: Cell | Formula,
        unit: str,
        note: str = "",
        style: Style | None = None,
    ) -> None:
        """A line with a number and its unit, and the words that explain it."""
        style = style or {}
        styles = [STRONG if style.get("bold") else LABEL, {**style, **number_style(unit)}]
        cells = (label, value, unit_words(unit), note)
        self.sheet.put_row(self.row, 0, cells, [*styles, UNIT, WRAPPED])
        self.row += 1

    def note(self, quantity: Quantity) -> str:
        """How a quantity comes about; of some facts, in other words than usual."""
        return self.facts.notes.get(quantity.name, quantity.note)

    def formula(self, quantity: Quantity) -> Formula:
        """A quantity's formula, with the value that it has as it comes."""
        text = formula_text(quantity.formula or quantity, self.cell_of)
        return Formula(text, self.known[quantity.name])

    def cell_of(self, name: str) -> str:
        """The name of a cell; each machine of a study has cells of its own."""
        return f"{name}{self.suffix}"

    def name(self, name: str) -> None:
        """Names the cell of the line that is written next."""
        self.name_cells(name, Range(self.sheet.name, self.row, 1, self.row, 1))

    def name_cells(self, name: str, cells: Range) -> None:
        """Names a rectangle of cells of a sheet."""
        self.sheet.book.file.define_name(self.cell_of(name), f"={cells.address}")


def _rule(allowed: Allowed, choices: tuple[str, ...] | None) -> dict[str, Any]:
    """What an input cell takes, in xlsxwriter's words."""
    if choices is not None:
        title, message = "Not in the list", "Choose one of the list."
        rule: dict[str, Any] = {"validate": "list", "source": list(choices)}
    elif allowed.most is not None:
        title, message = "Not a share", f"This takes {allowed.least:g} to {allowed.most:g}."
        bounds = {"minimum": allowed.least, "maximum": allowed.most}
        rule = {"validate": "decimal", "criteria": "between", **bounds}
    else:
        words = "more than" if allowed.above else "at least"
        title, message = "Out of range", f"This takes a number of {words} {allowed.least:g}."
        criteria = ">" if allowed.above else ">="
        rule = {"validate": "decimal", "criteria": criteria, "value": allowed.least}
    rule |= {"error_title": title, "error_message": message}
    return {**rule, "ignore_blank": allowed.empty}
