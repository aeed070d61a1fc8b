"""Inputs: every number that went in, with its source and grade; what is assumed comes first."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rack_sim.foundation.sourced import GRADES
from rack_sim.metrics.frames import Cell
from rack_sim.record.record import Record
from rack_sim.report.sheets.sheet import ASSUMED, WRAPPED, Book, Style, number_or_text
from rack_sim.report.sheets.table import write_list

_HEADS = {
    "kind": 12,
    "input": 48,
    "value": 28,
    "source, or why it is assumed": 90,
    "grade": 8,
    "what it means": 44,
}
# Keys whose values say where something comes from, or how to call it, and set nothing.
_WORDS = {"source", "grade", "note", "assumed", "description"}


def write_inputs(book: Book, record: Record) -> None:
    """Numbers of the manifest and what the user chose, a row each, in base units."""
    sheet = book.sheet(
        "Inputs",
        "Everything that went in, in base units. Assumed numbers have no source and come first; "
        "filter by the first column.",
    )
    lines = [
        ((kind, *cells), _styles(kind.startswith("assumed"), isinstance(cells[1], str)))
        for kind, cells in _rows(record)
    ]
    write_list(sheet, _HEADS, lines, still=2)


def _styles(is_assumed: bool, is_text: bool) -> list[Style]:
    tint: Style = {"valign": "top", **(ASSUMED if is_assumed else {})}
    value = {"num_format": "#,##0.######", "align": "left" if is_text else "right"}
    wrapped = {**WRAPPED, **tint}
    centred = {**tint, "align": "center"}
    return [{**tint, "bold": is_assumed}, tint, {**tint, **value}, wrapped, centred, wrapped]


def _rows(record: Record) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    manifest = record.facts
    for what in ("model", "study", "search"):
        for text in manifest.get(f"assumed_by_the_{what}") or ():
            yield "assumed", (f"by the {what}", None, str(text), None, None)
    for item in manifest.get("assumed") or ():
        value = number_or_text(str(item["value"]))
        yield "assumed", (item["name"], value, item["why"], None, None)
    for item in manifest.get("sourced") or ():
        value = number_or_text(str(item["value"]))
        grade = str(item["grade"])
        yield "sourced", (item["name"], value, item["source"], grade, GRADES.get(grade))
    model = manifest.get("model")
    if model and model.get("source"):
        grade = str(model.get("grade") or "")
        named = (str(model.get("name")), str(model["source"]), grade, GRADES.get(grade))
        yield "sourced", ("model", *named)
    trace = manifest.get("trace")
    for name, value in (trace or {}).items():
        yield "trace", (f"trace.{name}", _value(value), None, None, None)
    # What carries no source is the user's own choice.
    for name, value in _leaves("", record.resolved):
        yield "chosen", (name, _value(value), None, None, None)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - whatever YAML holds
    if isinstance(value, Mapping):
        if "value" in value and ({"source", "assumed"} & value.keys()):
            return  # it stands among the sourced or assumed numbers
        for key, inner in value.items():
            if key not in _WORDS:
                yield from _leaves(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(f"{path}.{number}", item)
    else:
        yield path, value


def _value(value: Any) -> Cell:  # noqa: ANN401 - whatever JSON holds
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return number_or_text(str(value))
    return json.dumps(value, ensure_ascii=False)
