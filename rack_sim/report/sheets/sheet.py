"""Sheet: one page of a workbook: cells, styles, widths, print set-up.

Text is written as text whatever it begins with, and what acts in it is written out, as XML forbids
most of that; a formula is a formula only where it is a `Formula`. Cells wait until their sheet is
finished and are then written row by row, as a workbook that keeps nothing in memory wants them.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from rack_sim.foundation.visible import visible
from rack_sim.metrics.frames import Cell
from rack_sim.report.colours import FAINT_INK, INK

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.chart import Chart
    from xlsxwriter.format import Format

# What a spreadsheet can hold: ECMA-376 leaves it open, these are Excel's and LibreOffice's limits.
SHEET_ROWS = 1_048_576
CELL_CHARACTERS = 32_767

Style = dict[str, Any]

TITLE: Style = {"bold": True, "font_size": 16, "font_color": INK}
SECTION: Style = {"bold": True, "font_size": 12, "font_color": "#004B78", "bottom": 1}
NOTE: Style = {"font_color": FAINT_INK, "italic": True}
LINK: Style = {"font_color": "#005A9C", "underline": 1}
HEADER: Style = {
    "bold": True,
    "font_color": "#FFFFFF",
    "bg_color": "#1F4E79",
    "text_wrap": True,
    "valign": "top",
    "border": 1,
    "border_color": "#FFFFFF",
}
NUMBER_HEADER: Style = {**HEADER, "align": "right"}
LABEL: Style = {"valign": "top"}
ASIDE: Style = {"valign": "top", "align": "left", "indent": 1}
UNIT: Style = {"valign": "top", "align": "left", "indent": 1, "font_color": FAINT_INK}
STRONG: Style = {"bold": True, "valign": "top"}
WRAPPED: Style = {"text_wrap": True, "valign": "top", "align": "left", "indent": 1}
# Blue on yellow is how planners mark cells that may be changed; the word "input" stands beside it.
INPUT: Style = {"font_color": "#0000C0", "bg_color": "#FFF2CC", "border": 1, "locked": False}
# Marked by its word first, by the tint second.
ASSUMED: Style = {"bg_color": "#FCE4D6"}

_LINE_POINTS = 15

_CUT = " … (cut: the cell would be longer than a spreadsheet allows)"

# unit -> how its numbers look; the numbers themselves stay as they are in the files
_NUMBER_FORMATS = {
    "": "0.######",
    "ms": "#,##0.000###",
    "ns": "#,##0.###",
    "s": "#,##0.0##",
    "bytes": '#,##0.0##,,"\u00a0MB"',
    "share": "0.0##%",
    "ratio": "0.000",
    "1/s": "#,##0.000",
    "token/s": "#,##0.0",
    "W": "#,##0.0",
    "kW": "#,##0.0##",
    "J": "#,##0.0##",
    "USD": '[>=10000]"$"#,##0;"$"#,##0.00##',
    "USD/year": '"$"#,##0',
    "USD/kWh": '"$"0.00##',
    "years": "0.0#",
}
_COUNTS = "#,##0.###"


def number_format(unit: str) -> str:
    """How numbers of a unit look. Bytes are shown as MB (10^6); the cell keeps every byte."""
    return _NUMBER_FORMATS.get(unit, _COUNTS)


def number_style(unit: str, **more: object) -> Style:
    """The style of a number of a unit."""
    return {"num_format": number_format(unit), "valign": "top", **more}


class Range(NamedTuple):
    """Cells that stand below or beside each other, as charts name them."""

    sheet: str
    row: int
    column: int
    last_row: int
    last_column: int

    @property
    def address(self) -> str:
        """Them in a formula: ``'Links'!$A$5:$A$9``."""
        from xlsxwriter.utility import xl_range_abs

        return f"'{self.sheet}'!{xl_range_abs(*self[1:])}"


class Formula(NamedTuple):
    """A formula, and what it gives, for programs that show a workbook without calculating."""

    text: str
    value: Cell


class Sheet:
    """A page with a title, a line that says what it is, and whatever is put into its cells.

    `back` is the sheet that it leads back to, if any.
    """

    def __init__(self, book: "Book", name: str, purpose: str, title: str, back: str) -> None:
        self.book, self.name, self.purpose = book, name, purpose
        self.page = book.file.add_worksheet(name)
        self._cells: dict[int, dict[int, tuple[Cell | Formula, Style | None]]] = {}
        self._links: dict[tuple[int, int], tuple[str, str]] = {}
        self._widths: dict[int, float] = {}
        self.put(0, 0, title, TITLE)
        self.put(1, 0, purpose, NOTE)
        if back:
            self.link(2, 0, back, f"to the sheet {back}")
        self.page.hide_gridlines(2)
        self.page.set_landscape()
        self.page.set_paper(9)  # A4
        self.page.fit_to_pages(1, 0)
        self.page.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        self.page.set_footer("&L&8&A&R&8&P / &N")

    def put(self, row: int, column: int, value: Cell | Formula, style: Style | None = None) -> None:
        """Puts a value into a cell; nothing, and what is no finite number, leaves it empty."""
        self._cells.setdefault(row, {})[column] = (value, style)

    def put_row(
        self,
        row: int,
        column: int,
        values: Iterable[Cell | Formula],
        styles: Style | Sequence[Style | None] | None = None,
    ) -> None:
        """Puts values side by side, all of one style or each of its own."""
        for number, value in enumerate(values):
            style = styles if styles is None or isinstance(styles, dict) else styles[number]
            self.put(row, column + number, value, style)

    def put_block(
        self,
        row: int,
        heading: str,
        heads: Sequence[str] = (),
        lines: Iterable[Iterable[Cell | Formula]] = (),
        styles: Sequence[Style] = (),
    ) -> int:
        """Puts a heading, what the columns below it are called, and lines; the next row."""
        self.put_row(row, 0, (heading, *[""] * (len(heads) - 1 if heads else 3)), SECTION)
        if heads:
            row += 1
            for column, words in enumerate(heads):
                is_number = column < len(styles) and "num_format" in styles[column]
                self.put(row, column, words, NUMBER_HEADER if is_number else HEADER)
        for cells in lines:
            row += 1
            self.put_row(row, 0, cells, styles or None)
        return row + 1

    def link(self, row: int, column: int, target: str, text: str) -> None:
        """A cell that leads to another sheet."""
        self._links[row, column] = (target, text)
        self._cells.setdefault(row, {})

    def widths(self, *characters: float) -> None:
        """Widths of the columns from the first."""
        for column, width in enumerate(characters):
            self.width(column, width)

    def width(self, column: int, characters: float, style: Style | None = None) -> None:
        """The width of a column, and the style of cells in it that have none."""
        self._widths[column] = characters
        self.page.set_column(column, column, characters, self.book.style(style))

    def pages_wide(self, count: int) -> None:
        """How many printed pages stand side by side."""
        self.page.fit_to_pages(count, 0)

    def place(
        self, row: int, column: int, chart: "Chart", alt_text: str, *, right_px: int = 0
    ) -> None:
        """Lays a chart over the cells from this one on, so many pixels into it."""
        options = {"description": alt_text, "object_position": 2, "x_offset": right_px}
        self.page.insert_chart(row, column, chart, options)

    def finish(self) -> None:
        """Writes what has been put, row by row; cells put later go below."""
        for row in sorted(self._cells):
            lines = max(map(self._lines, self._cells[row].items()), default=1)
            if lines > 1:
                self.page.set_row(row, lines * _LINE_POINTS)
            for column in sorted(self._cells[row]):
                value, style = self._cells[row][column]
                self._write(row, column, value, self.book.style(style))
            for (at, column), (target, text) in self._links.items():
                if at == row:
                    style = self.book.style(LINK)
                    self.page.write_url(row, column, f"internal:'{target}'!A1", style, text)
        self._cells.clear()
        self._links.clear()

    def stream(self, first_row: int, columns: Sequence[Sequence[Cell]]) -> None:
        """Writes columns of equal length below everything that was put; for many rows."""
        self.finish()
        number, string = self.page.write_number, self.page.write_string
        for row, cells in enumerate(zip(*columns, strict=True), start=first_row):
            for column, value in enumerate(cells):
                kind = type(value)
                if kind is int or (kind is float and isfinite(value)):
                    number(row, column, value)
                elif kind is str:
                    string(row, column, cell_text(value))
                elif kind is bool:
                    string(row, column, "true" if value else "false")

    def _lines(self, cell: tuple[int, tuple[Cell | Formula, Style | None]]) -> int:
        """Lines that a wrapped text takes; programs do not agree on whether to find out."""
        column, (value, style) = cell
        if not isinstance(value, str) or not (style or {}).get("text_wrap"):
            return 1
        room = max(1.0, self._widths.get(column, 8) * (0.85 if (style or {}).get("bold") else 1))
        return sum(max(1, ceil(len(part) / room)) for part in cell_text(value).split("\n"))

    def _write(self, row: int, column: int, value: Cell | Formula, style: "Format | None") -> None:
        if isinstance(value, Formula):
            result = value.value
            if result is None or (isinstance(result, float) and not isfinite(result)):
                result = ""
            self.page.write_formula(row, column, f"={value.text}", style, result)
        elif isinstance(value, bool):
            self.page.write_string(row, column, "true" if value else "false", style)
        elif isinstance(value, str) and value:
            self.page.write_string(row, column, cell_text(value), style)
        elif value is None or isinstance(value, str) or not isfinite(value):
            self.page.write_blank(row, column, None, style)
        else:
            self.page.write_number(row, column, value, style)


class Book:
    """A workbook under way: its file, its sheets in order, its styles.

    No sheet has more than `row_limit` rows of a table.
    """

    def __init__(self, file: "Workbook", row_limit: int = SHEET_ROWS) -> None:
        self.file, self.row_limit = file, min(row_limit, SHEET_ROWS)
        self.sheets: list[Sheet] = []
        self._styles: dict[str, Format] = {}

    def sheet(self, name: str, purpose: str, title: str = "", back: str = "") -> Sheet:
        """A new sheet behind the others; it leads back to the first, if nothing else is said."""
        back = back or (self.sheets[0].name if self.sheets else "")
        made = Sheet(self, name, purpose, title or name, back)
        self.sheets.append(made)
        return made

    def style(self, style: Style | None) -> "Format | None":
        """The file's format for a style, made once."""
        if style is None:
            return None
        key = repr(sorted(style.items()))
        if key not in self._styles:
            self._styles[key] = self.file.add_format(style)
        return self._styles[key]

    def finish(self) -> None:
        """Writes all sheets that are not yet written."""
        for sheet in self.sheets:
            sheet.finish()


def cell_text(text: str) -> str:
    """Text that a cell can hold; where it is cut, its end says so."""
    text = visible(text)
    if len(text) <= CELL_CHARACTERS:
        return text
    return text[: CELL_CHARACTERS - len(_CUT)] + _CUT


def number_or_text(text: str) -> Cell:
    """A number where the text is one and stays the same number in a cell, else the text."""
    with suppress(ValueError):
        value = float(text)
        # Sixteen digits is what the file keeps; a longer whole number stays text.
        if isfinite(value) and abs(value) < 10**15:
            return int(value) if text.lstrip("-").isdigit() else value
    return text
