"""Workbook: report.xlsx, made of a record of any kind alone.

Equal records give equal bytes. docs/spreadsheets.md says what each sheet is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from rack_sim.foundation.errors import naming
from rack_sim.foundation.visible import shortened, visible
from rack_sim.record.record import Record
from rack_sim.report.kinds import story_of
from rack_sim.report.sheets.sheet import SHEET_ROWS, Book

if TYPE_CHECKING:
    from xlsxwriter import Workbook

# From so many rows on cells are not kept in memory (27 columns of a million rows take 5 GB there).
_ROWS_IN_MEMORY = 50_000
_TITLE_CHARACTERS = 255  # Excel's limit for a property
# Files are equal for equal input, so the date in their properties is no real one.
_CREATED = datetime(2000, 1, 1)


def workbook_of(record: Record, row_limit: int | None = None) -> bytes:
    """The workbook of a record.

    No sheet has more than `row_limit` rows; rows left out are counted on it.
    """
    story, limit = story_of(record.kind), row_limit or SHEET_ROWS
    # In memory: a zip that is interrupted still wants its file when it is thrown away.
    file = BytesIO()
    longest = max(len(record.frame(name)) for name in record.tables)
    with _workbook(file, story.title(record), min(limit, longest)) as made:
        book = Book(made, limit)
        story.sheets(book, record)
        book.finish()
    return file.getvalue()


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
