"""Columns reference: the documentation of every column of every table."""

from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import FILES
from rack_sim.metrics.compare_columns import CHANGES, COMPARE, SENSITIVITY
from rack_sim.metrics.sizing_columns import CANDIDATES, SIZING
from rack_sim.scenario import STUDIES

# Files of the commands that are no studies.
COMMAND_FILES: dict[str, tuple[Column, ...]] = {
    "compare.csv (`rack-sim compare`)": COMPARE,
    "changes.csv (`rack-sim compare`, of two)": CHANGES,
    "sensitivity.csv (`rack-sim sensitivity`)": SENSITIVITY,
    "sizing.csv (`rack-sim size`)": SIZING,
    "candidates.csv (`rack-sim size`)": CANDIDATES,
}


def columns_markdown() -> str:
    """The text of docs/metrics.md."""
    parts = [
        "# Metrics",
        "",
        "Written by `scripts/refresh` from the column table; do not edit.",
        "",
        "Files of a run (at the end, of studies) and their columns. CSV is UTF-8 with a header",
        "row, commas, `\\n` at line ends and quotes only where needed; an empty cell means that",
        "there is no such value; text",
        "that a spreadsheet could read as a formula gets an apostrophe in front. Times in `_ms`",
        "columns are exact to the picosecond; percentiles are linear between neighbours.",
        "Throughputs are counted over the steady window (warm-up share of the arrival span and",
        "drain left out) and, under `run_`, over the whole run.",
        "[Spreadsheets](spreadsheets.md) describes the dialect in full.",
        "",
    ]
    studies = {
        f"{file} (`rack-sim sweep`, kind: {kind})": columns
        for kind, study in STUDIES.items()
        for file, columns in study.tables.items()
    }
    for file, columns in (FILES | studies | COMMAND_FILES).items():
        parts += [f"## {file}", "", "| column | unit | definition |", "|---|---|---|"]
        parts += [f"| `{c.name}` | {c.unit} | {c.definition} |" for c in columns]
        parts.append("")
    return "\n".join(parts)
