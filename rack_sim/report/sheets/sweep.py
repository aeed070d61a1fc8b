"""Sweep: the tables of a study, whatever its kind, with a chart of what it was made for."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.errors import InputError
from rack_sim.metrics.column import Column, text_types
from rack_sim.metrics.columns import STUDY_FILES, SUMMARY
from rack_sim.record.csv import plain_text
from rack_sim.record.garbled import refuse_garbled, unreadable
from rack_sim.record.kinds import KINDS
from rack_sim.report.sheets.charts import Series, new_chart
from rack_sim.report.sheets.sheet import SHEET_ROWS, Book
from rack_sim.report.sheets.table import FIRST_ROW, write_table_sheet

if TYPE_CHECKING:
    import pandas as pd

# kind of study -> charts of its first table: title, x, what is shown, whether by powers of ten
_CHARTS: Mapping[str, Sequence[tuple[str, str, tuple[str, ...], bool]]] = {
    "load": (
        ("Time to first token as load rises", "offered_rps", ("ttft_ms_p50", "ttft_ms_p99"), True),
        (
            "What is served as load rises",
            "offered_rps",
            ("request_throughput_rps", "request_goodput_rps"),
            False,
        ),
    ),
    "jitter": (
        (
            "Speed kept as jitter rises",
            "operator_jitter_ns",
            ("kept_share",),
            False,
        ),
    ),
}
# Of a grid: what is shown where the study does not say what it collects, the first that is there.
_SHOWN = (
    "output_tok_s_per_user_p50",
    "tpot_ms_p50",
    "ttft_ms_p99",
    "usd_per_million_output_tokens",
)
_AXIS = "a key of the grid: its value"
_CHARTS_MAX = 4  # of a study that collects more, the table has them
_SERIES_MAX = 8  # more lines than the palette has colours are not told apart


def study_tables(folder: Path, kind: str) -> dict[str, "pd.DataFrame"]:
    """The tables of a study by file name: those its kind has, then any other CSV of the folder.

    Raises InputError where one cannot be read.
    """
    import pandas as pd

    known = [name for name in STUDY_FILES.get(kind, {}) if (folder / name).is_file()]
    others = sorted(path.name for path in folder.glob("*.csv") if path.name not in known)
    found = {}
    for name in (*known, *others):
        try:
            frame = pd.read_csv(
                folder / name,
                keep_default_na=False,
                na_values=[""],
                dtype=text_types(columns_of(kind, name, _header(folder / name))),
            )
        except (OSError, ValueError) as error:
            raise InputError(unreadable(folder / name, error, KINDS["load"].again)) from None
        columns = columns_of(kind, name, [str(column) for column in frame.columns])
        refuse_garbled(frame, folder / name, columns, KINDS["load"].again)
        found[name] = frame
    return found


def _header(path: Path) -> list[str]:
    """The names of the columns of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def columns_of(kind: str, file: str, names: Sequence[str]) -> list[Column]:
    """The columns of a table with units and definitions, where any table of ours knows them."""
    known = {column.name: column for column in SUMMARY}
    known |= {column.name: column for column in STUDY_FILES.get(kind, {}).get(file, ())}
    return [
        known.get(name, Column(name, "", "any", _AXIS if name.startswith("grid.") else ""))
        for name in names
    ]


def write_sweep(
    book: Book,
    kind: str,
    tables: Mapping[str, "pd.DataFrame"],
    collected: Sequence[str],
    row_limit: int = SHEET_ROWS,
) -> list[tuple[str, list[Column]]]:
    """A sheet for each table, the first with charts; their names and columns are given back."""
    written = []
    for number, (file, frame) in enumerate(tables.items()):
        columns = columns_of(kind, file, list(frame.columns))
        stem = Path(file).stem
        name = "Sweep" if not number else stem[:31].title()
        sheet = write_table_sheet(
            book,
            name,
            f"Sweep: {file}" if not number else file,
            "Every row of the study's table"
            + (". Charts stand to the right." if not number else "."),
            columns,
            frame,
            file=file,
            row_limit=row_limit,
        )
        written.append((name, columns))
        if number or frame.empty:
            continue
        shown = frame.head(row_limit - FIRST_ROW)
        for place, drawn in enumerate(_charts(book, kind, shown, collected)):
            chart, alt_text = drawn
            sheet.place(3 + 18 * place, len(columns) + 1, chart, alt_text)
    return written


def _charts(
    book: Book, kind: str, frame: "pd.DataFrame", collected: Sequence[str]
) -> Iterator[tuple[Any, str]]:
    names = list(frame.columns)
    for title, x, wanted, log in _CHARTS.get(kind, ()):
        series = [
            one for name in wanted for one in _lines(frame, names, x, name, many=len(wanted) > 1)
        ]
        units = {column.name: column.unit for column in columns_of(kind, "", names)}
        y = units.get(wanted[0]) or wanted[0].rsplit("_", 2)[-1]
        chart = new_chart(
            book,
            "scatter",
            series[:_SERIES_MAX],
            subtype="straight_with_markers",
            title=title,
            x=x,
            y={"rps": "requests/s"}.get(y, y),
            size=(820, 340),
            log=log,
        )
        lines = ", ".join(one.name for one in series[:_SERIES_MAX])
        yield chart, f"Lines over {x}: {lines}. The same numbers stand in the table beside it."
    if kind not in _CHARTS:
        numbers = [name for name in names if frame[name].dtype.kind in "if"]
        shown = [name for name in collected if name in numbers][:_CHARTS_MAX]
        for name in shown or [name for name in _SHOWN if name in numbers][:1]:
            yield _chart_of_points(book, frame, names, name)


def _chart_of_points(
    book: Book, frame: "pd.DataFrame", names: list[str], name: str
) -> tuple[Any, str]:
    """A number of every point: as lines over the key that changes fastest, else as bars."""
    axes = [column for column in names if column.startswith("grid.")]
    x = axes[-1] if axes else ""
    at, beside = names.index(name), "The same numbers stand in the table beside it."
    if x and frame[x].dtype.kind in "if" and len(set(frame[x])) > 1:
        others = [column for column in ("machine", *axes[:-1]) if column in names]
        cells = (names.index(x), at)
        series = [
            Series(words or name, _column(first, last, cells[1]), _column(first, last, cells[0]))
            for first, last, words in _stretches(frame, others)
        ][:_SERIES_MAX]
        chart = new_chart(
            book,
            "scatter",
            series,
            subtype="straight_with_markers",
            title=name,
            x=x.removeprefix("grid."),
            y=name,
            size=(820, 340),
        )
        lines = "; ".join(one.name for one in series)
        return chart, f"Lines of {name} over {x.removeprefix('grid.')}: {lines}. {beside}"
    last = FIRST_ROW + len(frame) - 1
    label = next((column for column in ("point_name", "point", *names) if column in names), name)
    bars = Series(name, _column(FIRST_ROW, last, at), _column(FIRST_ROW, last, names.index(label)))
    chart = new_chart(book, "column", [bars], title=name, x=label, y=name, size=(820, 340))
    return chart, f"Bars: {name} of every point. {beside}"


def _column(first: int, last: int, column: int) -> tuple[str, int, int, int, int]:
    return "Sweep", first, column, last, column


def _stretches(frame: "pd.DataFrame", by: list[str]) -> Iterator[tuple[int, int, str]]:
    """First and last row of the sheet of every run of rows that are alike in `by`, and in what."""
    keys = [tuple(row) for row in frame[by].to_numpy(dtype=object).tolist()]
    varied = [number for number, name in enumerate(by) if len(set(frame[name])) > 1]
    first = 0
    for end in range(1, len(keys) + 1):
        if end < len(keys) and keys[end] == keys[first]:
            continue
        words = ", ".join(
            plain_text(str(keys[first][number]))
            if by[number] == "machine"
            else f"{by[number].removeprefix('grid.')} {plain_text(str(keys[first][number]))}"
            for number in varied
        )
        yield FIRST_ROW + first, FIRST_ROW + end - 1, words
        first = end


def _lines(
    frame: "pd.DataFrame", names: list[str], x: str, y: str, *, many: bool
) -> Iterator[Series]:
    """A line for each machine; the rows of one stand together."""
    if not {x, y, "machine"} <= set(names):
        return
    for first, last, _ in _stretches(frame, ["machine"]):
        machine = plain_text(str(frame["machine"].iloc[first - FIRST_ROW]))
        yield Series(
            f"{y}, {machine}" if many else machine,
            _column(first, last, names.index(y)),
            _column(first, last, names.index(x)),
        )


def collected_of(manifest: Mapping[str, Any], resolved: Mapping[str, Any]) -> list[str]:
    """The columns that the study says it is about."""
    named = resolved.get("collect") or manifest.get("collect") or []
    if isinstance(named, str):
        named = [named]
    return [name if isinstance(name, str) else json.dumps(name) for name in named]


def study_answers(tables: Mapping[str, "pd.DataFrame"]) -> list[tuple[str, str]]:
    """How the points of a study ended, a line for each of its tables."""
    lines = []
    for file, frame in tables.items():
        if "status" in frame.columns:
            counts = frame["status"].value_counts().sort_index()
            said = ", ".join(f"{count:,} {plain_text(str(name))}" for name, count in counts.items())
            lines.append((f"Points of {file}", said))
    return lines


def plain_rows(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows with None for what is not there, and text as it was before it was safe for CSV."""
    rows: list[dict[str, Any]] = []
    for row in frame.to_dict("records"):
        cells: dict[str, Any] = {}
        for name, value in row.items():
            text = plain_text(value) if isinstance(value, str) else value
            cells[str(name)] = None if text != text else text
        rows.append(cells)
    return rows
