"""Workbook: report.xlsx, made of the files of a run or a study of any kind alone.

Equal files give equal bytes. docs/spreadsheets.md says what each sheet is.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from rack_sim.foundation.errors import naming
from rack_sim.foundation.visible import shortened, visible
from rack_sim.metrics.columns import FILES, ITERATIONS, REPLICAS, STAGES
from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.record.directory import whole_file
from rack_sim.record.kinds import kind_of
from rack_sim.record.manifest import read_manifest, told_if_altered
from rack_sim.report.comparison_tables import ComparisonTables, read_comparison_tables
from rack_sim.report.run_tables import RunTables, read_run_tables
from rack_sim.report.sensitivity_tables import SensitivityTables, read_sensitivity_tables
from rack_sim.report.sheets.capacity import write_capacity, write_no_capacity
from rack_sim.report.sheets.capacity_facts import run_facts, study_facts
from rack_sim.report.sheets.comparison import write_comparison_answer, write_comparison_sheets
from rack_sim.report.sheets.cost import write_cost
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import chosen_of, write_inputs
from rack_sim.report.sheets.machine import (
    write_chips,
    write_links,
    write_sram_map,
    write_sram_rows,
)
from rack_sim.report.sheets.overview import (
    start_overview,
    write_answer,
    write_answer_lines,
    write_contents,
    write_knees,
    write_overview,
)
from rack_sim.report.sheets.sensitivity import (
    write_sensitivity_answer,
    write_sensitivity_table,
)
from rack_sim.report.sheets.sheet import SHEET_ROWS, Book
from rack_sim.report.sheets.sizing import (
    sizing_answers,
    sizing_lines,
    sizing_question,
    write_sizing,
)
from rack_sim.report.sheets.sizing_capacity import sizing_facts
from rack_sim.report.sheets.spread import write_spreads
from rack_sim.report.sheets.sweep import (
    collected_of,
    plain_rows,
    study_answers,
    study_tables,
    write_sweep,
)
from rack_sim.report.sheets.table import write_table_sheet
from rack_sim.report.sheets.traffic import write_over_time, write_requests
from rack_sim.report.sizing_tables import SizingTables, read_sizing_tables
from rack_sim.scenario import read_resolved_study

if TYPE_CHECKING:
    from xlsxwriter import Workbook

# From so many rows on cells are not kept in memory (27 columns of a million rows take 5 GB there).
_ROWS_IN_MEMORY = 50_000
_TITLE_CHARACTERS = 255  # Excel's limit for a property
# Files are equal for equal input, so the date in their properties is no real one.
_CREATED = datetime(2000, 1, 1)


def write_workbook(folder: Path, target: Path, *, row_limit: int = SHEET_ROWS) -> None:
    """Writes a workbook of what `folder` holds to `target`, which it replaces.

    No sheet has more than `row_limit` rows; rows left out are counted on it. Raises InputError
    where the folder holds none, or something of another version.
    """
    manifest = read_manifest(folder)
    kind = kind_of(manifest)
    # In memory first: a zip that is interrupted still wants its file when it is thrown away.
    file = BytesIO()
    with told_if_altered(folder), whole_file(target, force=True) as draft:
        if kind == "size":
            _write_sizing(read_sizing_tables(folder, manifest), file, row_limit)
        elif kind in ("load", "jitter", "grid"):
            _write_study(folder, manifest, file, row_limit)
        elif kind == "compare":
            _write_comparison(read_comparison_tables(folder, manifest), file, row_limit)
        elif kind == "sensitivity":
            _write_sensitivity(read_sensitivity_tables(folder, manifest), file, row_limit)
        else:
            _write_run(read_run_tables(folder), file, row_limit)
        draft.path.write_bytes(file.getvalue())


def _write_run(run: RunTables, file: BinaryIO, row_limit: int) -> None:
    rows = min(row_limit, len(run.table("requests.csv")))
    name = str(run.summary["scenario"])
    with _workbook(file, name, rows) as made:
        book = Book(made)
        purpose = f"{run.summary['model']} on {run.summary['system']}. " + str(
            run.manifest.get("workload") or ""
        )
        overview = start_overview(book, name, purpose)
        facts = run_facts(run)
        if isinstance(facts, str):
            write_no_capacity(book, facts)
        else:
            write_capacity(book, facts)
        write_inputs(book, run.manifest, chosen_of(run.resolved))
        write_requests(book, run, row_limit)
        write_sram_map(book, run)
        write_links(book, run, row_limit)
        write_cost(book, run)
        write_over_time(book, run, row_limit)
        write_chips(book, run, row_limit)
        write_sram_rows(book, run, row_limit)
        _write_others(book, run, row_limit)
        write_definitions(book, _defined(run))
        write_overview(overview, run)
        book.finish()


def _write_others(book: Book, run: RunTables, row_limit: int) -> None:
    others = (
        ("replicas.csv", "Replicas", "What each replica did.", REPLICAS),
        ("stages.csv", "Stages", "The stages of the first replica, and their time.", STAGES),
        ("iterations.csv", "Iterations", "Iterations by their number of rows.", ITERATIONS),
    )
    for file, name, purpose, columns in others:
        if run.has(file):
            write_table_sheet(
                book,
                name,
                name,
                purpose,
                columns,
                run.table(file),
                file=file,
                row_limit=row_limit,
            )


def _defined(run: RunTables) -> list[tuple[str, Any]]:
    return [(name, columns) for name, columns in FILES.items() if run.has(name)]


def _write_study(folder: Path, manifest: Mapping[str, Any], file: BinaryIO, row_limit: int) -> None:
    kind, name = str(manifest["kind"]), str(manifest["study"])
    path = folder / "resolved.yaml"
    resolved = read_resolved_study(path) if path.is_file() else {}
    tables = study_tables(folder, kind)
    rows = min(row_limit, max((len(frame) for frame in tables.values()), default=0))
    with _workbook(file, name, rows) as made:
        book = Book(made)
        purpose = str(resolved.get("description") or "")
        knees = plain_rows(tables["knee.csv"]) if "knee.csv" in tables else []
        overview = start_overview(book, f"Study {name}", purpose, values=len(knees) or 2)
        collected = collected_of(manifest, resolved)
        written = write_sweep(book, kind, tables, collected, row_limit)
        if "knee.csv" in tables and "load.csv" in tables:
            facts = study_facts(manifest, resolved, knees, plain_rows(tables["load.csv"]))
            for number, one in enumerate(facts, start=1):
                write_capacity(book, one, number=number)
            if not facts:
                write_no_capacity(book, "No machine of this study served anything.")
        write_inputs(book, manifest, chosen_of(resolved))
        write_definitions(book, written)
        lines = [
            *study_answers(tables),
            ("Kind", kind or "no study"),
            ("Tables", ", ".join(tables) or "none"),
        ]
        lines += [("Version", str(manifest.get("version", "")))]
        row = (
            write_knees(overview, knees)
            if knees
            else write_spreads(overview, 3, kind, tables, collected)
        )
        row = write_answer(overview, row, lines)
        write_contents(overview, row)
        book.finish()


def _write_sizing(sizing: SizingTables, file: BinaryIO, row_limit: int) -> None:
    rows = min(row_limit, len(sizing.candidates))
    with _workbook(file, f"Size {sizing.name}", rows) as made:
        book = Book(made)
        count = len(sizing.winners)
        overview = start_overview(
            book, f"Size: {sizing.name}", sizing_question(sizing), values=count
        )
        write_sizing(book, sizing, row_limit)
        for number, winner in enumerate(sizing.winners, start=1):
            write_capacity(book, sizing_facts(sizing, winner), number=number)
        write_inputs(book, sizing.manifest, chosen_of(sizing.resolved))
        write_definitions(book, list(sizing.columns.items()))
        row = write_answer_lines(overview, 3, *sizing_lines(sizing))
        row = write_answer(overview, row, sizing_answers(sizing))
        write_contents(overview, row)
        book.finish()


def _write_comparison(compared: ComparisonTables, file: BinaryIO, row_limit: int) -> None:
    names = [str(row["name"]) for row in compared.rows]
    title = "Compare: " + (" and ".join(names) if len(names) == 2 else f"{len(names)} runs")
    with _workbook(file, title, 0) as made:
        book = Book(made)
        purpose = "What was compared, and what changed."
        overview = start_overview(book, title, purpose, values=len(names))
        written = write_comparison_sheets(book, compared, row_limit)
        write_definitions(book, written)
        row = write_comparison_answer(overview, compared)
        write_contents(overview, row)
        book.finish()


def _write_sensitivity(found: SensitivityTables, file: BinaryIO, row_limit: int) -> None:
    title = f"Sensitivity: {found.name}"
    with _workbook(file, title, 0) as made:
        book = Book(made)
        purpose = f"{found.manifest['change']:.0%} less and more of each input, one at a time."
        overview = start_overview(book, title, purpose)
        write_sensitivity_table(book, found, row_limit)
        write_inputs(book, found.manifest, chosen_of(found.resolved))
        write_definitions(book, [("Sensitivity", SENSITIVITY)])
        row = write_sensitivity_answer(overview, found)
        write_contents(overview, row)
        book.finish()


@contextmanager
def _workbook(file: BinaryIO, title: str, row_count: int) -> Iterator["Workbook"]:
    """An empty workbook in which no text is ever taken for a formula, a number or a link.

    It is written to `file` when the block ends without an error.
    """
    from xlsxwriter import Workbook  # imports slowly

    # Rows wait there that are not kept in memory.
    with TemporaryDirectory() as rows, naming(rows):
        made = Workbook(
            file,
            {
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
                "constant_memory": row_count > _ROWS_IN_MEMORY,
                "in_memory": row_count <= _ROWS_IN_MEMORY,  # no temporary files: a tenth faster
                "tmpdir": rows,
            },
        )
        made.set_properties(
            {
                "title": shortened(visible(title), _TITLE_CHARACTERS),
                "author": "rack-sim",
                "created": _CREATED,
            }
        )
        made.set_calc_mode("auto")  # formulas are calculated when a program opens it
        try:
            yield made
        except BaseException:
            # Closing the workbook would write it, for seconds more; its rows' files are closed.
            for page in made.worksheets():
                if page.constant_memory:
                    page.row_data_fh.close()
            raise
        made.close()
