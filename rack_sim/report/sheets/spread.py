"""Spread: of each number that a study collects, the lowest and the highest, and at which points."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rack_sim.metrics.column import Column
from rack_sim.record.csv import plain_text
from rack_sim.record.kinds import AXIS
from rack_sim.record.record import Record
from rack_sim.report.kinds import story_of
from rack_sim.report.sheets.overview import AnswerLine, write_answer_lines
from rack_sim.report.sheets.sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd

_AXES = ("machine", "operator_jitter_ns")
_CUT = ("tensor_parallel", "stage_count")  # where nothing else tells points apart
_ROW = 3


def write_spreads(sheet: Sheet, study: Record) -> int:
    """A line for each collected number of the first table; the next free row."""
    file, table = next(iter(study.tables.items()))
    frame, columns = study.frame(file), {column.name: column for column in table.columns}
    lines = [
        _spread(columns[name], words, frame)
        for name, words in _collected(study).items()
        if name in columns and frame[name].dtype.kind in "if" and frame[name].notna().any()
    ]
    if not lines:
        return _ROW
    return write_answer_lines(sheet, _ROW, ("Over all points", "lowest", "highest"), lines)


def _collected(study: Record) -> Mapping[str, str]:
    """The columns that the study, or its kind, says it is about, each with its words."""
    named = study.facts.get("collect") or story_of(study.kind).numbers
    return named if isinstance(named, dict) else {str(name): str(name) for name in named}


def _spread(column: Column, words: str, frame: "pd.DataFrame") -> AnswerLine:
    values = frame[column.name]
    low, high = int(values.argmin()), int(values.argmax())
    ends = (values.tolist()[low], values.tolist()[high])
    where = f"lowest at {_place(frame, low)}; highest at {_place(frame, high)}"
    return AnswerLine(words, ends, column.unit, where if ends[0] < ends[1] else "everywhere")


def _place(frame: "pd.DataFrame", row: int) -> str:
    """What a point is told apart by."""
    axes = [name for name in frame.columns if name.startswith(AXIS) or name in _AXES]
    axes = axes if any(len(set(frame[name])) > 1 for name in axes) else list(_CUT)
    values = {name.rpartition(".")[2]: frame[name].tolist() for name in axes if name in frame}
    said = (
        f"{name} {plain_text(str(found[row]))}"
        for name, found in values.items()
        if len(set(found)) > 1
    )
    return ", ".join(said) or f"row {row + 1}"
