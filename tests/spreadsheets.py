"""Spreadsheets under test: LibreOffice without a screen calculates them, openpyxl reads them."""

import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import openpyxl

SOFFICE = shutil.which("soffice")
# LibreOffice writes numbers with fifteen digits: half a unit of the last one.
FIFTEEN_DIGITS = 5e-15

# "Recalculation on file load": always. By default the values in the file would be believed.
_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop>
</item>
</oor:items>
"""


def recalculated(files: list[Path], folder: Path) -> list[Path]:
    """The same workbooks as LibreOffice saves them, every formula calculated by it."""
    profile = folder / "profile" / "user"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "registrymodifications.xcu").write_text(_SETTINGS, encoding="utf-8")
    out = folder / "recalculated"
    subprocess.run(
        [
            str(SOFFICE),
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            "--headless",
            "--norestore",
            "--convert-to",
            "xlsx:Calc MS Excel 2007 XML",
            "--outdir",
            str(out),
            *map(str, files),
        ],
        check=True,
        capture_output=True,
        timeout=180,
    )
    found = [out / file.name for file in files]
    assert all(file.is_file() for file in found), "LibreOffice did not open it"
    return found


def opened(path: Path, *, values: bool = False) -> Any:
    """A workbook with its formulas, or with the values that they had when it was saved."""
    with warnings.catch_warnings():
        # openpyxl leaves out newer data bars and says so; nothing here is about them.
        warnings.filterwarnings("ignore", message=".*xtension is not supported")
        return openpyxl.load_workbook(path, data_only=values)


def named(book: Any, name: str) -> Any:
    """The cell of a defined name."""
    ((sheet, cells),) = book.defined_names[name].destinations
    return book[sheet][cells.replace("$", "")]


def drawn(book: Any, sheet: str) -> list[list[list[float]]]:
    """Of each chart of a sheet, and of each of its series, the numbers in the cells it shows."""
    return [[_numbers(book, series) for series in chart.series] for chart in book[sheet]._charts]


def _numbers(book: Any, series: Any) -> list[float]:
    sheet, _, cells = series.val.numRef.f.replace("$", "").partition("!")
    rows = book[sheet.strip("'")][cells]
    return [cell.value for row in rows for cell in row if cell.value is not None]
