"""Comparison sheets: what was compared side by side, and what changed between two."""

from collections.abc import Mapping, Sequence
from typing import Any

from rack_sim.metrics.column import Column
from rack_sim.metrics.compare_columns import CHANGES, COMPARE
from rack_sim.report.comparison_tables import ComparisonTables
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.sheets.table import write_table_sheet
from rack_sim.study.difference import headlines


def write_comparison_sheets(
    book: Book, compared: ComparisonTables, row_limit: int
) -> list[tuple[str, Sequence[Column]]]:
    """A sheet for each table; their names and columns are given back."""
    import pandas as pd

    sheets: list[tuple[str, str, str, Sequence[Column], list[Mapping[str, Any]]]] = [
        ("Comparison", "compare.csv", "Every run that was compared.", COMPARE, [*compared.rows])
    ]
    if len(compared.rows) == 2:
        names = " to ".join(str(row["name"]) for row in compared.rows)
        purpose = f"Inputs and outputs that changed from {names}."
        rows: list[Mapping[str, Any]] = [
            {
                "kind": change.kind,
                "key": change.key,
                "before": change.before,
                "after": change.after,
                "change_share": change.share,
            }
            for change in compared.changes
        ]
        sheets.append(("Changes", "changes.csv", purpose, CHANGES, rows))
    for name, file, purpose, columns, told in sheets:
        frame = pd.DataFrame(told, columns=[c.name for c in columns], dtype=object)
        frame = frame.where(frame.notna(), None)
        write_table_sheet(book, name, name, purpose, columns, frame, file=file, row_limit=row_limit)
    return [(name, columns) for name, _, _, columns, _ in sheets]


def comparison_answers(compared: ComparisonTables) -> list[tuple[str, str]]:
    """What is not alike first, then what changed, or who was compared."""
    lines = []
    unlike = compared.said("not_alike")
    if unlike:
        lines.append(("Not alike in all", "; ".join(unlike)))
    lines.append(("All are judged by", str(compared.record.facts["judged_by"])))
    lines += [
        ("Changed" if not n else "", text) for n, text in enumerate(headlines(compared.changes))
    ]
    for row in compared.rows:
        text = f"{row['model']} on {row['system']}"
        if row["status"] != "ran":
            text += f"; cannot run: {row['reason']}"
        lines.append((str(row["name"]), text))
    return lines
